//! A storm: what a process does to a store until it is killed, told line by line to whoever keeps the books.
//!
//! Several writers, each with two streams of its own that grow together, and two streams that all of them share. What an
//! event holds follows from its stream and its version, or from the attempt it was, so every event can be checked by
//! itself. The [`Ledger`](super::ledger::Ledger) is the other side: it hears the lines and checks the survivors.

use super::chance::{Chance, Choices};
use scorebook::ExpectedVersion::{Any, Exact, NoStream, StreamExists};
use scorebook::{
    AppendError, Durability, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Options, PendingReceipt,
    ReadMode, Receipt, RecordedEvent, Status, StreamName, Version,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How many threads write.
pub(crate) const WRITERS: u64 = 3;

/// Says a line to whoever keeps the books. It must be said before it returns.
pub(crate) type Tell<'a> = &'a (dyn Fn(&str) + Sync);

/// What is never to be seen again.
const REFUSED: &str = "refused";

/// One process that writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    pub(crate) seed: u64,
    /// Which process it is of those that write to a directory one after the other: attempts are told apart by it.
    pub(crate) life: u64,
    /// It ends by itself after this many gusts, if ever.
    pub(crate) gusts: u64,
    /// A thread takes at most so many steps in a gust.
    pub(crate) steps: u64,
    /// How many threads write: with one, and the same seed, always the same is done.
    pub(crate) writers: u64,
    /// Reads go through buffers only: a disk that fails would end a process that reads through maps.
    pub(crate) is_positioned: bool,
}

impl Storm {
    pub(crate) fn new(seed: u64, life: u64) -> Storm {
        Storm { seed, life, gusts: u64::MAX, steps: 40, writers: WRITERS, is_positioned: false }
    }

    /// Opens the store in a directory, appends, closes it and opens it again, until something fails or it was enough.
    pub(crate) fn rage(&self, directory: &Path, tell: Tell<'_>) -> Result<(), Error> {
        let mut chance = Chance(self.seed);
        let mut left = self.gusts;
        let attempts = AtomicU64::new(0);
        while left != 0 {
            tell("opening");
            let store = self.options(&mut chance).open(directory)?;
            tell("opened");
            loop {
                left -= 1;
                self.gust(&store, &mut chance, &attempts, tell)?;
                if left == 0 || !chance.one_in(3) {
                    break;
                }
                tell("closing");
                store.reopen()?;
                tell("opened");
            }
            tell("closing");
            let head = store.head()?;
            if chance.one_in(3) {
                // Dropping the last handle closes too, and says nothing about it.
                drop(store);
            } else {
                store.close()?;
                tell(&format!("durable {head}"));
            }
        }
        Ok(())
    }

    fn options(&self, chance: &mut Chance) -> Options {
        let options = EventStore::options()
            .segment_bytes_max(*chance.pick(&[32, 32, 64, 256]) * 1024)
            .verify_at_open_max(*chance.pick(&[0, u64::MAX]))
            .idle_after(*chance.pick(&[Duration::from_millis(1), Duration::from_millis(50), Duration::from_secs(3600)]))
            .sync_every(*chance.pick(&[Duration::from_millis(5), Duration::from_secs(1)]))
            .durability(*chance.pick(&[Durability::Synced, Durability::Written]))
            .staged_bytes_max(*chance.pick(&[64 * 1024 * 1024, 64 * 1024 * 1024, 16 * 1024]));
        let is_mapped = chance.one_in(2) && !self.is_positioned;
        options.read_mode(if is_mapped { ReadMode::Mapped } else { ReadMode::Positioned })
    }

