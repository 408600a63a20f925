//! JSON on one line without white space between its tokens.

use std::borrow::Cow;

/// Valid JSON with the white space between its tokens taken out. Strings, numbers and escapes stay as they are.
pub(crate) fn compact(json: &str) -> Cow<'_, str> {
    if is_compact(json) {
        return Cow::Borrowed(json);
    }
    let mut scan = Scan::default();
    Cow::Owned(json.chars().filter(|c| !scan.is_gap(*c)).collect())
}

/// Whether there is no white space between the tokens of this JSON, so that it also stands on one line.
pub(crate) fn is_compact(json: &str) -> bool {
    let mut scan = Scan::default();
    !json.bytes().any(|byte| scan.is_gap(char::from(byte)))
}

/// Walks over valid JSON and knows what is inside a string.
#[derive(Default)]
struct Scan {
    in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// Whether the next character is white space between tokens.
    fn is_gap(&mut self, c: char) -> bool {
        match c {
            _ if self.is_escaped => self.is_escaped = false,
            '\\' if self.in_string => self.is_escaped = true,
            '"' => self.in_string = !self.in_string,
            ' ' | '\t' | '\n' | '\r' => return !self.in_string,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_space_between_tokens_goes() {
        for (json, expected) in [
            (r#"{ "a" : [ 1.0e+5 ,	-0, "b c" ] }"#, r#"{"a":[1.0e+5,-0,"b c"]}"#),
            (r#" " \" \\" "#, r#"" \" \\""#),
            (r#"{"\\": " \u0020\\\" "}"#, r#"{"\\":" \u0020\\\" "}"#),
            ("\r\n[\r\n]\n", "[]"),
            ("1", "1"),
        ] {
            assert_eq!(compact(json), expected);
            assert!(is_compact(expected));
            assert!(json == expected || !is_compact(json));
        }
    }
}
