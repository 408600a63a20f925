//! The limits of what one append may carry and one query ask for, each with the error that names it.

use std::time::Duration;

/// Longest stream name: 255 bytes of UTF-8.
pub const STREAM_NAME_BYTES_MAX: usize = 255;
/// Longest event type: 128 bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;
/// Longest key of a tag: 64 bytes.
pub const TAG_KEY_BYTES_MAX: usize = 64;
/// Longest value of a tag: 255 bytes.
pub const TAG_VALUE_BYTES_MAX: usize = 255;
/// Most tags of one event: 64.
pub const TAGS_MAX: usize = 64;
/// Longest correlation, causation and actor: 128 bytes each.
pub const REFERENCE_BYTES_MAX: usize = 128;
/// Largest record: 16 MiB, that is the header of 64 bytes, names, tags, metadata and payload together.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most events of one batch: 10,000.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// Largest batch: 64 MiB, all records and the batch's own header together.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest `once` key: 128 bytes of UTF-8.
pub const ONCE_KEY_BYTES_MAX: usize = 128;
/// How long a `once` key is kept at least where no [rule](crate::Scope::OnceKeys) says otherwise: 30 days.
pub const ONCE_KEY_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most terms of one query, of all its items together: 1,000.
pub const QUERY_TERMS_MAX: usize = 1_000;
/// Longest text of a predicate: 4,096 bytes.
pub const PREDICATE_BYTES_MAX: usize = 4_096;
/// Longest JSON that is said about a stream: 16 KiB. It is kept in memory.
pub const STREAM_METADATA_BYTES_MAX: usize = 16 * 1024;
/// Longest reason that is given for a deletion or a tombstone, and longest label of a hold: 1,024 bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 1_024;
