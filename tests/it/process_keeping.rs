//! A process that appends, truncates, finishes, compacts and backs up, killed at any moment again and again.

use super::process::OtherProcess;
use super::support::{Home, add, kilobyte, name, number, read, small_segments};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::Any;
use scorebook::{EventStore, RecordedEvent, Standing, StreamName, Until, Version};
use scorebook::{restore, verify, verify_backup};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// So many streams are written to at a time. One that is finished makes room for another.
const STREAMS: u64 = 5;

fn backup_of(directory: &Path) -> PathBuf {
    directory.with_file_name("backup")
}

/// What the other process does until it is killed; each deed is told before it is begun and when it is done.
pub(crate) fn work(directory: &Path, seed: u64, tell: &(dyn Fn(&str) + Sync)) {
    let store = small_segments().open(directory).expect("it opens");
    tell("opened");
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Ends with the process: nothing waits for it but the one below, which never returns by itself.
            while goes_on.load(Ordering::Relaxed) {
                let compacted = store.compaction().thoroughly().plan().and_then(|plan| plan.apply());
                tell(&format!("compacted {}", compacted.expect("it is compacted").segments_after()));
                let report = store.backup(backup_of(directory)).expect("it is backed up");
                tell(&format!("backed {}", report.info().position()));
            }
        });
        let mut chance = Chance(seed);
        for _ in 0..100_000 {
            deed(&store, &mut chance, tell);
        }
        goes_on.store(false, Ordering::Relaxed);
    });
}

fn deed(store: &EventStore, chance: &mut Chance, tell: &(dyn Fn(&str) + Sync)) {
    let stream = writable(store, chance.below(STREAMS as usize) as u64);
    let last = store.version(&stream).unwrap_or(Version::NONE).get();
    match chance.below(40) {
        0 => {
            tell(&format!("finishing {stream}"));
            store.tombstone(&stream, Any, "it is over").wait().expect("it is finished");
            tell(&format!("finished {stream}"));
        }
        1..8 if 1 < last => {
            let first = last - chance.below(4).min(last as usize - 1) as u64;
            tell(&format!("truncating {stream} {first}"));
            store.truncate_before(&stream, Version::new(first)).wait().expect("it begins later");
            tell(&format!("truncated {stream} {first}"));
        }
        _ => {
            add(store, &stream, [kilobyte(last + 1)]);
            tell(&format!("added {stream} {}", last + 1));
        }
    }
}

/// The first of the streams that have this place one after the other that is not finished.
fn writable(store: &EventStore, place: u64) -> StreamName {
    let mut names = (0..).map(|generation| name(&format!("game-{place}-{generation}")));
    let is_open = |stream: &StreamName| !matches!(store.standing(stream), Ok(Standing::Finished { .. }));
    names.find(is_open).expect("there are enough")
}

/// What is known of a stream from outside.
#[derive(Default)]
struct Known {
    /// As many events at least, and at most one more.
    last: u64,
    /// It begins here, or where it was about to.
    first: u64,
    beginning: Option<u64>,
    is_finished: bool,
    is_finishing: bool,
}

#[derive(Default)]
struct Ledger {
    streams: BTreeMap<String, Known>,
    backed: Option<u64>,
    compacted: u64,
}

