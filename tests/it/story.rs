//! Stories: what a program does with a store, as data, told on a simulated disk; and the model of what must be left.
//!
//! The model is a list of batches in the order in which they were submitted. A store holds a prefix of it, whole batches
//! only: at least those it must hold, at most all that were not refused. Positions and versions follow from the order.

use scorebook::testing::SimulatedDisk;
use scorebook::{
    AppendError, CloseState, Durability, ErrorKind, EventStore, ExpectedVersion, NewEvent, Options, PendingReceipt,
    StreamName,
};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// Some events of one stream: the stream's number, how many, and the bytes of each payload.
pub(crate) type Part = (u8, u16, u32);

/// Batches that are all queued before the first is waited for.
pub(crate) type Batches = &'static [&'static [Part]];

/// Something a program does, or that happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Appends, and waits until it is synced.
    Append(Batches),
    /// Appends, and waits until it is written.
    Write(Batches),
    Flush,
    /// Closes the store and opens it again.
    Close,
    /// Nothing happens for a while.
    Rest,
}

/// How every story opens its store.
pub(crate) fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

/// The name of a stream by its number.
pub(crate) fn stream(number: u8) -> StreamName {
    StreamName::new(format!("game-{number}")).expect("a name")
}

/// An event as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    stream: u8,
    event_type: String,
    data: Vec<u8>,
}

/// What was said about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Written,
    Synced,
}

#[derive(Clone, Debug)]
struct Submitted {
    events: Vec<Expected>,
    said: Said,
}

/// What was submitted, in order, and what was said about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    batches: Vec<Submitted>,
    /// Makes every payload another.
    serial: u32,
    /// The highest epoch in which anything was visible.
    epoch: u32,
}

impl Model {
    fn invent(&mut self, parts: &[Part]) -> Vec<Expected> {
        let mut events = Vec::new();
        for (stream, count, bytes) in parts {
            for _ in 0..*count {
                self.serial += 1;
                let mut data = vec![self.serial as u8; *bytes as usize];
                let head = self.serial.to_le_bytes();
                let len = head.len().min(data.len());
                data[..len].copy_from_slice(&head[..len]);
                events.push(Expected { stream: *stream, event_type: format!("type_{}", self.serial % 3), data });
            }
        }
        events
    }

    fn events(&self) -> impl Iterator<Item = &Expected> {
        self.batches.iter().flat_map(|batch| &batch.events)
    }

    /// How many batches there are at most.
    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    fn least(&self, said: Said) -> usize {
        self.batches.iter().rposition(|batch| said <= batch.said).map_or(0, |last| last + 1)
    }

    /// How many batches must be there after a loss of power.
    pub(crate) fn least_after_power_cut(&self) -> usize {
        self.least(Said::Synced)
    }

    /// How many batches must be there after the process died.
    pub(crate) fn least_after_kill(&self) -> usize {
        self.least(Said::Written)
    }

    fn all_synced(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.said = Said::Synced);
    }

    /// Forgets the batches that turned out not to be there.
    fn keep(&mut self, batches: usize, are_durable: bool) {
        self.batches.truncate(batches);
        if are_durable {
            self.all_synced();
        }
    }

    /// Compares all that a store says with the model, and gives the number of batches there.
    ///
    /// # Panics
    ///
    /// If fewer than `least` batches are there, one is not whole, or anything else is not as it was appended.
    pub(crate) fn check(&self, store: &EventStore, least: usize, whence: &dyn Display) -> usize {
        let mut found = 0;
        let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
        let mut expected = self.events();
        let mut last_time = None;
        for event in store.read_all() {
            let event = event.unwrap_or_else(|error| panic!("{whence}: reading all: {error:?}"));
            let Some(model) = expected.next() else { panic!("{whence}: {event:?} was never accepted") };
            found += 1;
            let version = versions.entry(model.stream).or_default();
            *version += 1;
            assert_eq!(event.position().get(), found, "{whence}: positions have no holes");
            assert_eq!(event.stream(), stream(model.stream).as_str(), "{whence}: stream at {found}");
            assert_eq!(event.version().get(), *version, "{whence}: version at {found}");
            assert_eq!(event.event_type(), model.event_type, "{whence}: type at {found}");
            assert!(event.data() == model.data, "{whence}: the payload at {found} is another");
            assert!(last_time <= Some(event.time()), "{whence}: time goes backwards at {found}");
            last_time = Some(event.time());
        }
        let mut behind = 0;
        let mut whole = 0;
        for batch in &self.batches {
            if behind == found {
                break;
            }
            behind += batch.events.len() as u64;
            whole += 1;
        }
        assert_eq!(behind, found, "{whence}: a batch is there in part");
        assert!(least <= whole, "{whence}: {whole} batches are there, {least} were acknowledged");
        assert_eq!(store.head().expect("a head").get(), found, "{whence}: head");
        for (number, last) in versions {
            let name = stream(number);
            let read = store.read(&name).iter().map(|event| event.expect("an event").version().get());
            assert!(read.eq(1..=last), "{whence}: reading stream {name}");
            assert_eq!(store.version(&name).expect("a version").get(), last, "{whence}: version of {name}");
        }
        whole
    }
}

