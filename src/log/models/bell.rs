//! The bell of the store's own thread.

use crate::log::{Bell, Ring};
use crate::sync::explore::{explore, spawn};
use crate::sync::{Arc, Mutex};
use std::time::Duration;

/// What there is to do, and the bell that says so.
#[derive(Clone)]
struct Work {
    bell: Arc<Bell>,
    left: Arc<Mutex<u32>>,
}

impl Work {
    fn new() -> Work {
        Work { bell: Arc::new(Bell::new()), left: Arc::new(Mutex::new(0)) }
    }

    /// Does all there is to do at each ring; how much it was until the bell stopped.
    fn listen(&self, limit: Option<Duration>) -> u32 {
        let mut done = 0;
        while self.bell.listen(limit) != Ring::Stopped {
            done += std::mem::take(&mut *self.left.lock());
        }
        done
    }
}

#[test]
fn whoever_listens_does_all_that_was_rung_or_nudged_for() {
    explore("rings and nudges", 5, || {
        let work = Work::new();
        let (ringing, listening) = (work.clone(), work.clone());
        // Ends only when both were done: a ring that is lost is a listener that sleeps for ever.
        let listener = spawn(move || {
            let mut done = 0;
            while done < 2 {
                assert_eq!(listening.bell.listen(None), Ring::Rung);
                done += std::mem::take(&mut *listening.left.lock());
            }
        });
        let ringer = spawn(move || {
            *ringing.left.lock() += 1;
            ringing.bell.ring();
        });
        *work.left.lock() += 1;
        work.bell.nudge();
        ringer.join().expect("it ends");
        listener.join().expect("it ends");
    });
}

#[test]
fn a_nudge_between_two_looks_is_not_slept_over() {
    explore("a nudge between two looks", 5, || {
        let work = Work::new();
        let listening = work.clone();
        // A keeper at work looks for a short time and then, with nothing in sight, sleeps without a limit.
        let listener = spawn(move || {
            let mut done = 0;
            let mut limit = Some(Duration::from_millis(1));
            while done == 0 {
                listening.bell.listen(limit);
                done = std::mem::take(&mut *listening.left.lock());
                limit = None;
            }
        });
        *work.left.lock() += 1;
        work.bell.nudge();
        listener.join().expect("it ends");
    });
}

#[test]
fn stopping_ends_whoever_listens_whatever_was_rung() {
    explore("stopping", 5, || {
        let work = Work::new();
        let (ringing, listening) = (work.clone(), work.clone());
        let listener = spawn(move || listening.listen(None));
        let ringer = spawn(move || {
            ringing.bell.ring();
            ringing.bell.nudge();
        });
        work.bell.stop();
        ringer.join().expect("it ends");
        listener.join().expect("it ends");
        assert_eq!(work.bell.listen(None), Ring::Stopped);
    });
}
