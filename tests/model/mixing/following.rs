//! Those who follow a store through all of it: subscriptions, and a consumer with members.

use super::Mixing;
use super::folding::Everything;
use super::history::{Asked, Stand};
use crate::model::chance::Choices;
use scorebook::{
    Backoff, Consumer, Delivery, Error, ErrorKind, EventStore, Followed, Member, Position, Start, Subscription,
    Verdict, View,
};
use std::collections::BTreeSet;
use std::time::Duration;

const NAME: &str = "follower";
/// Which events the consumer asks for.
const WANTED: Asked = Asked::Kind(0);

/// A subscription, and what it has given.
struct Live {
    asked: Asked,
    subscription: Subscription,
    /// Everything up to here was given or told.
    given: u64,
    told: Vec<(u64, u64)>,
}

/// What was asked for, up to where it was given, and what was told to be gone.
type Ended = (Asked, u64, Vec<(u64, u64)>);

/// Everybody who follows.
#[derive(Default)]
pub(super) struct Following {
    live: Vec<Live>,
    /// Where subscriptions had got to that ended with the store.
    ended: Vec<Ended>,
    members: Vec<Member>,
    hands: Vec<Delivery>,
    /// What was said to be done, at any time.
    pub(super) acked: BTreeSet<u64>,
    /// The same since the store was opened.
    acked_now: BTreeSet<u64>,
    /// What is done for good: the store was closed since.
    settled: BTreeSet<u64>,
    parked: BTreeSet<u64>,
    pub(super) view: Option<View<Everything>>,
    pub(super) given: u64,
    pub(super) handed_out: u64,
}

impl Following {
    /// The store is gone, or will be.
    pub(super) fn end(&mut self) {
        self.hands.clear();
        self.members.clear();
        self.view = None;
        let ended = self.live.drain(..).map(|live| (live.asked, live.given, live.told));
        self.ended.extend(ended);
    }

    /// The store has gone back to something earlier, when no more than this was done.
    pub(super) fn go_back(&mut self, acked: BTreeSet<u64>) {
        self.acked = acked;
        self.ended.clear();
        self.settled.clear();
        self.acked_now.clear();
    }

    /// What was said to be done may not have been written down.
    pub(super) fn crash(&mut self) {
        self.acked_now.clear();
    }

    /// What is behind the head is not there any more.
    pub(super) fn cut(&mut self, head: u64) {
        self.ended.retain(|(_, given, _)| *given <= head);
        for positions in [&mut self.acked, &mut self.acked_now, &mut self.settled, &mut self.parked] {
            positions.retain(|position| *position <= head);
        }
    }

    pub(super) fn settle(&mut self) {
        // What was said while the store was open is written when it is closed.
        self.settled.append(&mut self.acked_now);
    }

    fn note_acked(&mut self, position: u64) {
        self.acked.insert(position);
        self.acked_now.insert(position);
    }

    fn begin(&mut self, store: &EventStore) -> Result<(), Error> {
        let head = store.head()?.get();
        for (asked, given, told) in std::mem::take(&mut self.ended) {
            if given <= head {
                let subscription = store.subscribe(asked.query(), Start::After(Position::new(given)));
                self.live.push(Live { asked, subscription, given, told });
            }
        }
        Ok(())
    }

    /// No event that the consumer wants and was not done with has been removed. What is set aside is none it is done with.
    pub(super) fn check_seen(&self, gone: &BTreeSet<u64>, stand: &Stand) {
        let is_unseen = |position: &&u64| {
            let placed = stand.at(**position).expect("it was there");
            WANTED.holds(&placed.event) && !self.acked.contains(*position)
        };
        if !self.has_consumer() {
            return;
        }
        let unseen: Vec<&u64> = gone.iter().filter(is_unseen).collect();
        assert!(unseen.is_empty(), "removed, and the consumer was not done with {unseen:?}");
    }

    fn has_consumer(&self) -> bool {
        !self.members.is_empty()
    }
}

