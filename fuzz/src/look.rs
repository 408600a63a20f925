//! Looking at a store in every way there is, and comparing the answers.

use scorebook::{
    Codec, Error, ErrorKind, EventId, EventStore, NewEvent, Options, RecordedEvent, Standing, StreamName, Timestamp,
    Version,
};
use std::collections::BTreeMap;

/// How stores are opened here: with the smallest segments there are.
pub(crate) fn options() -> Options {
    EventStore::options().segment_bytes_max(32 * 1024)
}

/// All that an event says of itself, but where it stands: that changes when it is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) position: u64,
    pub(crate) version: Version,
    pub(crate) time: Timestamp,
    pub(crate) epoch: u32,
    pub(crate) id: EventId,
    pub(crate) occurred: Option<Timestamp>,
    pub(crate) stream: String,
    pub(crate) event_type: String,
    pub(crate) schema: u32,
    pub(crate) codec: Codec,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) metadata: String,
    pub(crate) data: Vec<u8>,
}

impl Event {
    pub(crate) fn of(event: &RecordedEvent) -> Event {
        // Every way to ask must answer.
        let _ = (event.metadata(), event.json::<serde_json::Value>(), event.category());
        Event {
            position: event.position().get(),
            version: event.version(),
            time: event.time(),
            epoch: event.epoch(),
            id: event.id(),
            occurred: event.occurred(),
            stream: event.stream().to_owned(),
            event_type: event.event_type().to_owned(),
            schema: event.schema(),
            codec: event.codec(),
            tags: event.tags().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            metadata: event.metadata_json().to_owned(),
            data: event.data().to_vec(),
        }
    }

    fn stream_name(&self) -> StreamName {
        StreamName::new(self.stream.as_str()).expect("the name of a stream that was read")
    }
}

/// What a read gave: events, and the error that ended it.
pub(crate) struct Seen {
    pub(crate) events: Vec<Event>,
    pub(crate) trouble: Option<Error>,
}

impl Seen {
    /// Whether anything ended it but losses that a salvage had recorded before.
    pub(crate) fn is_damaged(&self) -> bool {
        self.trouble.as_ref().is_some_and(|error| error.kind() != ErrorKind::Lost)
    }
}

fn seen(read: impl Iterator<Item = Result<RecordedEvent, Error>>) -> Seen {
    let mut seen = Seen { events: Vec::new(), trouble: None };
    for event in read {
        match event {
            Ok(event) => seen.events.push(Event::of(&event)),
            Err(error) => {
                check_named(&error);
                seen.trouble = Some(error);
                break;
            }
        }
    }
    seen
}

/// Damage and newer formats are named, with a place or the positions.
pub(crate) fn check_named(error: &Error) {
    let is_kind = [ErrorKind::Damaged, ErrorKind::TooNew, ErrorKind::Lost].contains(&error.kind());
    let text = error.to_string();
    let has_place = ["byte", "segment", ".log", "position"].iter().any(|word| text.contains(word));
    assert!(is_kind && has_place, "an error without a place: {error:?}");
}

/// Everything in a store that can be read, and what a read that skips nothing is ended by. What any way of reading gives,
/// all others give too, as far as they can.
pub(crate) fn everything(store: &EventStore) -> Seen {
    let forwards = seen(store.read_all().into_iter());
    let mut backwards = seen(store.read_all().backwards().into_iter());
    backwards.events.reverse();
    check_order(&forwards.events);
    check_order(&backwards.events);
    let skipping = seen(store.read_all().skipping_lost().into_iter());
    check_order(&skipping.events);
    let mut skipping_back = seen(store.read_all().skipping_lost().backwards().into_iter());
    skipping_back.events.reverse();
    if skipping.trouble.is_none() && skipping_back.trouble.is_none() {
        assert_eq!(skipping.events, skipping_back.events, "what is skipped is the same from both sides");
    }
    if skipping.trouble.is_none() {
        assert!(skipping.events.starts_with(&forwards.events), "what stands before a loss is there without skipping");
        assert!(skipping.events.ends_with(&backwards.events), "what stands behind a loss is there without skipping");
    }
    if forwards.trouble.is_none() {
        check_whole(store, &forwards.events);
        assert_eq!(backwards.trouble.map(|error| error.kind()), None, "a read backwards finds no more trouble");
        assert_eq!(forwards.events, backwards.events, "backwards is the other way round");
        assert_eq!(skipping.events, forwards.events, "where nothing is lost nothing is skipped");
    }
    Seen { events: skipping.events, trouble: skipping.trouble.or(forwards.trouble) }
}

