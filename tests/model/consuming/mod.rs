//! A consumer beside a model of what it has done: random appends, members, acknowledgements in any order, failures, time,
//! steering, failing disks, restarts and crashes at any operation of the disk. After each step nothing may be skipped,
//! nothing handed out before what comes before it in its key, nothing twice where results are committed, and no checkpoint
//! may stand behind an event that is not done.

mod steering;
mod trouble;

use super::chance::{Chance, Choices};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    AppendError, Backoff, Breaker, Consumer, Delivery, Durability, Error, ErrorKind, EventStore, ExpectedVersion,
    Member, NewEvent, Options, PartitionBy, Position, Query, RecordedEvent, Start, StreamName, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NAME: &str = "consumer";

/// What is known of an event, by the number it says: positions are given again where a power cut took events.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// Somebody said that it is done, or that it may be skipped; or it was dropped when it was parked.
    is_done: bool,
    /// The same since the last crash.
    is_done_now: bool,
    /// The same, and the store was closed since without an error.
    is_done_for_good: bool,
    /// It needs no result.
    is_skipped: bool,
}

/// A consumer on a disk, and what became of each event.
pub(crate) struct Consuming {
    chance: Chance,
    disk: SimulatedDisk,
    options: Options,
    consumer: Consumer,
    /// The same in other words.
    other: Consumer,
    keeps: Keeps,
    commits: bool,
    attempts_max: u32,
    /// What fails for the last time is skipped, not parked.
    skips_last: bool,
    has_limit: bool,
    /// Each event is handed out alone, and its result has a key: whoever commits it again gets the first receipt.
    has_keys: bool,
    /// It was paused by hand, and that was written down.
    is_paused: bool,
    /// It was changed to the other, and that may or may not have been written.
    may_be_other: bool,
    /// Something on the disk may fail, or has.
    is_troubled: bool,
    /// Something has failed, so that what comes later may have been done before.
    is_disordered: bool,
    /// The power may go at any operation.
    may_stop: bool,
    store: Option<EventStore>,
    members: Vec<Member>,
    hands: Vec<Hand>,
    fates: BTreeMap<u64, Fate>,
    next_number: u64,
    pub(crate) handed_out: u64,
    pub(crate) restarts: u64,
    pub(crate) troubles: u64,
    pub(crate) seeks: u64,
    pub(crate) crashes: u64,
}

/// What a member was handed.
struct Hand {
    member: usize,
    delivery: Delivery,
    /// The positions of what nothing was said of, and was not taken back.
    open: BTreeSet<u64>,
}

/// What is kept in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    Nothing,
    Streams,
    Tags,
    Everything,
}

