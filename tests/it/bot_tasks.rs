//! The bot asked by tasks: awaited, polled, and dropped half-way.

use super::bot::{Asked, At, Club, Direct, HERE, Props, caller, events, say, two_player};
use super::support::{Home, block_on, eventually, wherever_threads_are};
use scorebook::game::*;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

/// Asks as a task does.
fn awaited(bot: &Bot, interaction: u64, at: At, player: u64, ask: Ask) -> Asked {
    let bot = bot.clone();
    block_on(async move { bot.ask(caller(interaction, at, player), ask).await })
}

/// Polls a future so many times, and drops it. Whether it was done by then.
fn polled<T>(future: impl Future<Output = T>, times: usize) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).any(|_| matches!(future.as_mut().poll(&mut context), Poll::Ready(_)))
}

#[test]
fn tasks_play_a_game_and_are_told_the_same() {
    wherever_threads_are(|home| {
        let props = Props::new();
        let store = home.open();
        let (bot, recovered) = block_on(Bot::start(&store, props.setup()).into_future()).expect("it starts");
        assert!(recovered.games().is_empty());
        let game = awaited(&bot, 1, HERE, 7, Ask::Open { config: two_player(1) }).expect("open").game().expect("open");
        awaited(&bot, 2, HERE, 7, Ask::Join { game }).expect("joined");
        awaited(&bot, 3, HERE, 8, Ask::Join { game }).expect("joined");
        awaited(&bot, 4, HERE, 8, Ask::Start { game: None }).expect("started");
        let refused = awaited(&bot, 5, Direct, 8, say("other")).expect_err("no word");
        assert_eq!(refused.refusal(), Some(&Refusal::InvalidWord(WordFault::Unknown)));
        let first = awaited(&bot, 6, Direct, 8, say("wxaq")).expect("a word");
        let again = bot.ask(caller(6, Direct, 8), say("wxaq")).wait().expect("the same");
        assert!(again.is_repeat() && !first.is_repeat() && again.messages().eq(first.messages()));
        let texts = [(7, 8), (8, 7)];
        let over = thread::scope(|scope| {
            // The one word that is missing, delivered twice at once.
            let threads = texts.map(|_| scope.spawn(|| awaited(&bot, 7, Direct, 7, say("wxaq")).expect("a word")));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        assert!(over[0].events() == over[1].events() && over.iter().filter(|of| !of.is_repeat()).count() == 1);

        let race = awaited(&bot, 8, HERE, 7, Ask::Open { config: GameConfig::of(Mode::Race) }).expect("open");
        props.wait(3_600_000);
        let passed = block_on(bot.pass_time().into_future()).expect("the store works");
        assert!(matches!(passed[0].events(), [GameEvent::GameCancelled(_)]) && passed[0].game() == race.game());
        assert_eq!(bot.next_due(), None);
    });
}

#[test]
fn a_future_that_is_never_polled_does_nothing() {
    let club = Club::new();
    club.open(HERE, two_player(1));
    let (head, due) = (club.head(), club.bot.next_due());
    drop(club.bot.ask(club.caller(HERE, 7), Ask::Open { config: two_player(1) }));
    drop(club.bot.ask(club.caller(HERE, 7), Ask::Open { config: two_player(1) }).into_future());
    club.props.wait(3_600_000);
    drop(club.bot.pass_time());
    drop(club.bot.pass_time().into_future());
    drop(Bot::start(club.store(), club.props.setup()));
    drop(Bot::start(club.store(), club.props.setup()).into_future());
    assert_eq!((club.head(), club.bot.next_due()), (head, due));
    assert_eq!(club.pass(0).len(), 1, "it is due as before");
}

/// Dropped half-way, something was done exactly once or not at all; asked again, exactly once.
#[test]
fn a_future_that_is_dropped_half_way_is_done_once_at_most() {
    wherever_threads_are(|home| {
        let club = Club::on(&home.open(), Props::new());
        for number in 1..=25_u64 {
            let [one, other] = [10 * number, 10 * number + 1];
            let game = club.opened(HERE, two_player(1), &[one, other]);
            club.done(HERE, one, Ask::Start { game: None });
            club.say(one, "wxaq");
            let (caller, polls) = (club.caller(Direct, other), number as usize % 4);
            polled(club.bot.ask(caller.clone(), say("wxaq")).into_future(), polls);
            let answer = club.bot.ask(caller, say("wxaq")).wait().expect("a word");
            assert_eq!(answer.events().len(), 4);
            let guesses = events(club.store())
                .into_iter()
                .filter(|event| matches!(event, GameEvent::GuessProcessed(_)) && event.game() == Some(game));
            assert_eq!(guesses.count(), 1, "polled {polls} times");
        }
    });
}

/// Nobody hears the answer, the time is looked at before anything can be seen of it, and still what is due then is done.
#[test]
fn what_a_dropped_future_has_begun_is_not_forgotten() {
    let home = Home::disk();
    let club = Club::on(&home.open(), Props::new());
    for number in 1..=12 {
        let players = [0, 1, 2, 3].map(|player| 10 * number + player);
        let id = club.opened(HERE, GameConfig::of(Mode::Race), &players);
        let start = Ask::Start { game: Some(id) };
        polled(club.bot.ask(club.caller(HERE, players[0]), start).into_future(), 1);
        club.pass(0);
        eventually("it has started", || club.game(id).is_played());
        // Nobody says a word, and nobody else does anything in this game.
        for _ in 0..200 {
            club.pass(1_000);
        }
        assert_eq!(club.game(id).phase(), Phase::Completed, "game {number}");
    }
}

/// What time has begun is done once, whoever stops listening.
#[test]
fn time_that_is_dropped_half_way_passes_all_the_same() {
    wherever_threads_are(|home| {
        let club = Club::on(&home.open(), Props::new());
        let games = [1, 2, 3, 4].map(|number| {
            let players = [0, 1, 2, 3].map(|player| 10 * number + player);
            club.started(HERE, Mode::Race, &players)
        });
        club.props.wait(180_000);
        for polls in 0..6 {
            polled(club.bot.pass_time().into_future(), polls);
        }
        club.pass(0);
        club.pass(1_000);
        assert!(games.iter().all(|game| club.game(*game).phase() == Phase::Completed));
        let completed = events(club.store()).into_iter().filter(|event| matches!(event, GameEvent::GameCompleted(_)));
        assert_eq!((completed.count(), club.bot.next_due()), (games.len(), None));
    });
}

/// A start that nobody waits for to its end is taken up by the next.
#[test]
fn a_start_that_is_dropped_half_way_does_no_harm() {
    wherever_threads_are(|home| {
        let mut club = Club::on(&home.open(), Props::new());
        let id = club.started(HERE, Mode::Race, &[1, 2, 3, 4]);
        let before = club.game(id);
        for polls in 0..4 {
            club.props.wait(1_000);
            polled(Bot::start(club.store(), club.props.setup()).into_future(), polls);
        }
        club.props.wait(1_000);
        assert_eq!(club.restart().games(), [id]);
        assert!(club.game(id).is_same_play(&before));
        assert_eq!(club.bot.next_due(), Some(club.props.now().plus(180_000)), "no time has passed");
    });
}