    /// All writers at once, for some steps each. After a failure nothing is written any more, and that was checked.
    pub(crate) fn gust(
        &self,
        store: &EventStore,
        chance: &mut Chance,
        attempts: &AtomicU64,
        tell: Tell<'_>,
    ) -> Result<(), Error> {
        let outcomes: Vec<Result<(), Error>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.writers)
                .map(|number| {
                    let (chance, steps) = (Chance(chance.next()), 1 + chance.below(self.steps as usize));
                    let writer = Writer::new(store, self.life, number, chance, attempts, tell);
                    scope.spawn(move || writer.and_then(|mut writer| (0..steps).try_for_each(|_| writer.step())))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a writer holds out")).collect()
        });
        let outcome: Result<(), Error> = outcomes.into_iter().collect();
        if let Err(error) = &outcome {
            check_latched(store, error);
        }
        outcome
    }
}

/// After a failed write or sync every further append is refused with the same clear answer.
fn check_latched(store: &EventStore, error: &Error) {
    if !matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Poisoned) {
        return;
    }
    assert_eq!(store.status(), Status::Poisoned, "after {error}");
    for durability in [Durability::Written, Durability::Synced] {
        let refused = store.batch().append(&name("crowd"), Any, [refused_event()]).durability(durability).commit();
        match refused.wait().expect_err("nothing is written after a failure") {
            AppendError::Store(refused) => assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused} after {error}"),
            AppendError::Conflict(conflict) => panic!("{conflict} after {error}"),
        }
    }
    assert_eq!(store.flush().expect_err("nothing is synced after a failure").kind(), ErrorKind::Poisoned);
}

/// One of the threads that write.
struct Writer<'a> {
    store: &'a EventStore,
    life: u64,
    chance: Chance,
    attempts: &'a AtomicU64,
    tell: Tell<'a>,
    number: u64,
    pair: [StreamName; 2],
    /// The version that both of its streams have.
    version: u64,
}

/// A batch on its way, over both streams of a writer.
struct Flight {
    version: u64,
    durability: Durability,
    receipt: PendingReceipt,
}

