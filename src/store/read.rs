//! Reading one stream.

use super::standing::{below_floor, readable};
use super::trail::{Stretch, Trail};
use super::view::{Indexed, SharedView, View};
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::Term;
use crate::index::{Extent, HoleKind};
use crate::mutant::Mutant;
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::segment::Segment;
use crate::sync::Arc;
use std::ops::Range;

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
    /// Somebody has said where it begins.
    is_begun: bool,
    is_empty: bool,
}

impl Bounds {
    pub(super) const ALL: Bounds = Bounds {
        first: 1,
        last: u64::MAX,
        is_backwards: false,
        limit: u64::MAX,
        skips_lost: false,
        is_begun: false,
        is_empty: false,
    };

    pub(super) fn from(&mut self, number: u64) {
        self.is_begun = true;
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

    /// Begins with a number where nobody has said where, and fails where somebody asks for less: with what is asked for.
    fn begin_with(&mut self, first: u64) -> Result<(), u64> {
        let is_below = self.is_begun && self.first < first || self.last < first;
        if is_below && !self.are_empty() && !Mutant::ReadsBelowTheFloor.is_on() {
            return Err(self.first);
        }
        self.first = self.first.max(first);
        Ok(())
    }

    pub(super) fn are_empty(&self) -> bool {
        self.is_empty || self.last < self.first || self.limit == 0
    }
}

impl StreamRead {
    pub(super) fn new(source: Result<Arc<SharedView>, Error>, stream: StreamName) -> StreamRead {
        StreamRead { source, stream, bounds: Bounds::ALL }
    }

    /// From this version on, included. Version 0 is the same as 1. Default: from the first that is kept.
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
/// * [`Deleted`](ErrorKind::Deleted): it was deleted or is finished; the text says why.
/// * [`BelowFloor`](ErrorKind::BelowFloor): the read begins or ends before the first version that is kept, which the text
///   names. A read that does not say where it begins does so there.
/// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events that belong here cannot be read any more.
/// * [`Io`](ErrorKind::Io): the operating system could not read.
/// * [`Closed`](ErrorKind::Closed): the store was closed when the read began.
pub struct StreamEvents {
    state: Option<State>,
    error: Option<Error>,
}

struct State {
    view: Arc<SharedView>,
    indexed: Arc<Vec<Indexed>>,
    stream: StreamName,
    term: Term,
    bounds: Bounds,
    /// What was visible of the stream when the read began.
    extent: Extent,
    /// The stretches that are still to be looked at, downwards.
    trail: Trail,
    /// Those that were come by on the way to where the read begins, the next one last.
    ahead: Option<Vec<Stretch>>,
    /// The stretch at hand, and the indexes of its events that are still to be read.
    open: Option<(Stretch, Range<usize>)>,
    /// The last event given: its version and position.
    given: Option<(Version, Position)>,
    /// Looked up a page at a time: where events stand, and their versions where those are known. In reading order, the
    /// next one last.
    page: Vec<(u32, Option<Version>, Arc<Segment>)>,
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
        let (stream, floor) = match readable(&view, &read.stream) {
            Ok(readable) => readable,
            Err(error) => return failed(error),
        };
        let mut bounds = read.bounds;
        if let Err(asked) = bounds.begin_with(floor.get()) {
            return failed(below_floor(&read.stream, Version::new(asked), floor));
        }
        let extent = *stream.extent();
        let term = view.terms.hasher().stream(read.stream.as_str());
        let indexed = view.all_indexed();
        drop(view);
        let state = State {
            view: source.clone(),
            stream: read.stream.clone(),
            term,
            bounds,
            extent,
            trail: Trail::new(indexed.clone(), term, extent.last_segment),
            indexed,
            ahead: None,
            open: None,
            given: None,
            page: Vec::new(),
            left: bounds.limit,
        };
        StreamEvents { state: (!bounds.are_empty()).then_some(state), error: None }
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
            self.turn_page()?;
        }
        let Some((offset, version, segment)) = self.page.pop() else { return self.end().map(|()| None) };
        let event = segment.event(offset)?;
        let is_next = match (version, self.given, self.bounds.is_backwards) {
            (Some(version), _, _) => event.version() == version,
            (None, Some((given, _)), false) => given < event.version(),
            (None, Some((given, _)), true) => event.version() < given,
            (None, None, _) => true,
        };
        if !is_next || event.stream() != self.stream.as_str() {
            return Err(segment.damaged(offset));
        }
        let version = event.version();
        self.check_gap(version, event.position())?;
        self.given = Some((version, event.position()));
        self.left -= 1;
        Ok(Some(event))
    }

