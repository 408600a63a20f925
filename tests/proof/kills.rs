//! The lane of kills: a process that writes is ended with SIGKILL at a random moment, over and over in one directory, so
//! that wounds add up, and what is left is checked against what it had acknowledged.

use crate::model::{Chance, Choices, Fate, Ledger, Storm, check_event};
use crate::other::{Other, describe};
use crate::run::{Extent, Run};
use scorebook::{CloseState, ErrorKind, EventId, EventStore, Position, ReadMode, verify};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A directory is used for so many rounds; then everything in it is verified, and another one is begun.
const ROUNDS_OF_A_DIRECTORY: u64 = 250;

/// Kills processes. A piece of work is all rounds of one directory.
pub(crate) fn kills(extent: Extent) -> bool {
    let run = Run::new("kills", "rounds", extent);
    let rounds = extent.count.div_ceil(2).min(ROUNDS_OF_A_DIRECTORY);
    run.spread(|number| {
        if extent.count.div_ceil(rounds) <= number {
            return None;
        }
        let mut ground = Ground::new(extent.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..rounds {
                if run.is_over() {
                    break;
                }
                ground.round();
                run.add(1);
            }
            ground.settle();
        }));
        if let Err(panic) = outcome {
            println!("directory {number}, round {}: {:?}", ground.life, ground.ledger.counts);
            println!("what is left of it is in {}", ground.directory.keep().display());
            std::panic::resume_unwind(panic);
        }
        println!("directory {number}: {:?}", ground.ledger.counts);
        Some(0)
    });
    run.end()
}

/// A directory in which one process after the other is killed.
struct Ground {
    directory: TempDir,
    seed: u64,
    chance: Chance,
    ledger: Ledger,
    watcher: Watcher,
    /// How many processes there were.
    life: u64,
}

/// When the other process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after it was started.
    Start(Duration),
    /// So long after it has said this so many times.
    Line(&'static str, usize, Duration),
}

impl Moment {
    fn random(chance: &mut Chance) -> Moment {
        let short = Duration::from_micros(chance.below(3_000) as u64);
        match chance.below(8) {
            0 => Moment::Start(Duration::from_micros(chance.below(12_000) as u64)),
            1 | 2 => Moment::Line("opening", 1 + chance.below(3), short),
            3 => Moment::Line("closing", 1 + chance.below(3), short),
            4 => Moment::Line("ack", 1, short / 10),
            _ => Moment::Line("ack", 1 + chance.below(250), short / 10),
        }
    }
}

impl Ground {
    fn new(seed: u64) -> Ground {
        let directory = tempfile::tempdir().expect("a directory for the other processes");
        Ground {
            directory,
            seed,
            chance: Chance(seed),
            ledger: Ledger::default(),
            watcher: Watcher::default(),
            life: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("bot.scorebook")
    }

    /// One process: started, watched, killed, and what it leaves checked.
    fn round(&mut self) {
        self.life += 1;
        let moment = Moment::random(&mut self.chance);
        let context = format!("round {} of seed {}, killed at {moment:?}", self.life, self.seed);
        let path = self.path();
        let other = Other::start(&path, &Storm::new(self.chance.next(), self.life));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| self.watcher.watch(&path, &is_over));
            let lines = {
                let _stop = Flag(&is_over);
                strike(other, moment, &context)
            };
            lines.iter().for_each(|line| self.ledger.hear(line));
            watcher.join().expect("the watcher sees nothing strange");
        });
        self.look(&context);
    }

    /// Looks at what the kill has left: always without changing anything, and mostly also as the next writer.
    fn look(&mut self, context: &str) {
        let path = self.path();
        let mode = *self.chance.pick(&[ReadMode::Mapped, ReadMode::Positioned]);
        let options = EventStore::options().read_mode(mode).segment_bytes_max(*self.chance.pick(&[32, 128]) * 1024);
        let store = match options.open_read_only(&path) {
            Ok(store) => store,
            Err(error) => {
                // It did not get as far as that yet.
                assert_eq!(error.kind(), ErrorKind::StoreNotFound, "{}, {context}", describe(&error));
                assert_eq!(self.ledger.count("ack"), 0, "{context}");
                return;
            }
        };
        let found = self.ledger.check(&store, Fate::Killed, context);
        self.watcher.check(&store, context);
        if self.chance.one_in(2) {
            // The next process finds the directory as the kill has left it.
            return;
        }
        let store = options.open(&path).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
        let close_state = store.recovery_report().close_state();
        assert!(!self.ledger.is_left_open() || close_state == CloseState::Unclean, "{close_state}, {context}");
        assert_eq!(self.ledger.check(&store, Fate::Killed, context), found, "reading only finds the same, {context}");
        self.ledger.settle(found);
        if self.chance.one_in(2) {
            self.ledger.add(&store);
        }
        if self.chance.one_in(2) {
            store.close().expect("it closes");
        }
    }

    /// The last look at a directory: everything is verified.
    fn settle(&mut self) {
        let context = format!("at the end of seed {}", self.seed);
        let report = verify(self.path()).expect("it can be verified");
        assert!(report.is_sound(), "{report}, {context}");
        let store = EventStore::open(self.path()).expect("it opens");
        self.ledger.check(&store, Fate::Killed, &context);
        let names = std::fs::read_dir(self.path().join("log")).expect("the log can be listed");
        let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        let files = names.filter(|name| name.ends_with(".log")).count() as u64;
        let segments = store.stats().expect("numbers").segments();
        assert!(files <= segments + 2, "{files} files for {segments} segments, {context}");
    }
}

