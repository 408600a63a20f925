//! What a simulated disk was asked to do, counted and kept, and what of it is to go wrong.

use super::fault::{DiskFault, DiskOperation, FaultEffect, KINDS, Misplacement};
use super::mischief::Mischief;
use crate::sync::Arc;
use std::collections::VecDeque;
use std::fmt;
use std::io;

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
    mischief: Option<Mischief>,
    stop_at: Option<u64>,
    /// The number of the mutation at which the power was cut.
    stopped: Option<u64>,
}

struct Step {
    number: u64,
    operation: DiskOperation,
    place: Place,
    outcome: &'static str,
}

/// What an operation is about.
pub(super) enum Place {
    Name(Arc<str>),
    Bytes { path: Arc<str>, offset: u64, len: usize },
}

impl Place {
    pub(super) fn name(path: &str) -> Place {
        Place::Name(path.into())
    }

    pub(super) fn file(path: &Arc<str>) -> Place {
        Place::Name(path.clone())
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
        f.write_str(self.outcome)
    }
}

/// How an operation happens that says it succeeded.
#[derive(Debug)]
pub(super) enum Admitted {
    /// As it should.
    Whole,
    /// So many bytes at most, as it says itself.
    Short(usize),
    /// It reaches nobody but the readers.
    Lost,
    Misplaced(Misplacement),
}

impl Admitted {
    /// How many of so many bytes are read or written at most.
    pub(super) fn most(&self, len: usize) -> usize {
        match self {
            Admitted::Short(most) => len.min(*most),
            Admitted::Whole | Admitted::Lost | Admitted::Misplaced(_) => len,
        }
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
    /// Whether something went wrong. An interrupted call did nothing, and will be repeated.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Refusal::Fault { error, .. } if error.kind() != io::ErrorKind::Interrupted)
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
    /// Counts an operation and says whether and how it happens.
    pub(super) fn admit(
        &mut self,
        operation: DiskOperation,
        place: impl FnOnce() -> Place,
    ) -> Result<Admitted, Refusal> {
        self.operations += 1;
        self.mutations += u64::from(operation.is_mutation());
        self.kind_counts[operation as usize] += 1;
        let verdict = self.judge(operation);
        if self.trace.len() == TRACE_MAX {
            self.trace.pop_front();
        }
        let outcome = match &verdict {
            Ok(Admitted::Whole) => "",
            Ok(Admitted::Short(_)) => " (short)",
            Ok(Admitted::Lost) => " (lost)",
            Ok(Admitted::Misplaced(_)) => " (misplaced)",
            Err(_) => " (failed)",
        };
        self.trace.push_back(Step { number: self.operations, operation, place: place(), outcome });
        verdict
    }

    fn judge(&mut self, operation: DiskOperation) -> Result<Admitted, Refusal> {
        self.check_power().map_err(Refusal::Stopped)?;
        if operation.is_mutation() && self.stop_at.is_some_and(|stop_at| stop_at <= self.mutations) {
            self.stopped = Some(self.mutations);
            return Err(Refusal::Stopping(power_cut(self.mutations)));
        }
        let due = self.due_fault(operation);
        match due.or_else(|| self.mischief.as_mut()?.draw(operation)) {
            None => Ok(Admitted::Whole),
            Some(FaultEffect::Error { error, written }) => Err(Refusal::Fault { error: error.into(), written }),
            Some(FaultEffect::Short { bytes }) => Ok(Admitted::Short(bytes)),
            Some(FaultEffect::Lost) => Ok(Admitted::Lost),
            Some(FaultEffect::Misplaced(misplacement)) => Ok(Admitted::Misplaced(misplacement)),
        }
    }

    /// Counts every fault of this kind down, and gives the first that is due.
    fn due_fault(&mut self, operation: DiskOperation) -> Option<FaultEffect> {
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation {
                return true;
            }
            fault.nth = fault.nth.saturating_sub(1);
            if 0 < fault.nth {
                return true;
            }
            due.get_or_insert_with(|| fault.effect.clone());
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

    pub(super) fn set_mischief(&mut self, mischief: Option<Mischief>) {
        self.mischief = mischief;
    }

    pub(super) fn stop_at(&mut self, mutation: u64) {
        self.stop_at = Some(mutation);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
        self.mischief = None;
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
