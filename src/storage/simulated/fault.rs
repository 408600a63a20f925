//! What a simulated disk was asked to do, counted and kept, and what of it is to fail.

use crate::sync::Arc;
use std::collections::VecDeque;
use std::fmt;
use std::io;

/// A kind of operation on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DiskOperation {
    /// A file is created.
    Create,
    /// A file that exists is opened.
    Open,
    /// Bytes of a file are read.
    Read,
    /// Bytes of a file are written.
    Write,
    /// The content of a file is made durable.
    Sync,
    /// A file is removed.
    Remove,
    /// A directory is created.
    CreateDirectory,
    /// The names in a directory are made durable; creating a directory does this as well.
    SyncDirectory,
    /// The names in a directory are listed.
    List,
    /// The lock is taken or looked at.
    Lock,
}

const KINDS: usize = DiskOperation::Lock as usize + 1;

impl DiskOperation {
    fn is_mutation(self) -> bool {
        use DiskOperation as Op;
        match self {
            Op::Create | Op::Write | Op::Sync | Op::Remove | Op::CreateDirectory | Op::SyncDirectory => true,
            Op::Open | Op::Read | Op::List | Op::Lock => false,
        }
    }
}

/// Something that is to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskFault {
    /// The kind of operation that fails.
    pub operation: DiskOperation,
    /// Which one, counted from 1 among those of its kind from now on.
    pub nth: u64,
    /// What it fails with.
    pub error: io::ErrorKind,
    /// Whether all later ones of its kind fail too.
    pub repeat: bool,
    /// How many bytes a write that fails has written before.
    pub written: usize,
}

impl DiskFault {
    /// The next operation of this kind fails, once, and does nothing.
    #[must_use]
    pub fn new(operation: DiskOperation, error: io::ErrorKind) -> DiskFault {
        DiskFault { operation, nth: 1, error, repeat: false, written: 0 }
    }

    /// Which one fails, counted from 1. Default: the next.
    ///
    /// # Panics
    ///
    /// If `nth` is 0.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> DiskFault {
        assert!(0 < nth, "operations are counted from 1");
        self.nth = nth;
        self
    }

    /// All later ones fail too. Default: only one does.
    #[must_use]
    pub fn repeat(mut self) -> DiskFault {
        self.repeat = true;
        self
    }

    /// How many bytes a write that fails has written before. Default: none.
    #[must_use]
    pub fn written(mut self, bytes: usize) -> DiskFault {
        self.written = bytes;
        self
    }
}

/// What a failed sync does to what it should have made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SyncFailure {
    /// It stays pending, and a later sync makes it durable.
    #[default]
    Keep,
    /// It is dropped, as ext4 and others do: readers go on seeing it, later syncs succeed, and the disk never gets
    /// it unless it is written again.
    Drop,
}

/// How many operations the trace goes back.
const TRACE_MAX: usize = 1_000;

/// Counts, keeps and refuses operations.
#[derive(Default)]
pub(super) struct Ledger {
    operations: u64,
    mutations: u64,
    kind_counts: [u64; KINDS],
    trace: VecDeque<Step>,
    /// The faults that are waiting; `nth` is counted down.
    faults: Vec<DiskFault>,
    stop_at: Option<u64>,
    /// The number of the mutation at which the power was cut.
    stopped: Option<u64>,
}

struct Step {
    number: u64,
    operation: DiskOperation,
    place: Place,
    has_failed: bool,
}

/// What an operation is about.
pub(super) enum Place {
    Name(String),
    Bytes { path: Arc<str>, offset: u64, len: usize },
}

impl Place {
    pub(super) fn name(path: &str) -> Place {
        Place::Name(path.to_owned())
    }

    pub(super) fn bytes(path: &Arc<str>, offset: u64, len: usize) -> Place {
        Place::Bytes { path: path.clone(), offset, len }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ", self.number, self.operation)?;
        match &self.place {
            Place::Name(path) => write!(f, "`{path}`")?,
            Place::Bytes { path, offset, len } => write!(f, "`{path}` {len} bytes at {offset}")?,
        }
        if self.has_failed { f.write_str(" (failed)") } else { Ok(()) }
    }
}

/// Why an operation does not happen, or not wholly.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The power is cut at this very operation.
    Stopping(io::Error),
    /// The power was cut before.
    Stopped(io::Error),
    Fault {
        error: io::Error,
        written: usize,
    },
}

impl Refusal {
    pub(super) fn is_fault(&self) -> bool {
        matches!(self, Refusal::Fault { .. })
    }

    /// How many of a write's bytes are written all the same.
    pub(super) fn prefix(&self, len: usize) -> usize {
        match self {
            Refusal::Stopping(_) => len,
            Refusal::Stopped(_) => 0,
            Refusal::Fault { written, .. } => len.min(*written),
        }
    }

    pub(super) fn into_error(self) -> io::Error {
        match self {
            Refusal::Stopping(error) | Refusal::Stopped(error) | Refusal::Fault { error, .. } => error,
        }
    }
}

impl Ledger {
    /// Counts an operation and says whether it happens.
    pub(super) fn admit(&mut self, operation: DiskOperation, place: impl FnOnce() -> Place) -> Result<(), Refusal> {
        self.operations += 1;
        self.mutations += u64::from(operation.is_mutation());
        self.kind_counts[operation as usize] += 1;
        let verdict = self.judge(operation);
        if self.trace.len() == TRACE_MAX {
            self.trace.pop_front();
        }
        let has_failed = verdict.is_err();
        self.trace.push_back(Step { number: self.operations, operation, place: place(), has_failed });
        verdict
    }

    fn judge(&mut self, operation: DiskOperation) -> Result<(), Refusal> {
        self.check_power().map_err(Refusal::Stopped)?;
        if operation.is_mutation() && self.stop_at.is_some_and(|stop_at| stop_at <= self.mutations) {
            self.stopped = Some(self.mutations);
            return Err(Refusal::Stopping(power_cut(self.mutations)));
        }
        match self.due_fault(operation) {
            Some(fault) => Err(Refusal::Fault { error: fault.error.into(), written: fault.written }),
            None => Ok(()),
        }
    }

    /// Counts every fault of this kind down, and gives the first that is due.
    fn due_fault(&mut self, operation: DiskOperation) -> Option<DiskFault> {
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation {
                return true;
            }
            fault.nth = fault.nth.saturating_sub(1);
            if 0 < fault.nth {
                return true;
            }
            due.get_or_insert_with(|| fault.clone());
            fault.repeat
        });
        due
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        self.stopped.map_or(Ok(()), |mutation| Err(power_cut(mutation)))
    }

    pub(super) fn fail(&mut self, fault: DiskFault) {
        self.faults.push(fault);
    }

    pub(super) fn stop_at(&mut self, mutation: u64) {
        self.stop_at = Some(mutation);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
        (self.stop_at, self.stopped) = (None, None);
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn mutations(&self) -> u64 {
        self.mutations
    }

    pub(super) fn kind_count(&self, kind: DiskOperation) -> u64 {
        self.kind_counts[kind as usize]
    }

    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.iter().map(Step::to_string).collect()
    }
}

fn power_cut(mutation: u64) -> io::Error {
    io::Error::other(format!("the simulated machine lost power at mutation {mutation}"))
}
