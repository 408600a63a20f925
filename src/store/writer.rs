//! The writing side of a store: admission over the log and the view.

use super::audience::Audience;
use super::condition::{KnownKey, Once, Refusal, judge_fates, judge_quotas};
use super::keeper::Keeper;
use super::recent::{Admitted, Positions, Recent};
use super::request::Request;
use super::rewriting::Rewriting;
use super::view::{SharedView, View};
use super::waiting::Waiting;
use crate::error::{AppendError, Conflict, Error, ErrorKind};
use crate::format::{BatchTerms, Fact, KeyFact, TermHasher};
use crate::index::{Derived, Lookup, SavedTable};
use crate::log::{Answers, Batch, Log, NoRoom, Opened, Outcome, RecoveryReport, Staging, Ticket, open_for_writing};
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::observe::{Observer, spans};
use crate::options::{Durability, Options};
use crate::position::{Place, Position, Version};
use crate::quota::Charge;
use crate::receipt::{Receipt, StreamReceipt};
use crate::snapshot::furthest_witness;
use crate::storage::Storage;
use crate::sync::{Arc, Mutex, RwLock, Sender};
use std::time::Duration;

/// A store that is open for writing.
pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) view: Arc<SharedView>,
    /// Makes the terms by which events are found.
    pub(crate) hasher: TermHasher,
    /// What came in last, and what waits to. Taken after the lock of admission.
    pub(super) intake: Mutex<Intake>,
    /// Whoever writes derived files.
    pub(super) keeper: Mutex<Keeper>,
    pub(super) rewriting: Rewriting,
    pub(crate) report: RecoveryReport,
    /// Nothing may be built on the tail: there was no room to copy it.
    pub(crate) is_unproven: bool,
    /// Given to the threads when there are such; the lock goes with the writer.
    pub(crate) jobs: Option<Sender<Job>>,
}

/// What was admitted last, and the batches that wait for admission.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) recent: Recent,
    pub(super) waiting: Waiting,
}

/// Work for the thread that makes room.
pub(crate) enum Job {
    Room,
    Stop,
}

