//! Admission, readers and room under loom: every schedule of a few threads, up to a number of preemptions.
//!
//! The writer and the view are the real ones, on the disk of `storage/checked.rs`; the store's own threads are left out,
//! since what they do all the time would hide what happens without them. See `log/models` for the commit path.

use super::audience::{Audience, CalledFor, Seat};
use super::read::StreamRead;
use super::request::Request;
use super::writer::Writer;
use crate::error::{AppendError, Error, ErrorKind};
use crate::event::NewEvent;
use crate::index::Plan;
use crate::log::Ring;
use crate::name::StreamName;
use crate::options::{Options, ReadMode, SEGMENT_BYTES_MIN};
use crate::position::ExpectedVersion::{Any, Exact};
use crate::position::{ExpectedVersion, Position, Version};
use crate::query::Query;
use crate::receipt::Receipt;
use crate::storage::{Act, CheckedDisk, Storage};
use crate::sync::Arc;
use crate::sync::explore::{explore, spawn};
use std::time::Duration;

/// A writer on a disk of its own, with one stream.
#[derive(Clone)]
struct Ground {
    disk: CheckedDisk,
    writer: Arc<Writer>,
    stream: StreamName,
    audience: Arc<Audience>,
}

/// More than half of a segment.
const BIG: usize = SEGMENT_BYTES_MIN as usize * 5 / 8;

impl Ground {
    fn new() -> Ground {
        let disk = CheckedDisk::new();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let options = Options::default().segment_bytes_max(SEGMENT_BYTES_MIN).read_mode(ReadMode::Positioned);
        let audience = Arc::default();
        let writer =
            Writer::open(&storage, (&options, &Arc::default()), None, &audience).expect("a log opens on an empty disk");
        let stream = StreamName::new("game-1").expect("a name");
        Ground { disk, writer: Arc::new(writer), stream, audience }
    }

    /// The same with one event of a length in the log.
    fn begun(len: usize) -> Ground {
        let ground = Ground::new();
        ground.append(Any, len).expect("nothing fails yet");
        ground
    }

    fn append(&self, expected: ExpectedVersion, len: usize) -> Result<Receipt, AppendError> {
        let mut request = Request::new(&Options::default());
        request.expect(&self.stream, expected);
        request.push(&self.stream, [NewEvent::bytes("happened", vec![7; len])]).expect("an event that is allowed");
        let ticket = request.ticket.clone();
        self.writer.append(request);
        self.writer.wait(&ticket)
    }

    /// What the store's own thread does at a ring, beside a body.
    fn kept(&self, body: impl FnOnce()) {
        let keeper = self.clone();
        let keeper = spawn(move || {
            while keeper.writer.log.bell().listen(None) != Ring::Stopped {
                keeper.writer.log.lead_if_free();
                if keeper.writer.log.wants_room() {
                    keeper.writer.ask_for_room();
                }
            }
        });
        body();
        self.writer.log.bell().stop();
        keeper.join().expect("it ends");
    }

    /// Waits as whoever follows a store does, until an event is visible that a query asks for; the head it sees then.
    fn wait_for(&self, query: &Query) -> Position {
        let mut seat = Seat::new(self.audience.clone());
        let head = || self.writer.view.0.read().head;
        loop {
            if head() != Position::BEGINNING {
                return head();
            }
            seat.waiter().get_ready(None);
            seat.take(CalledFor::new(Plan::new(query, &self.writer.hasher)), false);
            if head() == Position::BEGINNING {
                seat.waiter().sleep(None);
            }
            seat.leave();
        }
    }

    fn version(&self) -> Version {
        let view = self.writer.view.0.read();
        view.table.visible(self.stream.as_str()).map_or(Version::NONE, |stream| stream.version())
    }

    /// Looks at all a reader can see, and gives the head.
    fn check_view(&self) -> Position {
        let ends = self.writer.log.ends();
        let view = self.writer.view.0.read();
        let head = view.head;
        assert!(ends.visible_position <= head, "an end speaks of what nobody sees");
        assert!(ends.visible <= ends.durable, "what is visible was asked to be durable before");
        // There is one stream, so its versions are the positions.
        let version = view.table.visible(self.stream.as_str()).map_or(Version::NONE, |stream| stream.version());
        assert_eq!(version.get(), head.get());
        drop(view);
        if head == Position::BEGINNING {
            return head;
        }
        let read = StreamRead::new(Ok(self.writer.view.clone()), self.stream.clone());
        let events: Vec<_> = read.into_iter().map(|event| event.expect("it is visible")).collect();
        assert!(events.iter().map(|event| event.position().get()).eq(1..=events.len() as u64));
        assert!(head.get() <= events.len() as u64, "a head of which not everything can be read");
        head
    }
}

fn trouble(answer: &Result<Receipt, AppendError>) -> Option<ErrorKind> {
    match answer {
        Err(AppendError::Store(error)) => Some(error.kind()),
        _ => None,
    }
}

#[test]
fn a_reader_finds_every_event_up_to_the_head_and_the_head_never_goes_back() {
    explore("a reader beside two writers", 2, || {
        let ground = Ground::new();
        let (other, reader) = (ground.clone(), ground.clone());
        let other = spawn(move || other.append(Any, 8).expect("committed"));
        let reader = spawn(move || {
            let before = reader.check_view();
            assert!(before <= reader.check_view());
        });
        let receipt = ground.append(Any, 8).expect("committed");
        assert!(receipt.last_position() <= ground.check_view());
        other.join().expect("it ends");
        reader.join().expect("it ends");
        assert_eq!(ground.check_view(), Position::new(2));
    });
}

