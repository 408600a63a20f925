//! Deleting, finishing and truncating streams, what is said about them, and what is kept.

use super::support::{
    add, check_says, conflict, differences, event, events, everywhere, kilobyte, name, number, small_segments, trouble,
    version_conflict, wherever_it_lasts,
};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::{Any, Exact, NoStream, StreamExists};
use scorebook::testing::{CrashChoice, SimulatedDisk, salvage_simulated};
use scorebook::{
    Conflict, Error, ErrorKind, EventStore, Options, Query, Retention, Revision, Scope, Standing, StreamName, Version,
};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

fn version(number: u64) -> Version {
    Version::new(number)
}

/// The numbers of the events that are read by the name of a stream, or what is said instead.
fn read(store: &EventStore, stream: &StreamName) -> Result<Vec<u64>, ErrorKind> {
    numbers(store.read(stream))
}

fn numbers(events: impl IntoIterator<Item = Result<scorebook::RecordedEvent, Error>>) -> Result<Vec<u64>, ErrorKind> {
    events.into_iter().map(|event| event.map(|event| number(&event)).map_err(|error| error.kind())).collect()
}

fn deleted(store: &EventStore, stream: &StreamName) {
    store.delete(stream, Any, "a mistake").wait().expect("it is deleted");
}

#[test]
fn what_is_deleted_is_not_read_by_its_name_and_stays_in_everything() {
    everywhere(|home| {
        let store = home.open();
        let (a, b) = (name("game-1"), name("game-2"));
        add(&store, &a, events(1..4));
        add(&store, &b, events(4..5));
        deleted(&store, &a);
        let store = home.reopen(store, &Options::default());
        assert_eq!(read(&store, &a), Err(ErrorKind::Deleted));
        let error = store.read(&a).backwards().into_iter().next().expect("an answer").unwrap_err();
        assert_eq!(error.to_string(), "reading stream game-1: it was deleted, because: a mistake");
        assert_eq!(store.event(&a, version(1)).map_err(|error| error.kind()).err(), Some(ErrorKind::Deleted));
        assert_eq!(store.stream_info(&a).map_err(|error| error.kind()).err(), Some(ErrorKind::Deleted));
        assert!(!store.exists(&a).expect("an answer") && store.exists(&b).expect("an answer"));
        assert_eq!(store.version(&a).expect("a version"), version(3));
        let listed = |list: scorebook::StreamList| {
            list.list().expect("a list").iter().map(|info| info.name().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(listed(store.streams()), ["game-2"]);
        assert_eq!(listed(store.streams().with_deleted()), ["game-1", "game-2"]);
        assert_eq!(numbers(store.read_all()), Ok(vec![1, 2, 3, 4]));
        assert_eq!(numbers(store.read_all().matching(Query::all().in_stream(&a))), Ok(vec![1, 2, 3]));
        assert_eq!(read(&store, &b), Ok(vec![4]));
        let standing = store.standing(&a).expect("an answer");
        assert!(matches!(standing, Standing::Deleted { reason, .. } if reason == "a mistake"));
    });
}

#[test]
fn undeleting_restores_and_appending_again_continues_the_versions() {
    everywhere(|home| {
        let store = home.open();
        let a = name("game-1");
        add(&store, &a, events(1..4));
        deleted(&store, &a);
        store.undelete(&a).wait().expect("it was deleted");
        let store = home.reopen(store, &Options::default());
        assert_eq!(read(&store, &a), Ok(vec![1, 2, 3]));
        deleted(&store, &a);
        let receipt = add(&store, &a, events(4..6));
        assert_eq!(receipt.of(&a).map(|of| (of.first_version(), of.is_new_stream())), Some((version(4), false)));
        let store = home.reopen(store, &Options::default());
        assert_eq!(read(&store, &a), Ok(vec![4, 5]));
        assert_eq!(store.stream_info(&a).expect("it is there").first_version(), version(4));
        assert_eq!(numbers(store.read(&a).backwards()), Ok(vec![5, 4]));
        let below = store.read(&a).from(version(2)).into_iter().next().expect("an answer").unwrap_err();
        assert_eq!(below.kind(), ErrorKind::BelowFloor);
        store.undelete(&a).wait().expect("some of it is deleted");
        assert_eq!(read(&store, &a), Ok(vec![1, 2, 3, 4, 5]));
        let error = trouble(store.undelete(&a).wait());
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.to_string(), "undeleting stream game-1: nothing of it is deleted");
    });
}

#[test]
fn a_deed_between_the_events_of_a_batch_speaks_of_all_of_them_and_the_log_opens() {
    wherever_it_lasts(|home| {
        let store = home.open();
        let a = name("game-1");
        add(&store, &a, events(1..2));
        let batch = store.batch().append(&a, Any, events(2..3)).delete(&a, Any, "a mistake");
        let batch = batch.append(&a, Any, events(3..4)).truncate_before(&a, version(3)).append(&a, Any, events(4..6));
        batch.commit().wait().expect("all of it");
        if !home.has_threads() {
            let reader = home.read_only().expect("it opens");
            assert_eq!(read(&reader, &a), Err(ErrorKind::Deleted));
        }
        let store = home.reopen(store, &Options::default());
        assert_eq!(read(&store, &a), Err(ErrorKind::Deleted));
        store.undelete(&a).wait().expect("it was deleted");
        assert_eq!(read(&store, &a), Ok(vec![3, 4, 5]));
    });
}

#[test]
fn a_deletion_has_an_expectation_as_an_append_has() {
    everywhere(|home| {
        let store = home.open_with(&small_segments());
        let (a, missing) = (name("game-1"), name("game-2"));
        add(&store, &a, events(1..4));
        // After a clean opening nothing is written until something is accepted.
        let store = home.reopen(store, &small_segments());
        let before = home.contents();
        let refused = |stream, expected| conflict(store.delete(stream, expected, "").wait());
        let of = |stream: &StreamName, expected, actual| version_conflict(stream, expected, actual);
        assert_eq!(refused(&a, Exact(version(2))), of(&a, Exact(version(2)), 3));
        assert_eq!(refused(&missing, Any), of(&missing, StreamExists, 0));
        assert_eq!(refused(&missing, StreamExists), of(&missing, StreamExists, 0));
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
        store.delete(&a, Exact(version(3)), "").wait().expect("it is there");
        assert_eq!(refused(&a, Any), of(&a, StreamExists, 3), "it is deleted already");
        assert_eq!(refused(&a, StreamExists), of(&a, StreamExists, 3));
        // To whoever appends it is as if it were not there, and so is its last version.
        assert_eq!(conflict(store.append(&a, StreamExists, [event(4)]).wait()), of(&a, StreamExists, 3));
        store.append(&a, NoStream, [event(4)]).wait().expect("it is as good as new");
        assert_eq!(conflict(store.append(&a, NoStream, [event(5)]).wait()), of(&a, NoStream, 4));
        deleted(&store, &a);
        store.append(&a, Exact(version(4)), [event(5)]).wait().expect("it is at this version");
        assert_eq!(read(&store, &a), Ok(vec![5]));
    });
}

#[test]
fn a_finished_stream_says_so_and_takes_nothing() {
    everywhere(|home| {
        let store = home.open();
        let (a, never) = (name("player-1"), name("player-2"));
        add(&store, &a, events(1..4));
        store.tombstone(&a, Exact(version(3)), "asked to be forgotten").wait().expect("it is finished");
        store.tombstone(&never, NoStream, "").wait().expect("a name can be finished that was never used");
        let store = home.reopen(store, &Options::default());
        let error = store.read(&a).into_iter().next().expect("an answer").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deleted);
        assert_eq!(error.to_string(), "reading stream player-1: it is finished, because: asked to be forgotten");
        let before = home.contents();
        for stream in [&a, &never] {
            let finished = Conflict::Finished { stream: stream.clone() };
            for expected in [Any, NoStream, StreamExists, Exact(version(3))] {
                assert_eq!(conflict(store.append(stream, expected, [event(4)]).wait()), finished, "{expected:?}");
                assert_eq!(conflict(store.tombstone(stream, expected, "").wait()), finished, "{expected:?}");
                assert_eq!(conflict(store.delete(stream, expected, "").wait()), finished, "{expected:?}");
            }
            assert_eq!(conflict(store.undelete(stream).wait()), finished);
            assert_eq!(conflict(store.truncate_before(stream, version(2)).wait()), finished);
            assert_eq!(conflict(store.batch().set_metadata(stream, None, &1).commit().wait()), finished);
            assert!(!store.exists(stream).expect("an answer"));
        }
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
        assert_eq!(numbers(store.read_all()), Ok(vec![1, 2, 3]));
        assert_eq!(store.streams().list().expect("a list").len(), 0);
        assert_eq!(conflict(store.append(&a, Any, [event(4)]).wait()).to_string(), "stream player-1 is finished");
    });
}