impl Writer {
    /// Opens the log and builds the view from it. The caller holds the lock.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        (options, observer): (&Options, &Arc<Observer>),
        jobs: Option<Sender<Job>>,
        audience: &Arc<Audience>,
    ) -> Result<Writer, Error> {
        let mut facts = None;
        let saved = SavedTable::read(&**storage);
        let witness = furthest_witness(&**storage, saved.as_ref());
        let mut keeper = Keeper::new(saved.as_ref());
        let derived = Derived { storage: storage.clone(), mode: options.read_mode, saved };
        let lookup = |store| Lookup::with_derived(store, derived.clone());
        let log =
            open_for_writing(storage, (options, observer), witness.as_ref(), lookup, |opened: Opened<Lookup>| {
                let (report, is_unproven) = (opened.report.clone(), opened.is_unproven);
                let view = Arc::new(SharedView(RwLock::new(View::new(opened)), audience.clone()));
                facts = Some((view.clone(), report, is_unproven));
                view
            })?;
        let (view, report, is_unproven) = facts.expect("an opened log told what it holds");
        let hasher = TermHasher::new(log.store());
        keeper.note_log(&view.0.read());
        let (intake, keeper) = (Mutex::new(Intake::default()), Mutex::new(keeper));
        let rewriting = Rewriting::default();
        Ok(Writer { log, view, hasher, intake, keeper, rewriting, report, is_unproven, jobs })
    }

    /// Queues a batch. The answer arrives at its ticket.
    pub(crate) fn append(&self, mut request: Request) {
        let _span = spans::append(self.log.observer(), request.event_streams.len(), request.buffer.len());
        request.terms = Arc::new(request.buffer.terms(&self.hasher));
        let looked = self.look(&mut request);
        let mut answers = Answers::default();
        let mut is_waiting = false;
        match looked.and_then(|()| self.log.stage()) {
            Err(error) => {
                self.release(&request);
                self.refuse(request.ticket, error, &mut answers);
            }
            Ok(mut staging) => {
                let mut intake = self.intake.lock();
                // Whoever waits for room came first; a repeat needs none.
                let left = match intake.waiting.is_empty() || request.is_repeat() {
                    true => self.admit(&mut staging, &mut intake.recent, request, &mut answers),
                    false => Some(request),
                };
                if let Some(request) = left {
                    match intake.waiting.check_room(request.buffer.len(), self.log.options().staged_bytes_max) {
                        Ok(()) => {
                            is_waiting = true;
                            intake.waiting.push(request);
                        }
                        Err(error) => {
                            release(&mut intake.recent, &request);
                            self.refuse(request.ticket, error, &mut answers);
                        }
                    }
                }
            }
        }
        answers.give();
        if is_waiting {
            self.ask_for_room();
        }
    }

    /// Answers a batch of which nothing was written.
    pub(super) fn refuse(&self, ticket: Arc<Ticket>, error: Error, answers: &mut Answers) {
        self.log.observer().refused(1);
        answers.push(ticket, Err(AppendError::Store(error)));
    }

    /// Forgets what was kept for a batch that is judged no more.
    pub(super) fn release(&self, request: &Request) {
        if request.held.is_some() {
            release(&mut self.intake.lock().recent, request);
        }
    }

    /// Judges a batch and stages it. Gives it back where room must be made first.
    pub(super) fn admit(
        &self,
        staging: &mut Staging<'_>,
        recent: &mut Recent,
        mut request: Request,
        answers: &mut Answers,
    ) -> Option<Request> {
        if request.once.is_some() || request.absences_mut().next().is_some() {
            recent.index();
        }
        let view = self.view.0.read();
        let first = request.once.as_ref().and_then(|once| Some((once, once.first(&view, recent, &self.hasher)?)));
        if let Some((once, (known, is_staged))) = first {
            let (known, is_same) = (known.clone(), once.digest == known.fact.digest);
            drop(view);
            release(recent, &request);
            match is_same {
                true => self.log.observer().repeated(),
                false => self.log.observer().conflicted(),
            }
            answer_again(staging, request, known, is_same, is_staged, answers);
            return None;
        }
        let judged = if Mutant::JudgesTheFirstConditionOnly.is_on() { 1 } else { usize::MAX };
        let mut conditions = request.conditions.iter().take(judged);
        let refusal = judge_fates(&view, &request).or_else(|| conditions.find_map(|asked| asked.judge(&view, recent)));
        request.charge(view.table.quotas());
        let refusal = refusal.or_else(|| judge_quotas(&view, request.charges()));
        let doubt = if view.table.holes().is_empty() { None } else { doubt(&view, &request) };
        let doubt = doubt.or_else(|| ahead(staging.next_position(), &request));
        let head = view.head;
        drop(view);
        match refusal {
            None => {}
            Some(Refusal::Conflict(conflict, is_caused_by_staged)) => {
                release(recent, &request);
                self.log.observer().conflicted();
                if let Some(conflict) = staging.refuse(&request.ticket, conflict, is_caused_by_staged) {
                    answers.push(request.ticket, Err(AppendError::Conflict(conflict)));
                }
                return None;
            }
            Some(Refusal::Trouble(error)) => {
                release(recent, &request);
                self.refuse(request.ticket, error, answers);
                return None;
            }
        }
        let room = match doubt {
            Some(error) => Err(NoRoom::Refused(error)),
            None => staging.room(request.buffer.len(), request.event_streams.len()),
        };
        match room {
            Ok(()) => {}
            Err(NoRoom::NeedsRoom) => return Some(request),
            Err(NoRoom::Refused(error)) => {
                release(recent, &request);
                self.refuse(request.ticket, error, answers);
                return None;
            }
        }
        release(recent, &request);
        let charges = request.charges().to_vec();
        let Request { buffer, terms, streams, event_streams, durability, ticket, once, mut facts, .. } = request;
        let mut versions = self.intern(&streams);
        let first_versions: Vec<Version> = versions.iter().map(|(_, version)| *version).collect();
        let mut events = Vec::with_capacity(event_streams.len());
        for index in event_streams {
            let (number, version) = &mut versions[index as usize];
            // No version is higher than a position, and positions are left: that was checked with the room.
            *version = version.next().expect("a version is left");
            events.push((*number, *version));
        }
        let view = self.view.0.read();
        for (number, version) in &versions {
            view.table.stream(*number).admit(*version);
        }
        drop(view);
        self.admit_charges(&charges);
        let last = Position::new(staging.next_position().get() - 1 + events.len() as u64);
        self.admit_facts(&mut facts, last);
        let positions = Positions::From(staging.next_position());
        let numbers = events.iter().map(|(number, _)| *number).collect();
        let of_batch = terms.clone();
        let receipt = |first_position: Position, last_position: Position, time| Receipt {
            first_position,
            last_position,
            time,
            durability: Durability::Written,
            is_repeat: false,
            streams: streams
                .into_iter()
                .zip(first_versions.iter().zip(&versions))
                .map(|(stream, (before, (_, last)))| StreamReceipt {
                    stream,
                    first_version: before.next().expect("a version was given"),
                    last_version: *last,
                    is_new_stream: *before == Version::NONE,
                })
                .collect(),
        };
        let receipt =
            staging.stage_events(Batch { buffer, facts, terms, charges, durability, ticket }, &events, receipt);
        let receipt = once.is_some().then(|| receipt.clone());
        let key = once.zip(receipt).map(|(Once { key, digest, .. }, receipt)| {
            let fact = KeyFact { key, digest, receipt: Receipt { is_repeat: true, ..receipt } };
            let end = staging.place();
            Box::new(KnownKey { fact, place: Place { offset: end.offset - 1, ..end } })
        });
        recent.push(Admitted { positions, streams: numbers, terms: of_batch, key }, head);
        None
    }

    /// Notes what a batch adds to what tags with a quota take. The caller holds the lock of admission.
    pub(super) fn admit_charges(&self, charges: &[Charge]) {
        if !charges.is_empty() && !self.view.0.read().table.quotas().admit(charges) {
            self.view.0.write().table.quotas_mut().admit_new(charges);
        }
    }

    /// Notes what a batch says besides events, whose events were noted before; `last` is the last position behind it. The caller
    /// holds the lock of admission.
    pub(super) fn admit_facts(&self, facts: &mut [Fact], last: Position) {
        if facts.is_empty() {
            return;
        }
        if self.admit_known(facts) {
            return;
        }
        let mut view = self.view.0.write();
        for fact in facts {
            match fact {
                Fact::Consumer(fact) => {
                    let consumers = view.table.consumers_mut();
                    consumers.intern(&fact.consumer);
                    consumers.admit(&fact.consumer, fact.number);
                }
                Fact::Stream(fact) => {
                    // What is copied says so itself: of its stream events may be missing here.
                    if fact.version == Version::NONE {
                        fact.version = view.table.admitted(&fact.stream);
                    }
                    view.table.admit_at_least(&fact.stream, fact.version);
                    view.table.fates_mut().admit(fact);
                }
                Fact::Keep(_) => {}
                Fact::Quota(fact) => view.table.quotas_mut().admit_fact(fact, last),
            }
        }
    }

    /// The same for facts about consumers that are known, whose records come often: readers are not held up by them. Whether
    /// there is nothing else to be noted.
    fn admit_known(&self, facts: &[Fact]) -> bool {
        let view = self.view.0.read();
        let consumers = view.table.consumers();
        let is_known = |fact: &Fact| match fact {
            Fact::Consumer(fact) => consumers.has(&fact.consumer),
            Fact::Stream(_) | Fact::Quota(_) => false,
            Fact::Keep(_) => true,
        };
        let are_known = facts.iter().all(is_known);
        for fact in facts {
            if let Fact::Consumer(fact) = fact
                && are_known
            {
                consumers.admit(&fact.consumer, fact.number);
            }
        }
        are_known
    }

    /// Notes events that are staged as they are, without having been judged. The caller holds the lock of admission.
    pub(crate) fn note_admitted(&self, positions: Vec<Position>, streams: Vec<u32>, terms: &Arc<BatchTerms>) {
        let head = self.view.0.read().head;
        let admitted = Admitted { positions: Positions::Each(positions), streams, terms: terms.clone(), key: None };
        self.intake.lock().recent.push(admitted, head);
    }

    /// The numbers of streams and their admitted versions; streams that have none get one.
    fn intern(&self, streams: &[StreamName]) -> Vec<(u32, Version)> {
        let view = self.view.0.read();
        let known = |view: &View, stream: &StreamName| {
            view.table.number(stream.as_str()).map(|number| (number, view.table.stream(number).admitted()))
        };
        let all: Option<Vec<_>> = streams.iter().map(|stream| known(&view, stream)).collect();
        drop(view);
        all.unwrap_or_else(|| {
            let mut view = self.view.0.write();
            let number = |stream: &StreamName| view.table.intern(stream.as_str());
            let numbers: Vec<u32> = streams.iter().map(number).collect();
            numbers.into_iter().map(|number| (number, view.table.stream(number).admitted())).collect()
        })
    }

    pub(crate) fn wait(&self, ticket: &Ticket) -> Outcome {
        self.wait_for(ticket, None).expect("without a limit there is an answer")
    }

    /// Waits for an answer, for at most as long as given.
    pub(crate) fn wait_for(&self, ticket: &Ticket, limit: Option<Duration>) -> Option<Outcome> {
        let outcome = self.log.wait_for(ticket, limit);
        // Without threads of its own the log makes room ahead on this one; others may have begun to wait for it meanwhile.
        if self.jobs.is_none() {
            if !self.intake.lock().waiting.is_empty() {
                self.admit_waiting();
                self.log.demand();
            }
            while self.keep() {}
        }
        outcome
    }

    /// Commits all that is queued, what waits for room included, and syncs everything.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.settle_waiting();
        self.log.flush()
    }

    /// Ends it: commits what is queued, refuses what comes too late, and writes down the end.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let _span = spans::close(self.log.observer());
        self.settle_waiting();
        let closed = self.log.close();
        self.rewriting.end();
        if closed.is_ok() {
            self.keep_all();
        }
        self.refuse_waiting(&Error::new(ErrorKind::Closed, "the store was closed"));
        closed
    }
}

