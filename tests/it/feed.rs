//! A game as spectators see it: everything that happens, and no secret before it is none any more.

use super::boards::Evening;
use super::bot::{Club, Direct, HERE, say, two_player};
use crate::model::seed;
use crate::support::block_on;
use scorebook::game::*;
use scorebook::{EventStore, Registry};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

/// All lines of a game that are there.
fn lines(feed: &mut Feed) -> Vec<FeedLine> {
    std::iter::from_fn(|| feed.try_next().expect("it can be read")).collect()
}

/// What nobody but one player may know behind some event of a game, and what everybody may.
#[derive(Default)]
struct Secrets {
    dealt: BTreeMap<TeamId, Vec<String>>,
    pending: BTreeMap<TeamId, String>,
    /// Said by one of them, and never answered.
    lost: BTreeSet<String>,
    /// Of each team, what both of its players know.
    known: BTreeMap<TeamId, BTreeSet<String>>,
}

impl Secrets {
    fn take(&mut self, event: &GameEvent) {
        match event {
            GameEvent::RoundStarted(of) => {
                for (team, state) in &of.team_states {
                    self.round_is_over(*team);
                    self.dealt.insert(*team, vec![state.words.0.folded(), state.words.1.folded()]);
                }
            }
            GameEvent::WordsDealt(of) => {
                self.dealt.entry(of.team_id).or_default().extend([of.words.0.folded(), of.words.1.folded()]);
            }
            GameEvent::GuessStarted(of) => drop(self.pending.insert(of.team_id, of.word.folded())),
            GameEvent::GuessProcessed(of) => {
                self.pending.remove(&of.team_id);
                let said = [of.player1_word.folded(), of.player2_word.folded()];
                self.known.entry(of.team_id).or_default().extend(said);
                if of.guess_successful {
                    self.round_is_over(of.team_id);
                }
            }
            GameEvent::GuessAbandoned(of) => self.lost.extend(self.pending.remove(&of.team_id)),
            GameEvent::TeamEliminated(of) => self.round_is_over(of.team_id),
            GameEvent::RoundCompleted(of) => match of.team_id {
                Some(team) => self.round_is_over(team),
                None => self.all_is_over(),
            },
            GameEvent::GameCompleted(_) | GameEvent::GameCancelled(_) => self.all_is_over(),
            _ => {}
        }
    }

    fn round_is_over(&mut self, team: TeamId) {
        let dealt = self.dealt.remove(&team).unwrap_or_default();
        self.known.entry(team).or_default().extend(dealt);
    }

    fn all_is_over(&mut self) {
        let teams: Vec<_> = self.dealt.keys().copied().collect();
        teams.into_iter().for_each(|team| self.round_is_over(team));
    }

    /// Whether a word is a secret now: of a team whose two players do not both know it.
    fn are(&self, team: TeamId) -> BTreeSet<&String> {
        let known = self.known.get(&team);
        let secret = self.dealt.get(&team).into_iter().flatten().chain(self.pending.get(&team)).chain(&self.lost);
        secret.filter(|word| !known.is_some_and(|known| known.contains(*word))).collect()
    }
}

fn told_words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect()
}

/// The events of a game, each with its version; behind them that of its replay.
fn events_of(store: &EventStore, game: GameId) -> Vec<(u64, GameEvent)> {
    let registry = Registry::builder().events::<GameEvent>().build().expect("one");
    let events = store.read(&game.stream()).into_iter().flat_map(|event| {
        let event = event.expect("an event");
        let version = event.version().get();
        registry.decode::<GameEvent>(&event).expect("known").map(move |event| (version, event)).collect::<Vec<_>>()
    });
    events.collect()
}

/// "An audience of players must not be able to cheat with it."
#[test]
fn no_line_tells_a_word_before_both_players_of_the_team_know_it() {
    let (mut secrets_kept, mut told, mut dealt_told, mut over) = (0, 0, 0, 0);
    for seed in seed()..seed() + 5 {
        let evening = Evening::play(seed, 400);
        for (_, game) in &evening.games {
            let mut feed = evening.club.bot.feed(*game);
            let seen = lines(&mut feed);
            assert!(feed.is_over() && evening.club.game(*game).is_over(), "seed {seed}: {game} goes on");
            let mut secrets = Secrets::default();
            for (version, event) in events_of(evening.club.store(), *game) {
                secrets.take(&event);
                let now = seen.iter().filter(|line| line.version.get() == version);
                for line in now.filter(|line| !matches!(&line.news, FeedNews::Of(News::ReplayNamed { .. }))) {
                    let words = told_words(&line.to_string());
                    for team in evening.club.game(*game).teams() {
                        let kept = secrets.are(*team);
                        let leaks: Vec<_> = kept.iter().filter(|word| words.contains(word.as_str())).collect();
                        assert_eq!(leaks, Vec::<&&String>::new(), "seed {seed}, version {version}: {line}");
                        secrets_kept += kept.len();
                    }
                    told += usize::from(matches!(&line.news, FeedNews::OfTeam { .. }));
                    dealt_told += usize::from(matches!(&line.news, FeedNews::Dealt { .. }));
                }
            }
            over += 1;
        }
    }
    assert!(
        1_000 < secrets_kept && 200 < told && 50 < dealt_told && 30 < over,
        "{secrets_kept} {told} {dealt_told} {over}"
    );
}

