//! `import`: any number of events, in batches.
//!
//! Several batches are on their way at once, so that one sync serves many. Batches must still go in one after the
//! other or not at all: a hole would be filled twice by whoever goes on after a failure. So each batch asks that
//! its streams are at exactly the versions they have behind the batches before it, and that the batch before it is
//! in; once one is refused, all behind it are.

use crate::cli::Tool;
use crate::cli::entry::{Entry, refused_line};
use crate::cli::exact::{self, Snapshots};
use crate::cli::failure::{Exit, Failure};
use crate::cli::lines::Lines;
use crate::cli::output::{counted, say};
use crate::cli::progress::Progress;
use scorebook::{AppendError, ErrorKind, EventStore, ExpectedVersion, PendingReceipt, StreamName, Version};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

/// So many events go into one batch.
pub(crate) const BATCH_EVENTS: usize = 1000;
/// A batch ends early at so many bytes of lines, far below the largest the store takes: 16 MiB.
pub(crate) const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// So many batches may be on their way.
const UNDER_WAY_BATCHES: usize = 8;
/// So many bytes of lines may be on their way, below what the store lets wait: 32 MiB.
const UNDER_WAY_BYTES: usize = 32 * 1024 * 1024;
/// So many versions are remembered before the store is asked again.
const VERSIONS: usize = 100_000;

/// Takes in any number of events, from NDJSON, in batches of 1000.
///
/// `id`, `occurred`, `schema`, `metadata` and `tags` are kept; `position` and `time` are given anew; `version` is a
/// claim: it must be the next one of its stream, else it is a conflict. A bad line stops: the batches before it are
/// in, nothing of its own batch is. What an export says besides events is taken in with `--exact` alone.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The events, a line each; standard input where there is none or it is `-`
    file: Option<PathBuf>,
    /// Fill an empty store with everything just as it was exported
    #[arg(long)]
    exact: bool,
    /// Pass over what is no event
    #[arg(long, conflicts_with = "exact")]
    events_only: bool,
    /// Go on with this line
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from_line: u64,
}

/// What went in.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    pub(crate) events: u64,
    /// What was no event.
    facts: u64,
    snapshots: Snapshots,
    pub(crate) batches: u64,
}

impl Imported {
    pub(crate) fn exactly(imported: scorebook::Imported, snapshots: Snapshots) -> Imported {
        let (events, facts, batches) = (imported.events(), imported.facts(), imported.batches());
        Imported { events, facts, snapshots, batches }
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, batches) = (counted(self.events, "event", "events"), counted(self.batches, "batch", "batches"));
        write!(f, "{events} in {batches}")?;
        if self.facts != 0 {
            write!(f, ", with {}", counted(self.facts, "other fact", "other facts"))?;
        }
        let Snapshots { taken, left } = self.snapshots;
        if taken + left != 0 {
            write!(f, "; {}", counted(taken, "snapshot", "snapshots"))?;
        }
        if left != 0 {
            write!(f, ", and {left} that are not this store's left out")?;
        }
        Ok(())
    }
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let mut lines = Lines::open(arguments.file.as_deref())?;
    lines.skip_to(arguments.from_line)?;
    if arguments.events_only {
        lines = lines.passing_over_others();
    }
    if arguments.exact {
        exact::refuse_unless_empty(&tool.dir)?;
    }
    let store = tool.open()?;
    let imported = match arguments.exact {
        true => exact::import(&store, &mut lines)?,
        false => import(&store, &mut lines)?,
    };
    say(&format!("taken in: {imported}"));
    if lines.passed_over() != 0 {
        say(&format!("passed over: {}", counted(lines.passed_over(), "line", "lines")));
    }
    Ok(store.close()?)
}

/// Takes in everything the lines hold.
pub(crate) fn import(store: &EventStore, lines: &mut Lines) -> Result<Imported, Failure> {
    let progress = Progress::of(lines);
    let mut importer = Importer {
        store,
        versions: HashMap::new(),
        under_way: VecDeque::new(),
        under_way_bytes: 0,
        last: None,
        resume_at: lines.number() + 1,
        imported: Imported::default(),
    };
    let outcome = importer.take_all(lines, &progress);
    // What is under way stands before the line that failed, so it is settled first, and fails first.
    let settled = importer.settle_down_to(0, 0);
    drop(progress);
    match settled.and(outcome) {
        Ok(()) => Ok(importer.imported),
        Err(failure) => Err(importer.advise(failure)),
    }
}

struct Importer<'a> {
    store: &'a EventStore,
    /// The versions of streams behind everything that is in or under way. While this process has the store open
    /// nobody else writes to it, so they are right until something fails.
    versions: HashMap<StreamName, Version>,
    /// INVARIANT: in the order of their lines, none empty.
    under_way: VecDeque<UnderWay>,
    under_way_bytes: usize,
    /// A stream that the last batch wrote to, and its version behind it.
    last: Option<(StreamName, Version)>,
    /// The line behind the last one that is in.
    resume_at: u64,
    imported: Imported,
}

