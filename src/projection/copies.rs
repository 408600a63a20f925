//! The two copies of a state that is shown while it is folded.

use super::chunk::{self, Kept};
use super::fault::ProjectionFault;
use super::kind::Projection;
use super::read_as::ReadAs;
use crate::mutant::Mutant;
use crate::sync::Arc;

/// The copy that nobody sees, and what the shown one has that it has not.
pub(super) struct Hidden<P: Projection> {
    /// Lost after a panic, and left to whoever still reads it.
    copy: Option<Arc<P>>,
    missing: Arc<Vec<Kept<P>>>,
}

/// What has become of a chunk.
pub(super) struct Outcome<P: Projection> {
    /// What is to be shown from now on: the state with the chunk, or with what of it comes before the fault.
    pub(super) state: Arc<P>,
    /// What of the chunk is in it.
    pub(super) chunk: Arc<Vec<Kept<P>>>,
    pub(super) fault: Option<ProjectionFault>,
}

impl<P: Projection> Hidden<P> {
    pub(super) fn new() -> Hidden<P> {
        Hidden { copy: None, missing: Arc::default() }
    }

    /// Folds a chunk into the hidden copy. The one that is shown is as it was, and is the hidden one from now on.
    pub(super) fn fold(&mut self, shown: &Arc<P>, mut chunk: Vec<Kept<P>>) -> Outcome<P> {
        let copy = self.level(shown);
        let fault_at =
            |chunk: &[Kept<P>], (index, error)| ProjectionFault::at(P::Event::recorded(&chunk[index]), error);
        let (state, fault) = match chunk::apply(copy, &chunk) {
            Ok(state) => (state, None),
            Err((index, error)) => {
                let fault = fault_at(&chunk, (index, error));
                chunk.truncate(index);
                match chunk::apply(P::clone(shown), &chunk) {
                    Ok(state) => (state, Some(fault)),
                    // What went well a moment ago did not go well again: the fold is not pure, and nothing of the chunk is
                    // shown.
                    Err((_, error)) => {
                        let fault = Some(fault_at(&chunk, (0, error)));
                        return Outcome { state: shown.clone(), chunk: Arc::default(), fault };
                    }
                }
            }
        };
        let chunk = Arc::new(chunk);
        (self.copy, self.missing) = (Some(shown.clone()), chunk.clone());
        Outcome { state: Arc::new(state), chunk, fault }
    }

    /// The hidden copy with all that is shown.
    fn level(&mut self, shown: &Arc<P>) -> P {
        let missing = std::mem::take(&mut self.missing);
        let copy = self.copy.take().and_then(Arc::into_inner);
        let level = match Mutant::ForgetsWhatTheOtherCopyMisses.is_on() {
            true => copy,
            false => copy.and_then(|copy| chunk::apply(copy, &missing).ok()),
        };
        level.unwrap_or_else(|| P::clone(shown))
    }
}
