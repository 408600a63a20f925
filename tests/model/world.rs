//! The driver: a disk, a store on it, and the model of what it holds, side by side and compared after every operation.

use super::chance::{Chance, Choices};
use super::expected::{Asked, Batch, Event, Model, Said, check_named, query, stream};
use super::operation::{DISK_OPERATIONS, Expect, Operation, Part};
use super::reading::Reading;
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{
    AppendError, Conflict, Durability, Error, ErrorKind, EventStore, ExpectedVersion, Options, PendingReceipt,
    Position, Receipt, Status, Timestamp,
};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// How every store here is opened: with the smallest segments there are.
pub(crate) fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024).verify_at_open_max(0)
}

/// A disk, a store on it, and the model of what it holds.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) store: Option<EventStore>,
    pub(crate) model: Model,
    /// How many batches could be read when that was last looked at.
    pub(crate) visible: usize,
    /// The power is cut at this mutation, counted over all disks of the story.
    stop_at: Option<u64>,
    /// Mutations of the disks before this one.
    spent: u64,
    /// And their operations by kind.
    kinds_spent: BTreeMap<DiskOperation, u64>,
    /// The highest epoch that was visible before this opening.
    epoch_before: u32,
    /// Operations of the disk that were told to fail: errors are answers.
    faults: Vec<Planned>,
    /// There is no room on the disk, or it was told something else that this does not know of: errors are answers.
    is_troubled: bool,
    /// Something may have failed since the store was opened: not all that was submitted is visible.
    is_shaken: bool,
    /// Something was told to fail since the store was opened: it may write no more. Want of room alone is no reason.
    may_latch: bool,
}

/// Something that is to fail, however often the disk is changed for another by then.
struct Planned {
    fault: DiskFault,
    /// How many operations of its kind this disk had seen when the fault was handed to it.
    counted_from: u64,
}

/// The power was cut while something was done.
#[derive(Debug)]
pub(crate) struct Stopped;

