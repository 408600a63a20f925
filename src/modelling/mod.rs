//! Modelling: enums of events, schemas that change, and what is known of them all.
//!
//! ```text
//! event      what an enum of events says of itself, and `events!`, which says it
//! payload    a payload written down and read back, by codec; raw where it is bytes
//! upcast     steps from one shape to others, and how a payload goes through them
//! graph      the shapes and steps as a graph: the way from each shape to an enum, and what is wrong with it
//! decode     recorded events become an enum's
//! registry   everything that is known, checked once when it is built
//! validate   rules for events that are about to be appended
//! check      a whole log held against what is known
//! ```

mod check;
mod decode;
mod event;
mod fault;
mod fold;
mod graph;
mod payload;
mod raw;
mod registry;
mod shape;
mod snowflake;
mod upcast;
mod validate;

pub use check::{CheckFailure, CheckReport, CheckedShape};
pub use decode::DecodedEvents;
pub use event::{Event, EventTypes};
pub use fault::{RegistryFault, RegistryFaults};
pub use registry::{EventTypeInfo, Registry, RegistryBuilder};
pub use shape::EventShape;
pub use snowflake::Snowflake;
pub use upcast::Split;
pub use validate::{Fault, Faults};
