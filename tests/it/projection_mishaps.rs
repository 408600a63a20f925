//! Projections where what others wrote panics around them: nothing is missing from a state, nor told twice.

use crate::support::{add, event, events, eventually, everywhere, name, number};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk, SyncFailure};
use scorebook::{
    Durability, EventContext, EventStore, ExpectedVersion, Position, Projection, Query, Rebuilt, RecordedEvent, Saving,
    View,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

thread_local! {
    static PANICS_WHEN_CLONED: Cell<bool> = const { Cell::new(false) };
}

/// The numbers there were, in a state that cannot always be copied.
#[derive(Serialize, Deserialize)]
struct Brittle(Vec<u64>);

impl Clone for Brittle {
    fn clone(&self) -> Brittle {
        assert!(!PANICS_WHEN_CLONED.get(), "it cannot be copied now");
        Brittle(self.0.clone())
    }
}

impl Projection for Brittle {
    type Event = RecordedEvent;
    const NAME: &'static str = "brittle";
    const VERSION: u32 = 1;

    fn query() -> Query {
        Query::all().of_type("counted")
    }

    fn new() -> Brittle {
        Brittle(Vec::new())
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        self.0.push(number(event));
    }

    fn saving() -> Saving {
        Saving::Never
    }
}

fn brittle(store: &EventStore) -> View<Brittle> {
    store.projection().expect("a view")
}

#[test]
fn where_a_state_cannot_be_copied_while_another_takes_its_place_nothing_is_missing() {
    let home = crate::support::Home::simulated();
    let store = home.open();
    let view = brittle(&store);
    let first = view.state();
    add(&store, &name("a"), events(1..4));
    view.reached(Position::new(3)).wait().expect("it follows");
    let second = view.state();
    add(&store, &name("a"), events(4..5));
    PANICS_WHEN_CLONED.set(true);
    let rebuilt = view.rebuild().expect("it begins").wait();
    PANICS_WHEN_CLONED.set(false);
    drop((first, second));
    if !matches!(rebuilt, Ok(Rebuilt::Switched)) {
        view.resume().expect("it goes on");
    }
    let last = add(&store, &name("a"), events(5..6)).last_position();
    let _ = view.reached(last).wait();
    view.resume().expect("it goes on");
    let numbers = view.read_at(last, |brittle| brittle.0.clone()).expect("it follows");
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[test]
fn where_who_is_told_panics_the_others_behind_are_told_all_the_same() {
    everywhere(|home| {
        let store = home.open();
        let view = brittle(&store);
        add(&store, &name("a"), events(1..2));
        view.reached(Position::new(1)).wait().expect("it follows");
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let telling = told.clone();
        view.on_change(move |_, event, _| {
            telling.lock().expect("nobody panics with it").push(number(event));
            assert!(number(event) != 3, "three is too much");
        });
        let batch = store.batch().append(&name("a"), ExpectedVersion::Any, events(2..6));
        batch.commit().wait().expect("committed");
        eventually("it stops", || {
            let _ = view.reached(Position::new(5)).wait();
            view.fault().is_some()
        });
        assert_eq!(view.fault().and_then(|fault| fault.position()), Some(Position::new(3)));
        view.resume().expect("it goes on");
        let last = add(&store, &name("a"), [event(6)]).last_position();
        view.reached(last).wait().expect("it follows");
        eventually("all are told", || 5 <= told.lock().expect("nobody panics with it").len());
        assert_eq!(*told.lock().expect("nobody panics with it"), [2, 3, 4, 5, 6]);
    });
}

#[test]
fn what_the_store_has_lost_is_not_told_again_when_it_is_folded_anew() {
    let disk = SimulatedDisk::new(7);
    let options = EventStore::options().durability(Durability::Written).sync_every(Duration::from_secs(3600));
    let store = options.open_simulated(&disk).expect("a store");
    let view = brittle(&store);
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let telling = told.clone();
    add(&store, &name("a"), events(1..3));
    store.flush().expect("flushed");
    view.reached(Position::new(2)).wait().expect("it follows");
    view.on_change(move |_, event, _| telling.lock().expect("nobody panics").push(number(event)));
    add(&store, &name("a"), events(3..5));
    view.reached(Position::new(4)).wait().expect("it follows");
    disk.set_sync_failure(SyncFailure::Revert);
    disk.fail(DiskFault::new(DiskOperation::Sync, std::io::ErrorKind::Other));
    store.flush().expect_err("the sync fails");
    disk.heal();
    store.reopen().expect("it opens again");
    assert_eq!(view.read_at(Position::new(2), |brittle| brittle.0.clone()).expect("it is there"), [1, 2]);
    let last = add(&store, &name("a"), events(13..14)).last_position();
    assert_eq!(view.read_at(last, |brittle| brittle.0.clone()).expect("it follows"), [1, 2, 13]);
    assert_eq!(*told.lock().expect("nobody panics"), [3, 4, 13], "what is folded anew is not new");
}

#[test]
fn what_is_folded_anew_ahead_of_the_one_that_follows_is_not_folded_in_twice() {
    let home = crate::support::Home::simulated();
    let store = home.open();
    let view = brittle(&store);
    add(&store, &name("a"), events(1..4));
    view.rebuild().expect("it begins").wait().expect("it is rebuilt");
    assert_eq!(view.read(|brittle| brittle.0.clone()), [1, 2, 3]);
    let last = add(&store, &name("a"), events(4..6)).last_position();
    assert_eq!(view.read_at(last, |brittle| brittle.0.clone()).expect("it follows"), [1, 2, 3, 4, 5]);
}

thread_local! {
    static FACTOR: Cell<u64> = const { Cell::new(1) };
}

/// A sum that was wrong until somebody mended it.
#[derive(Clone, Serialize, Deserialize)]
struct Mended(u64);

impl Projection for Mended {
    type Event = RecordedEvent;
    const NAME: &'static str = "mended";
    const VERSION: u32 = 2;

    fn query() -> Query {
        Query::all().of_type("counted")
    }

    fn new() -> Mended {
        Mended(0)
    }

    fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
        self.0 += FACTOR.get() * number(event);
    }
}

#[test]
fn of_the_state_before_a_rebuild_nothing_comes_back() {
    let home = crate::support::Home::simulated();
    let store = home.open();
    let view = store.projection::<Mended>().expect("a view");
    for first in [1, 3] {
        let last = add(&store, &name("a"), events(first..first + 2)).last_position();
        view.reached(last).wait().expect("it follows");
    }
    assert_eq!(view.read(|sum| sum.0), 10);
    FACTOR.set(10);
    view.rebuild().expect("it begins").wait().expect("it is rebuilt");
    assert_eq!(view.read(|sum| sum.0), 100);
    for (number, sum) in [(5, 150), (6, 210), (7, 280)] {
        let last = add(&store, &name("a"), events(number..number + 1)).last_position();
        assert_eq!(view.read_at(last, |mended| mended.0).expect("it follows"), sum);
    }
    FACTOR.set(1);
}

#[test]
fn of_two_saved_states_the_older_one_serves_where_the_newer_one_is_torn() {
    let disk = SimulatedDisk::new(7);
    let mut saved = BTreeSet::new();
    for opening in 0..3 {
        let store = EventStore::options().open_simulated(&disk).expect("a store");
        let view = store.projection::<Mended>().expect("a view");
        for _ in 0..2 {
            let before: BTreeMap<String, Vec<u8>> = disk.contents();
            let last = add(&store, &name("a"), events(1..2)).last_position();
            view.reached(last).wait().expect("it follows");
            view.save().expect("it is saved");
            let changed = disk.contents().into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes));
            let changed: Vec<(String, Vec<u8>)> = changed.filter(|(path, _)| path.starts_with("snapshots/")).collect();
            assert_eq!(changed.len(), 1, "one file is written: {changed:?}");
            // The one that was written before is still whole.
            let copy = disk.kill();
            let (path, bytes) = &changed[0];
            copy.flip_bit(path, bytes.len() as u64 - 1, 1);
            let copy = EventStore::options().open_simulated(&copy).expect("it opens");
            let older = copy.projection::<Mended>().expect("a view").saved();
            let expected = saved.last().copied().unwrap_or(Position::BEGINNING);
            assert_eq!(older, expected, "opening {opening}");
            saved.insert(last);
        }
        store.close().expect("it closes");
    }
}

#[test]
fn a_new_version_removes_its_own_older_states_and_no_other() {
    let disk = SimulatedDisk::new(7);
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), events(1..3));
    let view = store.projection::<Mended>().expect("a view");
    view.reached(Position::new(2)).wait().expect("it follows");
    view.save().expect("it is saved");
    let path = |disk: &SimulatedDisk| disk.file_names().into_iter().find(|path| path.starts_with("snapshots/"));
    let saved = path(&disk).expect("it is there");
    let named = |from: &str, to: &str| saved.replacen(from, to, 1);
    let (older, newer, text) = (named("-2-", "-1-"), named("-2-", "-9-"), named("-2-", "-01-"));
    let (other_key, before) = (saved.split('-').nth(1).expect("a key").to_owned(), "0123456789abcdef");
    let other = older.replacen(&other_key, before, 1);
    let names = [&older, &newer, &text, &other];
    names.iter().for_each(|file| disk.write_file(file, b"of another time"));
    drop((view, store));
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), events(3..4));
    let view = store.projection::<Mended>().expect("a view");
    view.reached(Position::new(3)).wait().expect("it follows");
    view.save().expect("it is saved");
    assert_eq!(names.map(|file| disk.contents().contains_key(file)), [false, true, true, true]);
}
