//! Asking about streams.

use super::EventStore;
use super::standing::{is_readable, last_version, readable};
use super::trail::{Stretch, Trail};
use super::view::{Indexed, SharedView, View};
use crate::error::{Error, ErrorKind};
use crate::index::{Extent, Fate, Stream};
use crate::name::StreamName;
use crate::position::{Position, Version};
use crate::sync::Arc;
use crate::time::Timestamp;

/// What is known of a stream.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    name: StreamName,
    version: Version,
    first_version: Version,
    count: u64,
    first_position: Position,
    last_position: Position,
    first_time: Timestamp,
    last_time: Timestamp,
}

impl StreamInfo {
    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// The version of its last event, also where that was removed: whoever appends goes on behind it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The version that it begins with: later than the first where it was deleted once, or truncated.
    #[must_use]
    pub fn first_version(&self) -> Version {
        self.first_version
    }

    /// How many events of it the log holds, whether they are read by its name or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The position of its first event.
    #[must_use]
    pub fn first_position(&self) -> Position {
        self.first_position
    }

    /// The position of its last event.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.last_position
    }

    /// The store's time of its first event.
    #[must_use]
    pub fn first_time(&self) -> Timestamp {
        self.first_time
    }

    /// The store's time of its last event.
    #[must_use]
    pub fn last_time(&self) -> Timestamp {
        self.last_time
    }
}

impl EventStore {
    /// What is known of a stream.
    ///
    /// # Errors
    ///
    /// * [`StreamNotFound`](ErrorKind::StreamNotFound): it has no events.
    /// * [`Deleted`](ErrorKind::Deleted): it was deleted or is finished; the text says why.
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events of it cannot be read, or may be among those that
    ///   cannot.
    /// * [`Io`](ErrorKind::Io): the operating system could not read.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn stream_info(&self, stream: &StreamName) -> Result<StreamInfo, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let (known, _) = readable(&view, stream)?;
        let holes = view.table.holes();
        let extent = known.extent();
        let between = holes.doubt_between(extent.first_position, extent.last_position);
        let is_whole = extent.events == extent.version.get();
        if let Some(hole) = holes.doubt_behind(extent.last_position).or(between.filter(|_| !is_whole)) {
            return Err(super::read::in_hole(stream, &hole));
        }
        let draft = Draft::of(&view, known);
        drop(view);
        draft.complete(&shared)
    }

    /// Whether a stream has events that are read by its name.
    ///
    /// # Errors
    ///
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): it has none that can be read, and may have had some.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn exists(&self, stream: &StreamName) -> Result<bool, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        match readable(&view, stream) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BelowFloor => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::StreamNotFound | ErrorKind::Deleted) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The version of a stream's last event; [`Version::NONE`] where it never had any. What is deleted or finished has one.
    ///
    /// # Errors
    ///
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): later events than those that can be read may be lost.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn version(&self, stream: &StreamName) -> Result<Version, Error> {
        let shared = self.view()?;
        let view = shared.0.read();
        let known = view.table.visible(stream.as_str());
        let last = known.map_or(Position::BEGINNING, |known| known.extent().last_position);
        match view.table.holes().doubt_behind(last) {
            Some(hole) => Err(super::read::in_hole(stream, &hole)),
            None => {
                let fate = view.table.fates().get(stream.as_str());
                Ok(last_version(known, fate))
            }
        }
    }

    /// Lists streams by name.
    pub fn streams(&self) -> StreamList {
        StreamList {
            source: self.view(),
            prefix: String::new(),
            glob: None,
            after: None,
            limit: usize::MAX,
            skips_lost: false,
            has_deleted: false,
        }
    }
}

/// A list of streams, sorted by name.
///
/// ```
/// use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
/// let store = EventStore::open_in_memory()?;
/// for name in ["game-1", "game-2", "team-1"] {
///     let event = NewEvent::json("created", name)?;
///     store.append(&StreamName::new(name)?, ExpectedVersion::Any, [event]).wait().map_err(|error| error.into_error())?;
/// }
/// let first = store.streams().prefix("game-").limit(1).list()?;
/// assert_eq!(first[0].name().as_str(), "game-1");
/// let rest = store.streams().glob("game-?").after(first[0].name()).list()?;
/// assert_eq!(rest[0].name().as_str(), "game-2");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a list does nothing until it is asked for"]
pub struct StreamList {
    source: Result<Arc<SharedView>, Error>,
    prefix: String,
    glob: Option<String>,
    after: Option<StreamName>,
    limit: usize,
    skips_lost: bool,
    has_deleted: bool,
}