#[test]
fn the_last_events_of_a_stream_and_its_end_are_one_batch() {
    everywhere(|home| {
        let store = home.open();
        let (a, b) = (name("game-1"), name("board-1"));
        let batch = store.batch().append(&a, NoStream, events(1..3)).append(&b, Any, events(3..4));
        batch.tombstone(&a, NoStream, "over").commit().wait().expect("all of it");
        assert!(matches!(store.standing(&a), Ok(Standing::Finished { .. })));
        let batch = store.batch().append(&b, Any, events(4..5)).append(&a, Any, events(5..6));
        assert!(matches!(conflict(batch.commit().wait()), Conflict::Finished { .. }));
        assert_eq!(read(&store, &b), Ok(vec![3]), "none of it");
        let refused = store.batch().delete(&b, Any, "").append(&a, Any, events(5..6)).commit().wait();
        assert!(matches!(conflict(refused), Conflict::Finished { .. }));
        assert_eq!(read(&store, &b), Ok(vec![3]));
        // What a batch deletes is what there is by its end.
        store.batch().delete(&b, Any, "").append(&b, Any, events(6..7)).commit().wait().expect("all of it");
        assert_eq!(read(&store, &b), Err(ErrorKind::Deleted));
        let store = home.reopen(store, &Options::default());
        assert_eq!(read(&store, &b), Err(ErrorKind::Deleted));
        add(&store, &b, events(7..8));
        assert_eq!(read(&store, &b), Ok(vec![7]));
    });
}

