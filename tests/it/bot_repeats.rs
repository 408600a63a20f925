//! Every interaction is done once, however often, when and on how many threads it is delivered, and gets the first answer.

use super::bot::{Account, Asked, At, Club, Direct, Guild, Props, caller, events, is_kept, say};
use super::support::{Home, wherever_it_lasts};
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::{EventStore, Options};
use std::thread;

/// The same answer, whether it is the first or a repeat.
fn same(first: &Asked, again: &Asked) -> bool {
    match (first, again) {
        (Ok(first), Ok(again)) => {
            first.events() == again.events()
                && first.messages().eq(again.messages())
                && first.game() == again.game()
                && first.replay() == again.replay()
        }
        (Err(first), Err(again)) => first.refusal() == again.refusal(),
        _ => false,
    }
}

fn some_ask(chance: &mut Chance, games: &[GameId]) -> Ask {
    let modes = [Mode::Race, Mode::TwoPlayer, Mode::Knockout, Mode::Longform];
    let game = if games.is_empty() { GameId::new(Moment::MAX, [1; 10]) } else { games[games.len() - 1] };
    let player = PlayerId::from(1 + chance.below(6) as u64);
    match chance.below(26) {
        0 => Ask::Open { config: GameConfig::of(*chance.pick(&modes)) },
        1..6 => Ask::Join { game },
        6 => Ask::Leave { game: None },
        7 => Ask::ChangeMode { game: None, mode: *chance.pick(&modes) },
        8..11 => Ask::Start { game: None },
        11 => Ask::Pause { game: None },
        12 | 13 => Ask::Resume { game: None },
        14 => Ask::Invite { invitee: player, name: None },
        15 => Ask::Accept { inviter: None },
        16 => Ask::UpdateProfile { display_name: format!("ada {}", chance.below(9)) },
        17 => Ask::OpenWithTeam { config: GameConfig::of(*chance.pick(&modes)) },
        // Few words, many of which are refused: they are kept, and refused again.
        _ => say(["waq", "wbq", "wcq", "wdq", "give up", "no-such", "", "x1", "🦀"][chance.below(9)]),
    }
}

/// "No command is applied twice": delivered one to three times, at once and later, before and behind a restart.
#[test]
fn no_interaction_is_done_twice() {
    wherever_it_lasts(|home| {
        let seed = seed();
        let options = EventStore::options();
        let props = Props::new();
        let mut club = Some(Club::on(&home.open_with(&options), props.clone()));
        let mut chance = Chance(seed);
        let mut games = Vec::new();
        let mut first = Vec::<(Caller, Ask, Asked)>::new();
        for step in 1..=400_u64 {
            let bot = &club.as_ref().expect("a club").bot;
            props.wait(chance.below(2_000) as u64);
            let at = *chance.pick(&[Guild(1), Guild(1), Guild(2), Direct]);
            let caller = caller(step, at, 1 + chance.below(6) as u64);
            let ask = some_ask(&mut chance, &games);
            let before = events(bot.store()).len();
            let times = if home.has_threads() { 1 + chance.below(3) } else { 1 };
            let asked = deliver(bot, &caller, &ask, times);
            let log = events(bot.store());
            let whence = format!("seed {seed}, step {step}: {ask:?} by {caller:?}");
            check_alike(&asked, log.len() - before, &whence);
            games.extend(asked[0].as_ref().ok().and_then(Answer::game).filter(|game| !games.contains(game)));
            first.push((caller, ask, asked.into_iter().next().expect("one at least")));

            // Something from long ago comes again.
            let (caller, ask, answer) = chance.pick(&first);
            if is_marked(answer) {
                let asked = bot.ask(caller.clone(), ask.clone()).wait();
                assert!(same(answer, &asked), "{whence}: {answer:?} and then {asked:?}");
                assert!(asked.as_ref().is_ok_and(Answer::is_repeat) || asked.is_err());
                assert_eq!(events(bot.store()).len(), log.len(), "{whence}");
            }
            if step % 100 == 0 {
                club = Some(reopen(home, club.take().expect("a club"), &options));
            }
        }
        let club = club.expect("a club");
        let log = events(club.store());
        for (caller, ask, answer) in first.iter().filter(|(_, _, answer)| is_marked(answer)) {
            let asked = club.bot.ask(caller.clone(), ask.clone()).wait();
            assert!(same(answer, &asked), "seed {seed}, at the end: {ask:?}: {answer:?} and then {asked:?}");
        }
        assert_eq!(events(club.store()), log, "seed {seed}");
        let done = first.iter().filter(|(_, _, answer)| is_marked(answer)).count();
        let kept = log.iter().filter(|event| is_kept(event)).count();
        assert!(20 < done && 2 < kept, "seed {seed}: {done} were done, {kept} refused words were kept");
        Account::of(&log);
    });
}

