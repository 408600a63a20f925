//! What a program does with a store, or what happens to it, as data.

use super::chance::{Chance, Choices};
use super::reading::Reading;
use scorebook::testing::{CrashChoice, DiskFault, DiskOperation, SyncFailure};
use scorebook::{Durability, ExpectedVersion, Version};
use std::io;

/// Some events of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) stream: u8,
    /// Without events, the stream's version is only asked for.
    pub(crate) count: u16,
    /// Of each payload.
    pub(crate) bytes: u32,
    pub(crate) expect: Expect,
}

/// So many events for a stream, each with so many bytes of payload.
pub(crate) const fn part(stream: u8, count: u16, bytes: u32) -> Part {
    Part { stream, count, bytes, expect: Expect::Any }
}

/// That a stream has no event of a kind behind the position so many before the last one that is visible.
pub(crate) const fn absent(stream: u8, kind: u8, back: u64) -> Part {
    part(stream, 0, 0).if_at(Expect::Absent(kind, back))
}

/// That the batch is accepted once, under the key with this number.
pub(crate) const fn once(key: u8) -> Part {
    part(key, 0, 0).if_at(Expect::Once)
}

/// The same for a batch that holds something else than the one before.
pub(crate) const fn once_other(key: u8) -> Part {
    part(key, 0, 0).if_at(Expect::OnceOther)
}

impl Part {
    pub(crate) const fn if_at(mut self, expect: Expect) -> Part {
        self.expect = expect;
        self
    }
}

/// What is expected of a stream, as seen from what was submitted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Any,
    NoStream,
    Exists,
    /// Exactly the version it has.
    Right,
    /// So many below the version it has.
    Behind(u64),
    /// So many above the version it has.
    Ahead(u64),
    /// That it has no event of this kind behind the position so many before the last one that is visible; without events.
    Absent(u8, u64),
    /// Not of the stream: the number is that of a key under which the batch is accepted once. Where a batch came with it
    /// before, this is that batch again. Without events.
    Once,
    /// The same, and the batch holds something else than the one before.
    OnceOther,
}

impl Expect {
    /// What it means for a stream at this version.
    pub(crate) fn of(self, version: u64) -> ExpectedVersion {
        match self {
            Expect::Any | Expect::Absent(..) | Expect::Once | Expect::OnceOther => ExpectedVersion::Any,
            Expect::NoStream => ExpectedVersion::NoStream,
            Expect::Exists => ExpectedVersion::StreamExists,
            Expect::Right => ExpectedVersion::Exact(Version::new(version)),
            Expect::Behind(by) => ExpectedVersion::Exact(Version::new(version.saturating_sub(by))),
            Expect::Ahead(by) => ExpectedVersion::Exact(Version::new(version + by)),
        }
    }
}

/// Batches that are all queued before the first is waited for.
pub(crate) type Batches = Vec<Vec<Part>>;

/// Something a program does, or that happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Appends, and waits for every receipt.
    Append(Batches, Durability),
    /// Appends, and lets go of the receipts.
    Leave(Batches, Durability),
    Flush,
    Read(Reading),
    /// A read of everything during which the n-th read of the disk fails.
    ReadBadly(u64),
    /// Another opens the store for reading only.
    Look,
    /// Closes the store and opens it again.
    Close,
    /// Opens the store again in place.
    Reopen,
    /// The process dies, and another opens the store.
    Kill,
    /// The file `live` is lost while nobody has the store open: the process dies, and another opens the store.
    KillAndForget,
    /// The power is cut, some of what was not synced is lost, and a process opens the store.
    LosePower(CrashChoice),
    /// Nothing happens for a while.
    Rest,
    /// The wall clock is set to so many seconds since 1970.
    ClockTo(i64),
    /// An operation of the disk fails from now on, or once.
    Fail(DiskFault, SyncFailure),
    /// Nothing fails any more.
    Heal,
    /// There is no room on the disk for another segment.
    Full,
    /// There is room again.
    Room,
    /// A copy of the files is damaged and looked at; the store itself is left alone.
    Damage(u64),
}