impl<'a> Writer<'a> {
    fn new(
        store: &'a EventStore,
        life: u64,
        number: u64,
        chance: Chance,
        attempts: &'a AtomicU64,
        tell: Tell<'a>,
    ) -> Result<Writer<'a>, Error> {
        let pair = pair(number);
        let version = store.version(&pair[0])?.get();
        assert_eq!(store.version(&pair[1])?.get(), version, "of a batch all or nothing is there");
        Ok(Writer { store, life, chance, attempts, tell, number, pair, version })
    }

    fn step(&mut self) -> Result<(), Error> {
        match self.chance.below(16) {
            0..8 => self.append_own(),
            8..10 => self.contest(),
            10..12 => self.join_the_crowd(),
            12 => self.be_refused(),
            13 => self.flush(),
            14 => self.read_own(),
            _ => {
                thread::sleep(Duration::from_micros(self.chance.below(3_000) as u64));
                Ok(())
            }
        }
    }

    fn durability(&mut self) -> Durability {
        if self.chance.one_in(3) { Durability::Written } else { Durability::Synced }
    }

    /// Batches over both of its own streams, several on their way at a time. Now and then one that fits no segment.
    fn append_own(&mut self) -> Result<(), Error> {
        let mut flights = Vec::new();
        let mut version = self.version;
        for _ in 0..=self.chance.below(4) {
            let count = if self.chance.one_in(60) { 60 } else { 1 + self.chance.below(5) as u64 };
            let durability = self.durability();
            let mut batch = self.store.batch().durability(durability);
            let expected = Exact(Version::new(version));
            // One after the other, so that the streams are interleaved in the log.
            for next in version + 1..=version + count {
                for stream in &self.pair {
                    let expected = if next == version + 1 { expected } else { Any };
                    batch = batch.append(stream, expected, [own_event(stream, next, version + count)]);
                }
            }
            version += count;
            flights.push(Flight { version, durability, receipt: batch.commit() });
        }
        let mut refusal = None;
        for flight in flights {
            let outcome = if self.chance.one_in(8) {
                let limit = Duration::from_micros(self.chance.below(500) as u64);
                flight.receipt.wait_timeout(limit).unwrap_or_else(PendingReceipt::wait)
            } else {
                flight.receipt.wait()
            };
            match outcome {
                Ok(receipt) => {
                    assert!(refusal.is_none(), "accepted behind a batch that was refused as {refusal:?}");
                    self.version = flight.version;
                    self.acknowledge(&receipt, flight.durability, &self.pair[1], flight.version, "");
                }
                Err(AppendError::Store(error)) => refusal = Some(refusal.unwrap_or(error)),
                // What it goes on from was refused.
                Err(AppendError::Conflict(conflict)) => assert!(refusal.is_some(), "{conflict}"),
            }
        }
        refusal.map_or(Ok(()), |error| self.pass_over(error))
    }

    /// What was refused for want of room changed nothing, and it goes on. Everything else is told to the caller.
    fn pass_over(&self, error: Error) -> Result<(), Error> {
        if !matches!(error.kind(), ErrorKind::Full | ErrorKind::Busy) {
            return Err(error);
        }
        for stream in &self.pair {
            assert_eq!(self.store.version(stream)?.get(), self.version, "{stream}, after {error}");
        }
        (self.tell)(&format!("{:?}", error.kind()).to_lowercase());
        thread::sleep(Duration::from_millis(1));
        Ok(())
    }

    /// Everybody wants to be the next in this stream, and one is.
    fn contest(&mut self) -> Result<(), Error> {
        let stream = name("contest");
        let expected = Exact(self.store.version(&stream)?);
        self.attempt(&stream, expected)
    }

    fn join_the_crowd(&mut self) -> Result<(), Error> {
        let stream = name("crowd");
        if self.chance.one_in(6) {
            // Nobody waits for it: it may be there or not.
            let event = shared_event(&stream, &self.next_attempt());
            drop(self.store.append(&stream, Any, [event]));
            return Ok(());
        }
        self.attempt(&stream, Any)
    }

    fn attempt(&mut self, stream: &StreamName, expected: ExpectedVersion) -> Result<(), Error> {
        let attempt = self.next_attempt();
        let durability = self.durability();
        let batch = self.store.batch().append(stream, expected, [shared_event(stream, &attempt)]);
        match batch.durability(durability).commit().wait() {
            Ok(receipt) => {
                let version = receipt.last_version();
                self.acknowledge(&receipt, durability, stream, version.get(), &attempt);
                let event = self.store.event(stream, version)?;
                assert_eq!(event.data(), payload(stream.as_str(), &attempt), "a receipt is given for what is visible");
                Ok(())
            }
            Err(AppendError::Conflict(conflict)) => {
                assert!(matches!(expected, Exact(_)), "{conflict}");
                // Whoever reads again sees what refused it.
                assert!(conflict.actual() <= Some(self.store.version(stream)?), "{conflict}");
                (self.tell)(&format!("lost {attempt}"));
                Ok(())
            }
            Err(AppendError::Store(error)) => {
                self.pass_over(error)?;
                (self.tell)(&format!("lost {attempt}"));
                Ok(())
            }
        }
    }

    fn next_attempt(&self) -> String {
        format!("{}.{}.{}", self.life, self.number, self.attempts.fetch_add(1, Ordering::Relaxed))
    }

    /// A batch of which one condition does not hold.
    fn be_refused(&mut self) -> Result<(), Error> {
        let [a, b] = &self.pair;
        let held = Exact(Version::new(self.version));
        let wrong = match self.chance.below(3) {
            0 if self.version != 0 => (b, NoStream),
            1 => (&name("nowhere"), StreamExists),
            _ => (b, Exact(Version::new(self.version + 7))),
        };
        let batch = self.store.batch().append(a, held, [refused_event(), refused_event()]);
        match batch.append(wrong.0, wrong.1, [refused_event()]).commit().wait() {
            Err(AppendError::Conflict(_)) => Ok(()),
            Err(AppendError::Store(error)) => self.pass_over(error),
            Ok(receipt) => panic!("a batch was accepted that expects {:?} of {}: {receipt:?}", wrong.1, wrong.0),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let head = self.store.head()?;
        match self.store.flush() {
            Ok(()) => (self.tell)(&format!("durable {head}")),
            Err(error) => self.pass_over(error)?,
        }
        Ok(())
    }

    /// Its last events, backwards.
    fn read_own(&mut self) -> Result<(), Error> {
        if self.version == 0 {
            return Ok(());
        }
        let mut expected = self.version;
        for event in self.store.read(&self.pair[1]).backwards().limit(5) {
            check_event(&event?, Some(expected));
            expected -= 1;
        }
        assert_eq!(expected, self.version.saturating_sub(5));
        Ok(())
    }

    fn acknowledge(&self, receipt: &Receipt, asked: Durability, stream: &StreamName, version: u64, attempt: &str) {
        assert!(asked <= receipt.durability(), "asked for {asked:?} and told {:?}", receipt.durability());
        let how = match receipt.durability() {
            Durability::Synced => "synced",
            Durability::Written => "written",
        };
        (self.tell)(format!("ack {how} {} {stream} {version} {attempt}", receipt.last_position()).trim_end());
    }
}

