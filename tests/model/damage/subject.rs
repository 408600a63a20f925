//! The stores that are damaged: what each holds is known from what was handed in, and where it stands from a second
//! reading of its files.

use super::super::chance::{Chance, Choices};
use super::super::world::forget_derived;
use super::layout::{self, Files, Layout};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    Durability, EventId, EventStore, ExactEvent, ExpectedVersion, NewEvent, Options, Position, StreamName, Timestamp,
    Version,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A store and all that is known of it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Holds the files, with nothing pending; never opened itself.
    pub(crate) disk: SimulatedDisk,
    pub(crate) files: Files,
    pub(crate) layout: Layout,
    /// The events of each stream, by their indexes in the layout.
    pub(crate) streams: BTreeMap<StreamName, Vec<usize>>,
    /// What reads one after the other give everything: between them lie the losses that a salvage recorded. First and
    /// last position of each, and which events it holds.
    pub(crate) spans: Vec<Span>,
    /// The files of another store that was written in the same way.
    pub(crate) foreign: Files,
}

/// A range of positions without a recorded loss.
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) events: std::ops::Range<usize>,
}

/// How every store here is opened: with the smallest segments there are.
pub(crate) fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

impl Subject {
    /// All subjects. The directory is for what needs a real one.
    pub(crate) fn all(seed: u64, scratch: &Path) -> Vec<Subject> {
        vec![
            Subject::closed(seed, 1_000),
            Subject::killed(seed),
            Subject::copied(seed),
            Subject::torn(seed),
            Subject::single(seed),
            Subject::imported(seed),
            Subject::salvaged(seed, scratch),
        ]
    }

    /// Closed cleanly: several segments, sessions and epochs, a watermark, batches over several streams.
    pub(crate) fn closed(seed: u64, events: usize) -> Subject {
        Subject::written("closed", seed, |scribe| {
            for part in 1..=4 {
                let mut store = scribe.open();
                while scribe.handed.len() < events * part / 4 {
                    scribe.append(&store);
                }
                match part {
                    1 => store.close().expect("closing"),
                    // A session that ends without a word, so that a start record begins an epoch.
                    2 => scribe.kill(),
                    3 => {
                        scribe.rest(&store);
                        scribe.append(&store);
                        store.close().expect("closing");
                        store = scribe.open();
                        scribe.append(&store);
                        store.close().expect("closing");
                    }
                    _ => {
                        scribe.rest(&store);
                        scribe.append(&store);
                        store.close().expect("closing");
                    }
                }
            }
        })
    }

    /// Killed while it was written, behind batches of which nothing proves that they are durable.
    pub(crate) fn killed(seed: u64) -> Subject {
        Subject::written("killed", seed, |scribe| {
            let store = scribe.open();
            while scribe.handed.len() < 300 {
                scribe.append(&store);
            }
            store.close().expect("closing");
            let store = scribe.open();
            while scribe.handed.len() < 380 {
                scribe.append(&store);
            }
            (0..3).for_each(|_| scribe.append_as(&store, Durability::Written));
            scribe.kill();
        })
    }

    /// Killed with an unsynced tail, which the next opening copied into a segment of its own; killed again.
    pub(crate) fn copied(seed: u64) -> Subject {
        Subject::written("copied", seed, |scribe| {
            let store = scribe.open();
            (0..20).for_each(|_| scribe.append(&store));
            (0..6).for_each(|_| scribe.append_as(&store, Durability::Written));
            scribe.kill();
            let store = scribe.open();
            assert_ne!(store.recovery_report().copied_events(), 0, "the tail was copied");
            (0..3).for_each(|_| scribe.append(&store));
            scribe.kill();
        })
    }

    /// Twice the power was cut in the middle of unsynced batches, and their positions were given again.
    pub(crate) fn torn(seed: u64) -> Subject {
        Subject::written("torn", seed, |scribe| {
            for round in 0..2 {
                let store = scribe.open();
                (0..4).for_each(|_| scribe.append(&store));
                (0..6).for_each(|_| scribe.append_as(&store, Durability::Written));
                scribe.lose_power(round);
            }
            let store = scribe.open();
            (0..4).for_each(|_| scribe.append(&store));
            scribe.kill();
        })
    }

