//! Conditions of a batch: what must not have happened for it to be accepted.

use super::support::{
    Home, add, check_says, conflict, differences, everywhere, name, positions, small_segments, trouble,
    version_conflict, wherever_it_lasts, wherever_threads_are,
};
use crate::model::{Chance, Choices, seed};
use scorebook::ExpectedVersion::{Any, NoStream};
use scorebook::testing::SimulatedDisk;
use scorebook::{
    AppendError, BatchBuilder, Conflict, ErrorKind, EventStore, NewEvent, PendingReceipt, Position, Query, Receipt,
};

fn tagged(event_type: &str, player: usize) -> NewEvent {
    NewEvent::bytes(event_type, [7; 20]).tag("player", player)
}

fn joined(player: usize) -> Query {
    Query::all().of_type("joined").tag("player", player)
}

fn unless(number: usize, after: u64, position: u64) -> Conflict {
    Conflict::Unless { number, after: Position::new(after), position: Position::new(position) }
}

fn join(store: &EventStore, player: usize, query: Query) -> Result<Receipt, AppendError> {
    store.batch().append(&name("team-1"), Any, [tagged("joined", player)]).unless(query).commit().wait()
}

#[test]
fn any_match_anywhere_refuses_and_nothing_is_written() {
    wherever_it_lasts(|home| {
        let store = home.open_with(&small_segments());
        join(&store, 1, joined(1)).expect("nobody has joined");
        for other in 0..60 {
            add(&store, &name("noise"), [NewEvent::bytes("other", vec![0; 2_000]).tag("player", 1).tag("n", other)]);
        }
        assert!(2 < store.stats().expect("numbers").segments(), "it lies in another segment by now");
        let store = home.reopen(store, &small_segments());
        let before = home.contents();
        assert_eq!(conflict(join(&store, 1, joined(1))), unless(1, 0, 1));
        assert_eq!(differences(&before, &home.contents()), Vec::<String>::new());
        let text = conflict(join(&store, 1, joined(1))).to_string();
        assert_eq!(text, "condition 1: the event at position 1 was to be absent");
        assert_eq!(store.head().expect("a head").get(), 61);
        // Of the same type and of the same player, and of both in two events: that is no match.
        join(&store, 2, joined(2)).expect("nobody of that number has joined");
        join(&store, 2, Query::all().of_type("other").tag("player", 2)).expect("no such event");
    });
}

#[test]
fn behind_a_position_counts_what_lies_behind_it_and_nothing_else() {
    everywhere(|home| {
        let store = home.open();
        let query = |after| joined(1).after(Position::new(after));
        join(&store, 1, query(0)).expect("an empty store holds nothing");
        join(&store, 1, query(1)).expect("the match at 1 lies not behind 1");
        add(&store, &name("a"), [tagged("left", 1)]);
        assert_eq!(conflict(join(&store, 1, query(1))), unless(1, 1, 2));
        assert_eq!(conflict(join(&store, 1, query(0))), unless(1, 0, 1), "the first of several is named");
        let text = conflict(join(&store, 1, query(1))).to_string();
        assert_eq!(text, "condition 1: the event at position 2 was to be absent behind position 1");
        join(&store, 1, query(2)).expect("nothing lies behind the last match");
        join(&store, 1, query(4)).expect("nor behind the head");
        let error = trouble(join(&store, 1, query(6)));
        check_says(&error, ErrorKind::InvalidArgument, &["condition 1", "position 6", "ends at 5"]);
        assert_eq!(store.head().expect("a head").get(), 5);
    });
}

#[test]
fn on_an_empty_store_nothing_can_be_asked_behind_a_position() {
    everywhere(|home| {
        let error = trouble(join(&home.open(), 1, joined(1).after(Position::new(1))));
        check_says(&error, ErrorKind::InvalidArgument, &["position 1", "ends at 0"]);
    });
}