impl Operation {
    /// Any operation.
    pub(crate) fn random(choices: &mut impl Choices, events: usize) -> Operation {
        match choices.below(64) {
            0..24 => Operation::Append(batches(choices), durability(choices)),
            24..27 => Operation::Leave(batches(choices), durability(choices)),
            27..29 => Operation::Flush,
            29..37 => Operation::Read(Reading::random(choices, events)),
            37 => Operation::ReadBadly(1 + choices.below(12) as u64),
            38..40 => Operation::Look,
            40..42 => Operation::Close,
            42 => Operation::Reopen,
            43..45 => Operation::Kill,
            45 => Operation::KillAndForget,
            46..49 => Operation::LosePower(crash_choice(choices)),
            49..52 => Operation::Rest,
            52 => Operation::ClockTo(*choices.pick(&[0, 1, 1_000_000_000, 1_800_000_000, 4_000_000_000, -1, i64::MAX])),
            53..56 => fault(choices),
            56..59 => Operation::Heal,
            59 => Operation::Full,
            60 => Operation::Room,
            _ => Operation::Damage(choices.below(1 << 16) as u64),
        }
    }
}

fn durability(choices: &mut impl Choices) -> Durability {
    if choices.one_in(3) { Durability::Written } else { Durability::Synced }
}

fn batches(choices: &mut impl Choices) -> Batches {
    (0..=choices.below(3)).map(|_| random_batch(choices)).collect()
}

fn random_batch(choices: &mut impl Choices) -> Vec<Part> {
    let mut parts: Vec<Part> = (0..=choices.below(3)).map(|_| random_part(choices)).collect();
    let condition = match choices.below(16) {
        12 | 13 => absent(choices.below(6) as u8, choices.below(3) as u8, choices.below(12) as u64),
        14 => once(choices.below(4) as u8),
        15 => *choices.pick(&[once(5), once_other(5)]),
        _ => return parts,
    };
    parts.insert(choices.below(parts.len() + 1), condition);
    parts
}

fn random_part(choices: &mut impl Choices) -> Part {
    let bytes = match choices.below(16) {
        0 => 0,
        1..12 => choices.below(200),
        12..14 => 400 + choices.below(1_000),
        14 => 9_000,
        _ => 20_000 + choices.below(20_000),
    };
    let expect = match choices.below(16) {
        0..9 => Expect::Any,
        9..12 => Expect::Right,
        12 => Expect::Exists,
        13 => Expect::NoStream,
        14 => Expect::Behind(1 + choices.below(2) as u64),
        _ => Expect::Ahead(1 + choices.below(2) as u64),
    };
    let count = [1, 1, 1, 2, 3, 7, 0][choices.below(7)];
    Part { stream: choices.below(6) as u8, count, bytes: bytes as u32, expect }
}

fn crash_choice(choices: &mut impl Choices) -> CrashChoice {
    match choices.below(4) {
        0 => CrashChoice::LoseAll,
        1 => CrashChoice::KeepAll,
        _ => CrashChoice::Seeded(choices.below(1 << 16) as u64),
    }
}

fn fault(choices: &mut impl Choices) -> Operation {
    use DiskOperation as Disk;
    let operation = *choices.pick(&[
        Disk::Sync,
        Disk::Sync,
        Disk::Write,
        Disk::Write,
        Disk::SyncDirectory,
        Disk::Create,
        Disk::Remove,
    ]);
    let error = *choices.pick(&[io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded]);
    let mut fault = DiskFault::new(operation, error).nth(1 + choices.below(6) as u64);
    if choices.one_in(4) {
        fault = fault.repeat();
    }
    if choices.one_in(2) {
        fault = fault.written(choices.below(1_500));
    }
    Operation::Fail(fault, *choices.pick(SYNC_FAILURES))
}

/// Every kind of operation of a disk.
pub(crate) const DISK_OPERATIONS: &[DiskOperation] = &[
    DiskOperation::Create,
    DiskOperation::Open,
    DiskOperation::Read,
    DiskOperation::Write,
    DiskOperation::Sync,
    DiskOperation::Remove,
    DiskOperation::CreateDirectory,
    DiskOperation::SyncDirectory,
    DiskOperation::List,
    DiskOperation::Lock,
];

/// What a failed sync may do and what is visible stays so. Where what was written is taken back, reads of it fail: that
/// has tests of its own.
pub(crate) const SYNC_FAILURES: &[SyncFailure] = &[
    SyncFailure::Keep,
    SyncFailure::Drop,
    SyncFailure::DropForGood,
    SyncFailure::Complete,
    SyncFailure::Mix(1),
    SyncFailure::Mix(2),
];