    /// One segment and few records, closed.
    pub(crate) fn single(seed: u64) -> Subject {
        Subject::written("single", seed, |scribe| {
            let store = scribe.open();
            (0..2).for_each(|_| scribe.append(&store));
            store.close().expect("closing");
        })
    }

    /// Imported with positions that are no longer held, then written on.
    pub(crate) fn imported(seed: u64) -> Subject {
        Subject::written("imported", seed, |scribe| {
            let store = scribe.open();
            let mut import = store.exact_import().expect("an empty store");
            let mut version = 0;
            for batch in 0..12_u64 {
                let exact = (1..4).map(|number| {
                    version += 1 + u64::from(number == 1 && batch % 3 == 1);
                    let (stream, event) = scribe.invent("game-1".to_owned());
                    ExactEvent {
                        position: Position::new(batch * 5 + number + u64::from(batch % 2 == 1)),
                        stream,
                        version: Version::new(version),
                        time: Timestamp::from_nanos((batch * 5 + number) as i64),
                        epoch: None,
                        event: event.id(EventId::from_bytes([batch as u8 * 4 + number as u8; 16])),
                    }
                });
                import.append(exact.collect()).expect("what was imported goes on");
            }
            import.finish().expect("syncing");
            (0..5).for_each(|_| scribe.append(&store));
            store.close().expect("closing");
        })
    }

    /// What was salvaged from a damaged store, with the losses accepted, and written on.
    pub(crate) fn salvaged(seed: u64, scratch: &Path) -> Subject {
        let salvage = |seed: u64| {
            let source = Subject::copied(seed);
            let disk = source.disk.kill();
            for event in [&source.layout.events[7], &source.layout.events[30]] {
                let segment = &source.layout.segments[event.segment];
                disk.flip_bit(&segment.path, event.record.start as u64 + 50, 3);
            }
            let (from, to) = (scratch.join(format!("source-{seed}")), scratch.join(format!("salvaged-{seed}")));
            unpack(&disk.contents(), &from);
            let report = scorebook::salvage(&from, &to).expect("a salvage");
            assert_eq!(report.lost().len(), 2, "{report}");
            let is_lost =
                |position| report.lost().iter().any(|(first, last)| (first.get()..=last.get()).contains(&position));
            let kept = source.layout.events.iter().filter(|event| !is_lost(event.position));
            // Only what counts: which segment was made ready ahead there is a matter of time.
            let disk = SimulatedDisk::new(seed);
            let path = layout::segment_path(1);
            disk.write_file(&path, &fs::read(to.join(&path)).expect("a small store is one segment"));
            let handed = kept.map(|event| (event.stream.clone(), event.data.clone())).collect();
            let mut scribe = Scribe { chance: Chance(seed), disk, handed };
            let store = scribe.open();
            store.accept_losses().expect("accepting");
            (0..4).for_each(|_| scribe.append(&store));
            store.close().expect("closing");
            scribe
        };
        Subject::of("salvaged", salvage(seed), files_of(&salvage(seed + 1).disk))
    }

    fn written(name: &'static str, seed: u64, write: impl Fn(&mut Scribe)) -> Subject {
        let scribe = |seed: u64| {
            let mut scribe = Scribe { chance: Chance(seed), disk: SimulatedDisk::new(seed), handed: Vec::new() };
            write(&mut scribe);
            scribe
        };
        Subject::of(name, scribe(seed), files_of(&scribe(seed + 1).disk))
    }

    fn of(name: &'static str, scribe: Scribe, foreign: Files) -> Subject {
        let files = files_of(&scribe.disk);
        let disk = scribe.disk.kill();
        // Nothing is pending any more, so copies are cheap.
        files.iter().for_each(|(path, bytes)| disk.write_file(path, bytes));
        let layout = layout::read(&files);
        // What the second reader finds is what was handed in.
        let found = layout.events.iter().map(|event| (event.stream.clone(), event.data.clone()));
        assert!(found.eq(scribe.handed.iter().cloned()), "{name}: the files do not hold what was handed in");
        let mut streams: BTreeMap<StreamName, Vec<usize>> = BTreeMap::new();
        for (index, event) in layout.events.iter().enumerate() {
            streams.entry(StreamName::new(event.stream.as_str()).expect("a name")).or_default().push(index);
        }
        Subject { name, disk, spans: spans(&layout), files, layout, streams, foreign }
    }

