//! Stands in for what the tool prints with: nothing is printed here.

/// Says nothing.
pub(crate) fn say(_: &str) {}

/// A number and what it counts.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
