//! Things that are open, a bounded number of them: the one that was not used for longest is closed for another.

use crate::sync::{Arc, AtomicU32, AtomicU64, Mutex, Ordering};
use std::collections::VecDeque;

/// Keeps things open for whoever uses them again. Each is known by a number that its user was given.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    /// The one that was not used for longest stands first.
    things: Mutex<VecDeque<(u64, Arc<T>)>>,
    next_number: AtomicU64,
    limit: usize,
    /// How many were closed and not found again when they were wanted.
    missed: AtomicU32,
}

impl<T> Shelf<T> {
    pub(super) fn new(limit: usize) -> Shelf<T> {
        Shelf { things: Mutex::default(), next_number: AtomicU64::new(0), limit, missed: AtomicU32::new(0) }
    }

    /// A number for something that may be put here.
    pub(super) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The thing with this number, if it is still open.
    pub(super) fn get(&self, number: u64) -> Option<Arc<T>> {
        let mut things = self.things.lock();
        let found = things.iter().rposition(|(other, _)| *other == number)?;
        let thing = things.remove(found)?;
        things.push_back(thing.clone());
        Some(thing.1)
    }

    /// Puts a thing here. What has no place any more is closed once nobody uses it.
    pub(super) fn put(&self, number: u64, thing: Arc<T>) {
        let mut things = self.things.lock();
        things.retain(|(other, _)| *other != number);
        things.push_back((number, thing));
        let surplus = things.len().saturating_sub(self.limit);
        let closed: Vec<_> = things.drain(..surplus).collect();
        // Closing may take its time.
        drop(things);
        drop(closed);
    }

    pub(super) fn remove(&self, number: u64) {
        let mut things = self.things.lock();
        let found = things.iter().rposition(|(other, _)| *other == number);
        let closed = found.and_then(|found| things.remove(found));
        drop(things);
        drop(closed);
    }

    /// Notes that something was closed and is not found again.
    pub(super) fn note_missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether anything was not found again since this was asked last.
    pub(super) fn take_missed(&self) -> bool {
        self.missed.swap(0, Ordering::Relaxed) != 0
    }

    /// Closes everything. How much there was.
    pub(super) fn clear(&self) -> usize {
        let closed = std::mem::take(&mut *self.things.lock());
        closed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_not_used_for_longest_makes_place() {
        let shelf = Shelf::new(3);
        let numbers = [(); 4].map(|()| shelf.number());
        for number in &numbers[..3] {
            shelf.put(*number, Arc::new(*number));
        }
        assert_eq!(shelf.get(numbers[0]).as_deref(), Some(&numbers[0]));
        shelf.put(numbers[3], Arc::new(numbers[3]));
        let is_there = numbers.map(|number| shelf.get(number).is_some());
        assert_eq!(is_there, [true, false, true, true]);
    }

    #[test]
    fn what_is_put_again_or_removed_takes_one_place_or_none() {
        let shelf = Shelf::new(2);
        let (first, second) = (shelf.number(), shelf.number());
        shelf.put(first, Arc::new("first"));
        shelf.put(second, Arc::new("second"));
        shelf.put(second, Arc::new("another"));
        assert_eq!((shelf.get(first).as_deref(), shelf.get(second).as_deref()), (Some(&"first"), Some(&"another")));
        shelf.remove(first);
        assert!(shelf.get(first).is_none());
        assert_eq!((shelf.clear(), shelf.clear()), (1, 0));
        assert!(shelf.get(second).is_none());
    }

    #[test]
    fn what_is_used_is_closed_only_behind_its_user() {
        let shelf = Shelf::new(1);
        let number = shelf.number();
        shelf.put(number, Arc::new(7));
        let used = shelf.get(number).unwrap();
        assert_eq!(Arc::strong_count(&used), 2);
        shelf.clear();
        assert_eq!((*used, Arc::strong_count(&used)), (7, 1));
    }
}