#[test]
fn a_batch_is_judged_against_what_is_staged_before_it_and_not_against_itself() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), [tagged("other", 0)]);
    let join = |player| {
        let events = [tagged("joined", player), tagged("joined", player)];
        store.batch().append(&name("team-1"), Any, events).unless(joined(player)).commit()
    };
    // All three are queued before anything is written.
    let (first, second, third) = (join(1), join(1), join(2));
    assert_eq!(store.head().expect("a head").get(), 1);
    let refused = conflict(second.wait());
    assert_eq!(refused, unless(1, 0, 2), "judged before the events of the first were visible");
    assert!(2 <= store.head().expect("a head").get(), "who reads after a conflict sees what it speaks of");
    assert_eq!(first.wait().expect("accepted").last_position().get(), 3);
    assert_eq!(third.wait().expect("accepted").last_position().get(), 5);
}

#[test]
fn each_condition_has_its_own_position_and_the_first_in_the_order_they_were_asked_is_told() {
    everywhere(|home| {
        let store = home.open();
        let game = name("game-1");
        add(&store, &game, [tagged("joined", 1), tagged("joined", 2), tagged("joined", 1)]);
        let batch = || store.batch().append(&name("b"), Any, [tagged("x", 9)]);
        let after = |player, after| joined(player).after(Position::new(after));
        let answer = |batch: BatchBuilder<'_>| batch.commit().wait();
        assert_eq!(conflict(answer(batch().unless(after(2, 2)).unless(after(1, 1)))), unless(2, 1, 3));
        assert_eq!(conflict(answer(batch().unless(after(2, 1)).unless(after(1, 1)))), unless(1, 1, 2));
        assert_eq!(conflict(answer(batch().unless(joined(3)).unless(joined(4)).unless(joined(2)))), unless(3, 0, 2));
        let both = batch().require(&game, NoStream).unless(joined(1));
        assert_eq!(conflict(answer(both)), version_conflict(&game, NoStream, 3));
        let both = batch().unless(joined(1)).require(&game, NoStream);
        assert_eq!(conflict(answer(both)), unless(1, 0, 1));
        answer(batch().unless(after(2, 2)).unless(after(1, 3)).unless(joined(3))).expect("all of them hold");
        let empty = store.batch().append(&game, Any, []).unless(joined(1)).commit().wait();
        check_says(&trouble(empty), ErrorKind::InvalidArgument, &["no events"]);
    });
}

#[test]
fn many_staged_batches_are_judged_by_every_kind_of_query() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("a"), [tagged("other", 0)]);
    let staged: Vec<_> = (0..500).map(|n| store.append(&name(&format!("game-{n}")), Any, [tagged("a", n)])).collect();
    let batch = |query| store.batch().append(&name("b"), Any, [tagged("x", 900)]).unless(query).commit();
    let answers = [
        (batch(Query::all().tag("player", 499)), Some(501)),
        (batch(Query::all().of_type("a").tag("player", 7)), Some(9)),
        (batch(Query::all().of_type("b").tag("player", 7)), None),
        (batch(Query::all().of_type("a").after(Position::new(1))), Some(2)),
        (batch(Query::all().tag("player", 80).or(Query::all().tag("player", 30))), Some(32)),
        (batch(Query::all().prefix("game-49")), Some(51)),
        (batch(Query::all().prefix("b").of_type("x")), Some(502)),
    ];
    for (number, (pending, expected)) in answers.into_iter().enumerate() {
        match (pending.wait(), expected) {
            (Ok(_), None) => {}
            (answer, Some(position)) => {
                let Conflict::Unless { position: actual, .. } = conflict(answer) else { panic!("number {number}") };
                assert_eq!(actual.get(), position, "number {number}");
            }
            (answer, None) => panic!("number {number}: {answer:?}"),
        }
    }
    staged.into_iter().for_each(|pending| drop(pending.wait().expect("accepted")));
}

#[test]
fn a_query_with_a_fault_refuses_the_batch() {
    let store = EventStore::open_in_memory().expect("a store");
    let error = trouble(join(&store, 1, Query::all().of_type("no type")));
    check_says(&error, ErrorKind::InvalidName, &["no type"]);
    assert_eq!(store.head().expect("a head"), Position::BEGINNING);
}