#[test]
fn a_truncated_stream_begins_with_its_first_kept_version_and_less_is_an_error_with_that() {
    everywhere(|home| {
        let store = home.open();
        let a = name("game-1");
        store.truncate_before(&a, version(0)).wait().expect("it need not be there");
        add(&store, &a, events(1..10));
        for nothing in [0, 1] {
            store.truncate_before(&a, version(nothing)).wait().expect("nothing changes");
            assert_eq!(numbers(store.read(&a).from(version(0))), Ok((1..10).collect()));
        }
        store.truncate_before(&a, version(4)).wait().expect("it is there");
        let store = home.reopen(store, &Options::default());
        assert_eq!(read(&store, &a), Ok((4..10).collect()));
        assert_eq!(numbers(store.read(&a).backwards()), Ok((4..10).rev().collect()));
        assert_eq!(numbers(store.read(&a).limit(2)), Ok(vec![4, 5]));
        assert_eq!(numbers(store.read(&a).to(version(5))), Ok(vec![4, 5]));
        assert_eq!(numbers(store.read(&a).from(version(4))), Ok((4..10).collect()));
        assert_eq!(numbers(store.read(&a).after(version(3))), Ok((4..10).collect()));
        for below in [
            store.read(&a).from(version(3)),
            store.read(&a).from(version(0)),
            store.read(&a).after(version(2)),
            store.read(&a).to(version(3)),
            store.read(&a).before(version(4)),
            store.read(&a).from(version(2)).to(version(8)).backwards(),
        ] {
            let error = below.into_iter().next().expect("an answer").unwrap_err();
            check_says(&error, ErrorKind::BelowFloor, &["it begins with version 4"]);
        }
        assert_eq!(store.event(&a, version(3)).map_err(|error| error.kind()).err(), Some(ErrorKind::BelowFloor));
        assert_eq!(number(&store.event(&a, version(4)).expect("it is kept")), 4);
        assert_eq!(numbers(store.read(&a).from(version(2)).limit(0)), Ok(vec![]), "nothing is asked for");
        // It never begins with less again, and may begin with nothing.
        store.truncate_before(&a, version(3)).wait().expect("nothing changes");
        assert_eq!(read(&store, &a), Ok((4..10).collect()));
        store.truncate_before(&a, version(10)).wait().expect("that is the next");
        assert_eq!(read(&store, &a), Ok(vec![]));
        assert!(store.exists(&a).expect("an answer"));
        let error = trouble(store.truncate_before(&a, version(11)).wait());
        assert_eq!(error.to_string(), "truncating stream game-1 before version 11: its next event has version 10");
        add(&store, &a, events(10..12));
        assert_eq!(read(&store, &a), Ok(vec![10, 11]));
        store.batch().append(&a, Any, events(12..14)).truncate_before(&a, version(13)).commit().wait().expect("both");
        assert_eq!(read(&home.reopen(store, &Options::default()), &a), Ok(vec![13]));
    });
}

