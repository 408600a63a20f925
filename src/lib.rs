//! An event store that lives inside the program that uses it: one directory, one process that writes, no server.

mod error;
mod event;
mod format;
mod index;
pub mod limits;
mod log;
mod name;
mod options;
mod position;
mod receipt;
mod segment;
mod storage;
mod sync;
mod time;

pub use error::{AppendError, Conflict, Error, ErrorKind};
pub use event::{Codec, EventId, Metadata, NewEvent, RecordedEvent};
pub use log::{CloseState, Damage, DamageKind, RecoveryReport};
pub use name::StreamName;
pub use options::{Durability, Options, ReadMode};
pub use position::{ExpectedVersion, Place, Position, Version};
pub use receipt::{Receipt, StreamReceipt};
pub use time::Timestamp;
