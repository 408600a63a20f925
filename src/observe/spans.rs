//! What takes its time, and what happens to a store, for the crate `tracing`. Without the feature nothing is left of it.
//!
//! A span is entered when it is made and left when it is dropped, on the same thread. Names, levels and fields are part of the
//! interface: the guide lists them, and a test holds the two together.

use super::Observer;
#[cfg(feature = "tracing")]
use super::unharmed;
use crate::error::Error;
use crate::position::Place;
use std::fmt::Display;
#[cfg(feature = "tracing")]
use std::marker::PhantomData;
use std::time::Duration;

/// The target of all spans and events.
#[cfg(feature = "tracing")]
const TARGET: &str = "scorebook";

/// Something that takes its time, until this is dropped.
#[must_use = "a span ends when it is dropped"]
pub(crate) struct Span {
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
    #[cfg(feature = "tracing")]
    stays_on_its_thread: PhantomData<*const ()>,
}

impl Span {
    /// Says how it came out: a field that was left empty when it was entered.
    #[cfg(feature = "tracing")]
    pub(crate) fn record(&self, field: &'static str, value: u64) {
        if let Some(span) = &self.span {
            unharmed(|| span.record(field, value));
        }
    }

    /// Says how it came out: a field that was left empty when it was entered.
    #[cfg(not(feature = "tracing"))]
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) const fn record(&self, _: &'static str, _: u64) {}
}

#[cfg(feature = "tracing")]
impl Span {
    /// Enters one. Step by step: where one of them panics, nothing is unwound in which the next would.
    fn enter(make: impl FnOnce() -> tracing::Span) -> Span {
        let span = unharmed(make);
        if let Some(span) = &span {
            unharmed(|| span.with_subscriber(|(id, subscriber)| subscriber.enter(id)));
        }
        Span { span, stays_on_its_thread: PhantomData }
    }
}

#[cfg(feature = "tracing")]
impl Drop for Span {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            unharmed(|| span.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
            unharmed(|| drop(span));
        }
    }
}

#[cfg(feature = "tracing")]
macro_rules! span {
    ($level:ident, $name:literal, $($fields:tt)*) => {
        Span::enter(|| tracing::span!(target: TARGET, tracing::Level::$level, $name, $($fields)*))
    };
}

#[cfg(feature = "tracing")]
macro_rules! tell {
    ($level:ident, $name:literal, $($fields:tt)*) => {
        unharmed(|| tracing::event!(name: $name, target: TARGET, tracing::Level::$level, $($fields)*));
    };
}

/// Functions that make spans or tell of something, and do nothing where nobody can listen.
macro_rules! observed {
    ($($(#[$doc:meta])* fn $function:ident($($argument:ident: $type:ty),*) $(-> $span:ident)? { $($body:tt)* })*) => {
        $(
            $(#[$doc])*
            #[cfg(feature = "tracing")]
            pub(crate) fn $function($($argument: $type),*) $(-> $span)? {
                $($body)*
            }

            $(#[$doc])*
            #[cfg(not(feature = "tracing"))]
            #[inline(always)]
            pub(crate) fn $function($($argument: $type),*) $(-> $span)? {
                $(let _ = $argument;)*
                $($span {})?
            }
        )*
    };
}

observed! {
    /// A store is opened, for writing or for reading.
    fn open(label: &str, mode: &'static str) -> Span {
        use tracing::field::Empty;
        span!(INFO, "scorebook.open", store = label, mode, events = Empty, segments = Empty)
    }

    /// A store is closed.
    fn close(observer: &Observer) -> Span {
        span!(INFO, "scorebook.close", store = observer.label())
    }

    /// An append is judged and queued. Its writing is a commit.
    fn append(observer: &Observer, events: usize, bytes: usize) -> Span {
        span!(DEBUG, "scorebook.append", store = observer.label(), events, bytes)
    }

    /// A group of appends is written, synced where it must be, and made visible.
    fn commit(observer: &Observer, place: Place, batches: u64, bytes: usize) -> Span {
        span!(DEBUG, "scorebook.commit", store = observer.label(), segment = place.segment, byte = place.offset, batches, bytes)
    }

    /// A segment of the log is synced.
    fn sync(observer: &Observer, segment: u32) -> Span {
        span!(DEBUG, "scorebook.sync", store = observer.label(), segment)
    }

    /// A segment has ended, and another one begins to count.
    fn seal(observer: &Observer, segment: u32, next: u32) -> Span {
        span!(DEBUG, "scorebook.seal", store = observer.label(), segment, next)
    }

    /// A segment is made ready, for so many bytes that wait or for none.
    fn make_room(observer: &Observer, asked: usize) -> Span {
        span!(DEBUG, "scorebook.make_room", store = observer.label(), asked)
    }

    /// Segments are written anew.
    fn compact(observer: &Observer, segments: u64, bytes: u64) -> Span {
        use tracing::field::Empty;
        span!(INFO, "scorebook.compact", store = observer.label(), segments, bytes, bytes_after = Empty, events_removed = Empty)
    }

    /// Something derived from the log is made anew: the `index`, or a projection by its name.
    fn rebuild(label: &str, what: &'static str) -> Span {
        span!(INFO, "scorebook.rebuild", store = label, what, events = tracing::field::Empty)
    }

    /// A backup is taken.
    fn backup(observer: &Observer) -> Span {
        use tracing::field::Empty;
        span!(INFO, "scorebook.backup", store = observer.label(), segments = Empty, bytes = Empty)
    }

    /// A store is made of a backup.
    fn restore(label: &str) -> Span {
        use tracing::field::Empty;
        span!(INFO, "scorebook.restore", store = label, segments = Empty, bytes = Empty)
    }

    /// What opening a store found.
    fn recovered(label: &str, closed: &dyn Display, torn: bool, copied_events: u64, unproven_events: u64) {
        tell!(INFO, "scorebook.recovered", store = label, closed = %closed, torn, copied_events, unproven_events);
    }

    /// Something that opening a store found is worth knowing.
    fn noted(label: &str, note: &str) {
        tell!(WARN, "scorebook.noted", store = label, note);
    }

    /// Acknowledged bytes do not verify. A read has met them, or opening has.
    fn damaged(store: &dyn Display, place: Place) {
        tell!(ERROR, "scorebook.damaged", store = %store, segment = place.segment, byte = place.offset);
    }

    /// A write or a sync failed: nothing is written any more until the store is reopened.
    fn poisoned(observer: &Observer, failure: &Error) {
        tell!(ERROR, "scorebook.poisoned", store = observer.label(), failure = %chain(failure));
    }

    /// There is no room for a batch that waits.
    fn full(observer: &Observer, failure: &Error) {
        tell!(WARN, "scorebook.full", store = observer.label(), failure = %chain(failure));
    }

    /// A sync took long.
    fn slow_sync(observer: &Observer, segment: u32, took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tell!(WARN, "scorebook.slow_sync", store = observer.label(), segment, milliseconds);
    }

    /// A snapshot was passed over, and events are replayed in its place.
    fn snapshot_passed_over(observer: &Observer, path: &str, fault: &dyn Display) {
        tell!(WARN, "scorebook.snapshot_passed_over", store = observer.label(), path, fault = %fault);
    }
}

/// What failed, and why.
#[cfg(feature = "tracing")]
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
