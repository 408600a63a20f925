//! The machine by itself, in every order of things that chance has: a list of what became of each event is compared with it.

use super::*;
use crate::consumer::rules::{Backoff, Breaker};

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn rules() -> Rules {
    Rules { backoff: Backoff::new(ms(10), ms(100)).jitter_percent(0), ..Rules::default() }
}

/// A machine with a member that was offered events 1 and on, each with one of these keys.
fn offered(rules: Rules, keys: &[u128]) -> (Flow<u64>, MemberId) {
    let mut flow = Flow::new(rules.into(), Position::BEGINNING, BTreeMap::new());
    for (number, key) in (1..).zip(keys) {
        flow.offer(Position::new(number), *key, number, ms(0));
    }
    let member = flow.join(None).expect("there is room");
    (flow, member)
}

fn taken(flow: &mut Flow<u64>, member: MemberId, now: Duration) -> (u64, Vec<(u64, u32)>) {
    match flow.take(member, now) {
        Some(handed) => (handed.delivery, handed.events.iter().map(|(_, attempt, event)| (*event, *attempt)).collect()),
        None => (0, Vec::new()),
    }
}

fn numbers(positions: &[Position]) -> Vec<u64> {
    positions.iter().map(|position| position.get()).collect()
}

#[test]
fn what_is_not_done_is_left_and_what_was_looked_at_is_scanned() {
    let (mut flow, member) = offered(rules(), &[1, 2, 3]);
    let (first, _) = taken(&mut flow, member, ms(0));
    let (second, _) = taken(&mut flow, member, ms(0));
    assert_eq!(flow.ack(second, Position::new(2), ms(1)), Ok(()));
    assert_eq!(flow.ack(second, Position::new(1), ms(1)), Err(Stale), "it is of another delivery");
    flow.note_scanned(Position::new(9), ms(1));
    let record = flow.record(ms(1));
    assert_eq!((numbers(&record.left), record.scanned.get(), flow.position().get()), (vec![1, 3], 9, 0));
    flow.recorded(&record);
    assert!(!flow.is_unrecorded());
    assert_eq!(flow.ack(first, Position::new(1), ms(2)), Ok(()));
    assert!(flow.is_unrecorded() && flow.position().get() == 2);
}

#[test]
fn a_record_that_was_not_written_is_made_again() {
    let (mut flow, member) = offered(rules(), &[1, 1]);
    let (delivery, _) = taken(&mut flow, member, ms(0));
    flow.nack(delivery, Position::new(1), Verdict::Park, "why", ms(0), 0).expect("it is in hand");
    assert!(flow.is_due(ms(0)), "what is set aside is written at once");
    let record = flow.record(ms(0));
    assert_eq!(record.parked.iter().map(|fact| fact.position.get()).collect::<Vec<_>>(), [1, 2]);
    assert!(!flow.is_due(ms(0)));
    flow.not_recorded(record);
    assert_eq!(flow.record(ms(0)).parked.len(), 2);
}

#[test]
fn time_does_not_matter_to_what_is_being_committed() {
    let (mut flow, member) = offered(Rules { time_limit: Some(ms(50)), ..rules() }, &[1, 1]);
    let (delivery, _) = taken(&mut flow, member, ms(0));
    let record = flow.begin_commit(delivery, &[Position::new(1)], ms(1)).expect("it is in hand");
    assert_eq!(numbers(&record.left), [2], "as if it were done");
    flow.tick(ms(60), || 0);
    flow.leave(member, ms(60));
    assert_eq!(flow.ack(delivery, Position::new(1), ms(60)), Err(Stale));
    let other = flow.join(None).expect("there is room");
    assert_eq!(taken(&mut flow, other, ms(60)).1, []);
    flow.commit_ended(&[Position::new(1)], record, false, ms(61));
    let (delivery, events) = taken(&mut flow, other, ms(61));
    assert_eq!(events, [(1, 2)], "it was refused, and its member is gone");
    let record = flow.begin_commit(delivery, &[Position::new(1)], ms(62)).expect("it is in hand");
    flow.tick(ms(120), || 0);
    flow.commit_ended(&[Position::new(1)], record, false, ms(121));
    flow.tick(ms(122), || 0);
    assert_eq!(flow.ack(delivery, Position::new(1), ms(122)), Err(Stale), "its time was over meanwhile");
}

