//! What whoever folds goes on with: where it reads, and what it has read and not yet folded in.

use super::anew::CHUNK_EVENTS;
use super::chunk::{Kept, Reader};
use super::copies::Hidden;
use super::fault::ProjectionFault;
use super::kind::Projection;
use crate::error::Error;
use crate::position::Position;
use crate::subscription::{Followed, Subscription};

/// What whoever folds goes on with.
pub(super) struct Folding<P: Projection> {
    pub(super) live: Subscription,
    pub(super) reader: Reader,
    /// What came when the thread was about to sleep.
    pub(super) ahead: Option<Result<Followed, Error>>,
    pub(super) hidden: Hidden<P>,
    /// It has caught up since it began: what comes now is new.
    pub(super) is_live: bool,
    /// There is a thread that folds.
    pub(super) has_thread: bool,
}

/// What comes next, read and ready to be folded in.
pub(super) struct Gathered<P: Projection> {
    pub(super) chunk: Vec<Kept<P>>,
    /// The first of them that is new.
    pub(super) new_from: Option<usize>,
    /// Up to where that goes.
    pub(super) position: Position,
    pub(super) fault: Option<ProjectionFault>,
    pub(super) is_level: bool,
}

impl<P: Projection> Folding<P> {
    /// Reads what comes next, as far as it is there, and up to the first event that cannot be read.
    pub(super) fn gather(&mut self) -> Gathered<P> {
        let (mut chunk, mut fault, mut is_level) = (Vec::new(), None, false);
        let mut new_from = self.is_live.then_some(0);
        while chunk.len() < CHUNK_EVENTS {
            let next = match self.ahead.take() {
                Some(item) => item.map(Some),
                None => self.live.try_next(),
            };
            match next {
                Ok(Some(Followed::Event(event))) => match self.reader.keep::<P>(event) {
                    Ok(kept) => chunk.extend(kept),
                    Err(at) => {
                        fault = Some(at);
                        break;
                    }
                },
                Ok(Some(Followed::CaughtUp { .. })) => {
                    self.is_live = true;
                    new_from.get_or_insert(chunk.len());
                }
                // What was removed on purpose is in no state that is folded from now on.
                Ok(Some(_)) => {}
                Ok(None) => {
                    is_level = true;
                    break;
                }
                Err(error) => {
                    fault = Some(ProjectionFault::reading(error));
                    break;
                }
            }
        }
        Gathered { chunk, new_from, position: self.live.position(), fault, is_level }
    }

    pub(super) fn go_on_behind(&mut self, position: Position) {
        self.live.go_on_behind(position);
        self.ahead = None;
        self.hidden = Hidden::new();
    }
}
