//! Leading, following and closing.

use super::*;
use crate::log::CloseState;
use crate::sync::explore::{block_on, explore, spawn};
use std::future::poll_fn;
use std::time::Duration;

#[test]
fn two_threads_that_wait_both_get_a_receipt_and_there_is_one_order() {
    explore("two threads that wait", 5, || {
        let ground = Ground::new();
        let other = ground.clone();
        let other = spawn(move || other.append("b").and_then(|ticket| other.wait(&ticket)).expect("committed"));
        let a = ground.append("a").and_then(|ticket| ground.wait(&ticket)).expect("committed");
        let b = other.join().expect("it ends");
        assert_eq!(a.get() + b.get(), 3);
        let order = if a < b { ["a", "b"] } else { ["b", "a"] };
        assert_eq!(ground.survivors(), order);
    });
}

#[test]
fn an_append_that_is_waited_for_one_that_is_polled_and_one_that_is_dropped_are_all_committed() {
    explore("waiting, polling, dropping", 2, || {
        let ground = Ground::begun(Durability::Synced);
        let (tasks, keeper) = (ground.clone(), ground.clone());
        let keeper = spawn(move || keeper.keep());
        let tasks = spawn(move || {
            drop(tasks.append("dropped").expect("the log is open"));
            tasks.log.demand();
            let polled = tasks.append("polled").expect("the log is open");
            tasks.seen(block_on(poll_fn(|context| tasks.log.poll(&polled, context)))).expect("committed");
        });
        ground.append("waited").and_then(|ticket| ground.wait(&ticket)).expect("committed");
        tasks.join().expect("it ends");
        ground.log.bell().stop();
        keeper.join().expect("it ends");
        let mut survivors = ground.survivors();
        assert!(survivors.is_sorted_by_key(|name| name != "begun"));
        survivors.sort_unstable();
        assert_eq!(survivors, ["begun", "dropped", "polled", "waited"]);
    });
}

#[test]
fn a_thread_whose_time_is_up_as_it_is_called_to_lead_leaves_nothing_undone() {
    explore("time is up", 2, || {
        let ground = Ground::begun(Durability::Synced);
        let (tasks, keeper) = (ground.clone(), ground.clone());
        let keeper = spawn(move || keeper.keep());
        let tasks = spawn(move || {
            let polled = tasks.append("polled").expect("the log is open");
            block_on(poll_fn(|context| tasks.log.poll(&polled, context))).expect("committed");
        });
        let other = ground.clone();
        let other = spawn(move || other.append("led").and_then(|ticket| other.wait(&ticket)).expect("committed"));
        let late = ground.append("late").expect("the log is open");
        let _ = ground.log.wait_for(&late, Some(Duration::from_millis(2)));
        tasks.join().expect("it ends");
        other.join().expect("it ends");
        ground.log.flush().expect("it flushes");
        ground.log.bell().stop();
        keeper.join().expect("it ends");
        assert_eq!(ground.survivors().len(), 4);
    });
}

#[test]
fn an_append_beside_closing_is_committed_or_refused() {
    explore("closing beside an append", 5, || {
        let ground = Ground::begun(Durability::Synced);
        let other = ground.clone();
        let other = spawn(move || other.append("late").and_then(|ticket| other.wait(&ticket)));
        ground.log.close().expect("it closes");
        let names: &[&str] = match other.join().expect("it ends") {
            Ok(_) => &["begun", "late"],
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                &["begun"]
            }
        };
        let found = found(&ground.disk.crash());
        assert_eq!(found.visitor, names);
        assert_eq!(found.report.close_state(), CloseState::Clean, "nothing stands behind the close record");
        assert_eq!(kind(ground.append("later").map(|_| ())), ErrorKind::Closed);
    });
}
