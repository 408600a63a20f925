//! File names of segments. No name of a user's ever becomes one.

use crate::format::Preamble;

/// The directory of the log, below the store's.
pub(crate) const LOG_DIR: &str = "log";

/// Which file of the log: the sequence number of its segment, and how often what it holds was rewritten by compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileNumber {
    pub(crate) sequence: u32,
    pub(crate) generation: u32,
}

/// As it was appended.
impl From<u32> for FileNumber {
    fn from(sequence: u32) -> FileNumber {
        FileNumber { sequence, generation: 0 }
    }
}

impl From<&Preamble> for FileNumber {
    fn from(preamble: &Preamble) -> FileNumber {
        FileNumber { sequence: preamble.sequence, generation: preamble.generation() }
    }
}

impl FileNumber {
    fn name(self, extension: &str) -> String {
        let FileNumber { sequence, generation } = self;
        match generation {
            0 => format!("{sequence:010}.{extension}"),
            _ => format!("{sequence:010}-{generation}.{extension}"),
        }
    }

    /// The numbers in a file name, if it is the name of such a file exactly as [`name`](Self::name) makes it.
    fn parse(name: &str, extension: &str) -> Option<FileNumber> {
        let stem = name.strip_suffix(extension)?.strip_suffix('.')?;
        let (sequence, generation) = stem.split_once('-').unwrap_or((stem, "0"));
        let number = FileNumber { sequence: sequence.parse().ok()?, generation: generation.parse().ok()? };
        (number.sequence != 0 && number.name(extension) == name).then_some(number)
    }
}

/// The name of a segment's file.
pub(crate) fn segment_name(number: impl Into<FileNumber>) -> String {
    number.into().name("log")
}

/// Which segment a file of this name is, if it is exactly as [`segment_name`] makes it.
pub(crate) fn parse_segment_name(name: &str) -> Option<FileNumber> {
    FileNumber::parse(name, "log")
}

/// The path of a segment from the store's directory.
pub(crate) fn segment_path(number: impl Into<FileNumber>) -> String {
    format!("{LOG_DIR}/{}", segment_name(number))
}

/// The path of the file with the terms of a segment, which is derived from it.
pub(crate) fn terms_path(number: impl Into<FileNumber>) -> String {
    format!("{LOG_DIR}/{}", number.into().name("idx"))
}

/// The segment whose terms a file of this name holds, if it is such a name.
pub(crate) fn parse_terms_name(name: &str) -> Option<FileNumber> {
    FileNumber::parse(name, "idx")
}

/// Whether a file name is one of those.
pub(crate) fn is_terms_name(name: &str) -> bool {
    parse_terms_name(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_only_in_the_form_it_is_made() {
        for sequence in [1, 42, u32::MAX] {
            for generation in [0, 1, u32::MAX] {
                let number = FileNumber { sequence, generation };
                assert_eq!(parse_segment_name(&segment_name(number)), Some(number));
                let terms = terms_path(number);
                assert_eq!(parse_terms_name(terms.strip_prefix("log/").expect("it is in the log")), Some(number));
            }
        }
        for name in [
            "1.log",
            "0000000000.log",
            "+000000001.log",
            "0000000001.LOG",
            "9999999999.log",
            "0000000001.log~",
            "0000000001-0.log",
            "0000000001-01.log",
            "0000000001-.log",
            "0000000001-1-1.log",
            "0000000001-+1.log",
        ] {
            assert_eq!(parse_segment_name(name), None, "{name}");
            assert!(!is_terms_name(&name.replace(".log", ".idx")), "{name}");
        }
    }
}