fn consumer() -> Consumer {
    let no_pause = Backoff::new(Duration::ZERO, Duration::ZERO);
    Consumer::new(NAME, WANTED.query(), Start::Beginning)
        .batch(3, Duration::ZERO)
        .buffer(8)
        .checkpoint_every(2)
        .members_max(2)
        .backoff(no_pause)
}

impl Mixing {
    /// Has somebody follow, or get on with it.
    pub(super) fn follow(&mut self) -> Result<(), Error> {
        let store = self.store();
        self.following.begin(&store)?;
        if self.following.live.len() < 4 && self.chance.one_in(8) {
            let asked = self.asked();
            let start = self.chance.below(self.stand.head as usize + 1) as u64;
            let given = if self.chance.one_in(2) { 0 } else { start };
            let subscription = store.subscribe(asked.query(), Start::After(Position::new(given)));
            self.following.live.push(Live { asked, subscription, given, told: Vec::new() });
        }
        let Some(last) = self.following.live.len().checked_sub(1) else {
            return Ok(());
        };
        let at = self.chance.below(last + 1);
        for _ in 0..1 + self.chance.below(20) {
            let live = &mut self.following.live[at];
            let item = match live.subscription.try_next() {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(error) => {
                    let live = self.following.live.swap_remove(at);
                    if error.kind() != ErrorKind::Lost {
                        self.following.ended.push((live.asked, live.given, live.told));
                    }
                    return Err(error);
                }
            };
            self.following.given += 1;
            let upto = match &item {
                Followed::Event(event) => {
                    let position = event.position().get();
                    let placed = self.stand.at(position).unwrap_or_else(|| panic!("{event:?} was never there"));
                    assert!(live.given < position, "{event:?} comes behind {}", live.given);
                    assert!(live.asked.holds(&placed.event), "{event:?} is not asked for");
                    placed.event.compare(event).unwrap_or_else(|difference| panic!("{difference}"));
                    position - 1
                }
                Followed::Removed { first, last } => {
                    live.told.push((first.get(), last.get()));
                    continue;
                }
                Followed::CaughtUp { position } => {
                    assert_eq!(position.get(), self.stand.head, "caught up");
                    position.get()
                }
                Followed::FellBehind { .. } => continue,
                other => panic!("nothing is lost here: {other:?}"),
            };
            let is_told = |position: u64| live.told.iter().any(|(first, last)| (*first..=*last).contains(&position));
            for placed in
                self.stand.events.iter().filter(|placed| live.given < placed.position && placed.position <= upto)
            {
                let is_fine = !live.asked.holds(&placed.event)
                    || self.gone.contains(&placed.position) && is_told(placed.position);
                assert!(is_fine, "skipped by {:?} behind {}: {placed:?}, told {:?}", live.asked, live.given, live.told);
            }
            live.given = item.event().map_or(upto, |_| upto + 1).max(live.given);
        }
        Ok(())
    }

    /// Has the consumer do something.
    pub(super) fn consume(&mut self) -> Result<(), Error> {
        let store = self.store();
        if self.following.members.is_empty() {
            let member = store.join(&consumer())?;
            self.note_parked(&store)?;
            self.following.members.push(member);
        }
        match self.chance.below(16) {
            0 if self.following.members.len() < 2 => self.following.members.push(store.join(&consumer())?),
            1 if 1 < self.following.members.len() => {
                self.following.hands.clear();
                drop(self.following.members.pop());
            }
            2 => {
                self.note_parked(&store)?;
                let count = store.consumer(NAME).redeliver_all()?;
                assert!(count <= self.following.parked.len() as u64, "no more than was parked");
                self.following.parked.clear();
            }
            3 if self.chance.one_in(3) => {
                let to = self.chance.below(self.stand.head as usize + 1) as u64;
                self.following.settled.clear();
                self.following.acked_now.clear();
                self.following.hands.clear();
                let passed = self.stand.events.iter().map(|placed| placed.position).filter(|position| *position <= to);
                let passed: BTreeSet<u64> = passed.collect();
                // Where it fails it may have been sent there all the same.
                self.following.acked.extend(&passed);
                store.consumer(NAME).seek(Start::After(Position::new(to)))?;
                self.following.acked = passed;
            }
            4 if self.following.hands.is_empty() => return self.drain(),
            5 => {
                store.flush()?;
                self.all_synced();
            }
            6..11 => {
                let at = self.chance.below(self.following.members.len());
                if let Some(delivery) = self.following.members[at].try_next()? {
                    self.check_handed(&delivery);
                    self.following.hands.push(delivery);
                }
            }
            _ => {
                let Some(delivery) = self.following.hands.pop() else {
                    return Ok(());
                };
                return self.finish(&delivery);
            }
        }
        Ok(())
    }