#[test]
fn everything_and_prefixes_can_be_asked_for_too() {
    everywhere(|home| {
        let store = home.open();
        add(&store, &name("game-1"), [tagged("a", 1), tagged("b", 1)]);
        add(&store, &name("team-1"), [tagged("a", 1)]);
        let batch = || store.batch().append(&name("c"), Any, [tagged("x", 9)]);
        let all = |after| batch().unless(Query::all().after(Position::new(after))).commit();
        let (held, broken) = (all(3), all(3));
        assert_eq!(conflict(broken.wait()), unless(1, 3, 4));
        held.wait().expect("nothing has happened since");
        let prefix = |prefix, after| batch().unless(Query::all().prefix(prefix).after(Position::new(after))).commit();
        assert_eq!(conflict(prefix("team", 1).wait()), unless(1, 1, 3));
        prefix("game-1", 2).wait().expect("no more of it");
        let staged = store.append(&name("game-1"), Any, [tagged("a", 1)]);
        assert_eq!(conflict(prefix("game-", 3).wait()), unless(1, 3, 6), "also where it is only staged");
        staged.wait().expect("accepted");
        assert_eq!(conflict(batch().unless(Query::all().prefix("t").of_type("a")).commit().wait()), unless(1, 0, 3));
        batch().unless(Query::all().prefix("t").of_type("b")).commit().wait().expect("no such event");
    });
}

/// Appends by chance, some of them queued together, each with conditions by chance; what becomes of each is known from a
/// list of all that was admitted before it.
#[test]
fn every_answer_is_the_one_that_a_look_at_all_admitted_events_gives() {
    const STREAMS: [&str; 3] = ["game-1", "game-2", "team-1"];
    const TYPES: [&str; 3] = ["a", "b", "c"];
    wherever_it_lasts(|home| {
        let mut chance = Chance(seed());
        let mut store = home.open_with(&small_segments());
        // Of each admitted event its stream, type and player.
        let mut admitted: Vec<(usize, usize, usize)> = Vec::new();
        let (mut refused, mut accepted) = (0, 0);
        for round in 0..120 {
            let whence = format!("round {round} of seed {}", seed());
            if chance.one_in(20) {
                store = home.reopen(store, &small_segments());
            }
            // A position that was visible when it was asked for.
            let head = admitted.len();
            let queued = (0..1 + chance.below(6)).map(|_| {
                let ask = |chance: &mut Chance| {
                    let stream = chance.one_in(4).then(|| chance.below(STREAMS.len()));
                    let types: Vec<usize> = (0..chance.below(3)).map(|_| chance.below(TYPES.len())).collect();
                    let player = (stream.is_none() && types.is_empty() || chance.one_in(2)).then(|| chance.below(8));
                    let after = if chance.one_in(4) { 0 } else { head - chance.below(head.min(4) + 1) };
                    (stream, types, player, after)
                };
                let asked: Vec<_> = (0..chance.below(3)).map(|_| ask(&mut chance)).collect();
                let events: Vec<(usize, usize, usize)> = (0..1 + chance.below(3))
                    .map(|_| (chance.below(STREAMS.len()), chance.below(TYPES.len()), chance.below(8)))
                    .collect();
                let mut batch = store.batch();
                for (stream, event_type, player) in &events {
                    let event = tagged(TYPES[*event_type], *player).tag("pad", "x".repeat(200));
                    batch = batch.append(&name(STREAMS[*stream]), Any, [event]);
                }
                let mut expected = Ok(admitted.len() + events.len());
                for (number, (stream, types, player, after)) in (1..).zip(&asked) {
                    let query = types.iter().fold(Query::all(), |query, one| query.of_type(TYPES[*one]));
                    let query = player.iter().fold(query, |query, one| query.tag("player", one));
                    let query = stream.iter().fold(query, |query, one| query.in_stream(&name(STREAMS[*one])));
                    batch = batch.unless(query.after(Position::new(*after as u64)));
                    let is_asked = |(index, event): &(usize, &(usize, usize, usize))| {
                        *after <= *index
                            && stream.is_none_or(|stream| stream == event.0)
                            && (types.is_empty() || types.contains(&event.1))
                            && player.is_none_or(|player| player == event.2)
                    };
                    if let (Ok(_), Some((index, _))) = (&expected, admitted.iter().enumerate().find(is_asked)) {
                        expected = Err(unless(number, *after as u64, index as u64 + 1));
                    }
                }
                if expected.is_ok() {
                    admitted.extend(&events);
                }
                (batch.commit(), expected)
            });
            let queued: Vec<(PendingReceipt, Result<usize, Conflict>)> = queued.collect();
            for (pending, expected) in queued {
                match expected {
                    Ok(last) => {
                        let receipt = pending.wait().expect(&whence);
                        assert_eq!(receipt.last_position().get(), last as u64, "{whence}");
                        accepted += 1;
                    }
                    Err(expected) => {
                        assert_eq!(conflict(pending.wait()), expected, "{whence}");
                        refused += 1;
                    }
                }
            }
        }
        assert!(50 < refused && 100 < accepted, "{refused} refused, {accepted} accepted");
        assert_eq!(positions(store.read_all()).len(), admitted.len());
        assert!(2 < store.stats().expect("numbers").segments());
    });
}

