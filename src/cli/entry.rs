//! An event on its way into the store, with the line it came from.

use scorebook::{AppendError, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamName};

/// An event to be appended, and the number of its line.
pub(crate) struct Entry {
    pub(crate) line: u64,
    pub(crate) stream: StreamName,
    pub(crate) event: NewEvent,
}

/// The line for which the store refused a batch, where one event is to blame, and what is wrong with it.
///
/// The store says which batch it does not take. Which line that is is worked out here, only then: each event is
/// handed alone to a store in memory.
pub(crate) fn refused_line<'a>(
    error: &Error,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Option<(&'a Entry, Error)> {
    use ErrorKind::{Encode, InvalidArgument, InvalidName, TooLarge};
    if !matches!(error.kind(), Encode | InvalidArgument | InvalidName | TooLarge) {
        return None;
    }
    let store = EventStore::open_in_memory().ok()?;
    entries.into_iter().find_map(|entry| {
        match store.append(&entry.stream, ExpectedVersion::Any, [entry.event.clone()]).wait() {
            Err(AppendError::Store(alone)) if alone.kind() == error.kind() => Some((entry, alone)),
            _ => None,
        }
    })
}
