//! Stories of those who follow a store: a consumer that commits its results, and a projection that saves its state. Each is
//! stopped at every operation that changes the disk, and what a power cut or a kill may leave there is opened: every event
//! has its result once, and no state is wrong. Then the same again, one deeper.

use super::chance::{Chance, Choices};
use super::crashes::{Thoroughness, choices};
use scorebook::testing::{CrashChoice, SimulatedDisk};
use scorebook::{
    AppendError, Backoff, Consumer, Durability, Error, EventContext, EventStore, ExpectedVersion, Member, NewEvent,
    Options, Position, Projection, Query, RecordedEvent, Saving, Start, StreamName, Verdict, View,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What somebody does who follows, or has to follow.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many events come in a stream, synced.
    Append(&'static str, u64),
    /// The same, written.
    Write(&'static str, u64),
    /// So many deliveries are handled, each with its results in one batch with the checkpoint.
    Handle(u64),
    /// A delivery is taken, and its last event parked; the others are handed out again.
    Park,
    /// What is parked is handed out again.
    Redeliver,
    /// It is paused and resumed.
    Pause,
    /// The projection folds in what there is.
    Fold,
    /// The same, and its state is written down.
    Save,
    /// It is folded anew beside the one that is there.
    Rebuild,
    /// Nothing happens for a while.
    Rest,
    /// The store is closed and opened.
    Close,
}

/// What those who follow do.
pub(crate) struct Following {
    pub(crate) name: &'static str,
    acts: &'static [Act],
}

/// Every story there is.
pub(crate) fn followings() -> Vec<Following> {
    use Act::{Append, Close, Fold, Handle, Park, Pause, Rebuild, Redeliver, Rest, Save, Write};
    let story = |name, acts| Following { name, acts };
    vec![
        story("each event is handled as it comes", &[Append("a", 1), Handle(1), Append("a", 1), Handle(1)]),
        story(
            "results for what is only written",
            &[Write("a", 2), Handle(1), Write("b", 1), Handle(2), Append("a", 1)],
        ),
        story(
            "handled over closings",
            &[Append("a", 4), Handle(1), Close, Handle(1), Append("b", 2), Close, Handle(1)],
        ),
        story("several streams at once", &[Append("a", 3), Append("b", 3), Handle(2), Write("a", 2), Rest, Handle(3)]),
        story(
            "parked, closed and handed out again",
            &[Append("a", 3), Park, Append("a", 1), Append("b", 1), Handle(1), Close, Redeliver, Handle(2), Close],
        ),
        story(
            "parked and handed out again, over and over",
            &[Append("a", 2), Park, Redeliver, Park, Redeliver, Handle(1), Append("a", 1), Handle(1)],
        ),
        story("paused", &[Append("a", 2), Pause, Handle(1), Pause, Close, Handle(1)]),
        story("a state that is saved", &[Append("a", 3), Save, Append("b", 2), Save, Write("a", 1), Save]),
        story("a state that is saved at the end", &[Append("a", 3), Fold, Close, Append("a", 2), Fold, Close, Save]),
        story("a state that is folded anew", &[Append("a", 2), Save, Rebuild, Append("a", 1), Save, Rebuild, Close]),
        story(
            "results, states and what is only written",
            &[Write("a", 2), Save, Handle(1), Write("b", 2), Save, Rest, Close, Handle(2), Fold, Close],
        ),
    ]
}

/// The numbers of each stream, and how many results there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    numbers: BTreeMap<String, Vec<u64>>,
    results: u64,
}

impl Tally {
    /// What it should be, straight from the log.
    fn of(store: &EventStore) -> Tally {
        let mut tally = Tally::default();
        for event in store.read_all() {
            let event = event.expect("an event");
            match event.event_type() {
                "counted" => tally.numbers.entry(event.stream().to_owned()).or_default().push(number(&event)),
                _ => tally.results += 1,
            }
        }
        tally
    }
}

impl Projection for Tally {
    type Event = RecordedEvent;
    const NAME: &'static str = "tally";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all()
    }

    fn new() -> Tally {
        Tally::default()
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        match event.event_type() {
            "counted" => self.numbers.entry(event.stream().to_owned()).or_default().push(number(event)),
            _ => self.results += 1,
        }
    }

    fn saving() -> Saving {
        Saving::AtClose
    }
}

