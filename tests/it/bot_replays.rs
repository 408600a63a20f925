//! Finished games and the names they are found by.

use super::bot::{Club, Direct, Guild, HERE, Props, events, refusal, two_player};
use super::game::check_types;
use scorebook::EventStore;
use scorebook::game::*;
use std::collections::BTreeSet;
use std::sync::Arc;

fn replay(name: &str) -> Ask {
    Ask::Replay { name: name.parse().expect("a name"), access: ReplayAccess::View }
}

/// A game of one round, played to its end.
fn finished(club: &Club, one: u64, other: u64) -> Answer {
    club.opened(HERE, two_player(1), &[one, other]);
    club.done(HERE, one, Ask::Start { game: None });
    club.hit(one, other)
}

#[test]
fn a_finished_game_is_found_by_its_name_and_whoever_looks_is_noted() {
    let club = Club::new();
    let over = finished(&club, 7, 8);
    let named = over.replay().expect("it has a name").clone();
    let news = over.message_to(7.into()).expect("told").news().last().cloned();
    assert_eq!(news, Some(News::ReplayNamed { name: named.name.clone() }));
    let stream = named.game_id.stream();
    assert_eq!(named.event_count, club.store().version(&stream).expect("a version").get());
    assert_eq!((named.guild_id, named.mode), (900.into(), Mode::TwoPlayer));
    assert!(named.start_time <= named.end_time && named.end_time == club.props.now());

    let shouted = named.name.as_str().to_uppercase();
    for access in [ReplayAccess::View, ReplayAccess::Share, ReplayAccess::Download, ReplayAccess::Embed] {
        let name = shouted.parse().expect("case is no matter");
        let looked = club.done(HERE, 8, Ask::Replay { name, access });
        check_types(looked.events(), &["replay_accessed"]);
        let Some(GameEvent::ReplayAccessed(of)) = looked.events().first() else { panic!("noted") };
        assert_eq!((of.user_id, of.access, of.game_id), (8.into(), access, named.game_id));
        assert_eq!(looked.replay(), Some(&named), "the finished game that was asked for");
        assert_eq!(looked.game(), Some(named.game_id));
        assert_eq!(looked.messages().count(), 0, "nobody else has to do with it");
    }
    let noted = club.store().aggregate::<Replay>(&named.game_id.replay_stream()).load().expect("read").into_state();
    assert_eq!((noted.accesses(), noted.created()), (4, Some(&named)));
    assert_eq!(club.store().version(&stream).expect("a version").get(), named.event_count, "the game stays as it was");
}

#[test]
fn another_guild_is_refused_and_after_thirty_days_nobody_finds_it() {
    let club = Club::new();
    let name = finished(&club, 7, 8).replay().expect("named").name.clone();
    let name = name.as_str();
    assert_eq!(club.refused(Guild(1), 7, replay(name)), Refusal::Unauthorized);
    assert_eq!(club.refused(Direct, 7, replay(name)), Refusal::MissingGuild);
    assert_eq!(club.refused(HERE, 7, replay("nosuchword-123")), Refusal::ReplayNotFound);
    club.props.wait(REPLAY_MS - 1);
    club.done(HERE, 500, replay(name));
    club.props.wait(1);
    assert_eq!(club.refused(HERE, 7, replay(name)), Refusal::ReplayNotFound);
}

/// Chance that says the same each time, and a dictionary of few words: the names are unique all the same.
#[test]
fn names_are_unique_for_sure() {
    for number in [0, 7, u64::MAX] {
        let props = Props::new().words(40);
        let setup = BotSetup { chance: Arc::new(move || number), ..props.setup() };
        let (bot, _) = Bot::start(&EventStore::open_in_memory().expect("a store"), setup).wait().expect("it starts");
        let mut names = BTreeSet::new();
        let mut asked = 0;
        let mut ask = |player: u64, ask: Ask| {
            asked += 1;
            props.wait(1);
            bot.ask(super::bot::caller(asked, HERE, player), ask).wait().expect("it is allowed")
        };
        for round in 0..150 {
            let game = ask(1, Ask::Open { config: GameConfig::of(Mode::Race) }).game().expect("open");
            (1..=4).for_each(|player| drop(ask(player, Ask::Join { game })));
            ask(1, Ask::Start { game: None });
            // One team is left, and has won.
            let name = ask(1, Ask::Leave { game: None }).replay().expect("it is over").name.clone();
            assert!(names.insert(name.clone()), "chance {number}, game {round}: {name} again");
        }
    }
}

/// Two games that end at once, with chance that says the same to both, get two names.
#[test]
fn games_that_end_at_once_get_names_of_their_own() {
    let props = Props::new();
    let setup = BotSetup { chance: Arc::new(|| 7), ..props.setup() };
    let store = EventStore::open_in_memory().expect("a store");
    let club = Club::on(&store, props.clone());
    let (bot, _) = Bot::start(&store, setup).wait().expect("it starts");
    let pairs = [1, 3, 5, 7, 9, 11, 13, 15];
    for one in pairs {
        club.opened(HERE, two_player(1), &[one, one + 1]);
        club.done(HERE, one, Ask::Start { game: None });
        club.say(one, "wxaq");
    }
    let names = std::thread::scope(|scope| {
        let end = |one: u64| {
            let bot = &bot;
            let caller = club.caller(Direct, one + 1);
            move || {
                bot.ask(caller, super::bot::say("wxaq")).wait().expect("a match").replay().expect("over").name.clone()
            }
        };
        let threads = pairs.map(|one| scope.spawn(end(one)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    assert_eq!(BTreeSet::from(names).len(), pairs.len());
}

/// Chance that says the same for two games in one millisecond: the second gets another id, and is not refused.
#[test]
fn two_games_opened_in_one_millisecond_are_two() {
    let props = Props::new();
    let setup = BotSetup { chance: Arc::new(|| 7), ..props.setup() };
    let (bot, _) = Bot::start(&EventStore::open_in_memory().expect("a store"), setup).wait().expect("it starts");
    let open = |interaction| {
        let open = Ask::Open { config: two_player(1) };
        bot.ask(super::bot::caller(interaction, HERE, 7), open).wait().expect("anybody may").game()
    };
    assert_ne!(open(1), open(2));
    assert_eq!(open(1), open(1));
}

/// A game that was left before it had a result has no name.
#[test]
fn a_cancelled_game_has_no_name() {
    let club = Club::new();
    let game = club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    let answer = club.done(HERE, 99, Ask::Cancel { game: Some(game) });
    assert_eq!(answer.replay(), None);
    assert!(!events(club.store()).iter().any(|event| matches!(event, GameEvent::ReplayCreated(_))));
    let looked = Ask::Replay { name: "otter-123".parse().expect("a name"), access: ReplayAccess::View };
    assert_eq!(refusal(club.ask(HERE, 7, looked)), Refusal::ReplayNotFound);
}
