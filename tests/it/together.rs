//! What is decided over several aggregates is decided over states that were there together, also where nothing is appended.

use super::support::name;
use scorebook::ExpectedVersion::Any;
use scorebook::{
    Aggregate, Event, EventContext, EventStore, ExecuteError, NewEvent, Query, Receipt, StreamName, Together,
};

scorebook::events! {
    #[derive(Clone, Debug, PartialEq)]
    enum Counted {
        Up(u32) = "counted_up", 1;
    }
}

/// What has come to a counter.
#[derive(Clone, Debug)]
struct Counter {
    sum: u32,
}

impl Aggregate for Counter {
    type Event = Counted;
    type Command = u32;
    type Refusal = String;

    fn new(_: &StreamName) -> Counter {
        Counter { sum: 0 }
    }

    fn decide(&self, up: &u32) -> Result<Vec<Counted>, String> {
        Ok(vec![Counted::Up(*up)])
    }

    fn apply(&mut self, Counted::Up(up): &Counted, _: &EventContext<'_>) {
        self.sum += up;
    }
}

fn up(number: u32) -> NewEvent {
    Counted::Up(number).encode().expect("JSON")
}

/// Whoever writes keeps two counters equal, always in one batch.
fn move_both(store: &EventStore, by: u32) {
    let batch = store.batch().append(&name("counter-a"), Any, [up(by)]).append(&name("counter-b"), Any, [up(by)]);
    batch.commit().wait().expect("a receipt");
}

/// Decides over both, where they are moved between the first look at one and the first at the other; what comes of it, and
/// how often it was decided.
fn decided_over_both<R>(
    decide: impl Fn(&mut Together<'_>, u32, u32) -> Result<(), ExecuteError<R>>,
) -> (Result<Option<Receipt>, ExecuteError<R>>, u32) {
    let store = EventStore::open_in_memory().expect("a store");
    move_both(&store, 1);
    let mut calls = 0;
    let execution = store.together(|together| {
        calls += 1;
        let a = together.load::<Counter>(&name("counter-a"))?.state().sum;
        if calls == 1 {
            move_both(&store, 5);
        }
        let b = together.load::<Counter>(&name("counter-b"))?.state().sum;
        decide(together, a, b)
    });
    (execution.wait(), calls)
}

#[test]
fn a_refusal_over_states_that_never_were_together_is_no_answer() {
    let (outcome, calls) = decided_over_both(|_, a, b| Err(ExecuteError::Refused((a, b))));
    assert_eq!(outcome.expect_err("it is refused in any case").refusal(), Some(&(6, 6)));
    assert_eq!(calls, 2);
}

#[test]
fn nothing_that_follows_from_states_that_never_were_together_is_no_answer_either() {
    let (outcome, calls) = decided_over_both::<()>(|together, a, b| {
        if a == b {
            together.append(&name("counter-a"), Any, [up(0)]);
        }
        Ok(())
    });
    assert!(outcome.expect("nothing is refused").is_some(), "{calls} calls");
}

#[test]
fn the_last_attempt_over_such_states_is_a_conflict() {
    let store = EventStore::open_in_memory().expect("a store");
    let mut calls = 0;
    let outcome = store.together(|together| {
        together.load::<Counter>(&name("counter-a"))?;
        calls += 1;
        move_both(&store, 1);
        Err::<(), ExecuteError<()>>(ExecuteError::Refused(()))
    });
    let conflict = outcome.attempts(1).wait().expect_err("it went on");
    assert!(conflict.conflict().is_some() && calls == 1, "{conflict:?}");
}

/// Decides over what a query asks for, of which there is more by the time it answers for the first time.
fn decided_over_a_read<R>(
    decide: impl Fn(&mut Together<'_>, u64) -> Result<(), ExecuteError<R>>,
) -> (Result<Option<Receipt>, ExecuteError<R>>, u32) {
    let store = EventStore::open_in_memory().expect("a store");
    move_both(&store, 1);
    let mut calls = 0;
    let execution = store.together(|together| {
        calls += 1;
        let seen = together.read(Query::all().of_type("counted_up"))?.count()?;
        if calls == 1 {
            move_both(&store, 5);
        }
        decide(together, seen)
    });
    (execution.wait(), calls)
}

#[test]
fn what_was_read_is_a_condition_of_the_batch_and_of_every_other_answer() {
    let (outcome, calls) = decided_over_a_read::<()>(|together, seen| {
        together.append(&name("seen"), Any, [up(seen as u32)]);
        Ok(())
    });
    assert!(outcome.expect("nothing is refused").is_some() && calls == 2);

    let (outcome, calls) = decided_over_a_read(|_, seen| Err(ExecuteError::Refused(seen)));
    assert!(outcome.expect_err("it is refused in any case").refusal() == Some(&4) && calls == 2);

    let (outcome, calls) = decided_over_a_read::<()>(|_, _| Ok(()));
    assert!(outcome.expect("nothing followed").is_none() && calls == 2);
}

#[test]
fn what_others_append_that_no_read_asked_for_is_no_reason_to_decide_again() {
    let store = EventStore::open_in_memory().expect("a store");
    let mut calls = 0;
    let execution = store.together(|together| {
        calls += 1;
        let read = together.read(Query::all().of_type("counted_up").tag("player", 7))?;
        move_both(&store, 1);
        together.append(&name("seen"), Any, [up(read.count()? as u32)]);
        Ok::<(), ExecuteError<()>>(())
    });
    assert!(execution.wait().expect("nothing is refused").is_some());
    assert_eq!(calls, 1);
}
