//! Reading one stream.

use super::view::{SharedView, View};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::index::HoleKind;
use crate::name::StreamName;
use crate::position::{Place, Position, Version};
use crate::segment::Segment;
use crate::sync::Arc;

/// A read of one stream: bounds choose the events, [`backwards`](Self::backwards) only the order.
///
/// It ends where the stream ended when it began: it neither blocks appends nor sees them half.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName, Version};
/// let store = EventStore::open_in_memory()?;
/// let game = StreamName::new("game-1")?;
/// let events = (1..=5).map(|n| NewEvent::json("counted", &n)).collect::<Result<Vec<_>, _>>()?;
/// store.append(&game, ExpectedVersion::Any, events).wait().map_err(|error| error.into_error())?;
/// let read = store.read(&game).after(Version::new(1)).before(Version::new(5)).backwards().limit(2);
/// let versions = read.into_iter().map(|event| Ok(event?.version().get())).collect::<Result<Vec<_>, scorebook::Error>>()?;
/// assert_eq!(versions, [4, 3]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a read does nothing until it is iterated over"]
pub struct StreamRead {
    source: Result<Arc<SharedView>, Error>,
    stream: StreamName,
    bounds: Bounds,
}

/// What of a sequence of numbers is read, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The lowest number that is read.
    pub(super) first: u64,
    /// The highest number that is read.
    pub(super) last: u64,
    pub(super) is_backwards: bool,
    pub(super) limit: u64,
    pub(super) skips_lost: bool,
    is_empty: bool,
}

impl Bounds {
    pub(super) const ALL: Bounds =
        Bounds { first: 1, last: u64::MAX, is_backwards: false, limit: u64::MAX, skips_lost: false, is_empty: false };

    pub(super) fn from(&mut self, number: u64) {
        self.first = self.first.max(number);
    }

    pub(super) fn to(&mut self, number: u64) {
        self.last = self.last.min(number);
    }

    pub(super) fn after(&mut self, number: u64) {
        match number.checked_add(1) {
            Some(next) => self.from(next),
            None => self.is_empty = true,
        }
    }

    pub(super) fn before(&mut self, number: u64) {
        match number.checked_sub(1) {
            Some(previous) => self.to(previous),
            None => self.is_empty = true,
        }
    }

    /// Whether a number lies within them.
    pub(super) fn hold(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// Whether any number from the first to the last lies within them.
    pub(super) fn meet(&self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }

    pub(super) fn are_empty(&self) -> bool {
        self.is_empty || self.last < self.first || self.limit == 0
    }
}

impl StreamRead {
    pub(super) fn new(source: Result<Arc<SharedView>, Error>, stream: StreamName) -> StreamRead {
        StreamRead { source, stream, bounds: Bounds::ALL }
    }

    /// From this version on, included. Version 0 is the same as 1. Default: from the first.
    pub fn from(mut self, version: Version) -> StreamRead {
        self.bounds.from(version.get());
        self
    }

    /// Up to this version, included. Default: up to the last.
    pub fn to(mut self, version: Version) -> StreamRead {
        self.bounds.to(version.get());
        self
    }

    /// What lies behind this version, excluded.
    pub fn after(mut self, version: Version) -> StreamRead {
        self.bounds.after(version.get());
        self
    }

    /// What lies before this version, excluded.
    pub fn before(mut self, version: Version) -> StreamRead {
        self.bounds.before(version.get());
        self
    }

    /// The highest version first. Default: the lowest first.
    pub fn backwards(mut self) -> StreamRead {
        self.bounds.is_backwards = true;
        self
    }

    /// At most this many events; 0 gives none. Default: no limit.
    pub fn limit(mut self, events: u64) -> StreamRead {
        self.bounds.limit = events;
        self
    }

    /// Passes over events that were lost to damage, instead of failing there. Default: fails.
    pub fn skipping_lost(mut self) -> StreamRead {
        self.bounds.skips_lost = true;
        self
    }

