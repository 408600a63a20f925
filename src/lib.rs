//! An event store that lives inside the program that uses it: one directory, one process that writes, no server.
//!
//! ```
//! use scorebook::{EventStore, ExpectedVersion, NewEvent, StreamName};
//!
//! let store = EventStore::open_in_memory()?; // or EventStore::open("bot.scorebook")?
//! let game = StreamName::new("game-42")?;
//!
//! let started = NewEvent::json("game_started", &("alice", "bob"))?.tag("guild", 7);
//! let receipt = store.append(&game, ExpectedVersion::NoStream, [started]).wait().map_err(|e| e.into_error())?;
//! assert_eq!(receipt.last_version().get(), 1);
//!
//! for event in store.read(&game) {
//!     assert_eq!(event?.json::<(String, String)>()?.0, "alice");
//! }
//! # Ok::<(), scorebook::Error>(())
//! ```
//!
//! The [`guide`] has the rest: first steps, errors and what to do about each, options, and what is guaranteed.
//!
//! # The promises, and the tests that hold them
//!
//! | | promise | held by |
//! |---|---|---|
//! | P1 | what was acknowledged as synced is never lost | `crash::every_story_stopped_at_every_operation_keeps_what_was_acknowledged` |
//! | P2 | a batch is all or nothing | `crash::every_story_stopped_at_every_operation_keeps_what_was_acknowledged` |
//! | P3 | one total order, no holes, never reused once synced | `crash::every_story_stopped_at_every_operation_keeps_what_was_acknowledged` |
//! | P4 | one visible end; a receipt only for what is visible and as durable as asked | `crash::a_receipt_is_given_only_for_what_the_disk_has` |
//! | P5 | no answer silently shorter than the truth | `damage::every_flipped_byte_gives_every_event_or_a_named_refusal` |
//! | P6 | no wrong byte is ever returned | `damage::every_flipped_byte_gives_every_event_or_a_named_refusal` |
//! | P7 | what a crash left unfinished is left out without asking | `crash::every_story_stopped_at_every_operation_keeps_what_was_acknowledged` |
//! | P8 | after a failed sync nothing is written, and reads go on | `faults::a_failed_sync_latches_and_readers_go_on` |
//! | P9 | a full disk never bricks a store | `faults::a_full_disk_refuses_and_goes_on_by_itself` |
//! | P10 | everything that is not the log can be deleted, and only speed is lost | `derived::no_answer_depends_on_a_derived_file`, `projections::a_saved_state_that_is_flipped_or_cut_anywhere_is_no_worse_than_none`, `snapshots::over_any_history_states_are_what_the_events_fold_to` |
//! | P12 | a subscription never skips, never repeats, and never ends silently | `subscriptions::history_and_then_what_comes_is_given_without_a_hole_or_a_repeat`, `consumers::whatever_happens_nothing_is_skipped_nothing_is_twice_and_no_checkpoint_is_ahead` |

// The tool and the game say `scorebook::` as any other user does, and are built here nevertheless.
#[cfg(any(feature = "cli", feature = "game"))]
extern crate self as scorebook;

mod backup;
mod bus;
#[cfg(feature = "cli")]
pub mod cli;
mod compaction;
mod consumer;
mod error;
mod event;
mod format;
#[cfg(feature = "game")]
pub mod game;
pub mod guide;
mod health;
mod index;
mod inspect;
pub mod limits;
mod log;
mod modelling;
mod mutant;
mod name;
mod observe;
mod options;
mod position;
mod projection;
mod query;
mod quota;
mod receipt;
mod retention;
mod segment;
mod snapshot;
mod storage;
mod store;
mod subscription;
mod sync;
pub mod testing;
mod time;

pub use store::EventStore;

pub use event::{Codec, EventId, Metadata, NewEvent, RecordedEvent};
pub use name::StreamName;
pub use position::{ExpectedVersion, Place, Position, Revision, Version};
pub use query::{Predicate, Query};
pub use quota::{OverQuota, Quota, TagScope};
pub use receipt::{Receipt, StreamReceipt};
pub use retention::{CategoryName, EventTypeName, Retention, Scope};
pub use store::{BatchBuilder, Guard, PendingReceipt};
pub use time::Timestamp;

pub use error::{AppendError, Conflict, Error, ErrorKind};

pub use modelling::{Aggregate, AggregateStream, At, EventContext, Loaded, OnFloor, OnUnknown};
pub use modelling::{Decision, ExecuteError, Executed, Executing, Execution, Together};
pub use modelling::{Fold, OnQuery, OnSeveral, OnStream};

pub use modelling::{Carrying, Snapshots};
pub use snapshot::{SnapshotFault, SnapshotSource};
pub use store::{SnapshotCheck, SnapshotInfo, SnapshotOutcome};

pub use modelling::{CheckFailure, CheckReport, CheckedShape};
pub use modelling::{
    DecodedEvents, Event, EventShape, EventTypeInfo, EventTypes, Registry, RegistryBuilder, Split, UpcastEvent,
};
pub use modelling::{Fault, Faults, RegistryFault, RegistryFaults, Snowflake};

pub use store::{AllEvents, AllRead, StreamEvents, StreamInfo, StreamList, StreamRead};
pub use store::{Group, GroupKey, Grouping};

pub use projection::{AsOf, Folded, Projection, ProjectionFault, Reached, ReadAs, Saving, StateHash, View};
pub use projection::{KeyedProjection, KeyedView};
pub use projection::{Parted, ProjectionCheck, Rebuild, RebuildProgress, Rebuilt};

pub use subscription::{Followed, Items, Next, NextBatch, Start, Subscription};

pub use consumer::{AfterChange, ConsumerControl, ConsumerHealth, ConsumerInfo, ParkedEvent};
pub use consumer::{Backoff, Breaker, Consumer, PartitionBy, Verdict};
pub use consumer::{Committing, Delivered, Delivery, Failure, Member, NextDelivery, Running};

pub use bus::{Bus, Handler, HandlerFailure, HandlerId, UntilHandled};

pub use log::{CloseState, Damage, DamageKind, RecoveryReport};
pub use options::{Durability, MetadataField, Options, ReadMode};
pub use store::{Status, StoreId};

pub use backup::{BackupInfo, BackupPlan, BackupReport, RestoreReport, Until, plan_restore, restore, verify_backup};
pub use compaction::{BackgroundCompaction, CompactionPolicy};
pub use compaction::{Compacted, Compaction, CompactionPlan, CompactionProgress};
pub use compaction::{Going, LeftBecause, SegmentAct, SegmentPlan, Staying, StreamPlan};
pub use health::{Concern, Health, Stats, Thresholds};
pub use inspect::{
    MigrationPlan, RebuiltIndex, RepairPlan, Repaired, SalvageReport, SegmentFormat, StoreInfo, VerifyReport,
};
pub use inspect::{inspect, migrate, rebuild_index, repair, salvage, verify};
pub use observe::{Activity, CompactionStats, Timing};
pub use store::{CarriedState, Hold, NewState, Standing, StreamMetadata, TagUsage};
pub use store::{ExactEvent, ExactFact, ExactImport, ExactRecord, ExactSnapshot, Export, ExportedRecord, Imported};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