/// The two streams of a writer.
pub(crate) fn pair(writer: u64) -> [StreamName; 2] {
    ["a", "b"].map(|half| name(&format!("writer-{writer}-{half}")))
}

/// An event of a stream that one writer has for itself. It says the last version that its batch gives to the stream.
pub(crate) fn own_event(stream: &StreamName, version: u64, last: u64) -> NewEvent {
    let event = NewEvent::bytes("own", payload(stream.as_str(), &version.to_string()));
    event.tag("last", last).correlation(stream.as_str())
}

/// Whether an event can be the last of its stream: it is the last that its batch gave to it.
pub(crate) fn ends_a_batch(event: &RecordedEvent) -> bool {
    event.tag("last").is_none_or(|last| last == event.version().to_string())
}

fn shared_event(stream: &StreamName, attempt: &str) -> NewEvent {
    NewEvent::bytes("shared", payload(stream.as_str(), attempt))
}

fn refused_event() -> NewEvent {
    NewEvent::bytes(REFUSED, *b"this must never be seen")
}

/// What an event holds: what it is, and filling that follows from it.
fn payload(stream: &str, what: &str) -> Vec<u8> {
    let mut bytes = format!("{stream} {what} ").into_bytes();
    let hash = bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3));
    let mut chance = Chance(hash);
    let len = if chance.one_in(300) { 40_000 } else { chance.below(600) };
    let end = bytes.len() + len;
    while bytes.len() < end {
        bytes.extend(chance.next().to_le_bytes());
    }
    bytes.truncate(end);
    bytes
}

/// Whether an event of a storm is what it should be: exactly, byte for byte. Gives the attempt it was, if it was one.
pub(crate) fn check_event(event: &RecordedEvent, version: Option<u64>) -> Option<String> {
    let told = || format!("position {}, version {} of {}", event.position(), event.version(), event.stream());
    if let Some(version) = version {
        assert_eq!(event.version().get(), version, "{}", told());
    }
    match event.event_type() {
        "own" => {
            let version = event.version().to_string();
            assert!(event.data() == payload(event.stream(), &version), "other bytes than were appended at {}", told());
            assert!(event.tag("last").is_some(), "{}", told());
            let metadata = event.metadata().expect("the metadata can be decoded");
            assert_eq!(metadata.correlation(), Some(event.stream()), "{}", told());
            None
        }
        "shared" => {
            let text = String::from_utf8_lossy(event.data());
            let attempt = text.split(' ').nth(1).unwrap_or_else(|| panic!("no attempt at {}", told())).to_owned();
            assert!(event.data() == payload(event.stream(), &attempt), "other bytes than were appended at {}", told());
            Some(attempt)
        }
        other => panic!("an event of type {other} at {}", told()),
    }
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a stream name")
}