impl Consuming {
    /// A world chosen by a seed.
    pub(crate) fn new(seed: u64) -> Consuming {
        let mut chance = Chance(seed);
        let keeps = *chance.pick(&[Keeps::Nothing, Keeps::Streams, Keeps::Tags, Keeps::Everything]);
        let partition = match keeps {
            Keeps::Nothing => PartitionBy::NOTHING,
            Keeps::Streams => PartitionBy::STREAM,
            Keeps::Tags => PartitionBy::tag("key"),
            Keeps::Everything => PartitionBy::EVERYTHING,
        };
        let ms = Duration::from_millis;
        let has_keys = chance.one_in(3);
        let (attempts_max, skips_last) = (1 + chance.below(3) as u32, chance.one_in(3));
        let buffer = 1 + chance.below(12);
        let (batch, wait) =
            (if has_keys { 1 } else { 1 + chance.below(4) }, if chance.one_in(3) { ms(20) } else { Duration::ZERO });
        let (every, after) = (1 + chance.below(6) as u64, ms(5 + chance.below(200) as u64));
        let breaker = Breaker::new(4 + chance.below(9) as u32, Backoff::new(ms(30), ms(100)));
        let parked_max = if chance.one_in(4) { 1 + chance.below(5) } else { 1_000 };
        // Where nobody knows whether a last attempt was skipped because of its time, nothing could be said.
        let has_limit = !skips_last && chance.one_in(3);
        let consumer = |start: Start| {
            let consumer = Consumer::new(NAME, Query::all().of_type("wanted"), start)
                .partition_by(partition.clone())
                .buffer(buffer)
                .batch(batch, wait)
                .checkpoint_every(every)
                .checkpoint_after(after)
                .attempts_max(attempts_max)
                .backoff(Backoff::new(ms(10), ms(40)))
                .breaker(breaker)
                .after_last(if skips_last { Verdict::Skip } else { Verdict::Park })
                .parked_max(parked_max)
                .members_max(3);
            if has_limit { consumer.time_limit(ms(50)) } else { consumer }
        };
        let commits = chance.one_in(2);
        let options = EventStore::options().segment_bytes_max(32 * 1024).sync_every(ms(100));
        Consuming {
            disk: SimulatedDisk::new(seed),
            chance,
            options,
            consumer: consumer(Start::Beginning),
            other: consumer(Start::After(Position::BEGINNING)),
            keeps,
            commits,
            has_keys,
            is_paused: false,
            may_be_other: false,
            is_troubled: false,
            attempts_max,
            skips_last,
            has_limit,
            is_disordered: has_limit,
            may_stop: true,
            store: None,
            members: Vec::new(),
            hands: Vec::new(),
            fates: BTreeMap::new(),
            next_number: 1,
            handed_out: 0,
            restarts: 0,
            troubles: 0,
            seeks: 0,
            crashes: 0,
        }
    }

    /// Takes so many steps, then has everything handled, and compares.
    pub(crate) fn run(&mut self, steps: u64) {
        self.open();
        for _ in 0..steps {
            let outcome = self.step();
            if outcome.is_err() || self.disk.has_stopped() {
                self.meet(outcome);
            }
        }
        self.may_stop = false;
        self.heal();
        self.crash();
        self.settle();
    }

    fn open(&mut self) {
        // Before an opening whatever fails is over.
        let outcome = self.try_open();
        if self.disk.has_stopped() {
            self.crash();
        } else {
            outcome.expect("nothing else keeps it from opening");
        }
    }

    fn try_open(&mut self) -> Result<(), Error> {
        let store = self.options.open_simulated(&self.disk)?;
        if self.disk.has_stopped() {
            return Ok(());
        }
        self.note_results(&store);
        if let Ok(info) = store.consumer(NAME).info() {
            let parked = store.consumer(NAME).parked().expect("a list");
            let parked = parked.iter().map(|event| event.position().get()).collect();
            self.check_checkpoint(&store, info.position().get(), &parked);
        }
        self.check_results(&store);
        self.store = Some(store);
        self.join()?;
        // Whatever operation the power goes at later; sometimes soon, sometimes not at all.
        if self.may_stop && self.chance.one_in(3) {
            let later = self.disk.mutations() + 1 + self.chance.below(60) as u64;
            self.disk.stop_at(later);
        }
        Ok(())
    }

    fn store(&self) -> EventStore {
        self.store.clone().expect("it is open")
    }