/// A batch that was handed to the store.
struct UnderWay {
    receipt: PendingReceipt,
    entries: Vec<Entry>,
    last_line: u64,
    bytes: usize,
}

/// A batch that is being gathered.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    expectations: Vec<ExpectedVersion>,
    streams: HashSet<StreamName>,
    bytes: usize,
}

impl Importer<'_> {
    fn take_all(&mut self, lines: &mut Lines, progress: &Progress) -> Result<(), Failure> {
        loop {
            let batch = self.gather(lines)?;
            if batch.entries.is_empty() {
                return Ok(());
            }
            self.settle_down_to(UNDER_WAY_BATCHES - 1, UNDER_WAY_BYTES.saturating_sub(batch.bytes))?;
            self.commit(batch, lines.number());
            progress.reached(lines.bytes(), self.imported.events);
            if VERSIONS < self.versions.len() {
                self.settle_down_to(0, 0)?;
                self.versions.clear();
            }
        }
    }

    fn gather(&mut self, lines: &mut Lines) -> Result<Batch, Failure> {
        let mut batch = Batch::default();
        while batch.entries.len() < BATCH_EVENTS
            && batch.bytes < BATCH_BYTES
            && let Some(line) = lines.next_event()?
        {
            let stream = line.stream.ok_or_else(|| lines.fault("`stream` is missing"))?;
            let version = match self.versions.get(&stream) {
                Some(version) => *version,
                None => self.store.version(&stream).map_err(|error| Failure::from(error).at(&lines.place()))?,
            };
            let next = version.next().expect("nobody appends 2^64 events");
            if let Some(claimed) = line.version.filter(|claimed| *claimed != next) {
                let text = format!("conflict: stream {stream} is at version {version}, the line claims {claimed}");
                return Err(Failure::new(Exit::Conflict, text).at(&lines.place()));
            }
            self.versions.insert(stream.clone(), next);
            // Expectations are judged against the stream before the batch: only its first event has one.
            let is_first = batch.streams.insert(stream.clone());
            batch.expectations.push(if is_first { ExpectedVersion::Exact(version) } else { ExpectedVersion::Any });
            batch.bytes += lines.line_bytes();
            batch.entries.push(Entry { line: lines.number(), stream, event: line.event });
        }
        Ok(batch)
    }

    fn commit(&mut self, batch: Batch, last_line: u64) {
        let mut builder = self.store.batch();
        for (entry, expected) in batch.entries.iter().zip(batch.expectations) {
            builder = builder.append(&entry.stream, expected, [entry.event.clone()]);
        }
        if let Some((stream, version)) = self.last.take().filter(|(stream, _)| !batch.streams.contains(stream)) {
            builder = builder.require(&stream, ExpectedVersion::Exact(version));
        }
        self.last = batch.entries.last().map(|entry| (entry.stream.clone(), self.versions[&entry.stream]));
        self.under_way_bytes += batch.bytes;
        let receipt = builder.commit();
        self.under_way.push_back(UnderWay { receipt, entries: batch.entries, last_line, bytes: batch.bytes });
    }

    /// Waits, oldest first, until at most so many batches and bytes are under way.
    fn settle_down_to(&mut self, batches: usize, bytes: usize) -> Result<(), Failure> {
        while (batches < self.under_way.len() || bytes < self.under_way_bytes)
            && let Some(batch) = self.under_way.pop_front()
        {
            let UnderWay { receipt, entries, last_line, bytes } = batch;
            self.under_way_bytes -= bytes;
            match receipt.wait() {
                Ok(_) => {
                    self.imported.events += entries.len() as u64;
                    self.imported.batches += 1;
                    self.resume_at = last_line + 1;
                }
                Err(error) => {
                    // Those behind it are refused too; there is nothing to learn from them.
                    self.under_way.clear();
                    self.under_way_bytes = 0;
                    return Err(refusal(error, &entries, last_line));
                }
            }
        }
        Ok(())
    }

    /// Says what is in and where to go on.
    fn advise(&self, failure: Failure) -> Failure {
        let go_on = format!("go on with --from-line {}", self.resume_at);
        failure.advise(match self.imported.events {
            0 => format!("nothing was taken in: {go_on}"),
            _ => format!("taken in before: {}; {go_on}", self.imported),
        })
    }
}

/// Why a batch was refused; by line where one line is to blame.
fn refusal(error: AppendError, entries: &[Entry], last_line: u64) -> Failure {
    let first_line = entries.first().map_or(last_line, |entry| entry.line);
    let lines = format!("lines {first_line} to {last_line}");
    match &error {
        AppendError::Store(error) if error.kind() == ErrorKind::OutcomeUnknown => {
            Failure::from(error.clone()).at(&format!("whether {lines} are in is not known"))
        }
        AppendError::Store(error) => match refused_line(error, entries) {
            Some((entry, alone)) => Failure::from(alone).at(&format!("line {}", entry.line)),
            None => Failure::from(error.clone()).at(&lines),
        },
        AppendError::Conflict(_) => Failure::from(error).at(&lines),
    }
}