fn number(event: &RecordedEvent) -> u64 {
    event.json().expect("a number")
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

/// One opening of a store, with those who follow it.
struct Life {
    store: EventStore,
    member: Member,
    view: View<Tally>,
}

impl Life {
    fn begin(disk: &SimulatedDisk) -> Result<Life, Error> {
        let store = options().open_simulated(disk)?;
        let consumer = Consumer::new("results", Query::all().of_type("counted"), Start::Beginning);
        let consumer = consumer.batch(2, Duration::ZERO).checkpoint_every(1);
        let member = store.join(&consumer.backoff(Backoff::new(Duration::ZERO, Duration::ZERO)))?;
        let view = store.projection()?;
        Ok(Life { store, member, view })
    }

    fn act(&mut self, act: Act, disk: &SimulatedDisk) -> Result<(), Error> {
        match act {
            Act::Append(stream, events) => self.append(stream, events, Durability::Synced),
            Act::Write(stream, events) => self.append(stream, events, Durability::Written),
            Act::Handle(deliveries) => (0..deliveries).try_for_each(|_| self.handle().map(drop)),
            Act::Park => {
                let Some(delivery) = self.member.try_next()? else {
                    return Ok(());
                };
                let last = delivery.events().last().map_or(Position::BEGINNING, |last| last.event().position());
                delivery.nack_position(last, Verdict::Park, "by the story")
            }
            Act::Redeliver => self.store.consumer("results").redeliver_all().map(drop),
            Act::Pause => {
                self.store.consumer("results").pause("by the story")?;
                self.store.consumer("results").resume()
            }
            Act::Fold => self.fold(),
            Act::Save => {
                self.fold()?;
                self.view.save()
            }
            Act::Rebuild => self.view.rebuild()?.wait().map(drop),
            Act::Rest => {
                disk.advance(Duration::from_secs(2));
                self.store.keep_house();
                self.member.try_next().map(drop)
            }
            Act::Close => {
                self.store.close()?;
                *self = Life::begin(disk)?;
                Ok(())
            }
        }
    }

    fn append(&self, stream: &str, events: u64, durability: Durability) -> Result<(), Error> {
        let first = self.store.head()?.get() + 1;
        let events: Result<Vec<NewEvent>, Error> =
            (first..first + events).map(|number| NewEvent::json("counted", &number)).collect();
        let batch = self.store.batch().append(&name(stream), ExpectedVersion::Any, events?);
        batch.durability(durability).commit().wait().map(drop).map_err(AppendError::into_error)
    }

    /// Handles what comes next; whether something did.
    fn handle(&mut self) -> Result<bool, Error> {
        let Some(delivery) = self.member.try_next()? else {
            return Ok(false);
        };
        let of = delivery.events().iter().map(|of| of.event().position().get());
        let results: Result<Vec<NewEvent>, Error> = of.map(|at| NewEvent::json("result", &at)).collect();
        let batch = delivery.batch().append(&name("results"), ExpectedVersion::Any, results?);
        delivery.commit(batch).wait().map_err(AppendError::into_error)?;
        Ok(true)
    }

    fn fold(&self) -> Result<(), Error> {
        self.view.reached(self.store.head()?).wait()
    }

    /// Has everything handled and folded in.
    fn finish(&mut self) -> Result<(), Error> {
        self.store.consumer("results").resume()?;
        self.store.consumer("results").redeliver_all()?;
        while self.handle()? {}
        self.fold()?;
        self.view.save()
    }

    /// No event has two results, and where none was set aside they come in order; where all is finished, each has one.
    fn check(&self, story: &Following, is_finished: bool, whence: &dyn fmt::Display) {
        let (mut events, mut seen, mut last) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let is_ordered = !story.acts.iter().any(|act| matches!(act, Act::Park));
        for event in self.store.read_all() {
            let event = event.unwrap_or_else(|error| panic!("{whence}: {error:?}"));
            if event.event_type() == "counted" {
                events.insert(event.position().get(), event.stream().to_owned());
                continue;
            }
            let of = number(&event);
            let stream = events.get(&of).unwrap_or_else(|| panic!("{whence}: a result of {of}, which is not there"));
            assert!(seen.insert(of), "{whence}: event {of} has two results");
            let before = last.insert(stream.clone(), of);
            assert!(!is_ordered || before < Some(of), "{whence}: {of} comes behind {before:?}");
        }
        if is_finished {
            assert!(events.keys().eq(&seen), "{whence}: {events:?} and results of {seen:?}");
            assert_eq!(*self.view.state(), Tally::of(&self.store), "{whence}");
        }
    }
}

fn tell(story: &Following, disk: &SimulatedDisk) -> Result<(), Error> {
    let mut life = Life::begin(disk)?;
    story.acts.iter().try_for_each(|act| life.act(*act, disk))
}

/// How many operations change the disk while a story is told.
pub(crate) fn operations_of_following(story: &Following, seed: u64) -> u64 {
    let disk = SimulatedDisk::new(seed);
    tell(story, &disk).unwrap_or_else(|error| panic!("story `{}`: {error:?}", story.name));
    let operations = disk.mutations();
    survive(&disk.kill(), story, &story.name);
    operations
}

/// Stops a story at one of its operations, and looks at what that may leave. Gives the number of states.
pub(crate) fn stop_and_follow(story: &Following, seed: u64, stop_at: u64, how: Thoroughness) -> u64 {
    let mut chance = Chance(seed ^ stop_at.wrapping_mul(0x9E37_79B9));
    let disk = SimulatedDisk::new(seed);
    disk.stop_at(stop_at);
    // Where the power goes, this is an error.
    let _ = tell(story, &disk);
    let mut states = 0;
    for choice in choices(&disk, &mut chance, how) {
        survive(&disk.crash(&choice), story, &Whence { story, seed, stop_at, then: &choice, again: None });
        states += 1;
    }
    survive(&disk.kill(), story, &Whence { story, seed, stop_at, then: &"killed", again: None });
    states += 1;
    if how.deep_one_in != 0 && chance.below(how.deep_one_in) == 0 {
        for _ in 0..how.deep_firsts {
            let choice = CrashChoice::Seeded(chance.next());
            let whence = Whence { story, seed, stop_at, then: &choice, again: None };
            states += crash_again(&disk.crash(&choice), &whence, &mut chance, how);
        }
    }
    states
}

/// Cuts the power a second time, at every operation of opening and of finishing what was begun.
fn crash_again(crashed: &SimulatedDisk, first: &Whence<'_>, chance: &mut Chance, how: Thoroughness) -> u64 {
    let again = |stop_at: Option<u64>| {
        let disk = crashed.kill();
        let before = disk.mutations();
        stop_at.into_iter().for_each(|stop_at| disk.stop_at(before + stop_at));
        let _ = Life::begin(&disk).and_then(|mut life| life.finish());
        (disk.mutations() - before, disk)
    };
    let (operations, _) = again(None);
    let mut states = 0;
    for stop_at in 1..=operations {
        if 1 < how.deep_stop_one_in && chance.below(how.deep_stop_one_in) != 0 {
            continue;
        }
        let (_, disk) = again(Some(stop_at));
        for number in 0..how.deep_seconds {
            let choice = match number {
                0 => CrashChoice::LoseAll,
                1 => CrashChoice::KeepAll,
                _ => CrashChoice::Seeded(chance.next()),
            };
            survive(&disk.crash(&choice), first.story, &Whence { again: Some((stop_at, choice.clone())), ..*first });
            states += 1;
        }
    }
    states
}

/// Opens what a crash left, and finishes what was begun.
fn survive(disk: &SimulatedDisk, story: &Following, whence: &dyn fmt::Display) {
    let mut life = Life::begin(disk).unwrap_or_else(|error| panic!("{whence}: opening: {error:?}"));
    assert_eq!(life.store.recovery_report().damage(), [], "{whence}: a crash is no damage");
    life.check(story, false, whence);
    life.fold().unwrap_or_else(|error| panic!("{whence}: folding: {error:?}"));
    assert_eq!(*life.view.state(), Tally::of(&life.store), "{whence}: by a saved state");
    life.finish().unwrap_or_else(|error| panic!("{whence}: finishing: {error:?}"));
    life.check(story, true, whence);
    life.store.close().unwrap_or_else(|error| panic!("{whence}: closing: {error:?}"));
    let mut life = Life::begin(disk).unwrap_or_else(|error| panic!("{whence}: again: {error:?}"));
    let handled = life.handle().unwrap_or_else(|error| panic!("{whence}: again: {error:?}"));
    assert!(!handled, "{whence}: something is handed out that is done");
    life.check(story, true, whence);
}

/// Where a comparison stands: the text of a failed one.
#[derive(Clone)]
struct Whence<'a> {
    story: &'a Following,
    seed: u64,
    stop_at: u64,
    then: &'a dyn fmt::Debug,
    again: Option<(u64, CrashChoice)>,
}

impl fmt::Display for Whence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Whence { story, seed, stop_at, then, again } = self;
        write!(f, "story `{}`, seed {seed}, stopped at mutation {stop_at}, {then:?}", story.name)?;
        match again {
            Some((stop_at, choice)) => write!(f, ", then at mutation {stop_at} of what follows, {choice:?}"),
            None => Ok(()),
        }
    }
}
