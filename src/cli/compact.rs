//! JSON on one line without white space between its tokens, and over lines for people.

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

/// Valid JSON with a line for each member and element, indented; what holds nothing stays on its line. Strings, numbers
/// and the order of members stay as they are.
pub(crate) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut scan = Scan::default();
    let mut depth = 0_usize;
    // Whether the token before opened something; a line begins behind it, unless it is closed at once.
    let mut is_open = false;
    for c in compact(json).chars() {
        let is_inside = scan.in_string;
        scan.is_gap(c);
        let closes = !is_inside && matches!(c, '}' | ']');
        depth = depth.saturating_sub(usize::from(closes));
        if !is_inside && is_open != closes {
            begin_line(&mut text, depth);
        }
        text.push(c);
        is_open = !is_inside && matches!(c, '{' | '[');
        depth += usize::from(is_open);
        match c {
            ',' if !is_inside => begin_line(&mut text, depth),
            ':' if !is_inside => text.push(' '),
            _ => {}
        }
    }
    text
}

fn begin_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
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
    fn each_member_and_element_has_its_line() {
        for (json, expected) in [
            ("1", "1"),
            ("{}", "{}"),
            ("[[],{}]", "[\n  [],\n  {}\n]"),
            (
                r#"{"b":{"c":[1.0,"x, {y: []}"]},"a":-0}"#,
                "{\n  \"b\": {\n    \"c\": [\n      1.0,\n      \"x, {y: []}\"\n    ]\n  },\n  \"a\": -0\n}",
            ),
            (r#"["\"]",1]"#, "[\n  \"\\\"]\",\n  1\n]"),
        ] {
            assert_eq!(indented(json), expected);
            assert_eq!(compact(&indented(json)), json);
        }
    }

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