    /// A copy of the disk to be damaged.
    pub(crate) fn copy(&self) -> SimulatedDisk {
        self.disk.kill()
    }
}

fn spans(layout: &Layout) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut first = 1;
    for (lost, behind) in layout.losses.iter().copied().chain([(u64::MAX, u64::MAX)]) {
        let index = |position: u64| layout.events.partition_point(|event| event.position < position);
        if first < lost {
            spans.push(Span { first, last: lost - 1, events: index(first)..index(lost) });
        }
        first = behind.saturating_add(1);
    }
    spans
}

/// Somebody who writes small events, and remembers them.
struct Scribe {
    chance: Chance,
    disk: SimulatedDisk,
    /// The stream and payload of each event.
    handed: Vec<(String, Vec<u8>)>,
}

impl Scribe {
    fn open(&self) -> EventStore {
        options().open_simulated(&self.disk).expect("a whole store opens")
    }

    /// The process dies. Whatever the old one still does happens on a disk nobody looks at.
    fn kill(&mut self) {
        self.disk = self.disk.kill();
    }

    /// The power is cut: of what was not synced some sectors are there and some are not. What is not found afterwards is
    /// forgotten.
    fn lose_power(&mut self, round: u64) {
        self.disk = self.disk.crash(&CrashChoice::Seeded(self.chance.0.wrapping_add(round)));
        let head = self.open().head().expect("a head");
        self.handed.truncate(head.get() as usize);
    }

    fn rest(&mut self, store: &EventStore) {
        self.disk.advance(Duration::from_millis(60));
        store.keep_house();
    }

    /// An event that nobody has seen before; one in a few has all that an event can have.
    fn invent(&mut self, name: String) -> (StreamName, NewEvent) {
        let serial = self.handed.len();
        let mut data = format!("{serial}").into_bytes();
        data.resize(data.len() + self.chance.below(9), b'.');
        self.handed.push((name.clone(), data.clone()));
        let mut event = NewEvent::bytes("moved", data);
        if serial % 16 == 3 {
            event = event.schema(3).tag("spieler", "ä8").tag("leer", "").actor("bot-7");
        }
        if serial % 16 == 5 {
            event = event.id(EventId::from_bytes((serial as u128 * 0x0101).to_be_bytes()));
        }
        if serial % 16 == 9 {
            event = event.occurred(Timestamp::from_nanos(-(serial as i64)));
        }
        (StreamName::new(name).expect("a name"), event)
    }

    fn append(&mut self, store: &EventStore) {
        self.append_as(store, Durability::Synced);
    }

    /// A batch of a few events over a few streams.
    fn append_as(&mut self, store: &EventStore, durability: Durability) {
        let mut batch = store.batch().durability(durability);
        for _ in 0..1 + self.chance.below(5) {
            // Now and then a stream of a single event: with that everything of it is gone.
            let serial = self.handed.len();
            let number = 1 + self.chance.below(7);
            let name = if serial % 16 == 11 { format!("einmal-{serial}") } else { format!("game-{number}") };
            let (stream, event) = self.invent(name);
            batch = batch.append(&stream, ExpectedVersion::Any, [event]);
        }
        let serial = self.handed.len();
        if serial.is_multiple_of(5) {
            batch = batch.once(format!("key-{serial}-{}", self.chance.next()));
        }
        batch.commit().wait().expect("a receipt");
    }
}

/// The files that hold facts or are witnesses of their own. What is derived from the log makes no difference to what is
/// acknowledged, and with it opening reads only a part of the log.
fn files_of(disk: &SimulatedDisk) -> Files {
    forget_derived(disk);
    disk.contents()
}

/// Writes files into a directory of the real disk.
pub(crate) fn unpack(files: &Files, directory: &Path) {
    for (path, bytes) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
}
