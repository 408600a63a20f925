//! What is kept in order.

use super::run::said;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::sync::Arc;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use xxhash_rust::xxh3::xxh3_128;

/// What a consumer keeps in order: events with the same key are handed out one after the other, to one member at a time,
/// and an event that is parked holds back the later ones of its key, and no others.
#[derive(Clone)]
pub struct PartitionBy(Kind);

#[derive(Clone)]
enum Kind {
    Nothing,
    Everything,
    Stream,
    Category,
    Type,
    Tag(String),
    Correlation,
    Key(String, Arc<dyn Fn(&RecordedEvent) -> String + Send + Sync>),
}

impl PartitionBy {
    /// Nothing is kept in order: every event is a key of its own.
    pub const NOTHING: PartitionBy = PartitionBy(Kind::Nothing);
    /// All events are one key: one after the other.
    pub const EVERYTHING: PartitionBy = PartitionBy(Kind::Everything);
    /// The events of a stream. The default.
    pub const STREAM: PartitionBy = PartitionBy(Kind::Stream);
    /// The events of a category.
    pub const CATEGORY: PartitionBy = PartitionBy(Kind::Category);
    /// The events of a type.
    pub const TYPE: PartitionBy = PartitionBy(Kind::Type);
    /// The events of one correlation; those without are one key.
    pub const CORRELATION: PartitionBy = PartitionBy(Kind::Correlation);

    /// The events with the same value of the first tag with this key; those without it are one key.
    #[must_use]
    pub fn tag(key: &str) -> PartitionBy {
        PartitionBy(Kind::Tag(key.to_owned()))
    }

    /// The events for which a function gives the same key. The name stands for the function: another function under the
    /// same name is taken for the same. Where it panics the consumer goes no further, and whoever asks for the next event is
    /// told.
    #[must_use]
    pub fn key(name: &str, key: impl Fn(&RecordedEvent) -> String + Send + Sync + 'static) -> PartitionBy {
        PartitionBy(Kind::Key(name.to_owned(), Arc::new(key)))
    }

    /// The key of an event, as its hash: two keys that meet by chance are one, which keeps more in order than asked.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): the function of a user panicked.
    pub(super) fn key_of(&self, event: &RecordedEvent) -> Result<u128, Error> {
        let metadata;
        let key = match &self.0 {
            Kind::Nothing => return Ok(u128::from(event.position().get())),
            Kind::Everything => "",
            Kind::Stream => event.stream(),
            Kind::Category => event.category(),
            Kind::Type => event.event_type(),
            Kind::Tag(key) => event.tags().find(|(of, _)| of == key).map_or("", |(_, value)| value),
            Kind::Correlation => {
                metadata = event.metadata().ok().and_then(|metadata| metadata.correlation().map(str::to_owned));
                return Ok(xxh3_128(metadata.unwrap_or_default().as_bytes()));
            }
            Kind::Key(name, key) => {
                let key = catch_unwind(AssertUnwindSafe(|| key(event))).map_err(|panic| {
                    let act = format!("finding the key {name} of the event at position {}", event.position());
                    Error::with_source(ErrorKind::InvalidArgument, act, format!("it panicked: {}", said(&*panic)))
                });
                return Ok(xxh3_128(key?.as_bytes()));
            }
        };
        Ok(xxh3_128(key.as_bytes()))
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Nothing => f.write_str("nothing"),
            Kind::Everything => f.write_str("everything"),
            Kind::Stream => f.write_str("stream"),
            Kind::Category => f.write_str("category"),
            Kind::Type => f.write_str("type"),
            Kind::Correlation => f.write_str("correlation"),
            Kind::Tag(key) => write!(f, "tag {key}"),
            Kind::Key(name, _) => write!(f, "key {name}"),
        }
    }
}

impl fmt::Debug for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition by {self}")
    }
}
