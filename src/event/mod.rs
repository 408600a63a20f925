//! Events: as they are handed in, and as they are given back.

mod id;
mod metadata;
mod new;
mod recorded;

pub use id::EventId;
pub use metadata::Metadata;
pub use new::NewEvent;
pub use recorded::RecordedEvent;

pub(crate) use recorded::{EventParts, SharedBytes, split_tag};

/// How a payload is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// JSON as UTF-8. It has no floats that are infinite or not a number: they become `null`, which is no float any more.
    Json,
    /// Bytes the store knows nothing about; of a payload only bytes, text and newtypes around them.
    Bytes,
    /// bincode, with integers of variable width and without names of fields: small, and read only by who knows the shape.
    Bincode,
    /// A codec this version has no name for; the payload is kept and given back as it is. 1 is the same as
    /// [`Json`](Self::Json), 2 the same as [`Bytes`](Self::Bytes), 3 the same as [`Bincode`](Self::Bincode), and 0 is
    /// refused.
    Other(u8),
}
