//! File names of segments. No name of a user's ever becomes one.

/// The directory of the log, below the store's.
pub(crate) const LOG_DIR: &str = "log";

/// The name of the segment with this sequence number.
pub(crate) fn segment_name(sequence: u32) -> String {
    format!("{sequence:010}.log")
}

/// The sequence number in a file name, if it is the name of a segment exactly as [`segment_name`] makes it.
pub(crate) fn parse_segment_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".log")?;
    let sequence = digits.parse().ok().filter(|sequence| *sequence != 0)?;
    (segment_name(sequence) == name).then_some(sequence)
}

/// The path of a segment from the store's directory.
pub(crate) fn segment_path(sequence: u32) -> String {
    format!("{LOG_DIR}/{}", segment_name(sequence))
}

/// The path of the file with the terms of a segment, which is derived from it.
pub(crate) fn terms_path(sequence: u32) -> String {
    format!("{LOG_DIR}/{sequence:010}.idx")
}

/// The number of the segment whose terms a file of this name holds, if it is such a name.
pub(crate) fn parse_terms_name(name: &str) -> Option<u32> {
    parse_segment_name(&format!("{}.log", name.strip_suffix(".idx")?))
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
            assert_eq!(parse_segment_name(&segment_name(sequence)), Some(sequence));
            assert!(is_terms_name(terms_path(sequence).strip_prefix("log/").expect("it is in the log")));
        }
        for name in ["1.log", "0000000000.log", "+000000001.log", "0000000001.LOG", "9999999999.log", "0000000001.log~"]
        {
            assert_eq!(parse_segment_name(name), None, "{name}");
            assert!(!is_terms_name(&name.replace(".log", ".idx")), "{name}");
        }
    }
}