impl StreamList {
    /// Only names that begin like this. Default: all.
    pub fn prefix(mut self, prefix: &str) -> StreamList {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Only names of this form, where `*` stands for anything and `?` for one character. Default: all.
    pub fn glob(mut self, pattern: &str) -> StreamList {
        self.glob = Some(pattern.to_owned());
        self
    }

    /// Only names behind this one: the last of a page is the cursor to the next. Default: from the first.
    pub fn after(mut self, name: &StreamName) -> StreamList {
        self.after = Some(name.clone());
        self
    }

    /// At most this many; 0 gives none. Default: no limit.
    pub fn limit(mut self, streams: usize) -> StreamList {
        self.limit = streams;
        self
    }

    /// Lists also what was deleted or is finished and has events in the log. Default: only what is read by its name.
    pub fn with_deleted(mut self) -> StreamList {
        self.has_deleted = true;
        self
    }

    /// Lists what is known although events are damaged or lost, which may be those of further streams. Default: fails.
    pub fn skipping_lost(mut self) -> StreamList {
        self.skips_lost = true;
        self
    }

    /// The streams, sorted by name byte by byte.
    ///
    /// # Errors
    ///
    /// * [`Damaged`](ErrorKind::Damaged), [`Lost`](ErrorKind::Lost): events cannot be read, and streams or their last
    ///   versions may be missing because of it.
    /// * [`Io`](ErrorKind::Io): the operating system could not read.
    /// * [`Closed`](ErrorKind::Closed).
    pub fn list(&self) -> Result<Vec<StreamInfo>, Error> {
        let shared = self.source.as_ref().map_err(Clone::clone)?;
        let view = shared.0.read();
        let doubt = view.table.holes().doubt_behind(Position::BEGINNING).filter(|_| !self.skips_lost);
        if let Some(hole) = doubt {
            return Err(super::all_events::unreadable(hole.range, hole.kind));
        }
        let after = self.after.as_ref().map_or("", StreamName::as_str);
        let is_wanted = |name: &str| {
            name.starts_with(&self.prefix)
                && after < name
                && self.glob.as_ref().is_none_or(|pattern| glob_matches(pattern, name))
        };
        let is_standing = |stream: &Stream| self.has_deleted || is_readable(&view, stream);
        let is_wanted = |stream: &&Stream| is_wanted(view.table.name(stream)) && is_standing(stream);
        let mut found: Vec<&Stream> = view.table.all_visible().filter(is_wanted).collect();
        found.sort_unstable_by_key(|stream| view.table.name(stream));
        found.truncate(self.limit);
        let drafts: Vec<Draft> = found.into_iter().map(|stream| Draft::of(&view, stream)).collect();
        drop(view);
        drafts.into_iter().map(|draft| draft.complete(shared)).collect()
    }
}

/// What the table knows of a stream; the times stand in the events.
struct Draft {
    name: StreamName,
    extent: Extent,
    first_version: Version,
    /// That of the last event it had.
    version: Version,
    indexed: Arc<Vec<Indexed>>,
}

impl Draft {
    fn of(view: &View, stream: &Stream) -> Draft {
        let name = view.table.name(stream);
        let fate = view.table.fates().get(name);
        let first_version = fate.map_or(Version::FIRST, Fate::first);
        Draft {
            version: last_version(Some(stream), fate),
            name: StreamName::trusted(name.into()),
            extent: *stream.extent(),
            first_version,
            indexed: view.all_indexed(),
        }
    }

    fn complete(self, shared: &SharedView) -> Result<StreamInfo, Error> {
        let Extent { version, events, first_position, last_position, first_segment, last_segment } = self.extent;
        let term = shared.0.read().terms.hasher().stream(self.name.as_str());
        let indexed = self.indexed;
        let missing = |sequence: u32| {
            Error::new(ErrorKind::Damaged, format!("reading stream {}: it is not in segment {sequence}", self.name))
        };
        let within = |sequence: u32| Stretch::within(&indexed, sequence, term);
        let first = within(first_segment)?.ok_or_else(|| missing(first_segment))?;
        let behind = last_position.next().unwrap_or(last_position);
        let last = match within(last_segment)? {
            // Where the last events were removed there may be others before them.
            None if shared.0.read().table.holes().any_between(Position::BEGINNING, behind) => {
                Trail::new(indexed.clone(), term, last_segment).next()?
            }
            last => last,
        };
        let last = last.ok_or_else(|| missing(last_segment))?;
        // More may have come in since.
        let behind = version.next().map_or(Ok(last.events()), |next| last.index_of(next))?;
        let last_event = last.event(behind.saturating_sub(1))?;
        Ok(StreamInfo {
            first_time: first.event(0)?.time(),
            last_time: last_event.time(),
            name: self.name,
            version: self.version,
            first_version: self.first_version,
            count: events,
            first_position,
            last_position: last_event.position(),
        })
    }
}

/// Whether a name has the form of a pattern. Looks at each pair of places at most once: no pattern makes it slow.
fn glob_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and up to where it has swallowed the name.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((place, swallowed)) => {
                    star = Some((place, swallowed + 1));
                    at = place + 1;
                    from = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_a_question_mark_for_one_character() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("game-*", "game-42", true),
            ("game-?", "game-42", false),
            ("*-4?", "game-42", true),
            ("g*e*2", "game-42", true),
            ("g*e*3", "game-42", false),
            ("?", "é", true),
            ("", "a", false),
        ] {
            assert_eq!(glob_matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