#[test]
fn of_two_that_expect_the_same_version_one_wins_and_the_other_can_see_it() {
    explore("the same version", 5, || {
        let ground = Ground::begun(8);
        let other = ground.clone();
        let decide = |ground: &Ground| match ground.append(Exact(Version::FIRST), 8) {
            Ok(receipt) => receipt.last_version(),
            Err(error) => {
                let conflict = error.conflict().expect("nothing but a conflict").actual().expect("of versions");
                assert!(conflict <= ground.version(), "refused by something that is not visible");
                conflict
            }
        };
        let other = spawn(move || decide(&other));
        assert_eq!(decide(&ground), Version::new(2));
        assert_eq!(other.join().expect("it ends"), Version::new(2));
        assert_eq!(ground.check_view(), Position::new(2));
    });
}

#[test]
fn whoever_was_refused_by_something_that_failed_is_told_of_the_failure() {
    explore("refused by what fails", 5, || {
        let ground = Ground::begun(8);
        ground.disk.fail(Act::Write, 1);
        let other = ground.clone();
        let other = spawn(move || other.append(Exact(Version::FIRST), 8));
        let answers = [ground.append(Exact(Version::FIRST), 8), other.join().expect("it ends")];
        for answer in answers {
            let kind = trouble(&answer).expect("neither a receipt nor a conflict");
            assert!([ErrorKind::OutcomeUnknown, ErrorKind::Poisoned].contains(&kind), "{kind:?}");
        }
        assert_eq!(ground.check_view(), Position::new(1));
    });
}

#[test]
fn batches_that_wait_for_room_get_it_although_only_one_thread_makes_it() {
    explore("room for two", 2, || {
        let ground = Ground::begun(BIG);
        let other = ground.clone();
        ground.kept(|| {
            let other = spawn(move || other.append(Any, BIG).expect("committed"));
            ground.append(Any, BIG).expect("committed");
            other.join().expect("it ends");
        });
        assert_eq!(ground.check_view(), Position::new(3));
    });
}

#[test]
fn a_batch_that_waits_for_room_beside_closing_is_committed_or_refused() {
    explore("room beside closing", 3, || {
        let ground = Ground::begun(BIG);
        let other = ground.clone();
        let other = spawn(move || other.append(Any, BIG));
        ground.writer.close().expect("it closes");
        let head = match other.join().expect("it ends") {
            Ok(_) => 2,
            Err(error) => {
                assert_eq!(Error::kind(&error.into_error()), ErrorKind::Closed);
                1
            }
        };
        assert_eq!(ground.check_view(), Position::new(head));
    });
}

#[test]
fn without_room_everybody_who_waits_for_it_is_told() {
    explore("no room", 2, || {
        let ground = Ground::begun(BIG);
        ground.disk.fail(Act::Write, 1);
        let other = ground.clone();
        ground.kept(|| {
            let other = spawn(move || other.append(Any, BIG));
            for answer in [ground.append(Any, BIG), other.join().expect("it ends")] {
                assert!(answer.is_ok() || trouble(&answer) == Some(ErrorKind::Io), "{answer:?}");
            }
        });
    });
}

#[test]
fn without_room_whoever_waits_is_told_also_by_one_who_makes_it_for_itself() {
    explore("no room for one who makes it", 2, || {
        let ground = Ground::begun(BIG);
        ground.disk.fail(Act::Write, 1);
        let copying = ground.clone();
        ground.kept(|| {
            // As a batch that is placed by its caller does it.
            let copying = spawn(move || copying.writer.make_room_now());
            let answer = ground.append(Any, BIG);
            assert!(answer.is_ok() || trouble(&answer) == Some(ErrorKind::Io), "{answer:?}");
            copying.join().expect("it ends");
        });
    });
}

#[test]
fn nobody_sleeps_over_the_event_that_it_waits_for() {
    explore("waiting for an event", 3, || {
        let ground = Ground::new();
        let (one, other) = (ground.clone(), ground.clone());
        let one = spawn(move || one.wait_for(&Query::all().of_type("happened")));
        let other = spawn(move || other.wait_for(&Query::all()));
        ground.append(Any, 8).expect("committed");
        for waiting in [one, other] {
            assert_eq!(waiting.join().expect("it ends"), Position::new(1));
        }
    });
}

#[test]
fn whoever_is_called_when_its_time_is_up_still_calls_those_it_was_to_call() {
    explore("called in a chain", 2, || {
        let ground = Ground::new();
        let waiting: Vec<_> = [None, Some(Duration::from_millis(1)), None]
            .into_iter()
            .map(|limit| {
                let ground = ground.clone();
                spawn(move || {
                    let mut seat = Seat::new(ground.audience.clone());
                    seat.waiter().get_ready(None);
                    seat.take(CalledFor::new(Plan::new(&Query::all(), &ground.writer.hasher)), false);
                    if ground.writer.view.0.read().head == Position::BEGINNING {
                        seat.waiter().sleep(limit);
                    }
                })
            })
            .collect();
        ground.append(Any, 8).expect("committed");
        waiting.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}