/// Delivers it so many times at once.
fn deliver(bot: &Bot, caller: &Caller, ask: &Ask, times: usize) -> Vec<Asked> {
    let once = || bot.ask(caller.clone(), ask.clone()).wait();
    if times == 1 {
        return vec![once()];
    }
    thread::scope(|scope| {
        let threads = (0..times).map(|_| scope.spawn(once)).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// All are told alike, one of them for the first time, and it was done once.
fn check_alike(asked: &[Asked], happened: usize, whence: &str) {
    assert!(asked.iter().all(|again| same(&asked[0], again)), "{whence}: {asked:?}");
    match &asked[0] {
        Ok(answer) => {
            assert_eq!(answer.events().len(), happened, "{whence}");
            let firsts = asked.iter().flatten().filter(|answer| !answer.is_repeat()).count();
            assert!(firsts == 1 || answer.events().is_empty(), "{whence}: {firsts} were first");
        }
        Err(error) => {
            assert!(error.refusal().is_some(), "{whence}: {error}");
            assert!(happened <= 2, "{whence}: a word and who said it at most");
        }
    }
}

/// Whether something was appended, so that there is a first answer to be given again.
fn is_marked(answer: &Asked) -> bool {
    match answer {
        Ok(answer) => !answer.events().is_empty(),
        Err(_) => false,
    }
}

fn reopen(home: &Home, club: Club, options: &Options) -> Club {
    let props = club.props.clone();
    let store = club.store().clone();
    drop(club);
    Club::on(&home.reopen(store, options), props)
}

/// A refused word is refused again by the same words, though by now it would be taken, or refused for another reason.
#[test]
fn a_refused_word_stays_refused() {
    let club = Club::new();
    let at = Guild(900);
    let game = Some(club.opened(at, super::bot::two_player(3), &[7, 8]));
    let guess = |word: &str| Ask::Guess { game, word: word.to_owned() };
    let mut first = Vec::new();
    let mut refused = |club: &Club, at: At, player: u64, word: &str, refusal: Refusal| {
        let caller = club.caller(at, player);
        let asked = club.bot.ask(caller.clone(), guess(word)).wait();
        assert_eq!(asked.expect_err("refused").refusal(), Some(&refusal), "{word}");
        first.push((caller, guess(word), refusal));
    };
    let long = "w".repeat(500);
    refused(&club, Direct, 7, "waq", Refusal::GameNotStarted);
    club.done(at, 7, Ask::Start { game });
    refused(&club, at, 77, "waq", Refusal::PlayerNotInGame(77.into()));
    refused(&club, Guild(1), 7, "waq", Refusal::GuildMismatch);
    refused(&club, Direct, 7, " \t", Refusal::InvalidWord(WordFault::Empty));
    refused(&club, Direct, 7, "w", Refusal::InvalidWord(WordFault::TooShort));
    refused(&club, Direct, 7, &long, Refusal::InvalidWord(WordFault::TooLong));
    refused(&club, Direct, 7, "wa q", Refusal::InvalidWord(WordFault::Strange(' ')));
    refused(&club, Direct, 7, "wa\u{202e}q", Refusal::InvalidWord(WordFault::Strange('\u{202e}')));
    refused(&club, Direct, 7, "other", Refusal::InvalidWord(WordFault::Unknown));
    club.say(7, "wxaq");
    refused(&club, Direct, 7, "wxbq", Refusal::GuessAlreadySubmitted);
    club.say(8, "wxbq");
    refused(&club, Direct, 7, "wxaq", Refusal::ForbiddenWord);
    club.say(8, "wxcq");
    club.done(at, 7, Ask::Pause { game });
    refused(&club, Direct, 7, "wxdq", Refusal::GamePaused);
    club.done(at, 7, Ask::Resume { game });
    club.done(at, 7, Ask::Cancel { game });
    refused(&club, Direct, 7, "wxdq", Refusal::GameCancelled);
    let log = events(club.store());
    for (caller, ask, refusal) in first {
        let again = club.bot.ask(caller, ask).wait();
        assert_eq!(again.expect_err("refused again").refusal(), Some(&refusal));
    }
    assert_eq!(events(club.store()), log);
}

/// What a player was told of a game that went on is told again as it was then.
#[test]
fn a_repeat_tells_where_it_stood_then() {
    let club = Club::new();
    let game = club.opened(Guild(900), super::bot::two_player(1), &[7, 8]);
    club.done(Guild(900), 7, Ask::Start { game: None });
    let caller = club.caller(Direct, 7);
    let first = club.bot.ask(caller.clone(), say("wxaq")).wait().expect("a word");
    club.say(8, "wxaq");
    assert!(club.game(game).is_over());
    let again = club.bot.ask(caller, say("wxaq")).wait().expect("the same");
    assert!(again.is_repeat() && again.messages().eq(first.messages()));
    let waits = again.message_to(7.into()).and_then(Message::situation);
    assert!(matches!(waits, Some(Situation::WaitForPartner { .. })));
    club.play_out();
    assert_eq!(club.bot.next_due(), None, "an old answer makes nothing due for ever");
}

/// The answer to a join is that the game is open and has an hour. Given again, it does not put off the end of the round.
#[test]
fn an_old_answer_puts_off_nothing_that_is_due() {
    let club = Club::new();
    let game = club.opened(Guild(900), GameConfig::of(Mode::Knockout), &[7, 8, 9]);
    let (caller, join) = (club.caller(Guild(900), 10), Ask::Join { game });
    let first = club.bot.ask(caller.clone(), join.clone()).wait();
    club.done(Guild(900), 7, Ask::Start { game: None });
    let due = club.bot.next_due();
    assert!(same(&first, &club.bot.ask(caller, join).wait()));
    assert_eq!(club.bot.next_due(), due);
    club.pass(300_000);
    assert!(club.game(game).is_over());
}
