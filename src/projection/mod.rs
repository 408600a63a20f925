//! Projections: states folded from the events of many streams, that follow the store.
//!
//! ```text
//! kind       what a user says of a projection
//! read_as    how its events are read: as those of an enum, or as they were recorded
//! chunk      events that are folded in together, and a panic among them
//! folded     a state, up to where it is folded, and its hash
//! anew       folding from a saved state or the first event up to some place, on the calling thread
//! copies     the two copies of a state that is shown while it is folded
//! fault      what has stopped a projection, and where
//! hooks      what is told of events that are new
//! folding    what whoever folds goes on with: where it reads, and what it has read
//! running    the one projection of a store and a type that follows: what is shown, and what folds it
//! view       the handle of it
//! reached    waiting until it has come to a position
//! saved      its state in a file, bound to the log
//! desk       when that is written
//! rebuild    folding anew beside it
//! check      whether it folds to the same however it is folded
//!
//! keyed      what a user says of one that has a state for each key
//! keyed_view the handle of that, and how a state is folded when it is asked for
//! kept       the states of the keys that were asked for last
//! ```
//!
//! ```text
//! whoever folds    reads a chunk of events ──► folds it into the copy that nobody sees ──► shows that copy
//! whoever reads    takes the copy that is shown
//! ```

mod anew;
mod check;
mod chunk;
mod copies;
mod desk;
mod fault;
mod folded;
mod folding;
mod hooks;
mod kept;
mod keyed;
mod keyed_view;
mod kind;
mod reached;
mod read_as;
mod rebuild;
mod running;
mod saved;
mod view;

pub use anew::AsOf;
pub use check::{Parted, ProjectionCheck};
pub use fault::ProjectionFault;
pub use folded::{Folded, StateHash};
pub use keyed::KeyedProjection;
pub use keyed_view::KeyedView;
pub use kind::{Projection, Saving};
pub use reached::Reached;
pub use read_as::ReadAs;
pub use rebuild::{Rebuild, RebuildProgress, Rebuilt};
pub use view::View;
