//! Looking at what came of a change, in several ways, and comparing it with the answer that is right.

use super::expected::Expected;
use super::layout::Event;
use super::subject::{Subject, options};
use scorebook::testing::SimulatedDisk;
use scorebook::{
    Error, ErrorKind, EventId, EventStore, ExpectedVersion, NewEvent, Place, Position, RecordedEvent, StreamName,
    Timestamp, Version,
};

/// What came of a change, where it was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Refused, or reported, by name.
    Detected,
    /// Something derived was touched, and nothing is missing.
    Rebuilt,
    /// Nothing that counts was touched, and nothing is missing.
    Harmless,
    /// Events are missing of which nothing was left that proves them.
    Residual,
}

/// What came of it, where it was wrong.
#[derive(Clone, Debug)]
pub(crate) enum Violation {
    /// Damage without a word, an event that is missing without a word, or a wrong one.
    Silent(String),
    /// An error where nothing was wrong, or not there.
    FalseAlarm(String),
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

pub(crate) fn silent<T>(text: impl Into<String>) -> Checked<T> {
    Err(Violation::Silent(text.into()))
}

pub(crate) fn false_alarm<T>(text: impl Into<String>) -> Checked<T> {
    Err(Violation::FalseAlarm(text.into()))
}

/// Looks at a store on changed files.
pub(crate) struct Look<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) expected: &'a Expected,
}