    /// Begins the read.
    #[must_use]
    pub fn iter(&self) -> StreamEvents {
        StreamEvents::new(self)
    }
}

impl IntoIterator for StreamRead {
    type Item = Result<RecordedEvent, Error>;
    type IntoIter = StreamEvents;

    fn into_iter(self) -> StreamEvents {
        self.iter()
    }
}

impl IntoIterator for &StreamRead {
    type Item = Result<RecordedEvent, Error>;
    type IntoIter = StreamEvents;

    fn into_iter(self) -> StreamEvents {
        self.iter()
    }
}

/// The events of one stream, as they were when the read began.
///
/// # Errors
///
/// An item is an error where an event cannot be given; nothing follows it.
///
/// * [`StreamNotFound`](ErrorKind::StreamNotFound): the stream has no events.
/// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events that belong here cannot be read any more.
/// * [`Io`](ErrorKind::Io): the operating system could not read.
/// * [`Closed`](ErrorKind::Closed): the store was closed when the read began.
pub struct StreamEvents {
    state: Option<State>,
    error: Option<Error>,
}

struct State {
    view: Arc<SharedView>,
    stream: StreamName,
    number: u32,
    bounds: Bounds,
    /// The indexes of events that are still to be read.
    next: usize,
    end: usize,
    /// The version of the stream when the read began.
    last_version: Version,
    /// The last event given: its version and position.
    given: Option<(Version, Position)>,
    /// Looked up a page at a time, so that the lock is not taken for each event. In reading order, the next one last.
    page: Vec<(Version, Place, Arc<Segment>)>,
    left: u64,
}

const PAGE: usize = 128;

impl StreamEvents {
    fn new(read: &StreamRead) -> StreamEvents {
        let failed = |error| StreamEvents { state: None, error: Some(error) };
        let source = match &read.source {
            Ok(source) => source,
            Err(error) => return failed(error.clone()),
        };
        let view = source.0.read();
        let Some(number) =
            view.table.visible(read.stream.as_str()).and_then(|_| view.table.number(read.stream.as_str()))
        else {
            return failed(missing(&view, &read.stream));
        };
        let stream = view.table.stream(number);
        let bounds = read.bounds;
        let (next, end) = if bounds.are_empty() {
            (0, 0)
        } else {
            let behind = Version::new(bounds.last).next();
            let end = behind.map_or(stream.places.len(), |version| stream.places.index_of(version));
            (stream.places.index_of(Version::new(bounds.first)), end)
        };
        let state = State {
            view: source.clone(),
            stream: read.stream.clone(),
            number,
            bounds,
            next,
            end: end.max(next),
            last_version: stream.version(),
            given: None,
            page: Vec::new(),
            left: bounds.limit,
        };
        let is_over = bounds.are_empty();
        drop(view);
        StreamEvents { state: (!is_over).then_some(state), error: None }
    }
}

impl Iterator for StreamEvents {
    type Item = Result<RecordedEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        let item = self.state.as_mut()?.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = None;
        }
        item
    }
}