/// Positions rise, time does not go back, and versions rise in each stream.
fn check_order(events: &[Event]) {
    for pair in events.windows(2) {
        assert!(pair[0].position < pair[1].position, "positions rise: {pair:?}");
        assert!(pair[0].time <= pair[1].time, "time does not go back: {pair:?}");
    }
    let mut versions: BTreeMap<&str, Version> = BTreeMap::new();
    for event in events {
        let last = versions.insert(&event.stream, event.version).unwrap_or(Version::NONE);
        assert!(last < event.version, "versions rise: {event:?} behind {last}");
    }
}

/// A store of which everything can be read: its streams hold the same, and every number agrees.
fn check_whole(store: &EventStore, events: &[Event]) {
    let head = store.head().expect("a head").get();
    assert!(events.last().map_or(0, |last| last.position) <= head, "the head is at the last event or behind it");
    assert_eq!(store.stats().expect("numbers").events(), events.len() as u64, "as many events as it says");
    let mut streams: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        streams.entry(&event.stream).or_default().push(event);
    }
    let listed = store.streams().with_deleted().list().expect("a list of the streams");
    let names: Vec<&str> = listed.iter().map(|info| info.name().as_str()).collect();
    assert_eq!(names, streams.keys().copied().collect::<Vec<_>>(), "all streams are listed");
    for (info, (name, events)) in listed.iter().zip(&streams) {
        let (first, last) = (events[0], events[events.len() - 1]);
        assert_eq!(info.count(), events.len() as u64, "stream {name}");
        assert!(last.version <= info.version(), "stream {name}: what it had may have been removed");
        let times = (info.first_time(), info.last_time());
        assert_eq!(times, (first.time, last.time), "the times of stream {name}");
        let floor = match store.standing(info.name()).expect("how a stream stands") {
            Standing::Open { first } => first,
            other => {
                let refused = store.read(info.name()).into_iter().next().expect("an answer");
                assert_eq!(refused.map_err(|error| error.kind()).err(), Some(ErrorKind::Deleted), "{name}: {other:?}");
                continue;
            }
        };
        let events: Vec<&Event> = events.iter().copied().filter(|event| floor <= event.version).collect();
        let read = seen(store.read(info.name()).into_iter());
        assert!(read.trouble.is_none(), "stream {name}: {:?}", read.trouble);
        assert!(read.events.iter().eq(events.iter().copied()), "stream {name} holds what all of the log holds of it");
        let Some(last) = events.last() else { continue };
        let found = store.event(&last.stream_name(), last.version).expect("the last event of a stream");
        assert_eq!(Event::of(&found), **last, "found by stream and version");
    }
    for event in events.iter().take(3) {
        let position = scorebook::Position::new(event.position);
        let found = store.event_at(position).expect("an event that was read");
        assert_eq!(Event::of(&found), *event, "found by its position");
        let first = events.iter().find(|other| other.id == event.id).expect("itself, if no other");
        let found = store.event_by_id(event.id).expect("an event that was read");
        assert!(found.position().get() == first.position || found.id() == first.id, "found by its id");
    }
}

/// An event to append behind whatever there is.
pub(crate) fn one_more() -> (StreamName, NewEvent) {
    (StreamName::new("one-more").expect("a name"), NewEvent::bytes("counted", *b"more").tag("key", "value"))
}