/// A disk, a store on it, and the model of what it holds.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) store: Option<EventStore>,
    pub(crate) model: Model,
    /// The highest epoch that was visible before this opening.
    epoch_before: u32,
}

/// The power was cut while a step was taken.
pub(crate) struct Stopped;

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World::on(SimulatedDisk::new(seed), Model::default())
    }

    pub(crate) fn on(disk: SimulatedDisk, model: Model) -> World {
        World { disk, store: None, model, epoch_before: 0 }
    }

    /// Opens the store and compares it with the model; what turned out not to be there is forgotten.
    pub(crate) fn open(&mut self, least: usize) -> Result<(), Stopped> {
        match options().open_simulated(&self.disk) {
            Ok(store) => {
                // What fails without harm may be what the power was cut at.
                self.check_power()?;
                self.found(&store, least);
                self.store = Some(store);
                Ok(())
            }
            Err(_) if self.disk.has_stopped() => Err(Stopped),
            Err(error) => panic!("opening: {error:?}\n{}", self.disk.trace().join("\n")),
        }
    }

    fn found(&mut self, store: &EventStore, least: usize) {
        let there = self.model.check(store, least, &"opening");
        let are_durable = store.recovery_report().unproven_events() == 0;
        self.model.keep(there, are_durable);
        self.epoch_before = self.model.epoch;
    }

    /// Notes that the store was opened again in place, and that what was found by that is durable.
    pub(crate) fn reopened(&mut self, batches: usize) {
        self.model.keep(batches, true);
        self.epoch_before = self.model.epoch;
    }

    /// The open store.
    pub(crate) fn store(&self) -> EventStore {
        self.store.clone().expect("the store is open")
    }

    fn check_power(&self) -> Result<(), Stopped> {
        if self.disk.has_stopped() { Err(Stopped) } else { Ok(()) }
    }

    pub(crate) fn step(&mut self, step: Step) -> Result<(), Stopped> {
        match step {
            Step::Append(batches) => {
                self.append(batches, Durability::Synced);
            }
            Step::Write(batches) => {
                self.append(batches, Durability::Written);
            }
            Step::Flush => {
                if self.store().flush().is_ok() {
                    self.model.all_synced();
                }
            }
            Step::Close => {
                if self.store().close().is_ok() {
                    self.model.all_synced();
                }
                self.check_power()?;
                let least = self.model.least_after_kill();
                return self.open(least);
            }
            Step::Rest => {
                self.disk.advance(Duration::from_millis(60));
                self.store().keep_house();
            }
        }
        self.check_power()
    }

    /// Appends batches, all queued before the first is waited for. The errors that were answered, by batch.
    pub(crate) fn append(&mut self, batches: Batches, durability: Durability) -> Vec<Option<ErrorKind>> {
        let store = self.store();
        let first = self.model.len();
        let mut pending = Vec::new();
        for parts in batches {
            let events = self.model.invent(parts);
            pending.push(submit(&store, &events, durability));
            self.model.batches.push(Submitted { events, said: Said::Nothing });
        }
        let mut answers = Vec::new();
        let mut refused = Vec::new();
        for (index, pending) in (first..).zip(pending) {
            answers.push(match pending.wait() {
                Ok(receipt) => {
                    let before: u64 = self.model.batches[..index].iter().map(|batch| batch.events.len() as u64).sum();
                    let here = self.model.batches[index].events.len() as u64;
                    assert!(refused.is_empty(), "nothing is accepted behind a refused batch");
                    assert_eq!(receipt.first_position().get(), before + 1, "the first position of a receipt");
                    assert_eq!(receipt.last_position().get(), before + here, "the last position of a receipt");
                    assert!(durability <= receipt.durability(), "a weaker mode is never chosen silently");
                    assert!(
                        receipt.last_position() <= store.head().expect("a head"),
                        "a receipt speaks of the visible"
                    );
                    let said = match receipt.durability() {
                        Durability::Written => Said::Written,
                        Durability::Synced => Said::Synced,
                    };
                    self.model.batches[index].said = said;
                    self.note_epoch(&store);
                    None
                }
                Err(AppendError::Conflict(conflict)) => panic!("nothing was expected: {conflict}"),
                // Only where the outcome is unknown may it be there; everything else never comes back.
                Err(AppendError::Store(error)) => {
                    if error.kind() != ErrorKind::OutcomeUnknown {
                        refused.push(index);
                    }
                    Some(error.kind())
                }
            });
        }
        for index in refused.into_iter().rev() {
            self.model.batches.remove(index);
        }
        answers
    }

    /// What is given a position again is never mistaken for the first: everything visible in this opening has a higher
    /// epoch than anything visible before it.
    fn note_epoch(&mut self, store: &EventStore) {
        if self.disk.has_stopped() {
            return;
        }
        // A directory that cannot be listed has no numbers.
        let Ok(stats) = store.stats() else { return };
        let epoch = stats.epoch();
        assert!(self.epoch_before < epoch, "epoch {epoch} was visible before this opening");
        self.model.epoch = epoch;
    }
}