    /// What is handed out is asked for, is what it was, and was not done with for good.
    fn check_handed(&mut self, delivery: &Delivery) {
        for event in delivery.events().iter().map(|delivered| delivered.event()) {
            self.following.handed_out += 1;
            let position = event.position().get();
            let placed = self.stand.at(position).unwrap_or_else(|| panic!("{event:?} was never there"));
            placed.event.compare(event).unwrap_or_else(|difference| panic!("{difference}"));
            assert!(WANTED.holds(&placed.event), "{event:?} is not asked for");
            assert!(!self.following.settled.contains(&position), "{event:?} is done, and comes again");
        }
    }

    fn finish(&mut self, delivery: &Delivery) -> Result<(), Error> {
        if self.chance.one_in(8) {
            let event = delivery.events()[0].event();
            let verdict = *self.chance.pick(&[Verdict::Retry, Verdict::Park]);
            let said = delivery.nack_position(event.position(), verdict, "by chance");
            if said.is_ok() && verdict == Verdict::Park {
                self.following.parked.insert(event.position().get());
            }
            return said.or_else(|error| if error.kind() == ErrorKind::InvalidArgument { Ok(()) } else { Err(error) });
        }
        for event in delivery.events().iter().map(|delivered| delivered.event()) {
            // It may have been taken back since: by a seek, or with its member.
            match delivery.ack_event(event) {
                Ok(()) => self.following.note_acked(event.position().get()),
                Err(error) if error.kind() == ErrorKind::InvalidArgument => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has everything handled that there is: nothing was skipped.
    fn drain(&mut self) -> Result<(), Error> {
        for round in 0.. {
            let mut is_over = true;
            for at in 0..self.following.members.len() {
                while let Some(delivery) = self.following.members[at].try_next()? {
                    is_over = false;
                    self.check_handed(&delivery);
                    delivery.ack()?;
                    let positions = delivery.events().iter().map(|delivered| delivered.event().position().get());
                    positions.for_each(|position| self.following.note_acked(position));
                }
            }
            if is_over {
                break;
            }
            assert!(round < 10_000, "it never ends");
        }
        self.note_parked(&self.store())?;
        let is_held_back = |stand: &Stand, position: u64| {
            let stream = stand.at(position).map(|placed| placed.event.stream);
            let behind = self.following.parked.iter().filter(|parked| **parked < position);
            behind.into_iter().any(|parked| stand.at(*parked).map(|placed| placed.event.stream) == stream)
        };
        for placed in self.stand.events.iter().filter(|placed| WANTED.holds(&placed.event)) {
            let position = placed.position;
            let is_done = self.following.acked.contains(&position) || self.following.parked.contains(&position);
            let is_done = is_done || self.gone.contains(&position) || is_held_back(&self.stand, position);
            assert!(is_done, "the consumer was never handed {placed:?}");
        }
        Ok(())
    }

    fn note_parked(&mut self, store: &EventStore) -> Result<(), Error> {
        let parked = store.consumer(NAME).parked()?;
        self.following.parked = parked.iter().map(|parked| parked.position().get()).collect();
        Ok(())
    }
}
