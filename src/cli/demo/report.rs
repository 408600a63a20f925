//! What the demo prints.

use crate::cli::demo::account::{Account, Answered, Fact};
use crate::cli::demo::boards::Counted;
use crate::cli::demo::evening::{Over, Size};
use crate::cli::demo::recount::{End, Played, Recount};
use crate::cli::failure::{Exit, Failure};
use crate::cli::fresh::tool;
use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::cli::times::Times;
use scorebook::game::Mode;
use std::fmt::Write;

/// So many differences are told one by one.
const TOLD_MAX: usize = 20;

pub(super) fn beginning(size: &Size, dir: &str) -> String {
    let Size { games, guilds, kills, seed } = size;
    format!(
        "An evening of word games: {games} tables in {guilds} guilds, and a bot that is killed {kills} times on the way.\n\n\
         1. Playing, seed {seed}, the store in {dir}\n"
    )
}

/// What happened.
pub(super) fn evening(output: &mut Output, over: &Over, recount: &Recount) -> Result<(), Failure> {
    let mut table = Table::new(&["   mode", "games", "completed", "cancelled", "words", "matches"], false);
    let all = recount.games.values().collect::<Vec<_>>();
    for mode in Mode::ALL {
        let of_mode = all.iter().copied().filter(|game| game.mode == mode.name()).collect::<Vec<_>>();
        table.row(&row(mode.name(), &of_mode));
    }
    table.row(&row("all", &all));
    output.text(&table.take())?;

    let numbers = &over.numbers;
    let answers = over.account.sent.values().filter_map(|sent| sent.answer.as_ref());
    let refused = answers.filter(|answer| matches!(answer, Answered::Refused(_))).count();
    let commands = numbers.times.count();
    let lasted = over.lasted.as_secs_f64();
    let played_min = over.end.since(over.began).saturating_sub(NIGHT_MIN * 60_000) / 60_000;
    let mut text = String::new();
    if 0 < over.left_out {
        text.push_str(&format!("   it was late: {} games were not begun any more\n", over.left_out));
    }
    let mut line = |of: std::fmt::Arguments<'_>| writeln!(text, "   {of}").expect("a string takes what is written");
    line(format_args!(
        "{} games at once and {} people at most; {played_min} minutes on their clocks, {lasted:.0} s on ours",
        recount.at_once_max, over.people
    ));
    line(format_args!(
        "{commands} commands, {refused} of them refused; {:.0} a second, each durable before its answer",
        commands as f64 / lasted
    ));
    line(format_args!(
        "time per command: median {}, 99 % within {}",
        millis(&numbers.times, 50),
        millis(&numbers.times, 99)
    ));
    line(format_args!(
        "killed {} times, {} of them while it took up its games; {} commands sent again, {} asked twice",
        numbers.kills, numbers.kills_in_recovery, numbers.sent_again, numbers.asked_twice
    ));
    line(format_args!(
        "longest recovery {:.0} ms, from the kill until {} games went on; the bot was there {:.2} % of the time",
        numbers.away_max.as_secs_f64() * 1e3,
        numbers.games_taken_up_max,
        100.0 * (1.0 - numbers.away.as_secs_f64() / lasted)
    ));
    output.text(&format!("{text}\n"))
}

/// The night that follows, in which games are cancelled that nobody has started.
const NIGHT_MIN: u64 = 61;

fn row(name: &str, games: &[&Played]) -> Vec<String> {
    let ended = |end| games.iter().filter(|game| game.end == Some(end)).count();
    let sum = |of: fn(&Played) -> u64| games.iter().map(|game| of(game)).sum::<u64>();
    let numbers = [
        games.len() as u64,
        ended(End::Completed) as u64,
        ended(End::Cancelled) as u64,
        sum(|game| game.words),
        sum(|game| game.matches),
    ];
    std::iter::once(format!("   {name}")).chain(numbers.map(|number| number.to_string())).collect()
}