impl State {
    fn advance(&mut self) -> Result<Option<RecordedEvent>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.page.is_empty() {
            self.turn_page();
        }
        let Some((version, place, segment)) = self.page.pop() else { return self.end().map(|()| None) };
        let event = segment.event(place.offset)?;
        if event.version() != version || event.stream() != self.stream.as_str() {
            return Err(segment.damaged(place.offset));
        }
        self.check_gap(version, event.position())?;
        self.given = Some((version, event.position()));
        self.left -= 1;
        Ok(Some(event))
    }

    fn turn_page(&mut self) {
        let view = self.view.0.read();
        let places = &view.table.stream(self.number).places;
        let count = (self.end - self.next).min(PAGE).min(usize::try_from(self.left).unwrap_or(PAGE));
        let indexes = match self.bounds.is_backwards {
            false => self.next..self.next + count,
            true => self.end - count..self.end,
        };
        let entry = |index| {
            let place: Place = places.get(index)?;
            Some((places.version(index), place, view.segment(place.segment)?.clone()))
        };
        self.page.extend(indexes.clone().filter_map(entry));
        if self.bounds.is_backwards {
            self.end = indexes.start;
        } else {
            self.next = indexes.end;
            self.page.reverse();
        }
    }

    /// Fails where versions are missing before this event that were not removed on purpose.
    fn check_gap(&self, version: Version, position: Position) -> Result<(), Error> {
        let first = Version::new(self.bounds.first.max(1));
        let (is_gap, low, high) = match (self.given, self.bounds.is_backwards) {
            (Some((given, at)), false) => (given.next() != Some(version), at, position),
            (Some((given, at)), true) => (version.next() != Some(given), position, at),
            (None, false) => (first < version, Position::BEGINNING, position),
            (None, true) => {
                self.check_behind()?;
                (version.get() < self.bounds.last.min(self.last_version.get()), position, Position::new(u64::MAX))
            }
        };
        if is_gap { self.check_doubt(low, high) } else { Ok(()) }
    }

    /// Fails where events may be missing behind the last one of the read.
    fn end(&self) -> Result<(), Error> {
        let first = Version::new(self.bounds.first.max(1));
        let last = Version::new(self.bounds.last).min(self.last_version);
        match (self.given, self.bounds.is_backwards) {
            (Some((version, at)), true) if first < version => self.check_doubt(Position::BEGINNING, at),
            (Some((version, at)), false) if version < last => self.check_doubt(at, self.next_position()?),
            // The stream has nothing within the bounds. What should be there may be missing.
            (None, _) if first <= last => self.check_doubt(Position::BEGINNING, self.next_position()?),
            (Some(_), true) => Ok(()),
            (None, _) | (Some(_), false) => self.check_behind(),
        }
    }

    /// The position of the first event behind the bounds, which is known where the stream goes on behind them.
    fn next_position(&self) -> Result<Position, Error> {
        let behind = {
            let view = self.view.0.read();
            let places = &view.table.stream(self.number).places;
            let index = Version::new(self.bounds.last).next().map(|version| places.index_of(version));
            let place = index.and_then(|index| places.get(index));
            place.and_then(|place| Some((view.segment(place.segment)?.clone(), place.offset)))
        };
        match behind {
            Some((segment, offset)) => Ok(segment.event(offset)?.position()),
            None => Ok(Position::new(u64::MAX)),
        }
    }

    /// Fails where the bounds reach behind the last known event and it is in doubt whether that was the last.
    fn check_behind(&self) -> Result<(), Error> {
        if self.bounds.last <= self.last_version.get() || self.bounds.skips_lost {
            return Ok(());
        }
        let view = self.view.0.read();
        let last = view.table.stream(self.number).last_position;
        match view.table.holes().doubt_behind(last) {
            Some(hole) => Err(in_hole(&self.stream, &hole)),
            None => Ok(()),
        }
    }

    fn check_doubt(&self, low: Position, high: Position) -> Result<(), Error> {
        if self.bounds.skips_lost {
            return Ok(());
        }
        match self.view.0.read().table.holes().doubt_between(low, high) {
            Some(hole) => Err(in_hole(&self.stream, &hole)),
            None => Ok(()),
        }
    }
}

/// The error for a stream that has no visible events.
pub(super) fn missing(view: &View, stream: &StreamName) -> Error {
    match view.table.holes().doubt_behind(Position::BEGINNING) {
        Some(hole) => in_hole(stream, &hole),
        None => Error::new(ErrorKind::StreamNotFound, format!("stream {stream} does not exist")),
    }
}

/// The error for events of a stream that may be among positions that cannot be read.
pub(super) fn in_hole(stream: &StreamName, hole: &crate::index::Hole) -> Error {
    let (first, last) = (hole.range.first, hole.range.last);
    match hole.kind {
        HoleKind::Lost => {
            let act = format!("reading stream {stream}: events of it may be lost at positions {first} to {last}");
            Error::new(ErrorKind::Lost, act)
        }
        HoleKind::Damaged | HoleKind::Removed => {
            let act = format!("reading stream {stream}: events of it may be damaged at positions {first} to {last}");
            Error::new(ErrorKind::Damaged, act)
        }
    }
}
