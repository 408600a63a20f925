//! What a rule or a hold is for, as a person says it.

use scorebook::{Scope, StreamName};
use std::str::FromStr;

/// A scope that was given as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenScope(pub(crate) Scope);

impl FromStr for GivenScope {
    type Err = String;

    /// `everything`, or a kind, a colon and a name.
    fn from_str(text: &str) -> Result<GivenScope, String> {
        let scope = match text.split_once(':') {
            None if text == "everything" => Ok(Scope::Everything),
            None if text == "once-keys" => Ok(Scope::OnceKeys),
            Some(("category", name)) => Scope::category(name),
            Some(("type", name)) => Scope::event_type(name),
            Some(("stream", name)) => StreamName::new(name).map(Scope::Stream),
            _ => return Err("it must be everything, category:NAME, type:NAME, stream:NAME or once-keys".to_owned()),
        };
        scope.map(GivenScope).map_err(|error| error.to_string())
    }
}

/// A scope as it is given.
pub(crate) fn print(scope: &Scope) -> String {
    match scope {
        Scope::Everything => "everything".to_owned(),
        Scope::Category(name) => format!("category:{}", name.as_str()),
        Scope::EventType(name) => format!("type:{}", name.as_str()),
        Scope::Stream(name) => format!("stream:{name}"),
        Scope::OnceKeys => "once-keys".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_printed_as_it_is_given() {
        for text in ["everything", "once-keys", "category:game", "type:word_refused", "stream:game-42:a"] {
            let GivenScope(scope) = text.parse().expect("a scope");
            assert_eq!(print(&scope), text);
        }
        for text in ["", "all", "category:", "category:game-42", "type:no spaces", "stream:", "streams:a"] {
            assert!(text.parse::<GivenScope>().is_err(), "{text}");
        }
    }
}