fn submit(store: &EventStore, events: &[Expected], durability: Durability) -> PendingReceipt {
    let builder = store.batch().durability(durability);
    let builder = events.iter().fold(builder, |builder, event| {
        let new = NewEvent::bytes(&event.event_type, event.data.clone());
        builder.append(&stream(event.stream), ExpectedVersion::Any, [new])
    });
    builder.commit()
}

/// What is appended after every crash: the log must go on.
const AFTERWARDS: Batches = &[&[(1, 1, 20), (9, 1, 5)]];

/// Opens what a crash left, compares it, appends, closes, opens again and compares again. Returns the disk as it was
/// when recovery was through, for whoever wants to cut the power again.
pub(crate) fn survive(disk: SimulatedDisk, model: &Model, least: usize, whence: &dyn Display) {
    let store = match options().open_simulated(&disk) {
        Ok(store) => store,
        Err(error) => panic!("{whence}: opening: {error:?}\n{}", disk.trace().join("\n")),
    };
    let there = model.check(&store, least, whence);
    let mut world = World::on(disk, model.clone());
    world.epoch_before = model.epoch;
    world.model.keep(there, true);
    world.store = Some(store);
    // Where the disk was full there is room now, and the store goes on by itself.
    world.disk.set_capacity(None);
    let answers = world.append(AFTERWARDS, Durability::Synced);
    assert_eq!(answers, [None], "{whence}: appending after recovery");
    world.store().close().unwrap_or_else(|error| panic!("{whence}: closing: {error:?}"));
    let store = options().open_simulated(&world.disk).unwrap_or_else(|error| panic!("{whence}: again: {error:?}"));
    world.model.check(&store, world.model.len(), whence);
    let report = store.recovery_report();
    assert_eq!(report.close_state(), CloseState::Clean, "{whence}: {report}");
    assert_eq!((report.copied_events(), report.torn_tail()), (0, None), "{whence}: {report}");
}
