//! A stream as the registry folds it; and what is shown where it has no fold.

use crate::cli::Tool;
use crate::cli::failure::{Exit, Failure};
use crate::cli::read;
use scorebook::{EventStore, Fold, RecordedEvent, StreamName, Version};

/// A fold with what the stream begins with that is to be folded up to a version: with nothing up to version 0.
pub(crate) fn begin<'a>(
    store: &EventStore,
    stream: &StreamName,
    last: Version,
    mut fold: Fold<'a>,
) -> Result<Fold<'a>, Failure> {
    let nothing = Version::new(0);
    if fold.version() == nothing && last != nothing {
        fold.begin_in(store)?;
    }
    if last < fold.version() {
        let text =
            format!("stream {stream} begins with a state of version {}: there is none of {last}", fold.version());
        return Err(Failure::new(Exit::NotFound, text));
    }
    Ok(fold)
}

/// Goes on folding a stream up to a version. Behind each event `each` gets it, with the fold.
pub(crate) fn go_on<'a>(
    store: &EventStore,
    stream: &StreamName,
    last: Version,
    fold: Fold<'a>,
    mut each: impl FnMut(&RecordedEvent, &Fold<'a>) -> Result<(), Failure>,
) -> Result<Fold<'a>, Failure> {
    let mut fold = begin(store, stream, last, fold)?;
    for event in store.read(stream).after(fold.version()).to(last) {
        let event = event?;
        fold.apply(&event)?;
        each(&event, &fold)?;
    }
    // What was removed at the end of what was asked for is missing as much as what is missing in between.
    if fold.version() < last {
        let text =
            format!("stream {stream}: what is behind version {} is removed, up to {last} at least", fold.version());
        return Err(Failure::new(Exit::NotFound, text));
    }
    Ok(fold)
}

/// Shows the events that would have been folded, and gives back in one line how to have them folded.
pub(crate) fn show_events(
    tool: &Tool,
    store: &EventStore,
    stream: &StreamName,
    after: Version,
    last: Version,
) -> Result<String, Failure> {
    read::print(&mut tool.output(), store.read(stream).after(after).to(last))?;
    Ok(how_to_fold(tool, stream))
}

/// How to have a stream folded that nothing folds here, in one line.
pub(crate) fn how_to_fold(tool: &Tool, stream: &StreamName) -> String {
    let category = stream.category();
    // An aggregate of the word game is for its own streams only.
    let but = if tool.registry.fold(stream).is_some() { " but that of the word game" } else { "" };
    format!(
        "these are events, since no aggregate{but} folds category `{category}` here: a program that ends in \
         scorebook::cli::run(registry) shows states, see the documentation of scorebook::cli"
    )
}
