//! Whether a projection folds to the same however it is folded.

use super::anew::{Anew, fold_in};
use super::fault::ProjectionFault;
use super::folded::{Folded, StateHash, encoded};
use super::kind::{self, Projection};
use super::running::Running;
use super::saved;
use crate::error::{Error, ErrorKind};
use crate::position::Position;
use crate::store::EventStore;
use crate::sync::Arc;

/// What [`check_projection`](EventStore::check_projection) has found.
#[derive(Clone, Debug)]
pub struct ProjectionCheck {
    position: Position,
    events: u64,
    pieces: u64,
    hash: StateHash,
    parted: Option<Parted>,
}

/// Where two states of a projection part that must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parted {
    /// Folded in one go, and in pieces between which the state was written down and read back.
    Rebuilds {
        /// Up to here they agree.
        agreed: Position,
        /// Up to here folded they differ: the first event behind the other one makes the difference.
        differs: Position,
    },
    /// The state that is read, and one that was folded anew up to the same position.
    Serving {
        /// The position.
        position: Position,
    },
}

impl ProjectionCheck {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.parted.is_none()
    }

    /// Where states part that must be the same.
    #[must_use]
    pub fn parted(&self) -> Option<Parted> {
        self.parted
    }

    /// Up to where it was folded.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many events were folded in.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// In how many pieces one of the two was folded.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        self.pieces
    }

    /// The hash of the state that was folded in one go, at the position.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        self.hash
    }
}

/// In about how many pieces a log is folded. The first ones are small, so that a difference shows in a small log, too.
const PIECES: u64 = 32;

impl EventStore {
    /// Folds a projection twice from the first event, in one go and in pieces between which its state is written down and read
    /// back, and looks whether both come to the same, and to the state of the one that follows, or that was saved. Where they
    /// do not, the projection is not pure, or something of its state is not in what it is serialized to.
    ///
    /// ```
    /// # use scorebook::{EventContext, EventStore, ExpectedVersion, NewEvent, Parted, Position, Projection, Query, RecordedEvent, StreamName};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Words {
    ///     count: u64,
    ///     #[serde(skip)]
    ///     last: Vec<u8>, // what is left out here was wanted below
    /// }
    ///
    /// impl Projection for Words {
    /// #     type Event = RecordedEvent;
    /// #     const NAME: &'static str = "words";
    /// #     const VERSION: u32 = 1;
    /// #     fn query() -> Query { Query::all() }
    /// #     fn new() -> Words { Words { count: 0, last: Vec::new() } }
    ///     // …
    ///     fn apply(&mut self, event: &RecordedEvent, _: &EventContext<'_>) {
    ///         self.count += u64::from(self.last != event.data());
    ///         self.last = event.data().to_vec();
    ///     }
    /// }
    ///
    /// let store = EventStore::open_in_memory()?;
    /// let said = ["one", "two", "two"].map(|word| NewEvent::bytes("said", word));
    /// store.append(&StreamName::new("talk-1")?, ExpectedVersion::Any, said).wait()?;
    /// let check = store.check_projection::<Words>()?;
    /// let (agreed, differs) = (Position::new(2), Position::new(3));
    /// assert_eq!(check.parted(), Some(Parted::Rebuilds { agreed, differs }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`fold`](Self::fold), and [`Encode`](ErrorKind::Encode) where the state cannot be written as JSON,
    /// [`Decode`](ErrorKind::Decode) where it cannot be read back.
    pub fn check_projection<P: Projection>(&self) -> Result<ProjectionCheck, Error> {
        kind::check::<P>()?;
        let serving = match Running::<P>::known(self) {
            Some(running) => Some(running.folded()),
            None => saved::load::<P>(self, Position::new(u64::MAX))?
                .map(|found| Folded::new(Arc::new(found.state), found.position)),
        };
        let (head, whole, pieces) = (self.head()?, Anew::<P>::begin(self)?, Anew::begin(self)?);
        let mut pair = Pair { store: self, whole, pieces };
        let mut check = ProjectionCheck {
            position: head,
            events: 0,
            pieces: 0,
            hash: StateHash::of(&pair.whole.state)?,
            parted: None,
        };
        while check.parted.is_none() {
            let at = pair.whole.position;
            if let Some(serving) = serving.as_ref().filter(|serving| serving.position() == at)
                && serving.hash()? != check.hash
            {
                check.parted = Some(Parted::Serving { position: at });
            }
            if at == head {
                break;
            }
            let doubled = (2 * at.get()).clamp(1, at.get() + head.get().div_ceil(PIECES));
            let next = serving.as_ref().map(Folded::position).filter(|position| at < *position);
            let to = Position::new(doubled).min(head).min(next.unwrap_or(head));
            let before = (pair.whole.state.clone(), pair.pieces.state.clone());
            let hash = pair.fold_to(to)?;
            check.pieces += 1;
            match hash {
                Some(hash) => check.hash = hash,
                None => check.parted = Some(pair.narrow(before, at, to)?),
            }
        }
        check.events = pair.whole.events;
        Ok(check)
    }
}

/// A projection that is folded in two ways.
struct Pair<'a, P> {
    store: &'a EventStore,
    whole: Anew<P>,
    pieces: Anew<P>,
}

impl<P: Projection> Pair<'_, P> {
    /// Folds both up to a position; the hash they have in common then, if there is one.
    fn fold_to(&mut self, to: Position) -> Result<Option<StateHash>, Error> {
        let told = |fault: ProjectionFault| fault.told(format!("checking projection {}", P::NAME));
        let mut read = self.store.read_all().after(self.whole.position).to(to).matching(P::query()).into_iter();
        let mut chunk = Vec::new();
        loop {
            let is_over = self.whole.read_chunk(&mut read, &mut chunk).map_err(told)?;
            for anew in [&mut self.whole, &mut self.pieces] {
                let state = std::mem::replace(&mut anew.state, P::new());
                anew.state = fold_in(state, &chunk).map_err(told)?;
            }
            if is_over {
                break;
            }
        }
        (self.whole.position, self.pieces.position) = (to, to);
        self.pieces.state = read_back(&self.pieces.state)?;
        let (whole, pieces) = (StateHash::of(&self.whole.state)?, StateHash::of(&self.pieces.state)?);
        Ok((whole == pieces).then_some(whole))
    }

    /// Looks for the first event behind which they differ, from two states that agree.
    fn narrow(&mut self, mut before: (P, P), mut agreed: Position, mut differs: Position) -> Result<Parted, Error> {
        while agreed.get() + 1 < differs.get() {
            let middle = Position::new(agreed.get().midpoint(differs.get()));
            (self.whole.position, self.pieces.position) = (agreed, agreed);
            (self.whole.state, self.pieces.state) = before.clone();
            match self.fold_to(middle)? {
                Some(_) => {
                    agreed = middle;
                    before = (self.whole.state.clone(), self.pieces.state.clone());
                }
                None => differs = middle,
            }
        }
        Ok(Parted::Rebuilds { agreed, differs })
    }
}

/// A state as it is after it was written down.
fn read_back<P: Projection>(state: &P) -> Result<P, Error> {
    let act = || format!("checking the state of projection {}", P::NAME);
    let bytes = encoded(|| serde_json::to_vec(state), act)?;
    serde_json::from_slice(&bytes).map_err(|fault| Error::with_source(ErrorKind::Decode, act(), fault))
}