/// Waits for the moment and kills. What the process had told.
fn strike(mut other: Other, moment: Moment, context: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match moment {
        Moment::Start(pause) => thread::sleep(pause),
        Moment::Line(what, count, pause) => {
            let mut left = count;
            while left != 0 {
                let Some(line) = other.line() else {
                    let end = other.wait();
                    panic!("it ended by itself, {}, {context}: {}", end.status, end.complaints);
                };
                left -= usize::from(line.split(' ').next() == Some(what));
                assert!(!line.starts_with("failed"), "{line}, {context}");
                lines.push(line);
            }
            thread::sleep(pause);
        }
    }
    let end = other.kill();
    assert!(end.complaints.is_empty(), "{}, {context}", end.complaints);
    lines.extend(end.lines);
    let failure = lines.iter().find(|line| line.starts_with("failed"));
    assert_eq!(failure, None, "{context}");
    lines
}

/// Sets a flag on every way out.
struct Flag<'a>(&'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Looks at a store beside the process that writes it, while that one is killed and another begins.
#[derive(Default)]
struct Watcher {
    store: Option<EventStore>,
    /// The last event it has seen.
    seen: Option<(Position, EventId)>,
    looks: u64,
}

impl Watcher {
    fn watch(&mut self, path: &Path, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            self.look(path);
            thread::sleep(Duration::from_millis(1 + self.looks % 3));
        }
        // Once more when it is dead.
        self.look(path);
    }

    /// What comes behind the last event goes on from it without a hole; what was seen before is still there.
    fn look(&mut self, path: &Path) {
        self.looks += 1;
        if self.looks.is_multiple_of(40) {
            self.store = None;
        }
        if self.store.is_none() {
            match EventStore::open_read_only(path) {
                Ok(store) => self.store = Some(store),
                Err(error) if error.kind() == ErrorKind::StoreNotFound && self.seen.is_none() => return,
                Err(error) => panic!("the watcher is refused: {}", describe(&error)),
            }
        }
        let store = self.store.clone().expect("opened above");
        let mut last = self.seen.map_or(0, |(position, _)| position.get());
        for event in store.read_all().after(Position::new(last)) {
            let event = event.unwrap_or_else(|error| panic!("the watcher behind {last}: {}", describe(&error)));
            assert_eq!(event.position().get(), last + 1, "the watcher sees no hole");
            check_event(&event, None);
            last += 1;
            self.seen = Some((event.position(), event.id()));
        }
        if self.looks.is_multiple_of(7) {
            let report = verify(path).unwrap_or_else(|error| panic!("verifying beside it: {}", describe(&error)));
            assert!(report.is_sound() && last <= report.events(), "verifying beside it, having seen {last}: {report}");
        }
    }

    /// What was seen once is there for ever.
    fn check(&self, store: &EventStore, context: &str) {
        if let Some((position, id)) = self.seen {
            let event = store.event_at(position).unwrap_or_else(|error| panic!("{}, {context}", describe(&error)));
            assert_eq!(event.id(), id, "what was seen at {position} is another event now, {context}");
        }
    }
}
