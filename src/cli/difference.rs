//! What differs between two states, path by path.
//!
//! States are JSON, and numbers are compared by their digits: none is too large or too fine for that. Members of an
//! object are the same wherever they stand in it; elements of an array are compared place by place, so of a set that
//! is written in no order everything may seem to have changed.

use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::Row;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One place that differs. Where a side is absent, there is nothing in that place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// As in `score.alice` or `rounds[2]`; empty for the whole.
    path: String,
    before: Option<String>,
    after: Option<String>,
}

/// Everything that differs between two JSON texts, by path.
pub(crate) fn differences(before: &str, after: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&str>, after: Option<&str>, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before.map_or(Shape::Plain, Shape::of), after.map_or(Shape::Plain, Shape::of)) {
        (Shape::Object(before), Shape::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let value = |of: &BTreeMap<String, &'_ RawValue>| of.get(key).map(|value| value.get().to_owned());
                compare(&member(path, key), value(&before).as_deref(), value(&after).as_deref(), found);
            }
        }
        (Shape::Array(before), Shape::Array(after)) => {
            for at in 0..before.len().max(after.len()) {
                let element = |of: &[&RawValue]| of.get(at).map(|value| value.get().to_owned());
                compare(&format!("{path}[{at}]"), element(&before).as_deref(), element(&after).as_deref(), found);
            }
        }
        _ => found.push(Difference {
            path: path.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }),
    }
}

/// A value, one step taken apart.
enum Shape<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    /// Something that has no places in it.
    Plain,
}

impl Shape<'_> {
    fn of(json: &str) -> Shape<'_> {
        match json.trim_ascii_start().bytes().next() {
            Some(b'{') => serde_json::from_str(json).map_or(Shape::Plain, Shape::Object),
            Some(b'[') => serde_json::from_str(json).map_or(Shape::Plain, Shape::Array),
            _ => Shape::Plain,
        }
    }
}

/// The path of a member. A key that could be taken for more than one step is quoted.
fn member(path: &str, key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':');
    match (path, !key.is_empty() && key.chars().all(is_plain)) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", quoted(key)),
    }
}

/// `score.alice: 3 -> 4`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        let path = if self.path.is_empty() { "the whole" } else { &self.path };
        write!(f, "{path}: {} -> {}", side(&self.before), side(&self.after))
    }
}

impl Row for Difference {
    fn cells(&self) -> Vec<String> {
        vec![self.to_string()]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        *line = format!("{{\"path\":{}", quoted(&self.path));
        for (name, side) in [("before", &self.before), ("after", &self.after)] {
            if let Some(json) = side {
                line.push_str(&format!(",\"{name}\":{json}"));
            }
        }
        line.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expected: &[&str]) {
        let found: Vec<String> = differences(before, after).iter().map(Difference::to_string).collect();
        assert_eq!(found, expected, "{before} and {after}");
    }

    #[test]
    fn each_place_that_differs_is_named_by_its_path() {
        check(r#"{"score":{"alice":3,"bob":1}}"#, r#"{"score":{"alice":4,"bob":1}}"#, &["score.alice: 3 -> 4"]);
        check(r#"{"a":[1,{"b":2}]}"#, r#"{"a":[1,{"b":3}]}"#, &["a[1].b: 2 -> 3"]);
        check(
            r#"{"over":false,"word":null}"#,
            r#"{"over":true,"word":"owl"}"#,
            &["over: false -> true", r#"word: null -> "owl""#],
        );
        check("3", "4", &["the whole: 3 -> 4"]);
        check("[1]", r#"{"a":1}"#, &[r#"the whole: [1] -> {"a":1}"#]);
    }

    #[test]
    fn what_came_or_went_stands_against_nothing() {
        check("{}", r#"{"a":null}"#, &["a: nothing -> null"]);
        check(r#"{"a":{"b":1}}"#, "{}", &[r#"a: {"b":1} -> nothing"#]);
        check("[1,2,3]", "[1]", &["[1]: 2 -> nothing", "[2]: 3 -> nothing"]);
        check(r#"{"a":[]}"#, r#"{"a":[[1]]}"#, &["a[0]: nothing -> [1]"]);
    }

    #[test]
    fn where_members_stand_makes_no_difference_and_places_come_in_order() {
        check(r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{"b":{"d":3,"c":2},"a":1}"#, &[]);
        check(r#"{"b":1,"a":1}"#, r#"{"a":2,"b":2}"#, &["a: 1 -> 2", "b: 1 -> 2"]);
        let elements: Vec<String> = (0..11).map(|at| format!("[{at}]: 0 -> 1")).collect();
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        check("[0,0,0,0,0,0,0,0,0,0,0]", "[1,1,1,1,1,1,1,1,1,1,1]", &elements);
    }

    #[test]
    fn numbers_are_compared_by_their_digits() {
        let (one, two) = ("340282366920938463463374607431768211454", "340282366920938463463374607431768211455");
        check(one, two, &[&format!("the whole: {one} -> {two}")]);
        check("0.1", "0.10000000000000000001", &["the whole: 0.1 -> 0.10000000000000000001"]);
    }

    #[test]
    fn a_key_that_could_be_several_steps_is_quoted() {
        let keys = r#"{"a.b":0,"":0,"a b":0,"a\"[0]":0,"\u001b":0,"player:1":0,"ä-1_x":0}"#;
        check(
            keys,
            &keys.replace(":0", ":1"),
            &[
                r#"[""]: 0 -> 1"#,
                r#"["\u001b"]: 0 -> 1"#,
                r#"["a b"]: 0 -> 1"#,
                r#"["a\"[0]"]: 0 -> 1"#,
                r#"["a.b"]: 0 -> 1"#,
                "player:1: 0 -> 1",
                "ä-1_x: 0 -> 1",
            ],
        );
    }

    #[test]
    fn a_difference_is_a_line_of_json() {
        let lines = differences(r#"{"a":1,"b":"x"}"#, r#"{"a":[2],"c":null}"#).into_iter().map(|difference| {
            let mut line = String::new();
            difference.write_json(&mut line).expect("a line");
            line
        });
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [r#"{"path":"a","before":1,"after":[2]}"#, r#"{"path":"b","before":"x"}"#, r#"{"path":"c","after":null}"#,]
        );
    }
}
