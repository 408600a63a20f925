//! The names of the files of snapshots.
//!
//! ```text
//! 00000000000000004711-9f86d081884c7d65-2-500.0
//!        position            source   schema version number
//! ```
//!
//! So a list of them, sorted by name, is sorted by position. The version is that of the stream, 0 for projections; the number
//! tells those apart that go equally far.

use super::SNAPSHOTS_DIR;
use crate::position::{Position, Version};

/// A name of a file: what is known of a snapshot before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileName {
    pub(crate) position: Position,
    pub(crate) number: u32,
    pub(crate) version: Version,
    pub(crate) schema: u32,
    pub(crate) key: u64,
}

impl FileName {
    pub(crate) fn path(&self) -> String {
        format!("{SNAPSHOTS_DIR}/{}", self.text())
    }

    fn text(&self) -> String {
        let FileName { position, number, version, schema, key } = self;
        format!("{:020}-{key:016x}-{schema}-{version}.{number}", position.get())
    }

    pub(super) fn parse(text: &str) -> Option<FileName> {
        let (rest, number) = text.split_once('.')?;
        let mut parts = rest.split('-');
        let position = Position::new(parts.next()?.parse().ok()?);
        let key = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (schema, version) = (parts.next()?.parse().ok()?, Version::new(parts.next()?.parse().ok()?));
        let name = FileName { position, number: number.parse().ok()?, version, schema, key };
        (name.text() == text).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_read_as_it_was_made_and_no_other_is() {
        let name = FileName {
            position: Position::new(4711),
            number: 3,
            version: Version::new(500),
            schema: 2,
            key: 0x9f86_d081_884c_7d65,
        };
        assert_eq!(name.path(), "snapshots/00000000000000004711-9f86d081884c7d65-2-500.3");
        assert_eq!(FileName::parse(&name.text()), Some(name));
        for other in [
            "projection-a-1.0",
            "4711-9f86d081884c7d65-2-500.3",
            "00000000000000004711-9f86d081884c7d65-2-500.03",
            "00000000000000004711-9f86d081884c7d65-2-500",
            "00000000000000004711-9F86D081884C7D65-2-500.3",
            "00000000000000004711-9f86d081884c7d65-2-500-1.3",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_goes_further_is_later_and_so_is_what_was_written_later() {
        let name = |position, number| FileName {
            position: Position::new(position),
            number,
            version: Version::NONE,
            schema: 1,
            key: 7,
        };
        assert!(name(9, 1) < name(10, 0) && name(10, 0) < name(10, 1));
        assert!(name(9, 1).text() < name(10, 0).text());
    }
}