/// Every pair that was compared is told, once and in order, and so is every end; to whoever came late the same as to whoever was
/// there.
#[test]
fn who_follows_sees_what_who_comes_late_sees_and_nothing_is_left_out() {
    let mut evening = Evening::begin(seed() + 9);
    let mut live: Vec<(GameId, Feed, Vec<FeedLine>)> = Vec::new();
    for _ in 0..300 {
        evening.step();
        for (_, game) in &evening.games[live.len()..] {
            live.push((*game, evening.club.bot.feed(*game), Vec::new()));
        }
        for (_, feed, seen) in &mut live {
            seen.extend(lines(feed));
        }
    }
    evening.club.play_out();
    for (game, mut feed, mut seen) in live {
        seen.extend(lines(&mut feed));
        let mut late = evening.club.bot.feed(game);
        assert_eq!(lines(&mut late), seen, "seed {}", seed());
        let compared = seen.iter().filter_map(|line| match &line.news {
            FeedNews::OfTeam { team, news: News::Missed { words } | News::Matched { words, .. } } => {
                Some((*team, words.clone()))
            }
            _ => None,
        });
        let events = events_of(evening.club.store(), game);
        let happened = events.iter().filter_map(|(_, event)| match event {
            GameEvent::GuessProcessed(of) => {
                Some((of.team_id, WordPair(of.player1_word.clone(), of.player2_word.clone())))
            }
            _ => None,
        });
        assert_eq!(compared.collect::<Vec<_>>(), happened.collect::<Vec<_>>(), "seed {}", seed());
        let last = seen.last().map(|line| line.news.clone());
        let is_end = matches!(
            &last,
            Some(FeedNews::Of(News::ReplayNamed { .. } | News::Cancelled { .. }) | FeedNews::Dealt { .. })
        );
        assert!(is_end, "seed {}: {last:?}", seed());
        assert!(late.next_line().wait().expect("nothing fails").is_none(), "it is over");
    }
}

#[test]
fn a_game_reads_like_this() {
    let club = Club::new();
    let game = club.opened(HERE, two_player(1), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: Some(game) });
    let words =
        club.game(game).side(TeamId::of(7.into(), 8.into()).expect("two")).and_then(|side| side.words().cloned());
    let WordPair(first, second) = words.expect("dealt");
    club.say(7, "wonceq");
    club.say(8, "wtwiceq");
    club.say(8, "wthriceq");
    club.say(7, "give up");
    let again =
        club.game(game).side(TeamId::of(7.into(), 8.into()).expect("two")).and_then(|side| side.words().cloned());
    let WordPair(third, fourth) = again.expect("dealt again");
    club.hit(7, 8);
    let mut feed = club.bot.feed(game);
    let told: Vec<_> = lines(&mut feed).iter().map(ToString::to_string).collect();
    let expected = [
        "<@99> has opened a two player game.".to_owned(),
        "<@99> has changed it: two player.".to_owned(),
        "<@7> has joined and waits for a partner.".to_owned(),
        "<@8> has joined, with <@7>.".to_owned(),
        "The game has started.".to_owned(),
        "<@7> and <@8>: Round 1.".to_owned(),
        "<@7> has said a word.".to_owned(),
        "<@7> and <@8>: wonceq and wtwiceq: no match.".to_owned(),
        "<@8> has said a word.".to_owned(),
        "<@7> and <@8>: <@7> has given up on these words.".to_owned(),
        "<@7> has said a word.".to_owned(),
        told[11].clone(),
        format!("<@7> and <@8> were dealt {first} and {second}."),
        format!("<@7> and <@8> were dealt {third} and {fourth}."),
        "The game is over. <@7> and <@8> have won.".to_owned(),
        told.last().expect("a name").clone(),
    ];
    assert_eq!(told, expected);
    assert!(told[11].ends_with(": a match, at attempt 3!") && !told.concat().contains("wthriceq"), "{told:?}");
    assert!(told[15].starts_with("It can be looked at again as "), "{told:?}");
}

#[test]
fn a_line_is_waited_for_on_a_thread_and_as_a_task() {
    let club = Club::new();
    let game = club.started(HERE, Mode::TwoPlayer, &[7, 8]);
    let (mut waited, mut awaited) = (club.bot.feed(game), club.bot.feed(game));
    let both = [lines(&mut waited), lines(&mut awaited)];
    assert_eq!(both[0], both[1]);
    let one = thread::spawn(move || waited.next_line().wait().expect("nothing fails").expect("it goes on").to_string());
    let other = thread::spawn(move || {
        let line = block_on(async { awaited.next_line().await });
        line.expect("nothing fails").expect("it goes on").to_string()
    });
    club.done(Direct, 8, say("wonceq"));
    assert_eq!(one.join().expect("a line"), "<@8> has said a word.");
    assert_eq!(other.join().expect("a line"), "<@8> has said a word.");
}