#[test]
fn what_is_said_about_a_stream_is_numbered_and_changed_by_whoever_knows_the_last() {
    everywhere(|home| {
        let store = home.open();
        let a = name("game-1");
        let say = |store: &EventStore, last, said: &str| store.batch().set_metadata(&a, last, &said).commit().wait();
        say(&store, Some(Revision::NONE), "one").expect("nothing was said");
        let refused = conflict(say(&store, Some(Revision::NONE), "two"));
        let expected = Revision::NONE;
        assert_eq!(refused, Conflict::Revision { stream: a.clone(), expected, actual: Revision::new(1) });
        say(&store, Some(Revision::new(1)), "two").expect("that was the last");
        say(&store, None, "three").expect("whatever was said");
        let store = home.reopen(store, &Options::default());
        let metadata = store.metadata(&a).expect("an answer").expect("something was said");
        assert_eq!((metadata.revision().get(), metadata.decode::<String>().expect("a text")), (3, "three".to_owned()));
        assert_eq!(metadata.decode::<u64>().map_err(|error| error.kind()), Err(ErrorKind::Decode));
        assert!(!store.exists(&a).expect("an answer"), "to say something about a stream makes none");
        let long = "x".repeat(16 * 1024);
        let error = trouble(say(&store, None, &long));
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(error.to_string(), "saying 16386 bytes about stream game-1: the limit is 16384");
        // Said together: one behind the other.
        store.batch().set_metadata(&a, None, &4).set_metadata(&a, None, &5).commit().wait().expect("both");
        assert_eq!(store.metadata(&a).expect("an answer").map(|said| said.revision().get()), Some(5));
    });
}

