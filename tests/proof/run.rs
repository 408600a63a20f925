//! One run of a lane: its work spread over the cores, counted, and written down as it goes.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is kept of a run: a line of `tests/proof/runs.ndjson`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) lane: String,
    /// What was counted.
    pub(crate) unit: String,
    pub(crate) count: u64,
    pub(crate) violations: u64,
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) date: String,
    pub(crate) machine: String,
}

/// How much of a lane is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) seed: u64,
    /// Work is begun until this many were counted.
    pub(crate) count: u64,
    /// Or until this time is over.
    pub(crate) limit: Option<Duration>,
    /// Whether the run is added to the committed record.
    pub(crate) is_recorded: bool,
}

/// A run that counts itself. What it has done is written down every few seconds, so it can be stopped at any time.
pub(crate) struct Run {
    lane: &'static str,
    unit: &'static str,
    extent: Extent,
    begun: Instant,
    count: AtomicU64,
    violations: AtomicU64,
    is_over: AtomicBool,
    /// When the record was last written, and which line of it is this run's.
    written: Mutex<(Instant, Option<usize>)>,
}

/// How often the record is written.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);

impl Run {
    pub(crate) fn new(lane: &'static str, unit: &'static str, extent: Extent) -> Run {
        println!("{lane}: seed {}, until {} {unit}", extent.seed, extent.count);
        Run {
            lane,
            unit,
            extent,
            begun: Instant::now(),
            count: AtomicU64::new(0),
            violations: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            written: Mutex::new((Instant::now(), None)),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.extent.seed
    }

    /// Whether enough was done.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
            || self.extent.count <= self.count.load(Ordering::Relaxed)
            || self.extent.limit.is_some_and(|limit| limit <= self.begun.elapsed())
    }

    /// Counts work that was done and held.
    pub(crate) fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        if self.extent.is_recorded {
            let mut written = self.written.lock().expect("nobody panics with it");
            if WRITTEN_EVERY <= written.0.elapsed() {
                self.write(&mut written);
            }
        }
    }

    /// Does pieces of work by their numbers, on two threads, until enough was counted; `None` says that there is no
    /// such piece. A piece that panics is a violation: it is told with its number, and ends the run.
    pub(crate) fn spread(&self, work: impl Fn(u64) -> Option<u64> + Sync) {
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !self.is_over() {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        match catch_unwind(AssertUnwindSafe(|| work(number))) {
                            Ok(Some(count)) => self.add(count),
                            Ok(None) => break,
                            Err(_) => {
                                println!("{}: VIOLATION in piece {number} of seed {}", self.lane, self.seed());
                                self.violations.fetch_add(1, Ordering::Relaxed);
                                self.is_over.store(true, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
    }

    /// Tells what was done; whether nothing was violated.
    pub(crate) fn end(self) -> bool {
        let (count, violations) = (self.count.load(Ordering::Relaxed), self.violations.load(Ordering::Relaxed));
        if self.extent.is_recorded {
            self.write(&mut self.written.lock().expect("nobody panics with it"));
        }
        println!(
            "{}: seed {}, {count} {} in {:.0} s, violations: {violations}",
            self.lane,
            self.seed(),
            self.unit,
            self.begun.elapsed().as_secs_f64()
        );
        violations == 0
    }

    fn write(&self, written: &mut (Instant, Option<usize>)) {
        let record = Record {
            lane: self.lane.to_owned(),
            unit: self.unit.to_owned(),
            count: self.count.load(Ordering::Relaxed),
            violations: self.violations.load(Ordering::Relaxed),
            seed: self.seed(),
            seconds: self.begun.elapsed().as_secs(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: machine(),
        };
        match write_down(&record, written.1) {
            Ok(line) => *written = (Instant::now(), Some(line)),
            Err(error) => println!("{}: the record could not be written: {error}", self.lane),
        }
    }
}

/// The records of all runs so far.
pub(crate) fn records() -> io::Result<Vec<Record>> {
    let text = match fs::read_to_string(path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
}

/// Puts a record in its line, or at the end if it has none yet. Lines of runs that go on beside this one stay theirs.
fn write_down(record: &Record, line: Option<usize>) -> io::Result<usize> {
    let lock = fs::File::open(path().parent().expect("it lies in a directory"))?;
    lock.lock()?;
    let mut records = records()?;
    let line = line.unwrap_or(records.len());
    records.resize(records.len().max(line + 1), record.clone());
    records[line] = record.clone();
    let mut text = String::new();
    for record in &records {
        text += &serde_json::to_string(record).map_err(io::Error::other)?;
        text.push('\n');
    }
    let beside = path().with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(beside, path())?;
    Ok(line)
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof/runs.ndjson")
}

/// The machine in a few words.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system: Vec<&str> = system.split('.').take(2).collect();
    format!("{cores} cores, Linux {}", system.join("."))
}
