//! A disk that fails under the one who leads.

use super::*;
use crate::storage::Act;
use crate::sync::explore::{explore, spawn};

/// An append, a second one and a flush on three threads while an act of the disk fails.
fn check_failure(act: Act) {
    let ground = Ground::begun(Durability::Synced);
    ground.disk.fail(act, 1);
    let (second, flush) = (ground.clone(), ground.clone());
    let second = spawn(move || second.append("b").and_then(|ticket| second.wait(&ticket)));
    let flush = spawn(move || flush.log.flush());
    let first = ground.append("a").and_then(|ticket| ground.wait(&ticket));
    let second = second.join().expect("it ends");
    let flush = flush.join().expect("it ends");

    // One failed, everything behind it was refused, and nothing had been there to be synced before it.
    check_refused(&ground, "a", &first);
    check_refused(&ground, "b", &second);
    let is_unknown = |answer: &Result<Position, Error>| kind(answer.clone()) == ErrorKind::OutcomeUnknown;
    assert!(is_unknown(&first) || is_unknown(&second), "the act that failed was somebody's");
    if let Err(error) = flush {
        assert!([ErrorKind::OutcomeUnknown, ErrorKind::Poisoned].contains(&error.kind()), "{error}");
    }
    assert_eq!(kind(ground.append("c").map(|_| ())), ErrorKind::Poisoned);
    assert_eq!(kind(ground.log.flush()), ErrorKind::Poisoned);
    assert_eq!(*ground.shown.head.read(), Position::new(1), "what failed is not visible");
    assert_eq!(ground.survivors(), ["begun"]);
    assert!(ground.log.close().is_err());
    assert_eq!(ground.survivors(), ["begun"]);
}

/// Whoever is told that nothing was written finds nothing.
fn check_refused(ground: &Ground, name: &str, answer: &Result<Position, Error>) {
    match answer.as_ref().expect_err("a receipt from a disk that fails").kind() {
        ErrorKind::OutcomeUnknown => {}
        ErrorKind::Poisoned => assert!(!ground.written().iter().any(|written| written == name), "{name} was written"),
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn a_batch_that_was_written_before_the_sync_behind_it_failed_is_not_called_refused() {
    explore("a sync in the background fails", 3, || {
        let ground = Ground::begun(Durability::Written);
        ground.append("written").and_then(|ticket| ground.wait(&ticket)).expect("nothing fails yet");
        ground.disk.fail(Act::Sync, 1);
        let syncing = ground.clone();
        let syncer = spawn(move || syncing.log.sync_behind());
        let answer = ground.append_as("b", Durability::Synced, 8).and_then(|ticket| ground.wait(&ticket));
        check_refused(&ground, "b", &answer);
        // Whichever of the two came first found the failure; what the other found is that, or nothing left to do.
        let _ = syncer.join().expect("it ends");
        assert_eq!(kind(ground.log.flush()), ErrorKind::Poisoned);
        assert_eq!(ground.survivors(), ["begun"]);
    });
}

#[test]
fn after_a_sync_that_failed_nobody_gets_a_receipt_and_everybody_an_answer() {
    explore("a sync fails", 3, || check_failure(Act::Sync));
}

#[test]
fn after_a_write_that_failed_nobody_gets_a_receipt_and_everybody_an_answer() {
    explore("a write fails", 3, || check_failure(Act::Write));
}