    /// Looks up where the next events stand; none where there are none within the bounds.
    fn turn_page(&mut self) -> Result<(), Error> {
        while self.open.as_ref().is_none_or(|(_, left)| left.is_empty()) {
            let Some(stretch) = self.next_stretch()? else { return Ok(()) };
            let last = self.last_wanted();
            let from = stretch.index_of(Version::new(self.bounds.first))?;
            let to = last.next().map_or(Ok(stretch.events()), |behind| stretch.index_of(behind))?;
            self.open = Some((stretch, from..to.max(from)));
        }
        let Some((stretch, left)) = &mut self.open else { return Ok(()) };
        let count = left.len().min(PAGE).min(usize::try_from(self.left).unwrap_or(PAGE));
        let from = if self.bounds.is_backwards { left.end - count } else { left.start };
        let offsets = stretch.offsets(from, count)?;
        let entry = |(index, offset)| (offset, stretch.version(index), stretch.segment().clone());
        self.page.extend((from..).zip(offsets).map(entry));
        if self.bounds.is_backwards {
            left.end = from;
        } else {
            left.start += count;
            self.page.reverse();
        }
        Ok(())
    }

    /// The highest version that is read.
    fn last_wanted(&self) -> Version {
        Version::new(self.bounds.last).min(self.extent.version)
    }

    /// The next stretch in reading order that may hold events within the bounds.
    fn next_stretch(&mut self) -> Result<Option<Stretch>, Error> {
        let (first, last) = (Version::new(self.bounds.first), self.last_wanted());
        if self.bounds.is_backwards {
            let is_over = self.open.as_ref().is_some_and(|(stretch, _)| stretch.first() <= first);
            return if is_over { Ok(None) } else { self.trail.next() };
        }
        if self.ahead.is_none() {
            let mut ahead = Vec::new();
            while let Some(stretch) = self.trail.next()? {
                let is_enough = stretch.first() <= first;
                if stretch.first() <= last {
                    ahead.push(stretch);
                }
                if is_enough {
                    break;
                }
            }
            self.ahead = Some(ahead);
        }
        Ok(self.ahead.as_mut().and_then(Vec::pop))
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
                (version.get() < self.last_wanted().get(), position, Position::new(u64::MAX))
            }
        };
        if is_gap { self.check_missing(low, high) } else { Ok(()) }
    }

    /// Fails where events may be missing behind the last one of the read.
    fn end(&self) -> Result<(), Error> {
        let first = Version::new(self.bounds.first.max(1));
        let last = self.last_wanted();
        match (self.given, self.bounds.is_backwards) {
            (Some((version, at)), true) if first < version => self.check_missing(Position::BEGINNING, at),
            (Some((version, at)), false) if version < last => self.check_missing(at, self.next_position()?),
            // The stream has nothing within the bounds. What should be there may be missing.
            (None, _) if first <= last => self.check_missing(Position::BEGINNING, self.next_position()?),
            (Some(_), true) => Ok(()),
            (None, _) | (Some(_), false) => self.check_behind(),
        }
    }

    /// The position of the first event behind the bounds, which is known where the stream goes on behind them.
    fn next_position(&self) -> Result<Position, Error> {
        let Some(version) = Version::new(self.bounds.last).next() else { return Ok(Position::new(u64::MAX)) };
        let mut trail = Trail::new(self.indexed.clone(), self.term, self.extent.last_segment);
        let mut behind = None;
        while let Some(stretch) = trail.next()? {
            let (index, is_enough) = (stretch.index_of(version)?, stretch.first() <= version);
            if index < stretch.events() {
                behind = Some((stretch, index));
            }
            if is_enough {
                break;
            }
        }
        behind.map_or(Ok(Position::new(u64::MAX)), |(stretch, index)| Ok(stretch.event(index)?.position()))
    }

    /// Fails where the bounds reach behind the last known event and it is in doubt whether that was the last.
    fn check_behind(&self) -> Result<(), Error> {
        if self.bounds.last <= self.extent.version.get() || self.bounds.skips_lost {
            return Ok(());
        }
        match self.view.0.read().table.holes().doubt_behind(self.extent.last_position) {
            Some(hole) => Err(in_hole(&self.stream, &hole)),
            None => Ok(()),
        }
    }

    /// Fails where events that should be there are missing between two positions.
    fn check_missing(&self, low: Position, high: Position) -> Result<(), Error> {
        let view = self.view.0.read();
        let holes = view.table.holes();
        // What is missing without a reason is not told of by an index that verifies, and is not silently passed over.
        if !holes.any_between(low, high) {
            let act = format!("reading stream {}: its index knows of fewer events than there are", self.stream);
            return Err(Error::new(ErrorKind::Damaged, act));
        }
        match holes.doubt_between(low, high) {
            Some(hole) if !self.bounds.skips_lost => Err(in_hole(&self.stream, &hole)),
            _ => Ok(()),
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
        HoleKind::Damaged | HoleKind::Removed | HoleKind::Thinned => {
            let act = format!("reading stream {stream}: events of it may be damaged at positions {first} to {last}");
            Error::new(ErrorKind::Damaged, act)
        }
    }
}
