//! The identity of an event.

use crate::error::{Error, ErrorKind};
use crate::position::{POSITION_MAX, Position};
use std::fmt;
use std::str::FromStr;

/// The identity of an event: a UUID, given by the caller or made by the store.
///
/// ```
/// use scorebook::EventId;
/// let id: EventId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse()?;
/// assert_eq!(id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id with these bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> EventId {
        EventId(bytes)
    }

    /// The bytes of the id, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id the store makes for the event at `position`, if it was appended in the epoch with these random bits.
    ///
    /// A UUID of version 8 (RFC 9562, 5.8): 60 of the epoch's random bits in front, the position behind.
    /// It can be worked out again from the record alone and takes no room there.
    pub(crate) fn made(epoch_bits: u64, position: Position) -> EventId {
        const VERSION_8: u64 = 0x8000;
        const VARIANT: u64 = 1 << 63;
        let high = epoch_bits & !0xF000 | VERSION_8;
        let low = position.get() & POSITION_MAX | VARIANT;
        EventId((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    /// The position of the event, if the store made this id.
    pub(crate) fn made_for(self) -> Option<Position> {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        let is_version_8 = self.0[6] >> 4 == 8;
        let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (is_version_8 && low >> 62 == 0b10).then(|| Position::new(low & POSITION_MAX))
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<EventId, Error> {
        match uuid::Uuid::try_parse(text) {
            Ok(uuid) => Ok(EventId(uuid.into_bytes())),
            Err(fault) => Err(Error::with_source(
                ErrorKind::InvalidArgument,
                format!("event id `{}` is not a UUID", text.escape_debug()),
                fault,
            )),
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_the_store_made_says_its_position() {
        let id = EventId::made(u64::MAX, Position::new(77));
        assert_eq!(id.made_for(), Some(Position::new(77)));
        assert_eq!(uuid::Uuid::from_bytes(id.to_bytes()).get_version_num(), 8);
        assert_ne!(id, EventId::made(u64::MAX - (1 << 20), Position::new(77)));
        let other: EventId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().expect("an id");
        assert_eq!(other.made_for(), None);
    }
}
