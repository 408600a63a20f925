//! Batches that wait for room: having it made, and admitting or refusing them when that is over.

use super::request::Request;
use super::writer::{Intake, Job, Writer};
use crate::error::{Error, ErrorKind};
use crate::log::{Answers, Making};
use crate::mutant::Mutant;
use std::collections::VecDeque;
use std::time::Duration;

/// Batches for which room is being made, in the order in which they came.
#[derive(Default)]
pub(super) struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Fails where too much waits already for another batch of so many bytes.
    pub(super) fn check_room(&self, len: usize, limit: usize) -> Result<(), Error> {
        if self.is_empty() || self.bytes.saturating_add(len) <= limit {
            return Ok(());
        }
        let waiting = self.bytes;
        let act = format!("appending: {waiting} bytes wait for room to be made, the limit is {limit}");
        Err(Error::new(ErrorKind::Busy, act))
    }

    pub(super) fn push(&mut self, request: Request) {
        self.bytes = self.bytes.saturating_add(request.buffer.len());
        self.requests.push_back(request);
    }

    fn pop(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.bytes -= request.buffer.len();
        Some(request)
    }

    fn put_back(&mut self, request: Request) {
        self.bytes += request.buffer.len();
        self.requests.push_front(request);
    }
}

impl Writer {
    /// Has room made for the batches that wait: by the thread for it, or here where there is none.
    pub(crate) fn ask_for_room(&self) {
        match &self.jobs {
            Some(jobs) => {
                // The receiver lives as long as the writer is open; after that nobody waits for room.
                let _ = jobs.send(Job::Room);
            }
            None => self.make_room(),
        }
    }

    /// Makes room on this thread, or waits until another has; the reason where there is none.
    pub(crate) fn make_room_now(&self) -> Option<Error> {
        match self.log.make_room() {
            Making::Failed(error) => {
                // Those who wait found this attempt under way, and made none of their own.
                self.refuse_waiting(&error);
                Some(error)
            }
            Making::Made => {
                self.admit_waiting();
                self.log.demand();
                None
            }
            Making::Nothing => {
                crate::sync::pause();
                None
            }
        }
    }

    /// Makes room and admits what waits for it, until nothing does or there is none.
    pub(crate) fn make_room(&self) {
        loop {
            while self.log.wants_room() {
                match self.log.make_room() {
                    Making::Nothing => break,
                    Making::Made => {
                        self.admit_waiting();
                        // Those who wait sleep, and none of them was called to lead.
                        self.log.demand();
                    }
                    Making::Failed(error) => {
                        self.refuse_waiting(&error);
                        break;
                    }
                }
            }
            // Room is wanted when a segment has ended. One step at a time: somebody may wait for room again.
            if !self.keep() {
                return;
            }
        }
    }

    pub(super) fn admit_waiting(&self) {
        let mut answers = Answers::default();
        match self.log.stage() {
            Err(error) => return self.refuse_waiting(&error),
            Ok(mut staging) => {
                let Intake { recent, waiting } = &mut *self.intake.lock();
                while let Some(request) = waiting.pop() {
                    if let Some(request) = self.admit(&mut staging, recent, request, &mut answers) {
                        waiting.put_back(request);
                        break;
                    }
                }
            }
        }
        answers.give();
    }

    /// Answers every batch that waits for room: nothing of it was done.
    pub(crate) fn refuse_waiting(&self, error: &Error) {
        let waiting = std::mem::take(&mut self.intake.lock().waiting);
        let mut answers = Answers::default();
        for request in waiting.requests {
            self.release(&request);
            self.refuse(request.ticket.clone(), error.clone(), &mut answers);
            if Mutant::LetsARefusedAppendComeBack.is_on() && !request.ticket.is_done() {
                self.intake.lock().waiting.put_back(request);
            }
        }
        answers.give();
    }

    /// Returns once everything that waited for room has been staged or refused.
    pub(super) fn settle_waiting(&self) {
        while !self.intake.lock().waiting.is_empty() {
            self.admit_waiting();
            self.make_room();
            if self.log.storage().has_threads() {
                // Another thread may be making the room.
                crate::sync::sleep(Duration::from_micros(100));
            }
        }
    }
}