#[test]
fn the_time_that_matters_next_is_never_past() {
    let breaker = Breaker::new(1, Backoff::new(ms(500), ms(500)).jitter_percent(0));
    let (mut flow, member) = offered(Rules { time_limit: Some(ms(50)), breaker, ..rules() }, &[1, 2]);
    let (delivery, _) = taken(&mut flow, member, ms(0));
    assert_eq!(flow.next_time(ms(0)), Some(ms(50)));
    flow.nack(delivery, Position::new(1), Verdict::Retry, "", ms(5), 0).expect("it is in hand");
    assert_eq!(flow.next_time(ms(5)), Some(ms(15)), "the pause behind an attempt");
    flow.tick(ms(15), || 0);
    assert_eq!((flow.next_time(ms(15)), taken(&mut flow, member, ms(15)).1), (Some(ms(505)), vec![]));
    assert_eq!(flow.next_time(ms(505)), None);
    assert_eq!(taken(&mut flow, member, ms(505)).1, [(1, 2)], "one is tried");
    assert_eq!(taken(&mut flow, member, ms(505)).1, []);
}

/// What became of an event, in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Open,
    Done,
    Parked,
}

/// A machine, and the list beside it.
struct World {
    chance: Chance,
    flow: Flow<u64>,
    now: Duration,
    keys: Vec<u128>,
    list: Vec<Is>,
    members: Vec<MemberId>,
    /// Member, delivery, event: what is in hand.
    hands: Vec<(MemberId, u64, u64)>,
    has_limit: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut chance = Chance(seed);
        let has_limit = chance.below(3) == 0;
        let rules = Rules {
            buffer: 1 + chance.below(10),
            batch: 1 + chance.below(4),
            batch_wait: ms(chance.below(2) as u64 * 7),
            attempts_max: 1 + chance.below(3) as u32,
            time_limit: has_limit.then(|| ms(30)),
            members_max: 3,
            breaker: Breaker::new(6, Backoff::new(ms(20), ms(40))),
            ..rules()
        };
        let flow = Flow::new(rules.into(), Position::BEGINNING, BTreeMap::new());
        let (keys, list, hands) = (Vec::new(), Vec::new(), Vec::new());
        World { chance, flow, now: ms(0), keys, list, members: Vec::new(), hands, has_limit }
    }

    fn is(&mut self, event: u64) -> &mut Is {
        &mut self.list[event as usize - 1]
    }

    fn key(&self, event: u64) -> u128 {
        self.keys[event as usize - 1]
    }

    fn step(&mut self) {
        match self.chance.below(20) {
            0..=3 if self.flow.room() != 0 => {
                let (number, key) = (self.keys.len() as u64 + 1, self.chance.below(4) as u128);
                self.keys.push(key);
                self.list.push(Is::Open);
                self.flow.offer(Position::new(number), key, number, self.now);
            }
            4 if self.members.len() < 3 => self.members.push(self.flow.join(None).expect("there is room")),
            5 if !self.members.is_empty() => {
                let at = self.chance.below(self.members.len());
                let member = self.members.swap_remove(at);
                self.flow.leave(member, self.now);
                self.hands.retain(|(of, _, _)| *of != member);
            }
            6..=11 if !self.members.is_empty() => self.take(),
            12..=15 if !self.hands.is_empty() => {
                let at = self.chance.below(self.hands.len());
                let (_, delivery, event) = self.hands.swap_remove(at);
                if self.flow.ack(delivery, Position::new(event), self.now).is_ok() {
                    *self.is(event) = Is::Done;
                }
            }
            16 if !self.hands.is_empty() => self.fail(),
            17 => {
                let parked = self.flow.parked().keys().next().copied();
                if let Some(parked) = parked {
                    let all = self.flow.parked_with(parked);
                    all.iter().for_each(|position| *self.is(position.get()) = Is::Open);
                    let events = all.into_iter().map(|position| (position, Some(position.get()))).collect();
                    self.flow.redeliver(events, self.now);
                }
            }
            _ => {
                self.now += ms(self.chance.below(15) as u64);
                self.flow.tick(self.now, || 0);
            }
        }
        self.compare();
    }

    fn take(&mut self) {
        let at = self.chance.below(self.members.len());
        let member = self.members[at];
        let Some(handed) = self.flow.take(member, self.now) else { return };
        assert!(!handed.events.is_empty() && handed.events.len() <= self.flow.rules.batch);
        for (position, _, event) in &handed.events {
            assert_eq!((position.get(), *self.is(*event)), (*event, Is::Open));
            let key = self.key(*event);
            for earlier in (1..*event).filter(|earlier| self.key(*earlier) == key) {
                let is_with_it = handed.events.iter().any(|(_, _, other)| *other == earlier);
                assert!(is_with_it || self.list[earlier as usize - 1] != Is::Open, "{earlier} comes before {event}");
            }
            let mut others = self.hands.iter().filter(|_| !self.has_limit);
            assert!(others.all(|(_, _, other)| self.key(*other) != key), "two have events of one key");
        }
        self.hands.extend(handed.events.iter().map(|(_, _, event)| (member, handed.delivery, *event)));
    }

    fn fail(&mut self) {
        let at = self.chance.below(self.hands.len());
        let (_, delivery, event) = self.hands.swap_remove(at);
        let verdict = [Verdict::Retry, Verdict::Retry, Verdict::Park, Verdict::Skip][self.chance.below(4)];
        if self.flow.nack(delivery, Position::new(event), verdict, "why", self.now, 0).is_ok() {
            let key = self.key(event);
            let keys = &self.keys;
            self.hands.retain(|(_, of, other)| *of != delivery || keys[*other as usize - 1] != key || *other < event);
            if verdict == Verdict::Skip {
                *self.is(event) = Is::Done;
            }
        }
    }

    /// The list learns from the machine what was parked, which may be because of time; all else it knows by itself.
    fn compare(&mut self) {
        let parked: Vec<u64> = self.flow.parked().keys().map(|position| position.get()).collect();
        for event in parked {
            assert_ne!(*self.is(event), Is::Done, "what is done is not parked");
            *self.is(event) = Is::Parked;
        }
        let record = self.flow.record(self.now);
        let open = (1..).zip(&self.list).filter(|(_, is)| **is == Is::Open).map(|(event, _)| event);
        assert_eq!(numbers(&record.left), open.collect::<Vec<u64>>(), "what is neither done nor parked is left");
        match self.chance.below(3) {
            0 => self.flow.recorded(&record),
            _ => self.flow.not_recorded(record),
        }
        if self.flow.take_stop().is_some() {
            self.flow.set_paused(false);
        }
    }

    /// With one member and all the time there is, everything is done.
    fn settle(&mut self) {
        self.members.drain(..).for_each(|member| self.flow.leave(member, self.now));
        let all: Vec<Position> = self.flow.parked().keys().copied().collect();
        self.flow.redeliver(all.into_iter().map(|position| (position, Some(position.get()))).collect(), self.now);
        let member = self.flow.join(None).expect("there is room");
        for _ in 0..1_000 {
            self.now += ms(50);
            self.flow.tick(self.now, || 0);
            while let Some(handed) = self.flow.take(member, self.now) {
                for (position, _, _) in handed.events {
                    self.flow.ack(handed.delivery, position, self.now).expect("it is in hand");
                }
            }
        }
        assert_eq!((self.flow.unfinished(), self.flow.parked().len()), (0, 0));
        assert_eq!(self.flow.position().get(), self.keys.len() as u64);
    }
}

#[test]
fn whatever_comes_in_the_machine_does_what_the_list_says() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        (0..300).for_each(|_| world.step());
        world.settle();
    }
}
