//! The commit path under loom: every schedule of a few threads, up to a number of preemptions.
//!
//! ```text
//! RUSTFLAGS="--cfg scorebook_loom" cargo test --release --lib --target-dir target/loom models
//! ```
//!
//! The log is the real one, with everything below it but the disk: see `storage/checked.rs`, which also compares every
//! witness on its way to the files with what is durable. A thread that nobody wakes is found by loom. Each event has a
//! stream of its own, whose name says which it is.

mod bell;
mod commit;
mod ends;
mod failure;

use super::recovery::Visitor;
use super::{Batch, Calls, Log, Opened, Outcome, Publish, Published, Ticket, open_for_reading, open_for_writing};
use crate::error::{AppendError, Error, ErrorKind};
use crate::event::NewEvent;
use crate::format::{BatchBuffer, BatchView, Fault, Kind, Range};
use crate::name::StreamName;
use crate::options::{Durability, Options, ReadMode, SEGMENT_BYTES_MIN};
use crate::position::{Place, Position, Version};
use crate::receipt::Receipt;
use crate::storage::{CheckedDisk, Storage};
use crate::sync::{Arc, RwLock};

/// A log on a disk of its own.
#[derive(Clone)]
struct Ground {
    disk: CheckedDisk,
    log: Arc<Log>,
    shown: Arc<Shown>,
}

/// Whoever reads: sees what was published.
struct Shown {
    disk: CheckedDisk,
    /// What every batch was asked to be.
    durability: Durability,
    head: RwLock<Position>,
}

impl Publish for Shown {
    fn publish(&self, published: &Published<'_>) -> Calls {
        let mut head = self.head.write();
        for event in published.events() {
            assert_eq!(Some(event.position), head.next(), "events become visible one after the other");
            *head = event.position;
        }
        assert_eq!(*head, published.head);
        let end = Place { segment: published.segment.sequence(), offset: published.segment.end() };
        let is_durable = self.disk.is_durable(end);
        assert!(is_durable || self.durability == Durability::Written, "{end} becomes visible before it is durable");
        Calls::default()
    }
}

impl Ground {
    /// An empty log whose batches are asked to be synced.
    fn new() -> Ground {
        Ground::with(Durability::Synced)
    }

    fn with(durability: Durability) -> Ground {
        let disk = CheckedDisk::new();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let shown = Arc::new(Shown { disk: disk.clone(), durability, head: RwLock::new(Position::BEGINNING) });
        let publisher = shown.clone();
        let log = open_for_writing(
            &storage,
            (&options(), &Arc::default()),
            None,
            |_| Vec::<String>::new(),
            |_: Opened<Vec<String>>| publisher,
        );
        Ground { disk, log: Arc::new(log.expect("a log opens on an empty disk")), shown }
    }

    /// The same with one event in the log, so that no start record is to be written.
    fn begun(durability: Durability) -> Ground {
        let ground = Ground::with(durability);
        ground.append("begun").and_then(|ticket| ground.wait(&ticket)).expect("nothing fails yet");
        ground
    }

    fn append(&self, name: &str) -> Result<Arc<Ticket>, Error> {
        self.append_as(name, self.shown.durability, 8)
    }

    /// Stages one event with a payload of a length, as the store does it.
    fn append_as(&self, name: &str, durability: Durability, len: usize) -> Result<Arc<Ticket>, Error> {
        let ticket = Arc::new(Ticket::new());
        let stream = StreamName::new(name).expect("a name");
        let mut buffer = BatchBuffer::new();
        buffer.push_event(&stream, &NewEvent::bytes("happened", vec![7; len])).expect("a small event");
        let mut staging = self.log.stage()?;
        assert!(staging.room(buffer.len(), 1).is_ok(), "a model has room for its events");
        let batch = Batch {
            buffer,
            facts: Vec::new(),
            terms: Arc::default(),
            charges: Vec::new(),
            durability,
            ticket: ticket.clone(),
        };
        staging.stage_events(batch, &[(0, Version::FIRST)], |first_position, last_position, time| Receipt {
            first_position,
            last_position,
            time,
            durability: Durability::Written,
            is_repeat: false,
            streams: Vec::new(),
        });
        Ok(ticket)
    }

    /// Waits for the answer; a receipt is given only for what everybody sees.
    fn wait(&self, ticket: &Ticket) -> Result<Position, Error> {
        self.seen(self.log.wait(ticket))
    }

    fn seen(&self, outcome: Outcome) -> Result<Position, Error> {
        let receipt = outcome.map_err(AppendError::into_error)?;
        assert!(receipt.last_position <= *self.shown.head.read(), "a receipt for what is not visible");
        Ok(receipt.last_position)
    }

    /// What the store's own thread does at a ring.
    fn keep(&self) {
        while self.log.bell().listen(None) != super::Ring::Stopped {
            self.log.lead_if_free();
        }
    }

    /// The names of the events that are there after a loss of power, in order.
    fn survivors(&self) -> Vec<String> {
        found(&self.disk.crash()).visitor
    }

    /// The same after the end of the process alone.
    fn written(&self) -> Vec<String> {
        found(&self.disk).visitor
    }
}

/// What is found on a disk.
fn found(disk: &CheckedDisk) -> Opened<Vec<String>> {
    let opened = open_for_reading(disk, &options(), None, |_| Vec::<String>::new());
    let opened = opened.expect("what is left can be read");
    assert!(opened.report.damage().is_empty(), "what is unfinished is taken for damage: {:?}", opened.report);
    opened
}

fn options() -> Options {
    Options::default().segment_bytes_max(SEGMENT_BYTES_MIN).read_mode(ReadMode::Positioned)
}

impl Visitor for Vec<String> {
    fn batch(&mut self, _: Place, batch: &BatchView<'_>) -> Result<(), Fault> {
        for record in batch.records().filter(|record| record.header.kind == Kind::Event) {
            self.push(record.stream()?.to_owned());
        }
        Ok(())
    }

    fn damaged(&mut self, range: Range) {
        panic!("positions {} to {} are damaged", range.first, range.last);
    }
}

/// The kind of a refusal.
fn kind<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.expect_err("a refusal").kind()
}
