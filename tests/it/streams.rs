//! Asking about streams: what is known of one, and which there are.

use super::support::{
    add, check_says, event, events, everywhere, kilobyte, name, read, small_segments, wherever_it_lasts,
};
use scorebook::{ErrorKind, EventStore, Options, Position, StreamInfo, StreamList, StreamName, Version};

#[test]
fn stream_info_gives_version_count_positions_and_times() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (game, other) = (name("game-1"), name("other"));
        for n in 0..50 {
            add(&store, &game, [kilobyte(n)]);
            add(&store, &other, [event(n)]);
        }
        let check = |store: &EventStore| {
            let info = store.stream_info(&game).expect("it is known");
            assert_eq!(info.name(), &game);
            assert_eq!((info.version().get(), info.count()), (50, 50));
            assert_eq!((info.first_position().get(), info.last_position().get()), (1, 99));
            let events = read(store.read(&game));
            assert_eq!((info.first_time(), info.last_time()), (events[0].time(), events[49].time()));
        };
        check(&store);
        check(&home.reopen(store, &Options::default()));
    });
}

#[test]
fn what_is_known_of_a_stream_grows_with_it() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        let mut last: Option<StreamInfo> = None;
        for round in 1..=5 {
            add(&store, &game, events(0..2));
            let info = store.stream_info(&game).expect("it is known");
            assert_eq!((info.version().get(), info.count()), (round * 2, round * 2));
            if let Some(last) = last {
                assert_eq!(info.first_time(), last.first_time());
                assert_eq!(info.first_position(), Position::new(1));
                assert!(last.last_time() <= info.last_time() && last.last_position() < info.last_position());
            }
            last = Some(info);
        }
    });
}

#[test]
fn a_missing_stream_is_at_version_zero_does_not_exist_and_has_no_info() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        assert_eq!(store.version(&game).expect("a version"), Version::NONE);
        assert!(!store.exists(&game).expect("an answer"));
        check_says(&store.stream_info(&game).expect_err("none"), ErrorKind::StreamNotFound, &["game-1"]);
        add(&store, &game, [event(0)]);
        assert_eq!(store.version(&game).expect("a version"), Version::FIRST);
        assert!(store.exists(&game).expect("an answer"));
        assert!(!store.exists(&name("game-10")).expect("an answer"));
        assert!(!store.exists(&name("game-")).expect("an answer"));
    });
}

#[test]
fn a_stream_that_was_only_asked_for_is_not_listed() {
    everywhere(|home| {
        let store = home.open();
        let missing = name("missing");
        let _ = store.append(&missing, scorebook::ExpectedVersion::StreamExists, [event(0)]).wait();
        let batch = store.batch().append(&name("a"), scorebook::ExpectedVersion::Any, [event(0)]);
        batch.require(&missing, scorebook::ExpectedVersion::NoStream).commit().wait().expect("accepted");
        let _ = store.read(&missing).iter().next();
        assert_eq!(listed(&store.streams()), ["a"]);
        assert_eq!(store.stats().expect("numbers").streams(), 1);
    });
}

fn listed(list: &StreamList) -> Vec<String> {
    list.list().expect("a list").iter().map(|info| info.name().as_str().to_owned()).collect()
}

const NAMES: [&str; 9] = ["b", "game-1", "game-10", "game-2", "gamer-1", "Game-1", "ゲーム-1", "a*b", "zz"];

/// Lists the streams of [`NAMES`], before and after reopening.
fn check_list(choose: impl Fn(StreamList) -> StreamList, expected: &[&str]) {
    everywhere(|home| {
        let store = home.open();
        for text in NAMES {
            add(&store, &name(text), [event(0)]);
        }
        assert_eq!(listed(&choose(store.streams())), expected);
        let store = home.reopen(store, &Options::default());
        assert_eq!(listed(&choose(store.streams())), expected);
    });
}

#[test]
fn streams_are_listed_sorted_by_name() {
    check_list(|all| all, &["Game-1", "a*b", "b", "game-1", "game-10", "game-2", "gamer-1", "zz", "ゲーム-1"]);
}

#[test]
fn a_prefix_chooses_the_names_that_begin_with_it() {
    check_list(|all| all.prefix("game-"), &["game-1", "game-10", "game-2"]);
    check_list(|all| all.prefix("ゲ"), &["ゲーム-1"]);
    check_list(|all| all.prefix("game-1"), &["game-1", "game-10"]);
    check_list(|all| all.prefix("nothing"), &[]);
    check_list(|all| all.prefix("a*"), &["a*b"]);
}

#[test]
fn a_glob_chooses_the_names_of_its_form() {
    check_list(|all| all.glob("game-?"), &["game-1", "game-2"]);
    check_list(|all| all.glob("game*1"), &["game-1", "gamer-1"]);
    check_list(|all| all.glob("*-1"), &["Game-1", "game-1", "gamer-1", "ゲーム-1"]);
    check_list(|all| all.glob("?"), &["b"]);
    check_list(|all| all.glob("???-1"), &["ゲーム-1"]);
    check_list(|all| all.glob("game-1"), &["game-1"]);
    check_list(|all| all.glob(""), &[]);
    check_list(|all| all.prefix("game-").glob("*0"), &["game-10"]);
}

#[test]
fn a_limit_and_the_last_name_page_through_the_list() {
    check_list(|all| all.limit(0), &[]);
    check_list(|all| all.limit(2), &["Game-1", "a*b"]);
    check_list(|all| all.after(&name("game-1")).limit(2), &["game-10", "game-2"]);
    check_list(|all| all.after(&name("between")).limit(1), &["game-1"]);
    check_list(|all| all.after(&name("ゲーム-1")), &[]);
    check_list(|all| all.prefix("game-").after(&name("game-1")), &["game-10", "game-2"]);
}

#[test]
fn pages_of_any_size_give_the_whole_list() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let batch = (0..200).fold(store.batch(), |batch, n| {
            batch.append(&name(&format!("s-{}", n * 37 % 200)), scorebook::ExpectedVersion::NoStream, [event(n)])
        });
        batch.commit().wait().expect("accepted");
        let whole = listed(&store.streams());
        assert_eq!(whole.len(), 200);
        assert!(whole.is_sorted());
        for size in [1, 7, 199, 200, 201] {
            let mut paged: Vec<String> = Vec::new();
            loop {
                let list = store.streams().limit(size);
                let list = match paged.last() {
                    Some(last) => list.after(&StreamName::new(last.as_str()).expect("a name")),
                    None => list,
                };
                let page = listed(&list);
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            assert_eq!(paged, whole);
        }
    });
}

#[test]
fn stats_count_what_is_there() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let stats = store.stats().expect("numbers");
        assert_eq!((stats.events(), stats.streams(), stats.head()), (0, 0, Position::BEGINNING));
        let id = stats.store_id();
        for n in 0..100 {
            add(&store, &name(&format!("s-{}", n % 4)), [kilobyte(n)]);
        }
        let store = home.reopen(store, &small_segments());
        let stats = store.stats().expect("numbers");
        assert_eq!((stats.events(), stats.streams(), stats.head().get()), (100, 4, 100));
        assert_eq!(stats.store_id(), id, "a store keeps its identity");
        assert!(2 < stats.segments() && 100 * 1024 < stats.log_bytes() && stats.log_bytes() <= stats.disk_bytes());
        assert_eq!(stats.durable_end(), stats.visible_end());
        assert_eq!(stats.status(), scorebook::Status::Writing);
    });
}