impl Ledger {
    fn hear(&mut self, answer: &str) {
        let mut words = answer.split(' ');
        let (verb, subject) = (words.next().expect("a word"), words.next().unwrap_or_default());
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok()).expect("a number");
        match verb {
            "opened" => {}
            "compacted" => self.compacted += number(Some(subject)),
            "backed" => self.backed = Some(number(Some(subject))),
            _ => {
                let known = self.streams.entry(subject.to_owned()).or_default();
                match verb {
                    "added" => known.last = number(words.next()),
                    "truncating" => known.beginning = Some(number(words.next())),
                    // It never begins earlier again.
                    "truncated" => (known.first, known.beginning) = (known.first.max(number(words.next())), None),
                    "finishing" => known.is_finishing = true,
                    "finished" => known.is_finished = true,
                    other => panic!("what is `{other}`?"),
                }
            }
        }
    }

    /// Compares what is known with what is there, and takes that for known.
    fn check(&mut self, store: &EventStore, context: &str) {
        for (stream, known) in &mut self.streams {
            let stream = name(stream);
            match store.standing(&stream).expect("an answer") {
                Standing::Finished { .. } => {
                    assert!(known.is_finished || known.is_finishing, "{stream} is finished, {context}");
                    known.is_finished = true;
                }
                Standing::Open { first } => {
                    assert!(!known.is_finished, "{stream} is not finished, {context}");
                    let first = first.get();
                    let expected = [known.first.max(1), known.first.max(known.beginning.unwrap_or(1)).max(1)];
                    assert!(expected.contains(&first), "{stream} begins with {first}, not {expected:?}, {context}");
                    let last = store.version(&stream).expect("a version").get();
                    assert!((known.last..=known.last + 1).contains(&last), "{stream} ends with {last}, {context}");
                    let events = read(store.read(&stream));
                    assert_eq!(events.len() as u64, last + 1 - first, "{stream}, {context}");
                    events.iter().zip(first..).for_each(|(event, version)| check_event(event, Some(version), context));
                    *known = Known { last, first, ..Known::default() };
                }
                other => assert!(known.last == 0 && other == Standing::Missing, "{stream}: {other:?}, {context}"),
            }
            known.is_finishing = false;
        }
        let mut last = 0;
        for event in read(store.read_all()) {
            assert!(last < event.position().get(), "{context}");
            last = event.position().get();
            check_event(&event, None, context);
        }
        assert!(last <= store.head().expect("a head").get(), "{context}");
    }
}

fn check_event(event: &RecordedEvent, version: Option<u64>, context: &str) {
    assert_eq!(number(event), event.version().get(), "{context}");
    assert_eq!(version.unwrap_or(event.version().get()), event.version().get(), "{context}");
}

/// A backup that was acknowledged is there, whole, and no further behind than it was said to be.
fn check_backup(ledger: &Ledger, directory: &Path, context: &str) {
    let Some(backed) = ledger.backed else { return };
    let info = verify_backup(backup_of(directory)).unwrap_or_else(|error| panic!("{error}, {context}"));
    assert!(backed <= info.position().get(), "{context}");
    let to = directory.with_file_name("restored.scorebook");
    restore(backup_of(directory), &to, Until::Everything).unwrap_or_else(|error| panic!("{error}, {context}"));
    let store = EventStore::open_read_only(&to).expect("it opens");
    for event in read(store.read_all()) {
        check_event(&event, None, context);
    }
    for info in store.streams().list().expect("a list") {
        let events = read(store.read(info.name()));
        let first = events.first().map_or(0, |event| event.version().get());
        events.iter().zip(first..).for_each(|(event, version)| check_event(event, Some(version), context));
    }
    drop(store);
    std::fs::remove_dir_all(to).expect("it is removed");
}

#[test]
fn killed_while_it_truncates_compacts_and_backs_up_nothing_that_stays_is_lost() {
    let home = Home::disk();
    let seed = seed();
    let mut chance = Chance(seed);
    let mut ledger = Ledger::default();
    for life in 0..10 {
        let context = format!("life {life} of seed {seed:#x}");
        let mut other = OtherProcess::start(&home.path());
        other.tell(&format!("keep {}", chance.next()));
        for _ in 0..1 + chance.below(600) {
            let answer = other.answer().unwrap_or_else(|| panic!("it ended by itself, {context}"));
            ledger.hear(&answer);
        }
        if chance.below(2) == 0 {
            thread::sleep(Duration::from_micros(chance.below(20_000) as u64));
        }
        other.kill().iter().for_each(|answer| ledger.hear(answer));
        check_backup(&ledger, &home.path(), &context);
        let report = verify(home.path()).expect("a verdict");
        assert!(report.is_sound(), "{report}, {context}");
        ledger.check(&home.read_only().expect("it opens"), &context);
        if chance.below(2) == 0 {
            let store = home.open_with(&small_segments());
            ledger.check(&store, &context);
            store.close().expect("it closes");
        }
    }
    let store = home.open_with(&small_segments());
    ledger.check(&store, "the end");
    assert!(0 < ledger.compacted && ledger.backed.is_some(), "hardly anything was done");
    let finished = ledger.streams.values().filter(|known| known.is_finished).count();
    assert!(0 < finished && finished < ledger.streams.len());
    store.compaction().thoroughly().plan().and_then(|plan| plan.apply()).expect("it is compacted");
    let kept: u64 = ledger
        .streams
        .values()
        .filter(|known| !known.is_finished)
        .map(|known| known.last + 1 - known.first.max(1))
        .sum();
    assert!(kept <= store.stats().expect("numbers").events());
}
