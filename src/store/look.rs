//! The look at what is visible, before a batch with conditions is judged: nothing is locked while it lasts.

use super::AllRead;
use super::condition::{Looked, Unless};
use super::keys::find_key;
use super::request::Request;
use super::writer::Writer;
use crate::error::{Error, ErrorKind};
use crate::index::Plan;
use crate::position::Position;
use crate::sync::Arc;

impl Writer {
    /// Looks for what a batch wants to be absent in all that is visible, before anything is locked, and keeps what is
    /// admitted from then on. Where much has come in by the time that is done, it looks on from there: what is left to be
    /// judged under the lock is little.
    pub(super) fn look(&self, request: &mut Request) -> Result<(), Error> {
        let counted = self.look_at_quotas(request);
        self.look_through(request)?;
        // A repeat is answered whatever else it asks.
        if request.is_repeat() { Ok(()) } else { counted }
    }

    fn look_through(&self, request: &mut Request) -> Result<(), Error> {
        const ROUNDS_MAX: u32 = 8;
        const LITTLE: u64 = 256;
        if request.absences_mut().next().is_none() && request.once.is_none() {
            return Ok(());
        }
        let mut up_to = self.hold_from(None);
        for _ in 0..ROUNDS_MAX {
            request.held = Some(up_to);
            if let Some(once) = &mut request.once {
                once.found = find_key(&self.view, &once.key, up_to)?;
                if once.found.is_some() {
                    return Ok(());
                }
            }
            for unless in request.absences_mut() {
                let looked = self.look_for(unless, up_to);
                unless.looked = Some(looked);
            }
            let head = self.view.0.read().head;
            if head.get() <= up_to.get() + LITTLE {
                break;
            }
            up_to = self.hold_from(Some(up_to));
        }
        request.held = Some(up_to);
        Ok(())
    }

    /// Keeps what is admitted behind all that is visible now, and no longer what lies behind an earlier position.
    fn hold_from(&self, before: Option<Position>) -> Position {
        let recent = &mut self.intake.lock().recent;
        let head = self.view.0.read().head;
        recent.hold(head);
        if let Some(before) = before {
            recent.release(before);
        }
        head
    }

    /// Looks for the first event that is to be absent in what is visible up to a position, behind what was looked through
    /// before.
    fn look_for(&self, unless: &mut Unless, up_to: Position) -> Result<Looked, Error> {
        let act = |said: String| format!("condition {} of a batch: {said}", unless.number);
        let after = unless.query.after_position();
        let before = match unless.looked.take() {
            Some(Ok(looked)) if looked.found.is_none() => looked.up_to.max(after),
            Some(looked) => return looked,
            None => after,
        };
        if unless.seen_in.as_ref().is_some_and(|seen_in| !std::ptr::eq(seen_in.as_ptr(), Arc::as_ptr(&self.view))) {
            let said = act("its guard was read from another store, or before this one was opened again".to_owned());
            return Err(Error::new(ErrorKind::InvalidArgument, said));
        }
        if up_to < after {
            let said = act(format!("it asks behind position {after}, and the store ends at {up_to}"));
            return Err(Error::new(ErrorKind::InvalidArgument, said));
        }
        if let Some(hole) = self.view.0.read().table.holes().doubt_behind(after) {
            let (first, last) = (hole.range.first, hole.range.last);
            let said = format!("what it asks for may be lost at positions {first} to {last}, accept the loss first");
            return Err(Error::new(ErrorKind::Lost, act(said)));
        }
        let plan = Plan::new(&unless.query, &self.hasher);
        if self.view.has_nothing_behind(before, &plan) {
            return Ok(Looked { plan, up_to, found: None });
        }
        let read = AllRead::new(Ok(self.view.clone())).matching(unless.query.clone()).passing_accepted();
        let found = read.after(before).to(up_to).into_iter().next().transpose().map_err(|error| {
            Error::with_source(error.kind(), act("what it asks for cannot be read".to_owned()), error)
        })?;
        Ok(Looked { plan, up_to, found: found.map(|event| event.position()) })
    }
}