fn millis(times: &Times, percent: u64) -> String {
    format!("{:.1} ms", times.within(percent).as_secs_f64() * 1e3)
}

/// What comes next, and takes some seconds.
pub(super) const COMPARING: &str = "2. Comparing what people were told with what the log says\n";

/// What was compared, and held.
pub(super) fn checked(
    output: &mut Output,
    over: &Over,
    recount: &Recount,
    counted: &Counted,
    bytes: u64,
) -> Result<(), Failure> {
    let account = &over.account;
    let told =
        |is: fn(&Fact) -> bool| account.facts.iter().filter(|((_, _, fact), _)| is(fact)).map(|(_, n)| n).sum::<u64>();
    let words = recount.taken.values().sum::<u64>();
    let done = account.sent.values().filter(|sent| matches!(sent.answer, Some(Answered::Done(_)))).count();
    let megabytes = bytes as f64 / 1e6;
    output.text(&format!(
        "   {} events in {} streams, {megabytes:.1} MB: every byte verified\n   \
         {done} commands acknowledged: what each has done is there, once\n   \
         {words} words told as taken: those in the log, neither more nor less\n   \
         {} matches, {} eliminations, {} results and {} names of replays told: as the log has them\n   \
         {} games read again: as they were last shown, what was due is done, and nobody was in two at once\n   \
         {} players and {} pairs on the leaderboards: with what they were told of, and nothing else\n   \
         {} records looked up on the way: each with all that its player had been told of by then\n",
        recount.events,
        recount.streams(),
        told(|fact| matches!(fact, Fact::Matched(..))),
        told(|fact| matches!(fact, Fact::Eliminated(..))),
        told(|fact| matches!(fact, Fact::Completed(_) | Fact::Cancelled(_))),
        told(|fact| matches!(fact, Fact::Named(_))),
        recount.games.len(),
        counted.players(),
        counted.pairs(),
        account.looked.len(),
    ))
}

/// Whether everything held.
pub(super) fn verdict(found: &[String]) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    let mut text = format!("what people were told and what the log says differ in {} places:", found.len());
    for difference in found.iter().take(TOLD_MAX) {
        text.push_str("\n   ");
        text.push_str(difference);
    }
    Err(Failure::new(Exit::Other, text))
}

/// Commands to go on with, as they can be typed.
pub(super) fn what_next(account: &Account, recount: &Recount, dir: &str) -> String {
    let tool = tool();
    let told = |mode: Mode| {
        let of_mode = recount.games.iter().filter(|(_, game)| game.mode == mode.name() && game.name.is_some());
        of_mode.max_by_key(|(_, game)| game.words)
    };
    let Some((game, played)) = told(Mode::Knockout).or_else(|| Mode::ALL.into_iter().find_map(told)) else {
        return format!("\nEverything held. The store stays in {dir}.\n");
    };
    let name = played.name.as_deref().unwrap_or_default();
    let guild = account.guilds.get(game).map(ToString::to_string).unwrap_or_default();
    let commands = [
        (format!("replay {name}"), "one of the games, round by round"),
        (format!("leaderboard {guild}"), "who is ahead in the guild of this game"),
        (format!("state game-{game}"), "what it came to, as its events fold"),
        (format!("diff game-{game} 3 9"), "what six of its events have changed"),
        (format!("read game-{game} --limit 20"), "its first events"),
        ("query --type guess_processed --where 'data.guess_successful = true' --limit 5".to_owned(), "some matches"),
        (format!("trace {}", played.first), "what belongs together with the first of them"),
        ("stats --by type".to_owned(), "what happened this evening, by type"),
        ("info".to_owned(), "what the store holds"),
    ];
    let mut text = format!("\nEverything held. The store stays in {dir}. Try next:\n\n");
    for (command, what) in commands {
        text.push_str(&format!("   # {what}\n   {tool} --dir {dir} {command}\n"));
    }
    text
}