/// Answers a batch whose key was there before: with the receipt of the first where it holds the same.
fn answer_again(
    staging: &mut Staging<'_>,
    request: Request,
    first: KnownKey,
    is_same: bool,
    is_staged: bool,
    answers: &mut Answers,
) {
    let KnownKey { fact: KeyFact { key, receipt, .. }, place } = first;
    if is_same || Mutant::ComparesNoContent.is_on() {
        let again = staging.repeat(&request.ticket, receipt, place, request.durability, is_staged);
        if let Some(receipt) = again {
            answers.push(request.ticket, Ok(receipt));
        }
        return;
    }
    let conflict = Conflict::Once { key, position: receipt.first_position };
    if let Some(conflict) = staging.refuse(&request.ticket, conflict, is_staged) {
        answers.push(request.ticket, Err(AppendError::Conflict(conflict)));
    }
}

/// Forgets what was kept for a batch that is judged no more.
fn release(recent: &mut Recent, request: &Request) {
    if let Some(held) = request.held {
        recent.release(held);
    }
}

/// IMPORTANT: a record that speaks of what is not there is damage to whoever reads it.
fn ahead(next_position: Position, request: &Request) -> Option<Error> {
    let ahead = request.facts.iter().filter_map(Fact::consumer).find(|fact| next_position <= fact.last_position())?;
    let (name, position) = (&ahead.consumer, ahead.last_position());
    let act = format!("moving consumer {name} to position {position}: the next event gets position {next_position}");
    Some(Error::new(ErrorKind::InvalidArgument, act))
}

/// Why a stream takes no events: it may have ended in a loss that nobody accepted.
fn doubt(view: &View, request: &Request) -> Option<Error> {
    request.streams.iter().find_map(|stream| {
        let last =
            view.table.visible(stream.as_str()).map_or(Position::BEGINNING, |known| known.extent().last_position);
        let hole = view.table.holes().doubt_behind(last)?;
        let (first, last) = (hole.range.first, hole.range.last);
        let lost = format!("events of it may be lost at positions {first} to {last}, accept the loss first");
        Some(Error::new(ErrorKind::Lost, format!("appending to stream {stream}: {lost}")))
    })
}