impl Look<'_> {
    /// Opens a changed disk for writing and for reading, and reads everything; in every way there is if that is asked for.
    pub(crate) fn take(&self, changed: &SimulatedDisk, is_thorough: bool) -> Checked<Outcome> {
        let before = is_thorough.then(|| changed.contents());
        let reader = match options().open_simulated_read_only(changed) {
            Ok(reader) => reader,
            Err(error) => return false_alarm(format!("opening for reading only: {error:?}")),
        };
        self.reader(&reader, is_thorough)?;
        drop(reader);
        if before.as_ref().is_some_and(|before| *before != changed.contents()) {
            return silent("reading changed something");
        }
        let outcome = match options().open_simulated(changed) {
            Ok(store) => self.opened(&store, is_thorough)?,
            Err(error) => self.refused(&error)?,
        };
        let log = |files: &super::layout::Files| {
            files
                .iter()
                .filter(|(path, _)| path.starts_with("log/"))
                .map(|(path, b)| (path.clone(), b.clone()))
                .collect::<Vec<_>>()
        };
        if outcome == Outcome::Detected && before.is_some_and(|before| log(&before) != log(&changed.contents())) {
            return silent("a refused opening changed the log");
        }
        Ok(outcome)
    }

    fn refused(&self, error: &Error) -> Checked<Outcome> {
        if !self.expected.is_damage && !self.expected.is_open_question {
            return false_alarm(format!("opening: {error:?}"));
        }
        match place_in(error) {
            Some(place) if error.kind() == ErrorKind::Damaged => {
                if self.expected.is_damage && !self.expected.is_open_question && !self.expected.explains(place) {
                    return silent(format!("opening names another place: {error:?}"));
                }
                Ok(Outcome::Detected)
            }
            _ => silent(format!("opening does not name the damage: {error:?}")),
        }
    }

    fn opened(&self, store: &EventStore, is_thorough: bool) -> Checked<Outcome> {
        if self.expected.is_damage && !self.expected.is_open_question {
            return silent(format!("it opened: {}", store.recovery_report()));
        }
        let there = self.everything(store, false)?;
        let all = self.subject.layout.events.len();
        if is_thorough {
            self.ways(store, false)?;
            self.goes_on(store)?;
        }
        Ok(match () {
            () if there < all => Outcome::Residual,
            () if self.expected.is_derived_touched || self.expected.silent_from < all => Outcome::Rebuilt,
            () => Outcome::Harmless,
        })
    }

    fn reader(&self, store: &EventStore, is_thorough: bool) -> Checked {
        let report = store.recovery_report();
        let is_sound = report.damage().is_empty();
        if !self.expected.is_open_question && is_sound == self.expected.is_damage {
            let what = format!("opening for reading only: {report}");
            return if is_sound { silent(what) } else { false_alarm(what) };
        }
        let is_explained = report.damage().iter().any(|damage| self.expected.explains(damage.place()));
        if !self.expected.is_open_question && !is_sound && !is_explained {
            return silent(format!("another place is named: {report}"));
        }
        self.everything(store, !is_sound)?;
        if is_thorough {
            self.ways(store, !is_sound)?;
        }
        Ok(())
    }

    /// Reads everything, forwards. Gives how many events there were.
    pub(crate) fn everything(&self, store: &EventStore, may_fail: bool) -> Checked<usize> {
        let mut there = 0;
        for span in &self.subject.spans {
            let read = store.read_all().from(Position::new(span.first)).to(Position::new(span.last));
            let (given, _) = self.follow(read, span.events.clone(), may_fail, "reading all")?;
            there += given;
        }
        Ok(there)
    }

    /// Compares a read with the events it must give. It may end early where nothing proves that there was more, and with
    /// an error where the next event cannot be given. Gives how many events there were, and how it ended.
    fn follow(
        &self,
        read: impl IntoIterator<Item = Result<RecordedEvent, Error>>,
        expected: impl IntoIterator<Item = usize>,
        may_fail: bool,
        what: &str,
    ) -> Checked<(usize, Option<Error>)> {
        let mut expected = expected.into_iter();
        let mut given = 0;
        for item in read {
            let next = expected.next();
            let event = match item {
                Ok(event) => event,
                Err(error) => {
                    self.justified(&error, next, may_fail, &format!("{what}, behind {given} events"))?;
                    return Ok((given, Some(error)));
                }
            };
            let known = next.map(|next| &self.subject.layout.events[next]);
            if !known.is_some_and(|known| is_same(known, &event)) {
                return silent(format!("{what}: {event:?} is not the event that follows {given} others: {known:?}"));
            }
            given += 1;
        }
        match expected.next() {
            Some(next) if next < self.expected.silent_from => {
                silent(format!("{what}: it ends behind {given} events without a word of the next: {next}"))
            }
            _ => Ok((given, None)),
        }
    }

    /// An error in place of an event: right where that event cannot be given, and it says so.
    fn justified(&self, error: &Error, next: Option<usize>, may_fail: bool, what: &str) -> Checked {
        let is_gone = next.is_some_and(|next| self.expected.silent_from <= next);
        let has_losses = !self.subject.layout.losses.is_empty();
        let is_missing = match error.kind() {
            ErrorKind::StreamNotFound | ErrorKind::EventNotFound => true,
            // Where events were lost before and that was accepted, the acceptance may be gone too.
            ErrorKind::Lost => has_losses,
            _ => false,
        };
        if is_gone && is_missing {
            return Ok(());
        }
        if !may_fail {
            return false_alarm(format!("{what}: {error:?}"));
        }
        let text = error.to_string();
        // Where something was lost before, that may be what an event seems to be missing for.
        let is_kind = error.kind() == ErrorKind::Damaged || (error.kind() == ErrorKind::Lost && has_losses);
        let is_named = is_kind && (text.contains("byte ") || text.contains("positions "));
        if !is_named {
            return silent(format!("{what}: it is not named: {error:?}"));
        }
        match next.filter(|next| !self.expected.is_open_question && self.expected.is_intact(self.subject, *next)) {
            Some(intact) => {
                let event = &self.subject.layout.events[intact];
                false_alarm(format!("{what}: position {} is undamaged and not given: {error:?}", event.position))
            }
            None => Ok(()),
        }
    }

    /// Every way of reading.
    fn ways(&self, store: &EventStore, may_fail: bool) -> Checked {
        for span in &self.subject.spans {
            let read = store.read_all().from(Position::new(span.first)).to(Position::new(span.last));
            self.backwards(read.backwards(), span.events.clone().rev(), may_fail, "reading all backwards")?;
        }
        for (name, events) in &self.subject.streams {
            self.stream(store, name, events, may_fail)?;
        }
        let count = self.subject.layout.events.len();
        let step = 1 + count / 100;
        let near = |index: &usize| {
            index.is_multiple_of(step)
                || !self.expected.is_intact(self.subject, *index)
                || (*index + 1 < count && !self.expected.is_intact(self.subject, index + 1))
                || (*index != 0 && !self.expected.is_intact(self.subject, index - 1))
        };
        for index in (0..count).filter(near) {
            self.point(store, index, may_fail)?;
        }
        Ok(())
    }

    fn stream(&self, store: &EventStore, name: &StreamName, events: &[usize], may_fail: bool) -> Checked {
        // A stream that a recorded loss may have hit is read up to that and behind it.
        for span in &self.subject.spans {
            let part: Vec<usize> = events.iter().copied().filter(|event| span.events.contains(event)).collect();
            let version = |index: usize| Version::new(self.subject.layout.events[part[index]].version);
            if part.is_empty() {
                continue;
            }
            let read = store.read(name).from(version(0)).to(version(part.len() - 1));
            let what = format!("reading stream {name}");
            self.follow(read.clone(), part.iter().copied(), may_fail, &what)?;
            self.backwards(read.backwards(), part.iter().rev().copied(), may_fail, &format!("{what} backwards"))?;
        }
        match store.version(name) {
            Ok(version) => {
                let of = |event: &usize| self.subject.layout.events[*event].version;
                let least = events.iter().rev().find(|event| **event < self.expected.silent_from).map_or(0, of);
                let is_known = version == Version::NONE || events.iter().any(|event| of(event) == version.get());
                if !is_known || version.get() < least {
                    return silent(format!("stream {name} has version {version}"));
                }
                Ok(())
            }
            Err(error) if !self.subject.layout.losses.is_empty() && error.kind() == ErrorKind::Lost => Ok(()),
            Err(error) => {
                // A stream that may have gone on in damaged bytes has no version that could be told.
                let is_gone = self.expected.silent_from <= events[0];
                let next = if is_gone { Some(events[0]) } else { None };
                self.justified(&error, next, may_fail, &format!("the version of stream {name}"))
            }
        }
    }

    /// Backwards a read may begin later where the end is gone.
    fn backwards(
        &self,
        read: impl IntoIterator<Item = Result<RecordedEvent, Error>>,
        expected: impl Iterator<Item = usize>,
        may_fail: bool,
        what: &str,
    ) -> Checked {
        let mut read = read.into_iter().peekable();
        let mut expected = expected.peekable();
        let first = match read.peek() {
            Some(Ok(event)) => Some(event.position().get()),
            _ => None,
        };
        // Events that nothing proves may be gone from the end, in one piece.
        let is_later = |event: &usize| {
            self.expected.silent_from <= *event
                && first.is_none_or(|first| first < self.subject.layout.events[*event].position)
        };
        let mut gone = None;
        while let Some(event) = expected.next_if(is_later) {
            gone = Some(event);
        }
        if let (Some(gone), Some(Err(error))) = (gone, read.peek()) {
            let is_all_gone = expected.peek().is_none();
            // What is asked for up to an event that is gone may end in damage before that.
            if is_all_gone || (may_fail && error.kind() == ErrorKind::Damaged) {
                return self.justified(error, Some(gone), may_fail, what);
            }
        }
        if first.is_none() && may_fail && self.expected.is_end_in_doubt {
            expected.by_ref().for_each(drop);
        }
        self.follow(read, expected, may_fail, what).map(|_| ())
    }

    /// One event, by each of its names.
    fn point(&self, store: &EventStore, index: usize, may_fail: bool) -> Checked {
        let known = &self.subject.layout.events[index];
        let name = StreamName::new(known.stream.as_str()).expect("a name");
        let mut answers = vec![
            ("by position", store.event_at(Position::new(known.position))),
            ("by version", store.event(&name, Version::new(known.version))),
        ];
        let is_short = self.subject.layout.events.len() < 200 || index.is_multiple_of(50);
        // An id that was given is looked for from the beginning, across everything that is damaged or lost.
        if is_short && self.subject.layout.losses.is_empty() && !may_fail {
            answers.push(("by id", store.event_by_id(EventId::from_bytes(known.id))));
        }
        for (how, answer) in answers {
            let what = format!("position {} {how}", known.position);
            match answer {
                Ok(event) if is_same(known, &event) => {}
                Ok(event) => return silent(format!("{what}: {event:?} is another")),
                Err(error) => self.justified(&error, Some(index), may_fail, &what)?,
            }
        }
        Ok(())
    }

    /// A store that opened goes on: it takes another event, and has it after another opening.
    fn goes_on(&self, store: &EventStore) -> Checked {
        let head = store.head().expect("an open store has a head");
        if !self.subject.layout.losses.is_empty()
            && let Err(error) = store.accept_losses()
        {
            return false_alarm(format!("accepting losses: {error:?}"));
        }
        let name = StreamName::new("afterwards-1").expect("a name");
        let appended = store.append(&name, ExpectedVersion::NoStream, [NewEvent::bytes("appended", vec![1, 2, 3])]);
        match appended.wait() {
            Ok(receipt) if Some(receipt.last_position()) == head.next() => {}
            other => return false_alarm(format!("appending behind {head}: {other:?}")),
        }
        if let Err(error) = store.reopen() {
            return false_alarm(format!("opening again: {error:?}"));
        }
        match store.event(&name, Version::FIRST) {
            Ok(event) if Some(event.position()) == head.next() && event.data() == [1, 2, 3] => Ok(()),
            other => silent(format!("what was appended is not there: {other:?}")),
        }
    }
}

/// Whether an event is, in everything that can be asked of it, the one that was stored.
pub(crate) fn is_same(known: &Event, event: &RecordedEvent) -> bool {
    event.position().get() == known.position
        && event.version().get() == known.version
        && event.time().nanos() == known.time
        && event.epoch() == known.epoch
        && event.schema() == known.schema
        && event.id().to_bytes() == known.id
        && event.occurred().map(Timestamp::nanos) == known.occurred
        && event.stream() == known.stream
        && event.event_type() == known.event_type
        && event.metadata_json() == known.metadata
        && event.data() == known.data
        && event.tags().eq(known.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// The first place that an error names.
fn place_in(error: &Error) -> Option<Place> {
    let text = error.to_string();
    let (_, behind) = text.split_once("byte ")?;
    let (offset, behind) = behind.split_once(" of segment ")?;
    let digits = behind.find(|character: char| !character.is_ascii_digit()).unwrap_or(behind.len());
    Some(Place { segment: behind[..digits].parse().ok()?, offset: offset.parse().ok()? })
}
