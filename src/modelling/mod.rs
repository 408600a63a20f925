//! Modelling: enums of events, schemas that change, and what is known of them all.
//!
//! ```text
//! event      what an enum of events says of itself, and `events!`, which says it
//! payload    a payload written down and read back, by codec; raw where it is bytes
//! upcast     steps from one shape to others, and how a payload goes through them
//! graph      the shapes and steps as a graph: the way from each shape to an enum, and what is wrong with it
//! decode     recorded events become an enum's
//! registry   everything that is known, checked once when it is built
//! in_use     the registry that the aggregates of a store go by
//! soundness  what is wrong with the parts of a registry, apart from its graph
//! validate   rules for events that are about to be appended
//! check      a whole log held against what is known
//! aggregate  what a user says of an aggregate
//! load       the state of a stream, folded from the first event, a snapshot or a kept state; at how far that goes
//! states     the states that are kept
//! snapshots  what a user says of how a state is saved, and when
//! carrying   states in the log that streams begin with
//! saving     states are taken up from snapshots, and saved
//! verifying  snapshots are held against what their events fold to
//! behind     what is done behind an answer
//! execute    a command on its way: key, decision, append, and again
//! command    a command to one aggregate
//! together   commands to several, in one batch
//! decision   a command over a query
//! caught     what others wrote is run, and a panic of it is an error
//! fold       an aggregate without its type, for whoever folds a whole log or shows states
//! ```

mod aggregate;
mod at;
mod behind;
mod carrying;
mod caught;
mod check;
mod command;
mod decision;
mod decode;
mod event;
mod execute;
mod fault;
mod fold;
mod graph;
mod in_use;
mod load;
mod payload;
mod raw;
mod registry;
mod saving;
mod shape;
mod snapshots;
mod snowflake;
mod soundness;
mod states;
mod together;
mod upcast;
mod validate;
mod verifying;

pub use aggregate::{Aggregate, EventContext, OnFloor, OnUnknown};
pub use at::At;
pub use carrying::Carrying;
pub(crate) use caught::caught;
pub use check::{CheckFailure, CheckReport, CheckedShape};
pub use command::{Executed, OnStream};
pub use decision::{Decision, OnQuery};
pub use decode::{DecodedEvents, UpcastEvent};
pub use event::{Event, EventTypes};
pub use execute::{ExecuteError, Executing, Execution};
pub use fault::{RegistryFault, RegistryFaults};
pub use fold::Fold;
pub(crate) use load::fold_in;
pub use load::{AggregateStream, Loaded};
pub use registry::{EventTypeInfo, Registry, RegistryBuilder};
pub use shape::EventShape;
pub use snapshots::Snapshots;
pub use snowflake::Snowflake;
pub use together::{OnSeveral, Together};
pub use upcast::Split;
pub use validate::{Fault, Faults};
