//! The text of a condition: `type=a,b tag=k:v after=17`.

use scorebook::{Position, Query, StreamName};
use std::str::FromStr;

/// What must not have happened.
#[derive(Clone, Debug)]
pub(crate) struct Unless(pub(crate) Query);

impl FromStr for Unless {
    type Err = String;

    /// Words with spaces in between: `type=` and `category=` take several with commas, `tag=`, `stream=`, `prefix=` and
    /// `after=` one; `or` begins the next item.
    fn from_str(text: &str) -> Result<Unless, String> {
        let mut items = Vec::new();
        let mut item = Query::all();
        let (mut prefix, mut after) = ("", Position::BEGINNING);
        // Whether the item at hand asks for anything, and whether one before it did not.
        let (mut asks, mut is_void) = (false, false);
        for word in text.split_whitespace() {
            is_void |= word == "or" && !asks;
            asks |= !word.starts_with("prefix=") && !word.starts_with("after=");
            item = match word.split_once('=') {
                Some(("type", names)) => names.split(',').fold(item, |item, name| item.of_type(name)),
                Some(("category", names)) => names.split(',').fold(item, |item, name| item.in_category(name)),
                Some(("tag", tag)) => match tag.split_once(':') {
                    Some((key, value)) => item.tag(key, value),
                    None => return Err(format!("tag `{tag}` has no `:` between key and value")),
                },
                Some(("stream", name)) => item.in_stream(&StreamName::new(name).map_err(|error| error.to_string())?),
                Some(("prefix", text)) => {
                    prefix = text;
                    item
                }
                Some(("after", position)) => {
                    let number = position.parse().map_err(|_| format!("`{position}` is no position"))?;
                    after = Position::new(number);
                    item
                }
                None if word == "or" => {
                    items.push(item);
                    asks = false;
                    Query::all()
                }
                _ => {
                    let known = "type=, tag=, stream=, category=, prefix=, after= and or";
                    return Err(format!("`{word}` is none of {known}; what a payload holds makes no condition"));
                }
            };
        }
        if text.trim().is_empty() {
            return Err("it asks for nothing".to_owned());
        }
        if is_void || (!asks && !items.is_empty()) {
            return Err("an item beside `or` asks for nothing".to_owned());
        }
        let query = items.into_iter().rev().fold(item, |later, earlier| earlier.or(later));
        match query.fault() {
            Some(fault) => Err(fault.to_string()),
            None => Ok(Unless(query.prefix(prefix).after(after))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorebook::{EventStore, ExpectedVersion, NewEvent};

    /// The positions that a condition asks for, of some events.
    fn asked(text: &str) -> Vec<u64> {
        let store = EventStore::open_in_memory().unwrap();
        for (stream, event_type, player) in [("game-1", "a", 1), ("game-2", "b", 2), ("team-1", "a", 2), ("x", "c", 3)]
        {
            let event = NewEvent::bytes(event_type, []).tag("player", player);
            store.append(&StreamName::new(stream).unwrap(), ExpectedVersion::Any, [event]).wait().unwrap();
        }
        let Unless(query) = text.parse().unwrap();
        store.read_all().matching(query).into_iter().map(|event| event.unwrap().position().get()).collect()
    }

    #[test]
    fn words_make_items_and_hold_for_the_whole() {
        assert_eq!(asked("type=a,b"), [1, 2, 3]);
        assert_eq!(asked("type=a,b tag=player:2"), [2, 3]);
        assert_eq!(asked("  category=game,team   after=1 "), [2, 3]);
        assert_eq!(asked("stream=x or type=b"), [2, 4]);
        assert_eq!(asked("type=a prefix=t"), [3]);
        assert_eq!(asked("after=3"), [4]);
    }

    #[test]
    fn what_makes_no_condition_is_refused_by_name() {
        for (text, says) in [
            ("", "nothing"),
            ("type=a or", "asks for nothing"),
            ("or type=a", "asks for nothing"),
            ("type=a or after=3", "asks for nothing"),
            ("limit=3", "`limit=3` is none of"),
            ("since=2h", "`since=2h`"),
            ("data.x", "payload"),
            ("tag=player", "no `:`"),
            ("after=x", "`x` is no position"),
            ("type=", "event type"),
            ("stream=-", "stream"),
            ("category=a-b", "category"),
        ] {
            let fault = text.parse::<Unless>().unwrap_err();
            assert!(fault.contains(says), "{text}: {fault}");
        }
    }
}