#[test]
fn of_64_threads_under_one_condition_exactly_one_wins_and_unrelated_ones_never_conflict() {
    const THREADS: usize = 64;
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        let rounds = 10;
        let answers: Vec<Vec<(bool, bool)>> = std::thread::scope(|scope| {
            let run = |thread: usize| {
                let store = &store;
                move || {
                    let stream = name(&format!("player-{thread}"));
                    let attempt = |query: Query, event: NewEvent| {
                        store.batch().append(&stream, Any, [event]).unless(query).commit().wait()
                    };
                    let of_round = |round: usize| {
                        // Everybody wants the seat of the round; a card of each round is everybody's own.
                        let (seat, card) = (format!("seat-{round}"), format!("card-{round}-{thread}"));
                        let query = Query::all().of_type("taken").tag("what", &seat);
                        let won = attempt(query, NewEvent::bytes("taken", []).tag("what", seat).tag("who", thread));
                        let query = Query::all().of_type("taken").tag("what", &card);
                        let own = attempt(query, NewEvent::bytes("taken", []).tag("what", card).tag("who", thread));
                        let has_won = match won {
                            Ok(_) => true,
                            Err(AppendError::Conflict(_)) => false,
                            Err(AppendError::Store(error)) => panic!("{error:?}"),
                        };
                        (has_won, own.is_ok())
                    };
                    (0..rounds).map(of_round).collect()
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(run(thread))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        for round in 0..rounds {
            let winners = answers.iter().filter(|of_thread| of_thread[round].0).count();
            assert_eq!(winners, 1, "of round {round}");
            assert!(answers.iter().all(|of_thread| of_thread[round].1), "an unrelated condition of round {round}");
            let query = Query::all().tag("what", format!("seat-{round}"));
            assert_eq!(store.read_all().matching(query).count().expect("a number"), 1);
        }
    });
}

#[test]
fn what_comes_in_while_a_condition_is_looked_for_is_judged_too() {
    let store = EventStore::open_in_memory().expect("a store");
    for _ in 0..10 {
        add(&store, &name("noise"), (0..5_000).map(|n| tagged("other", n)));
    }
    let mut met = 0;
    for round in 0..30 {
        // A prefix alone is looked for in every event: that takes longer than two appends.
        let (prefix, noise) = (format!("late-{round}-"), name("noise"));
        let begin = std::sync::Barrier::new(2);
        let (asked, late) = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let batch = store.batch().append(&name("asking"), Any, [tagged("asked", round)]);
                let batch = batch.unless(Query::all().prefix(&prefix));
                begin.wait();
                batch.commit().wait()
            });
            begin.wait();
            let late = store.append(&name(&format!("{prefix}1")), Any, [tagged("late", round)]).wait();
            store.append(&noise, Any, [tagged("other", round)]).wait().expect("a receipt");
            (asked.join().expect("it ends"), late.expect("a receipt").last_position())
        });
        match asked {
            Ok(receipt) => assert!(receipt.last_position() < late, "accepted behind what it asked to be absent"),
            Err(AppendError::Conflict(conflict)) => {
                assert_eq!(conflict, unless(1, 0, late.get()));
                met += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(0 < met, "nothing came in while a condition was looked for");
}

#[test]
fn decisions_guarded_by_what_they_read_are_never_made_twice() {
    const THREADS: usize = 16;
    wherever_threads_are(|home| {
        let store = home.open_with(&small_segments());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let store = &store;
                scope.spawn(move || {
                    let stream = name(&format!("player-{thread}"));
                    for _ in 0..5 {
                        // Everybody adds one to the highest number there is.
                        loop {
                            let (events, guard) =
                                store.read_for_decision(Query::all().of_type("counted")).expect("a read");
                            let events: Vec<_> = events.map(|event| event.expect("an event")).collect();
                            let count = events.len();
                            let event = NewEvent::json("counted", &count).expect("JSON").tag("n", count);
                            match store.batch().append(&stream, Any, [event]).guarded_by(&guard).commit().wait() {
                                Ok(_) => break,
                                Err(AppendError::Conflict(Conflict::Unless { position, .. })) => {
                                    assert!(guard.position() < position && position <= store.head().expect("a head"));
                                }
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                    }
                });
            }
        });
        let numbers: Vec<usize> = store
            .read_all()
            .matching(Query::all().of_type("counted"))
            .into_iter()
            .map(|event| event.expect("an event").json().expect("a number"))
            .collect();
        assert_eq!(numbers, (0..THREADS * 5).collect::<Vec<_>>());
    });
}