/// A batch whose answer is waited for.
struct Flight {
    events: Vec<Event>,
    asked: Vec<Asked>,
    /// The number of the key it comes with.
    key: Option<u8>,
    pending: PendingReceipt,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World::on(SimulatedDisk::new(seed), Model::default())
    }

    pub(crate) fn on(disk: SimulatedDisk, model: Model) -> World {
        World {
            disk,
            store: None,
            model,
            visible: 0,
            stop_at: None,
            spent: 0,
            epoch_before: 0,
            faults: Vec::new(),
            kinds_spent: BTreeMap::new(),
            is_troubled: false,
            is_shaken: false,
            may_latch: false,
        }
    }

    /// Opens a store and does all this, until the power is cut at a mutation, or to the end.
    pub(crate) fn tell(operations: &[Operation], seed: u64, stop_at: Option<u64>) -> World {
        let mut world = World::new(seed);
        world.stop_at(stop_at);
        if world.open(0).is_ok() {
            let _ = operations.iter().try_for_each(|operation| world.step(operation));
        }
        world
    }

    pub(crate) fn stop_at(&mut self, stop_at: Option<u64>) {
        self.stop_at = stop_at;
        if let Some(stop_at) = stop_at {
            self.disk.stop_at(stop_at - self.spent);
        }
    }

    /// Mutations of all disks of the story.
    pub(crate) fn mutations(&self) -> u64 {
        self.spent + self.disk.mutations()
    }

    /// Operations of one kind of all disks of the story.
    pub(crate) fn kind_count(&self, kind: DiskOperation) -> u64 {
        self.kinds_spent.get(&kind).unwrap_or(&0) + self.disk.kind_count(kind)
    }

    /// Lets an operation of the disk fail, also if that is another disk by then. What the comparisons here ask of the disk
    /// does not count.
    pub(crate) fn plan(&mut self, fault: DiskFault, failure: SyncFailure) {
        (self.is_shaken, self.may_latch) = (true, true);
        self.disk.set_sync_failure(failure);
        self.hand_over(fault);
    }

    /// Tells the disk something that may make operations fail, until it is healed.
    pub(crate) fn trouble(&mut self, tell: impl FnOnce(&SimulatedDisk)) {
        (self.is_troubled, self.is_shaken, self.may_latch) = (true, true, true);
        tell(&self.disk);
    }

    fn hand_over(&mut self, fault: DiskFault) {
        let counted_from = self.disk.kind_count(fault.operation);
        self.disk.fail(fault.clone());
        self.faults.push(Planned { fault, counted_from });
    }

    /// What has not failed yet, counted from here on.
    fn take_faults(&mut self) -> Vec<DiskFault> {
        let left = std::mem::take(&mut self.faults).into_iter().filter_map(|planned| {
            let counted = self.disk.kind_count(planned.fault.operation) - planned.counted_from;
            let is_over = planned.fault.nth <= counted && !planned.fault.repeat;
            let nth = planned.fault.nth.saturating_sub(counted).max(1);
            (!is_over).then(|| planned.fault.nth(nth))
        });
        left.collect()
    }

    /// Looks at the store with nothing failing.
    fn look_calmly<T>(&mut self, look: impl FnOnce(&mut World) -> T) -> T {
        if self.faults.is_empty() {
            return look(self);
        }
        let faults = self.take_faults();
        self.disk.heal();
        let looked = look(self);
        faults.into_iter().for_each(|fault| self.hand_over(fault));
        self.stop_at(self.stop_at);
        looked
    }

    /// The open store.
    pub(crate) fn store(&self) -> EventStore {
        self.store.clone().expect("the store is open")
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
            // What was told to fail may keep the store from opening, but not for good.
            Err(_) if self.has_trouble() => {
                self.heal();
                self.open(least)
            }
            Err(error) => panic!("opening: {error:?}\n{}", self.disk.trace().join("\n")),
        }
    }

    /// Goes on with a store that was opened, or opened again, and compared elsewhere.
    pub(crate) fn continue_with(&mut self, store: EventStore, batches: usize) {
        (self.is_shaken, self.may_latch) = (self.has_trouble(), self.has_trouble());
        self.model.keep(batches, true);
        self.visible = batches;
        self.epoch_before = self.model.epoch;
        self.store = Some(store);
    }

    /// Does one thing, and compares.
    pub(crate) fn step(&mut self, operation: &Operation) -> Result<(), Stopped> {
        match operation {
            Operation::Append(batches, durability) => {
                self.append(batches, *durability);
            }
            Operation::Leave(batches, durability) => self.leave(batches, *durability),
            Operation::Flush => {
                let flushed = self.store().flush();
                self.note_synced(&flushed, "flushing");
            }
            Operation::Read(reading) => self.look_calmly(|world| world.read(reading)),
            Operation::ReadBadly(nth) => self.read_badly(*nth),
            Operation::Look => self.look_calmly(|world| world.look()),
            Operation::Close => {
                // A tail that found no room to be copied stays as it is.
                let is_unproven = self.store().recovery_report().unproven_events() != 0;
                let said = self.model.clone();
                let closed = self.store().close();
                self.note_synced(&closed, "closing");
                if is_unproven {
                    self.model = said;
                }
                self.check_power()?;
                self.store = None;
                return self.open(self.model.least_after_kill());
            }
            Operation::Reopen => return self.reopen(),
            Operation::Kill | Operation::KillAndForget => {
                self.move_to(self.disk.kill());
                if *operation == Operation::KillAndForget {
                    self.disk.remove_file("live");
                }
                return self.open(self.model.least_after_kill());
            }
            Operation::LosePower(choice) => {
                self.move_to(self.disk.crash(choice));
                self.model.lost_power();
                return self.open(self.model.least_after_power_cut());
            }
            Operation::Rest => {
                self.disk.advance(Duration::from_millis(60));
                self.store().keep_house();
            }
            Operation::ClockTo(seconds) => {
                self.disk.set_time(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000)));
            }
            Operation::Fail(fault, failure) => {
                self.plan(fault.clone(), *failure);
            }
            Operation::Heal => self.heal(),
            Operation::Full => {
                (self.is_troubled, self.is_shaken) = (true, true);
                let used: usize = self.disk.contents().values().map(Vec::len).sum();
                self.disk.set_capacity(Some(used as u64 + 1024));
            }
            Operation::Room => {
                self.is_troubled = false;
                self.disk.set_capacity(None);
            }
            Operation::Damage(seed) => self.damage(*seed),
        }
        self.check_power()?;
        self.compare();
        Ok(())
    }

    /// Appends batches, all queued before the first is waited for. The errors that were answered, by batch.
    pub(crate) fn append(&mut self, batches: &[Vec<Part>], durability: Durability) -> Vec<Option<ErrorKind>> {
        let mut answers = Vec::new();
        for flight in self.submit(batches, durability) {
            // A batch may have been judged behind one that failed later.
            let is_certain = answers.iter().all(Option::is_none);
            answers.push(self.land(flight, durability, is_certain));
        }
        answers
    }

    /// Queues batches. What is expected of a stream is said as if those before had been accepted.
    fn submit(&mut self, batches: &[Vec<Part>], durability: Durability) -> Vec<Flight> {
        let store = self.store();
        let head = store.head().expect("a head").get();
        let mut ahead: BTreeMap<u8, u64> = BTreeMap::new();
        let mut flights: Vec<Flight> = Vec::new();
        for parts in batches {
            let mut builder = store.batch().durability(durability);
            let (mut events, mut asked) = (Vec::new(), Vec::new());
            let of_key = parts.iter().find(|part| matches!(part.expect, Expect::Once | Expect::OnceOther));
            let key = of_key.map(|part| part.stream);
            let before = of_key.filter(|part| part.expect == Expect::Once).and_then(|part| {
                let staged = flights.iter().find(|flight| flight.key == key).map(|flight| flight.events.clone());
                self.model.with_key(part.stream).map(|batch| self.model.batches[batch].events.clone()).or(staged)
            });
            for part in parts {
                let name = stream(part.stream);
                match part.expect {
                    Expect::Once | Expect::OnceOther => continue,
                    Expect::Absent(kind, back) => {
                        let after = head.saturating_sub(back);
                        builder = builder.unless(query(part.stream, kind).after(Position::new(after)));
                        asked.push(Asked::Absent { stream: part.stream, kind, after });
                        continue;
                    }
                    _ => {}
                }
                let version = self.model.version(part.stream) + ahead.get(&part.stream).unwrap_or(&0);
                let expected = part.expect.of(version);
                builder = if part.count == 0 || before.is_some() {
                    builder.require(&name, expected)
                } else {
                    let invented = self.model.invent(part.stream, part.count, part.bytes);
                    builder = builder.append(&name, expected, invented.iter().map(Event::new_event));
                    events.extend(invented);
                    builder
                };
                asked.push(Asked::Version(part.stream, expected));
            }
            for event in before.iter().flatten() {
                builder = builder.append(&stream(event.stream), ExpectedVersion::Any, [event.new_event()]);
                events.push(event.clone());
            }
            if let Some(number) = key {
                builder = builder.once(super::expected::key(number));
            }
            events.iter().for_each(|event: &Event| *ahead.entry(event.stream).or_default() += 1);
            flights.push(Flight { events, asked, key, pending: builder.commit() });
        }
        flights
    }

    /// Waits for the answer to a batch, and compares it with the one that must be given: all that was queued before has
    /// its answer.
    fn land(&mut self, flight: Flight, durability: Durability, is_certain: bool) -> Option<ErrorKind> {
        let Flight { events, asked, key, pending } = flight;
        let first = key.and_then(|key| self.model.with_key(key));
        match pending.wait() {
            Ok(receipt) => {
                if let Some(first) = first {
                    self.check_repeat(&receipt, first, &events, durability);
                    return None;
                }
                assert_eq!(self.model.judge(&asked), None, "an append that had to be refused");
                self.check_receipt(&receipt, &events, durability);
                self.model.batches.push(Batch { events, key, said: receipt.durability().into() });
                self.note_epoch();
                None
            }
            Err(AppendError::Conflict(conflict)) => {
                if is_certain {
                    let expected = match first {
                        None => self.model.judge(&asked),
                        Some(first) if self.model.batches[first].events == events => None,
                        Some(first) => Some(Conflict::Once {
                            key: super::expected::key(key.expect("a batch came with it")),
                            position: Position::new(self.model.events_in(first) as u64 + 1),
                        }),
                    };
                    self.model.check_conflict(&conflict, expected, &"appending");
                }
                None
            }
            Err(AppendError::Store(error)) => {
                self.note_trouble(&error, events.is_empty());
                // Only where the outcome is unknown may it be there; everything else never comes back, and what conflicts
                // with something before it is not there even if that is.
                if error.kind() == ErrorKind::OutcomeUnknown && first.is_none() && self.model.judge(&asked).is_none() {
                    self.model.batches.push(Batch { events, key, said: Said::Nothing });
                }
                Some(error.kind())
            }
        }
    }

    /// The receipt of a batch that comes again is that of the first, and says no more than what is so.
    fn check_repeat(&mut self, receipt: &Receipt, first: usize, events: &[Event], durability: Durability) {
        assert!(receipt.is_repeat(), "a batch came with this key before");
        assert_eq!(self.model.batches[first].events, events, "something else under the same key");
        let behind = (self.model.events_in(first), self.model.events_in(first + 1));
        let told = (receipt.first_position().get(), receipt.last_position().get());
        assert_eq!(told, (behind.0 as u64 + 1, behind.1 as u64), "the positions of a repeat");
        assert!(durability <= receipt.durability(), "a weaker mode is never chosen silently");
        assert!(receipt.last_position() <= self.store().head().expect("a head"), "a receipt speaks of the visible");
        let earlier: Vec<u8> = self.model.events().take(behind.0).map(|event| event.stream).collect();
        for of in receipt.streams() {
            let is_of = |number: &&u8| stream(**number) == *of.stream();
            let before = earlier.iter().filter(is_of).count() as u64;
            let count = events.iter().filter(|event| stream(event.stream) == *of.stream()).count() as u64;
            let told = (of.first_version().get(), of.last_version().get(), of.is_new_stream());
            assert_eq!(told, (before + 1, before + count, before == 0), "the versions of a repeat");
        }
        let batch = &mut self.model.batches[first];
        batch.said = batch.said.max(receipt.durability().into());
    }

    fn check_receipt(&self, receipt: &Receipt, events: &[Event], durability: Durability) {
        let before = self.model.events().count() as u64;
        assert_eq!(receipt.first_position().get(), before + 1, "the first position of a receipt");
        assert_eq!(receipt.last_position().get(), before + events.len() as u64, "the last position of a receipt");
        assert!(durability <= receipt.durability(), "a weaker mode is never chosen silently");
        assert!(!receipt.is_repeat(), "nothing was repeated");
        let head = self.store().head().expect("a head");
        assert!(receipt.last_position() <= head, "a receipt speaks of the visible");
        let mut streams: Vec<u8> = Vec::new();
        for event in events {
            if !streams.contains(&event.stream) {
                streams.push(event.stream);
            }
        }
        assert_eq!(receipt.streams().len(), streams.len(), "the streams of a receipt");
        for (number, of) in streams.iter().zip(receipt.streams()) {
            let count = events.iter().filter(|event| event.stream == *number).count() as u64;
            let version = self.model.version(*number);
            assert_eq!(*of.stream(), stream(*number), "the streams of a receipt stand in the order of the batch");
            assert_eq!(of.first_version().get(), version + 1, "the first version of a receipt");
            assert_eq!(of.last_version().get(), version + count, "the last version of a receipt");
            assert_eq!(of.is_new_stream(), version == 0, "whether a stream is new");
        }
    }

    /// Queues batches and lets go of their receipts.
    fn leave(&mut self, batches: &[Vec<Part>], durability: Durability) {
        if self.has_trouble() || self.is_shaken {
            // Nobody could tell what became of them.
            self.append(batches, durability);
            return;
        }
        for flight in self.submit(batches, durability) {
            drop(flight.pending);
            let is_repeat = flight.key.is_some_and(|key| self.model.with_key(key).is_some());
            if !flight.events.is_empty() && !is_repeat && self.model.judge(&flight.asked).is_none() {
                self.model.batches.push(Batch { events: flight.events, key: flight.key, said: Said::Nothing });
            }
        }
    }

    fn read(&self, reading: &Reading) {
        self.model.check_reading(&self.store(), reading, self.visible, &"reading");
    }

    /// Reads everything while the n-th read of the disk fails: right as far as it goes, then the error.
    fn read_badly(&mut self, nth: u64) {
        let faults = self.take_faults();
        self.disk.heal();
        self.disk.fail(DiskFault::new(DiskOperation::Read, io::ErrorKind::Other).nth(nth));
        let read: Vec<_> = self.store().read_all().iter().collect();
        self.disk.heal();
        faults.into_iter().for_each(|fault| self.hand_over(fault));
        self.stop_at(self.stop_at);
        let given = read.iter().filter(|event| event.is_ok()).count();
        let is_whole = self.model.events_in(self.visible) <= given;
        assert!(is_whole || read.last().is_some_and(Result::is_err), "{given} events were read, and no word of more");
        let mut versions: BTreeMap<u8, u64> = BTreeMap::new();
        let mut expected = (1..).zip(self.model.events());
        for event in read {
            match event {
                Ok(event) => {
                    let (position, model) = expected.next().expect("no more than was appended");
                    let version = versions.entry(model.stream).or_default();
                    *version += 1;
                    model.compare(&event, position, *version).expect("the right event");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error:?}"),
            }
        }
    }

    /// Another opens the store for reading only: it sees what is visible, and changes nothing.
    fn look(&self) {
        let before = self.disk.contents();
        let least = if self.is_shaken || self.has_trouble() { 0 } else { self.visible };
        match EventStore::options().open_simulated_read_only(&self.disk) {
            Ok(reader) => {
                self.model.check(&reader, least, &"looking");
            }
            Err(error) => assert!(
                self.has_trouble() || least == 0 && error.kind() == ErrorKind::StoreNotFound,
                "looking: {error:?}"
            ),
        }
        assert!(self.disk.contents() == before, "looking changed something");
    }

    /// Damages a copy of the files as they are, and looks at what comes of it.
    fn damage(&self, seed: u64) {
        if self.is_shaken || self.has_trouble() {
            // What was to witness how far the log reaches may not have been written.
            return;
        }
        let mut chance = Chance(seed);
        let disk = self.disk.kill();
        let contents = disk.contents();
        // Where the last batch is damaged and so is `live`, nothing may be left that proves it.
        let is_of_log = chance.below(8) != 0;
        let is_chosen = |(path, bytes): &(&String, &Vec<u8>)| {
            path.starts_with("log/") == is_of_log && *path != "LOCK" && !bytes.is_empty()
        };
        let files: Vec<&String> = contents.iter().filter(is_chosen).map(|(path, _)| path).collect();
        if files.is_empty() {
            return;
        }
        for _ in 0..=chance.below(2) {
            let path = files[chance.below(files.len())];
            let bytes = &contents[path];
            // Most of a file may be zeros that wait to be written.
            let end =
                bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |last| (last + 20).min(bytes.len()));
            disk.flip_bit(path, chance.below(end) as u64, chance.below(8) as u8);
        }
        let whence = format!("damaged by seed {seed}");
        // What was only written has no witness yet.
        let least = self.model.least_after_power_cut();
        match EventStore::options().open_simulated_read_only(&disk) {
            Ok(reader) => self.model.check_damaged(&reader, least, &whence),
            Err(error) => check_named(&error, &whence),
        }
        match options().open_simulated(&disk) {
            Ok(store) => self.model.check_damaged(&store, least, &whence),
            Err(error) => check_named(&error, &whence),
        }
    }

    /// Opens the store again in place.
    pub(crate) fn reopen(&mut self) -> Result<(), Stopped> {
        let least = self.model.least_after_kill();
        loop {
            match self.store().reopen() {
                Ok(_) => {
                    self.check_power()?;
                    self.found(&self.store(), least);
                    return Ok(());
                }
                Err(_) if self.disk.has_stopped() => return Err(Stopped),
                Err(_) if self.has_trouble() => self.heal(),
                Err(error) => panic!("reopening: {error:?}"),
            }
        }
    }

    fn move_to(&mut self, disk: SimulatedDisk) {
        self.spent += self.disk.mutations();
        for kind in DISK_OPERATIONS {
            *self.kinds_spent.entry(*kind).or_default() += self.disk.kind_count(*kind);
        }
        let faults = self.take_faults();
        // Whatever the old process still does happens on a disk nobody looks at.
        self.store = None;
        self.disk = disk;
        faults.into_iter().for_each(|fault| self.hand_over(fault));
        self.stop_at(self.stop_at);
    }

    /// Nothing fails any more, and there is room.
    pub(crate) fn heal(&mut self) {
        self.disk.heal();
        self.disk.set_capacity(None);
        self.faults.clear();
        self.is_troubled = false;
        // Healing forgets the cut of power too.
        self.stop_at(self.stop_at);
    }

    fn has_trouble(&self) -> bool {
        !self.faults.is_empty() || self.is_troubled
    }

    /// Notes what an opening found: what is there counts, and nothing else does.
    pub(crate) fn found(&mut self, store: &EventStore, least: usize) {
        // Also where it has failed by now: the store may be without its file `live`, and nothing else is wrong.
        (self.is_shaken, self.may_latch) = (self.has_trouble(), !self.faults.is_empty());
        self.visible = self.look_calmly(|world| world.model.check(store, least, &"opening"));
        let are_durable = store.recovery_report().unproven_events() == 0;
        self.model.keep(self.visible, are_durable);
        self.epoch_before = self.model.epoch;
    }

    /// Compares what can be read with what was submitted and acknowledged.
    fn compare(&mut self) {
        let store = self.store();
        assert!(self.may_latch || store.status() != Status::Poisoned, "nothing failed that would be a reason to latch");
        let least = if self.is_shaken { self.model.least_after_kill() } else { self.model.len() };
        self.visible = self.look_calmly(|world| world.model.check(&store, least, &"comparing"));
    }

    fn check_power(&self) -> Result<(), Stopped> {
        if self.disk.has_stopped() { Err(Stopped) } else { Ok(()) }
    }

    fn note_synced(&mut self, done: &Result<(), Error>, what: &str) {
        match done {
            Ok(()) => self.model.all_synced(),
            Err(error) => {
                self.is_shaken = true;
                assert!(self.may_fail(error), "{what}: {error:?}");
            }
        }
    }

    /// An error is an answer only where something was made to fail, or where nothing was handed in.
    fn note_trouble(&mut self, error: &Error, is_empty: bool) {
        if is_empty && error.kind() == ErrorKind::InvalidArgument {
            return;
        }
        assert!(!is_empty, "an empty batch is refused before anything else: {error:?}");
        assert!(self.may_fail(error), "appending: {error:?}");
        self.is_shaken = true;
    }

    /// Behind a failure the store goes on failing, also when what made it fail is over.
    fn may_fail(&self, error: &Error) -> bool {
        self.disk.has_stopped() || self.has_trouble() || self.is_shaken && error.kind() == ErrorKind::Poisoned
    }

    /// What is given a position again is never mistaken for the first: everything visible in this opening has a higher
    /// epoch than anything visible before it.
    fn note_epoch(&mut self) {
        if self.disk.has_stopped() {
            return;
        }
        // A directory that cannot be listed has no numbers.
        let Ok(stats) = self.store().stats() else {
            return;
        };
        assert!(self.epoch_before < stats.epoch(), "epoch {} was visible before this opening", stats.epoch());
        self.model.epoch = stats.epoch();
    }
}

/// Removes what is derived from the log: the terms of its segments, and the stream table.
pub(crate) fn forget_derived(disk: &SimulatedDisk) {
    for path in disk.file_names().iter().filter(|path| is_derived(path)) {
        disk.remove_file(path);
    }
}

/// Whether a file is derived from the log.
pub(crate) fn is_derived(path: &str) -> bool {
    path.ends_with(".idx") || path.starts_with("index/") || path.starts_with("snapshots/")
}
