//! Beginning where a consumer stands.

use super::definition::Consumer;
use super::flow::{Aside, Flow};
use super::rate::Rate;
use super::registry::Registry;
use super::runtime::{Runtime, State};
use super::turn::Turn;
use crate::error::{Error, ErrorKind};
use crate::event::RecordedEvent;
use crate::format::CheckpointAct;
use crate::index::{KnownConsumer, KnownParked};
use crate::mutant::Mutant;
use crate::position::Position;
use crate::store::EventStore;
use crate::subscription::{Pull, Start};
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

impl Runtime {
    /// Begins where the consumer stands, and makes it where there is none.
    pub(super) fn begin(
        store: &EventStore,
        consumer: &Consumer,
        registry: &Arc<Registry>,
    ) -> Result<Arc<Runtime>, Error> {
        if store.is_read_only() {
            let act = format!("joining consumer {}: the store was opened for reading only", consumer.name);
            return Err(Error::new(ErrorKind::ReadOnly, act));
        }
        let opening = store.opening()?;
        // In one look: the number must be that of the record that is gone on from.
        let known = store.known_consumer(&consumer.name)?;
        let number = known.as_ref().map_or(0, |known| known.number);
        let known = known.filter(|known| !known.is_deleted);
        let is_new = known.as_ref().is_none_or(|known| known.definition.is_none());
        let known = known.map_or_else(|| first_state(store, consumer.start, number), Ok)?;
        if let Some(definition) = &known.definition
            && *definition != consumer.text()
            && !Mutant::TakesAnotherDefinition.is_on()
        {
            let (name, asked) = (&consumer.name, consumer.text());
            let act = format!("joining consumer {name}: it is known as {definition} and asked for as {asked}");
            return Err(Error::new(ErrorKind::InvalidArgument, act));
        }
        let aside = |(position, parked): (&Position, &KnownParked)| {
            let (key, attempts, reason) = (parked.key, parked.attempts, parked.reason.clone());
            (*position, Aside { key, attempts, reason })
        };
        let mut parked = known.parked.iter().map(aside).collect();
        if Mutant::ForgetsWhatWasParked.is_on() {
            parked = BTreeMap::new();
        }
        let now = store.elapsed();
        // Where nothing is left it goes on as it is written down. Else some of that may not be there any more, which is news.
        let scanned = if known.left.is_empty() { known.scanned } else { Position::BEGINNING };
        let mut flow = Flow::new(consumer.rules.clone(), scanned, parked);
        flow.set_paused(known.paused.is_some() && !Mutant::RunsOnWhenPaused.is_on());
        let runtime = Runtime {
            link: store.link(),
            registry: registry.clone(),
            turn: Arc::new(Turn::new()),
            state: Mutex::new(State {
                flow,
                pull: Some(pull(store, consumer, known.created, known.scanned)),
                is_wanted: false,
                seeks: 0,
                number: known.number,
                opening,
                gone: None,
                paused: known.paused.clone(),
                is_pause_unwritten: false,
                ended: None,
                waiting: Vec::new(),
                runners: 0,
                is_closing: false,
                chance: xxh3_64(consumer.name.as_bytes()),
                scheduled: None,
                last_error: None,
                begun: now,
                rate: Rate::default(),
            }),
            consumer: consumer.clone(),
            created: known.created,
        };
        let left = if Mutant::ForgetsWhatWasLeft.is_on() { &[][..] } else { &known.left };
        for position in left {
            if let Some(event) = readable(store, *position)? {
                let key = runtime.consumer.rules.partition.key_of(&event)?;
                runtime.state.lock().flow.offer(*position, key, event, now);
            }
        }
        runtime.state.lock().flow.note_scanned(known.scanned, now);
        let runtime = Arc::new(runtime);
        if is_new {
            runtime.write(CheckpointAct::Defined(consumer.text()))?;
        }
        Ok(runtime)
    }
}

/// Where a consumer stands that nobody knows yet.
fn first_state(store: &EventStore, start: Start, number: u64) -> Result<KnownConsumer, Error> {
    let created = store.clock();
    let scanned = position_of(store, start)?;
    Ok(KnownConsumer { number, scanned, created, ..KnownConsumer::default() })
}

/// Behind which position a start is.
pub(super) fn position_of(store: &EventStore, start: Start) -> Result<Position, Error> {
    let head = store.head()?;
    match start {
        Start::Beginning => Ok(Position::BEGINNING),
        Start::End => Ok(head),
        Start::After(position) if head < position => {
            let act = format!("beginning behind position {position}: the store ends at {head}");
            Err(Error::new(ErrorKind::InvalidArgument, act))
        }
        Start::After(position) => Ok(position),
        Start::At(time) => {
            let first = store.read_all().since(time).limit(1).into_iter().next().transpose()?;
            Ok(first.map_or(head, |event| Position::new(event.position().get() - 1)))
        }
    }
}

/// What reads the log from behind a position for a consumer that was made at some time.
pub(super) fn pull(store: &EventStore, consumer: &Consumer, created: Timestamp, position: Position) -> Pull {
    let mut pull = Pull::begin(store, consumer.query.clone(), Start::After(position));
    // A time that was over by then has become a position, and whoever is sent before that is given what is there.
    if let Start::At(time) = consumer.start
        && created < time
    {
        pull.only_since(time);
    }
    pull.with(consumer.durability, consumer.skips_lost)
}

/// An event that was looked at before; none where it is not there any more.
pub(super) fn readable(store: &EventStore, position: Position) -> Result<Option<RecordedEvent>, Error> {
    match store.event_at(position) {
        Ok(event) => Ok(Some(event)),
        Err(error) if matches!(error.kind(), ErrorKind::EventNotFound | ErrorKind::Lost) => Ok(None),
        Err(error) => Err(error),
    }
}