#[test]
fn a_guard_holds_for_the_opening_it_was_read_from() {
    let home = Home::simulated();
    let store = home.open();
    let other = EventStore::open_in_memory().expect("a store");
    add(&store, &name("a"), [tagged("a", 1)]);
    let (_, guard) = store.read_for_decision(joined(1)).expect("a read");
    let decide = |store: &EventStore| {
        store.batch().append(&name("a"), Any, [tagged("joined", 1)]).guarded_by(&guard).commit().wait()
    };
    check_says(&trouble(decide(&other)), ErrorKind::InvalidArgument, &["guard", "another store"]);
    decide(&store).expect("nothing has happened since");
    assert_eq!(conflict(decide(&store)), unless(1, 1, 2));
    store.reopen().expect("it opens again");
    check_says(&trouble(decide(&store)), ErrorKind::InvalidArgument, &["guard", "opened again"]);
    assert_eq!(store.head().expect("a head").get(), 2);
    assert!(store.read_for_decision(Query::all().of_type("no type")).is_err());
}

#[test]
fn where_what_is_asked_for_may_be_lost_the_condition_waits_until_the_loss_is_accepted() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    for player in 1..=4 {
        add(&store, &name("team-1"), [NewEvent::bytes("joined", vec![1; 600]).tag("player", player)]);
    }
    let second = store.event_at(Position::new(2)).expect("an event").place();
    store.close().expect("closing");
    disk.garble("log/0000000001.log", u64::from(second.offset) + 300..u64::from(second.offset) + 400, 1);
    let copy = SimulatedDisk::new(seed() + 1);
    let report = scorebook::testing::salvage_simulated(&disk, &copy).expect("a copy");
    assert_eq!(report.lost().len(), 1, "{report}");
    let store = EventStore::options().open_simulated(&copy).expect("the copy opens");
    // The stream itself is not in doubt: its last event stands behind the loss.
    let ask = |query| store.batch().append(&name("team-1"), Any, [tagged("x", 1)]).unless(query).commit().wait();
    let error = trouble(ask(joined(2)));
    check_says(&error, ErrorKind::Lost, &["condition 1", "positions 2 to 2", "accept the loss"]);
    ask(joined(2).after(Position::new(2))).expect("nothing is in doubt behind the loss");
    store.accept_losses().expect("accepting");
    ask(joined(2)).expect("what was lost is gone for good");
    assert_eq!(conflict(ask(joined(3))), unless(1, 0, 3));
    ask(Query::all().prefix("nobody")).expect("losses that were accepted are passed over by who looks at every event");
}

#[test]
fn a_condition_on_what_cannot_be_read_is_refused_as_that() {
    let disk = SimulatedDisk::new(seed());
    let store = EventStore::options().open_simulated(&disk).expect("a store");
    add(&store, &name("team-1"), [NewEvent::bytes("joined", vec![1; 600]).tag("player", 1)]);
    let place = store.event_at(Position::new(1)).expect("an event").place();
    disk.garble("log/0000000001.log", u64::from(place.offset) + 300..u64::from(place.offset) + 400, 1);
    let error = trouble(join(&store, 1, joined(1)));
    check_says(&error, ErrorKind::Damaged, &["condition 1"]);
    join(&store, 2, joined(2)).expect("nobody asked for what is damaged");
}