    fn join(&mut self) -> Result<(), Error> {
        let mut joined = self.store().join(&self.consumer);
        // Whether it was changed may not be known.
        if joined.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidArgument)
            && std::mem::take(&mut self.may_be_other)
        {
            std::mem::swap(&mut self.consumer, &mut self.other);
            joined = self.store().join(&self.consumer);
        }
        self.members.push(joined?);
        Ok(())
    }

    fn step(&mut self) -> Result<(), Error> {
        match self.chance.below(44) {
            0..=7 => self.append(),
            8..=19 => self.take(),
            20..=27 => self.finish(),
            28..=29 => self.fail(),
            30 => {
                let at = self.chance.below(self.hands.len());
                if at < self.hands.len() {
                    drop(self.hands.swap_remove(at));
                }
                Ok(())
            }
            31..=32 => {
                let millis = self.chance.below(60) as u64;
                self.disk.advance(Duration::from_millis(millis));
                self.store().keep_house();
                Ok(())
            }
            33 if self.members.len() < 3 => self.join(),
            34 if 1 < self.members.len() => {
                let at = self.chance.below(self.members.len());
                self.hands.retain(|hand| hand.member != at);
                let last = self.members.len() - 1;
                self.hands.iter_mut().filter(|hand| hand.member == last).for_each(|hand| hand.member = at);
                drop(self.members.swap_remove(at));
                Ok(())
            }
            35 => self.steer(),
            36 => self.restart(),
            37 if self.chance.one_in(3) => {
                self.crash();
                Ok(())
            }
            38..=39 => self.send_elsewhere(),
            40 => self.change(),
            41 => self.begin_trouble(),
            _ => self.store().flush(),
        }
    }

    fn append(&mut self) -> Result<(), Error> {
        let events = 1 + self.chance.below(3) as u64;
        let is_wanted = !self.chance.one_in(4);
        let stream = format!("stream-{}", self.chance.below(3));
        let durability = *self.chance.pick(&[Durability::Synced, Durability::Written]);
        let first = self.next_number;
        let len = if self.chance.one_in(10) { 6_000 } else { 8 };
        let event = |number: u64| {
            let data = number.to_le_bytes().repeat(len / 8);
            let event_type = if is_wanted { "wanted" } else { "other" };
            NewEvent::bytes(event_type, data).tag("key", number % 2)
        };
        let store = self.store();
        let batch = store.batch().append(&name(&stream), ExpectedVersion::Any, (first..first + events).map(event));
        self.next_number += events;
        batch.durability(durability).commit().wait().map(drop).map_err(AppendError::into_error)
    }

    fn take(&mut self) -> Result<(), Error> {
        let at = self.chance.below(self.members.len());
        let Some(member) = self.members.get_mut(at) else {
            return Ok(());
        };
        let Some(delivery) = member.try_next()? else {
            return Ok(());
        };
        assert!(!self.is_paused, "it was paused");
        if self.disk.has_stopped() {
            return Ok(());
        }
        self.handed_out += delivery.events().len() as u64;
        self.check_handed(&delivery);
        let open = delivery.events().iter().map(|of| of.event().position().get()).collect();
        self.hands.push(Hand { member: at, delivery, open });
        Ok(())
    }

    /// What is handed out comes behind everything of its key, but what is done, parked, or handed out with it.
    fn check_handed(&self, delivery: &Delivery) {
        let store = self.store();
        let parked = self.parked(&store);
        let mut with_it: BTreeSet<u64> = BTreeSet::new();
        for event in delivery.events().iter().map(|delivered| delivered.event()) {
            assert_eq!(event.event_type(), "wanted", "it was not asked for");
            let fate = self.fates.get(&number(event)).copied().unwrap_or_default();
            assert!(!fate.is_done_for_good, "event {} was done, and the store closed since", event.position());
            assert!(!parked.contains(&event.position().get()), "event {} is parked", event.position());
            for other in self.hands.iter().filter(|_| !self.has_limit) {
                let open = other.delivery.events().iter().map(|of| of.event());
                let mut open = open.filter(|event| other.open.contains(&event.position().get()));
                assert!(open.all(|other| self.key(other) != self.key(event)), "two have events of one key");
            }
            if self.keeps != Keeps::Nothing {
                let before = store.read_all().before(event.position()).matching(Query::all().of_type("wanted"));
                for earlier in before.into_iter().map(|event| event.expect("an event")) {
                    let is_over = self.fates.get(&number(&earlier)).is_some_and(|fate| fate.is_done);
                    let is_apart = self.key(&earlier) != self.key(event) || is_over;
                    let position = earlier.position().get();
                    let is_with_it = with_it.contains(&position) || parked.contains(&position);
                    assert!(is_apart || is_with_it, "event {} comes before {position}", event.position());
                }
            }
            with_it.insert(event.position().get());
        }
    }

    fn key(&self, event: &RecordedEvent) -> String {
        match self.keeps {
            Keeps::Nothing => event.position().to_string(),
            Keeps::Streams => event.stream().to_owned(),
            Keeps::Tags => event.tags().find(|(key, _)| *key == "key").map_or("", |(_, value)| value).to_owned(),
            Keeps::Everything => String::new(),
        }
    }

    fn done(&mut self, event: &RecordedEvent) {
        let fate = self.fates.entry(number(event)).or_default();
        (fate.is_done, fate.is_done_now) = (true, true);
    }

    /// Says of something in hand that it is done: all of it or one event, or commits results.
    fn finish(&mut self) -> Result<(), Error> {
        let at = self.chance.below(self.hands.len());
        if self.hands.len() <= at {
            return Ok(());
        }
        let mut hand = self.hands.swap_remove(at);
        if self.commits {
            return self.commit(&hand);
        }
        let is_whole = self.chance.one_in(2);
        let of = self.chance.below(hand.delivery.events().len());
        for (index, delivered) in hand.delivery.events().iter().enumerate() {
            if (is_whole || index == of) && hand.delivery.ack_event(delivered.event()).is_ok() {
                hand.open.remove(&delivered.event().position().get());
                self.done(delivered.event());
            }
        }
        if !is_whole {
            self.hands.push(hand);
        }
        Ok(())
    }

    fn commit(&mut self, hand: &Hand) -> Result<(), Error> {
        let delivery = &hand.delivery;
        let open = delivery.events().iter().map(|of| of.event());
        let open: Vec<&RecordedEvent> = open.filter(|event| hand.open.contains(&event.position().get())).collect();
        let results: Vec<NewEvent> = open.iter().map(|event| result(event)).collect();
        let mut batch = delivery.batch().append(&name("results"), ExpectedVersion::Any, results);
        if self.has_keys && !open.is_empty() {
            let key = format!("of {}", number(open[0]));
            if self.chance.one_in(4) {
                // Somebody has appended it already, and has not said so.
                let results = [result(open[0])];
                let store = self.store();
                let before = store.batch().caused_by(open[0]);
                let before = before.append(&name("results"), ExpectedVersion::Any, results).once(key.clone());
                drop(before.commit().wait().map_err(AppendError::into_error)?);
            }
            batch = batch.once(key);
        }
        let is_refused = !self.has_keys && self.chance.one_in(6);
        if is_refused {
            batch = batch.require(&name("nowhere"), ExpectedVersion::StreamExists);
        }
        match delivery.commit(batch).wait() {
            Ok(_) => {
                assert!(!is_refused, "its condition does not hold");
                open.into_iter().for_each(|event| self.done(event));
                Ok(())
            }
            // Where the disk has failed, the store may have been opened again with more than was told.
            Err(AppendError::Conflict(conflict)) => {
                assert!(is_refused || self.is_troubled, "{conflict}");
                Ok(())
            }
            // It took too long, or the disk has stopped.
            Err(AppendError::Store(_)) => Ok(()),
        }
    }

    fn fail(&mut self) -> Result<(), Error> {
        let at = self.chance.below(self.hands.len());
        if self.hands.len() <= at {
            return Ok(());
        }
        let verdicts = [Verdict::Retry, Verdict::Retry, Verdict::Retry, Verdict::Park, Verdict::Skip, Verdict::Stop];
        let verdict = *self.chance.pick(&verdicts);
        self.is_disordered = true;
        let mut hand = self.hands.swap_remove(at);
        let of = self.chance.below(hand.delivery.events().len());
        let (event, attempt) = (hand.delivery.events()[of].event().clone(), hand.delivery.events()[of].attempt());
        if hand.delivery.nack_position(event.position(), verdict, "by chance").is_ok() {
            let behind = hand.delivery.events()[of..].iter().map(|of| of.event());
            for taken_back in behind.filter(|behind| self.key(behind) == self.key(&event)) {
                hand.open.remove(&taken_back.position().get());
            }
            let is_last = self.attempts_max <= attempt && self.skips_last;
            if verdict == Verdict::Skip || (verdict == Verdict::Retry && is_last) {
                self.skipped(&event);
            }
        }
        self.hands.push(hand);
        Ok(())
    }

    fn skipped(&mut self, event: &RecordedEvent) {
        self.done(event);
        self.fates.entry(number(event)).or_default().is_skipped = true;
    }

    fn steer(&mut self) -> Result<(), Error> {
        let control = self.store().consumer(NAME);
        match self.chance.below(6) {
            0 => control.redeliver_all().map(drop),
            1 => match control.parked()?.first() {
                Some(event) => control.redeliver(event.position()).map(drop),
                None => Ok(()),
            },
            2 => match control.parked()?.first() {
                Some(event) => {
                    let dropped = self.store().event_at(event.position())?;
                    // What it was sent back before comes by once more.
                    if event.position() <= control.info()?.scanned() {
                        self.skipped(&dropped);
                    }
                    control.drop_parked(event.position())
                }
                None => Ok(()),
            },
            3 => {
                control.pause("by chance")?;
                self.is_paused = true;
                Ok(())
            }
            _ => {
                // Whether it is resumed is not known where that fails.
                self.is_paused = false;
                control.resume()
            }
        }
    }

    /// Closes the store and opens it again.
    fn restart(&mut self) -> Result<(), Error> {
        let closed = self.store().close();
        self.hands.clear();
        self.members.clear();
        self.store = None;
        closed?;
        if self.disk.has_stopped() {
            return Ok(());
        }
        // Where there was no room for the last checkpoint, what it would have said is handed out again.
        let was_troubled = std::mem::take(&mut self.is_troubled);
        self.heal();
        self.restarts += 1;
        self.fates.values_mut().for_each(|fate| fate.is_done_for_good |= fate.is_done_now && !was_troubled);
        self.open();
        Ok(())
    }

    /// The power goes, or the process is killed, and everything begins again.
    fn crash(&mut self) {
        self.crashes += 1;
        let choices = [CrashChoice::LoseAll, CrashChoice::KeepAll, CrashChoice::Seeded(self.chance.next())];
        let disk = match self.chance.one_in(3) {
            true => self.disk.kill(),
            false => self.disk.crash(self.chance.pick(&choices)),
        };
        // Whatever these still write goes to a disk that nobody sees any more.
        self.hands.clear();
        self.members.clear();
        self.store = None;
        self.is_troubled = false;
        self.disk = disk;
        self.heal();
        let store = self.options.open_simulated(&self.disk).expect("it opens");
        self.forget_what_is_lost(&store);
        store.close().expect("it closes");
        drop(store);
        self.open();
    }

    /// What was lost is not there any more, and may be done again under another number.
    fn forget_what_is_lost(&mut self, store: &EventStore) {
        let there: BTreeSet<u64> = wanted(store).iter().map(number).collect();
        self.fates.retain(|number, _| there.contains(number));
        self.fates.values_mut().for_each(|fate| fate.is_done_now = false);
    }

    fn parked(&self, store: &EventStore) -> BTreeSet<u64> {
        match store.consumer(NAME).parked() {
            Ok(parked) => parked.iter().map(|event| event.position().get()).collect(),
            // It was deleted, and could not be made anew yet.
            Err(error) => {
                assert!(self.is_troubled && error.kind() == ErrorKind::EventNotFound, "{error:?}");
                BTreeSet::new()
            }
        }
    }

    /// No checkpoint stands behind an event that is not done.
    fn check_checkpoint(&self, store: &EventStore, position: u64, parked: &BTreeSet<u64>) {
        for event in wanted(store).iter().filter(|event| event.position().get() <= position) {
            let is_done = self.fates.get(&number(event)).is_some_and(|fate| fate.is_done);
            let at = event.position().get();
            assert!(
                is_done || parked.contains(&at),
                "the checkpoint {position} is beyond event {at}, which is not done"
            );
        }
    }

    /// Every event has one result at most, in order within its key; and where results are committed, one if it is done for
    /// good.
    fn check_results(&self, store: &EventStore) {
        let events: BTreeMap<u64, RecordedEvent> =
            wanted(store).into_iter().map(|event| (number(&event), event)).collect();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for result in store.read_all().matching(Query::all().of_type("result")) {
            let result = result.expect("an event");
            let of = number(&result);
            assert!(seen.insert(of), "event {of} has two results");
            let event = events.get(&of).expect("a result is there only if its event is");
            assert!(result.metadata().expect("metadata").causation().is_some(), "a result names its cause");
            let before = last.insert(self.key(event), event.position().get());
            assert!(
                self.is_disordered || before < Some(event.position().get()),
                "results come in the order of their key"
            );
        }
        for (number, fate) in self.fates.iter().filter(|(_, fate)| self.commits && fate.is_done_for_good) {
            let has_result = seen.contains(number) || fate.is_skipped;
            assert!(has_result || !events.contains_key(number), "event {number} is done and has no result");
        }
    }

    /// Whatever a commit was told: an event that has its result is done.
    fn note_results(&mut self, store: &EventStore) {
        for result in store.read_all().matching(Query::all().of_type("result")) {
            self.fates.entry(number(&result.expect("an event"))).or_default().is_done = true;
        }
    }

    /// Has everything handled, and looks whether everything was.
    fn settle(&mut self) {
        self.disk.heal();
        let mut idle = 0;
        while idle < 50 {
            let before = self.handed_out;
            if idle % 10 == 0 {
                // It stops by itself where too much is parked.
                let control = self.store().consumer(NAME);
                control.resume().expect("it goes on");
                control.redeliver_all().expect("all are handed out");
                self.is_paused = false;
            }
            self.take().expect("nothing fails any more");
            if let Some(Hand { delivery, .. }) = self.hands.pop() {
                if self.commits {
                    let results: Vec<NewEvent> = delivery.events().iter().map(|of| result(of.event())).collect();
                    let mut batch = delivery.batch().append(&name("results"), ExpectedVersion::Any, results);
                    if self.has_keys {
                        batch = batch.once(format!("of {}", number(delivery.event())));
                    }
                    delivery.commit(batch).wait().expect("nothing fails any more");
                } else {
                    delivery.ack().expect("it is in hand");
                }
                delivery.events().iter().for_each(|of| self.done(of.event()));
            }
            self.disk.advance(Duration::from_millis(20));
            idle = if before == self.handed_out { idle + 1 } else { 0 };
        }
        let store = self.store();
        for event in wanted(&store) {
            let is_done = self.fates.get(&number(&event)).is_some_and(|fate| fate.is_done);
            assert!(is_done, "event {} was skipped", event.position());
        }
        let info = store.consumer(NAME).info().expect("it is there");
        assert_eq!((info.position(), info.parked()), (store.head().expect("a head"), 0), "nothing is left");
        self.check_results(&store);
        self.members.clear();
        store.close().expect("it closes");
        drop(store);
        self.store = None;
    }
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

fn number(event: &RecordedEvent) -> u64 {
    u64::from_le_bytes(event.data()[..8].try_into().expect("eight bytes"))
}

fn result(event: &RecordedEvent) -> NewEvent {
    NewEvent::bytes("result", event.data()[..8].to_vec())
}

fn wanted(store: &EventStore) -> Vec<RecordedEvent> {
    let read = store.read_all().matching(Query::all().of_type("wanted"));
    read.into_iter().map(|event| event.expect("an event")).collect()
}