#[test]
fn rules_and_holds_are_kept_with_the_log() {
    everywhere(|home| {
        let store = home.open();
        let games = Scope::category("game").expect("a name");
        let won = Scope::event_type("won").expect("a name");
        let one = Scope::Stream(name("game-1"));
        let month = Duration::from_secs(30 * 24 * 3_600);
        let rule = Retention::forever().newest(100).newer_than(month);
        let batch = store.batch().retain(&games, rule).retain(&won, Retention::forever()).hold(&one, "case 12");
        batch.hold(&one, "case 13").append(&name("game-1"), Any, [event(1)]).commit().wait().expect("all of it");
        let store = home.reopen(store, &Options::default());
        assert_eq!(store.retention().expect("rules"), [(games.clone(), rule), (won.clone(), Retention::forever())]);
        let labels = |store: &EventStore| {
            store.holds().expect("holds").iter().map(|hold| hold.label().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(labels(&store), ["case 12", "case 13"]);
        let batch = store.batch().clear_retention(&won).release(&one, "case 12").release(&one, "never");
        batch.commit().wait().expect("all of it");
        let store = home.reopen(store, &Options::default());
        assert_eq!(store.retention().expect("rules"), [(games, rule)]);
        assert_eq!(labels(&store), ["case 13"]);
        assert_eq!(trouble(store.batch().hold(&one, "").commit().wait()).kind(), ErrorKind::InvalidArgument);
        let long = "x".repeat(1_025);
        assert_eq!(trouble(store.batch().hold(&one, &long).commit().wait()).kind(), ErrorKind::TooLarge);
        assert_eq!(trouble(store.delete(&name("game-1"), Any, &long).wait()).kind(), ErrorKind::TooLarge);
        assert_eq!(numbers(store.read_all()), Ok(vec![1]));
    });
}

#[test]
fn who_ends_a_stream_and_who_appends_to_it_agree_who_came_first() {
    for _ in 0..20 {
        let store = EventStore::open_in_memory().expect("a store");
        let a = name("game-1");
        add(&store, &a, events(1..2));
        let appended: Vec<bool> = thread::scope(|scope| {
            let appending = |number: u64| {
                let (store, a) = (store.clone(), a.clone());
                scope.spawn(move || match store.append(&a, Any, [event(number)]).wait() {
                    Ok(_) => true,
                    Err(error) => {
                        assert!(matches!(error.conflict(), Some(Conflict::Finished { .. })), "{error}");
                        // By the time of the answer that can be seen.
                        assert!(matches!(store.standing(&a), Ok(Standing::Finished { .. })));
                        false
                    }
                })
            };
            let threads: Vec<_> = (2..34).map(appending).collect();
            store.tombstone(&a, Any, "").wait().expect("it is finished once");
            threads.into_iter().map(|thread| thread.join().expect("it only appends")).collect()
        });
        let accepted = appended.iter().filter(|is_in| **is_in).count() as u64;
        assert_eq!(store.version(&a).expect("a version").get(), 1 + accepted);
        assert_eq!(store.head().expect("a head").get(), 1 + accepted);
    }
}

/// What is known of a stream by whoever has done all of it.
#[derive(Clone, Default)]
struct Known {
    /// The number of each event, the first with version 1.
    events: Vec<u64>,
    deleted: u64,
    first: u64,
    is_finished: bool,
    said: Option<(u64, u64)>,
}

impl Known {
    fn version(&self) -> u64 {
        self.events.len() as u64
    }

    fn read(&self) -> Result<Vec<u64>, ErrorKind> {
        if self.is_finished || (self.deleted != 0 && self.deleted == self.version()) {
            return Err(ErrorKind::Deleted);
        }
        if self.events.is_empty() {
            return Err(ErrorKind::StreamNotFound);
        }
        Ok(self.events[self.deleted.max(self.first.max(1) - 1) as usize..].to_vec())
    }
}

/// Does something at random to one of a few streams, and says whether it was accepted.
fn act(store: &EventStore, streams: &mut BTreeMap<StreamName, Known>, chance: &mut Chance, number: u64) {
    let stream = name(&format!("game-{}", chance.below(4)));
    let known = streams.entry(stream.clone()).or_default();
    let is_there = !known.events.is_empty() && known.deleted < known.version();
    match chance.below(10) {
        0 => {
            let is_accepted = store.delete(&stream, Any, "").wait().is_ok();
            assert_eq!(is_accepted, is_there && !known.is_finished);
            known.deleted = if is_accepted { known.version() } else { known.deleted };
        }
        1 => {
            let is_accepted = store.undelete(&stream).wait().is_ok();
            assert_eq!(is_accepted, known.deleted != 0 && !known.is_finished);
            known.deleted = if is_accepted { 0 } else { known.deleted };
        }
        2 => {
            let first = 2 + chance.below(known.version() as usize + 2) as u64;
            let is_accepted = store.truncate_before(&stream, version(first)).wait().is_ok();
            assert_eq!(is_accepted, first <= known.version() + 1 && !known.is_finished, "{first}");
            known.first = if is_accepted { known.first.max(first) } else { known.first };
        }
        3 if chance.one_in(8) => {
            assert_eq!(store.tombstone(&stream, Any, "").wait().is_ok(), !known.is_finished);
            known.is_finished = true;
        }
        4 => {
            let is_accepted = store.batch().set_metadata(&stream, None, &number).commit().wait().is_ok();
            assert_eq!(is_accepted, !known.is_finished);
            if is_accepted {
                known.said = Some((known.said.map_or(1, |(revision, _)| revision + 1), number));
            }
        }
        _ => {
            let expected = match chance.below(3) {
                0 => Any,
                1 => Exact(version(known.version())),
                _ if is_there => StreamExists,
                _ => NoStream,
            };
            let is_accepted = store.append(&stream, expected, [event(number)]).wait().is_ok();
            assert_eq!(is_accepted, !known.is_finished, "{expected:?}");
            known.events.extend(is_accepted.then_some(number));
        }
    }
}

fn check(store: &EventStore, streams: &BTreeMap<StreamName, Known>) {
    for (stream, known) in streams {
        assert_eq!(read(store, stream), known.read(), "{stream}");
        assert_eq!(store.version(stream).expect("a version").get(), known.version(), "{stream}");
        let said = store.metadata(stream).expect("an answer");
        let said = said.map(|said| (said.revision().get(), said.decode::<u64>().expect("a number")));
        assert_eq!(said, known.said, "{stream}");
    }
}

#[test]
fn whatever_is_done_to_streams_they_stand_so_after_any_opening() {
    let seed = seed();
    for round in 0..40 {
        let mut chance = Chance(seed + round);
        let mut disk = SimulatedDisk::new(seed + round);
        let options = small_segments();
        let mut streams = BTreeMap::new();
        let mut store = options.open_simulated(&disk).expect("the store opens");
        for number in 1..200 {
            act(&store, &mut streams, &mut chance, number);
            if chance.one_in(20) {
                check(&store, &streams);
                match chance.below(3) {
                    0 => drop(store),
                    1 => {
                        drop(store);
                        let derived = disk.file_names().into_iter().filter(|path| !path.ends_with(".log"));
                        derived.for_each(|path| assert!(disk.remove_file(&path)));
                    }
                    // What was acknowledged is synced.
                    _ => {
                        std::mem::forget(store);
                        disk = disk.crash(&CrashChoice::Seeded(number));
                    }
                }
                store = options.open_simulated(&disk).expect("the store opens");
                check(&store, &streams);
            }
        }
    }
}

const DEEDS: usize = 10;

/// The first so many of a few deeds of every sort, the same each time; how many were acknowledged. Each is one batch.
fn deeds(store: &EventStore, count: usize) -> usize {
    let (a, b) = (name("game-1"), name("game-2"));
    let everything = Scope::Everything;
    let kilobytes = |range: std::ops::Range<u64>| range.map(kilobyte).collect::<Vec<_>>();
    let all: Vec<Box<dyn Fn() -> scorebook::PendingReceipt>> = vec![
        Box::new(|| store.append(&a, Any, kilobytes(1..12))),
        Box::new(|| store.delete(&a, Any, "")),
        Box::new(|| store.append(&b, Any, kilobytes(12..24))),
        Box::new(|| store.append(&a, NoStream, kilobytes(24..26))),
        Box::new(|| store.batch().truncate_before(&b, version(5)).set_metadata(&b, None, &1).commit()),
        Box::new(|| store.undelete(&a)),
        Box::new(|| store.batch().hold(&everything, "case").retain(&everything, Retention::forever()).commit()),
        Box::new(|| store.batch().append(&b, Any, kilobytes(26..38)).set_metadata(&b, None, &2).commit()),
        Box::new(|| store.batch().append(&a, Any, kilobytes(38..40)).tombstone(&a, Any, "").commit()),
        Box::new(|| store.append(&b, Any, kilobytes(40..52))),
    ];
    assert_eq!(all.len(), DEEDS);
    all.into_iter().take(count).take_while(|deed| deed().wait().is_ok()).count()
}

/// How the streams stand, as far as a name tells it.
fn stand(store: &EventStore) -> String {
    let (a, b) = (name("game-1"), name("game-2"));
    let said = store.metadata(&b).expect("an answer").map(|said| (said.revision().get(), said.json().to_owned()));
    let of = |stream| (read(store, stream), store.version(stream).expect("a version").get());
    let kept = (store.holds().expect("holds").len(), store.retention().expect("rules").len());
    format!("{:?} {:?} {said:?} {kept:?} {}", of(&a), of(&b), store.head().expect("a head"))
}

#[test]
fn what_was_decided_is_there_or_not_wherever_the_power_goes() {
    let options = small_segments();
    // How it stands after each deed.
    let after = |count| {
        let store = options.open_simulated(&SimulatedDisk::new(1)).expect("the store opens");
        assert_eq!(deeds(&store, count), count);
        stand(&store)
    };
    let stands: Vec<String> = (0..=DEEDS).map(after).collect();
    let mut stops = 0;
    for stop in 1.. {
        let disk = SimulatedDisk::new(stop);
        disk.stop_at(stop);
        let mut done = 0;
        if let Ok(store) = options.open_simulated(&disk) {
            done = deeds(&store, DEEDS);
            std::mem::forget(store);
        }
        for choice in [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(stop)] {
            let disk = disk.crash(&choice);
            // Once more, while it is opened.
            let again = disk.crash(&CrashChoice::KeepAll);
            again.stop_at(1 + stop % 9);
            if let Ok(store) = options.open_simulated(&again) {
                std::mem::forget(store);
            }
            for disk in [disk, again.crash(&CrashChoice::Seeded(stop))] {
                let stand = stand(&options.open_simulated(&disk).expect("it opens"));
                let may_be = &stands[done..(done + 2).min(stands.len())];
                assert!(may_be.contains(&stand), "stopped at {stop} with {done} done, {choice:?}: {stand}");
            }
        }
        stops = stop;
        if !disk.has_stopped() {
            break;
        }
    }
    assert!(40 < stops, "only {stops} operations");
}

#[test]
fn what_was_decided_comes_along_when_a_store_is_salvaged() {
    let options = small_segments();
    for count in 0..=DEEDS {
        let (disk, copy) = (SimulatedDisk::new(1), SimulatedDisk::new(2));
        let store = options.open_simulated(&disk).expect("the store opens");
        deeds(&store, count);
        store.flush().expect("flushed");
        let before = stand(&store);
        store.close().expect("it closes");
        salvage_simulated(&disk, &copy).expect("all is good");
        let copied = options.open_simulated(&copy).expect("it opens");
        assert_eq!(stand(&copied), before);
        drop(copied);
        assert_eq!(stand(&options.open_simulated(&copy).expect("it opens")), before);
    }
}

#[test]
fn a_stream_whose_events_are_lost_goes_on_from_the_version_it_had() {
    let (disk, copy) = (SimulatedDisk::new(1), SimulatedDisk::new(2));
    // What is derived is relied on, however small the log.
    let options = small_segments().verify_at_open_max(0);
    let store = options.open_simulated(&disk).expect("the store opens");
    let a = name("game-1");
    add(&store, &a, events(1..8));
    for number in 0..60 {
        add(&store, &name("noise"), [kilobyte(number)]);
    }
    deleted(&store, &a);
    store.close().expect("it closes");
    disk.garble("log/0000000001.log", 700..2_000, 7);
    salvage_simulated(&disk, &copy).expect("what is good is copied");
    for _ in 0..2 {
        let store = options.open_simulated(&copy).expect("it opens");
        assert_eq!(
            store.read(&a).into_iter().next().expect("an answer").map_err(|e| e.kind()).err(),
            Some(ErrorKind::Deleted)
        );
        drop(store);
    }
    let store = options.open_simulated(&copy).expect("it opens");
    store.accept_losses().expect("they are accepted");
    let receipt = add(&store, &a, events(8..9));
    assert_eq!(receipt.of(&a).map(|of| of.first_version()), Some(version(8)));
    assert_eq!(read(&store, &a), Ok(vec![8]));
}
