//! `snapshots`: saved states, what is wrong with them, and taking them away.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::ndjson::quoted;
use crate::cli::output::{Facts, Row, counted};
use crate::cli::rfc3339;
use clap::{Args, Subcommand};
use scorebook::{Codec, EventStore, SnapshotCheck, SnapshotInfo, SnapshotOutcome, SnapshotSource, StreamName};

/// The saved states of aggregates and projections: speed, and nothing else.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// All there are, the newest first, each verified and held against the log. That is what is done where nothing is said.
    List,
    /// The same, and those of this program's aggregates and projections held against what their events fold to. Exit code 1
    /// where one is not what it should be.
    Verify,
    /// Removes some: all that is asked for holds of them.
    Delete {
        /// Those of this stream
        #[arg(long, value_name = "STREAM")]
        stream: Option<StreamName>,
        /// Those of this projection
        #[arg(long, value_name = "NAME", conflicts_with = "stream")]
        projection: Option<String>,
        /// Those that are not used
        #[arg(long)]
        faulty: bool,
        /// All of them
        #[arg(long, conflicts_with_all = ["stream", "projection", "faulty"], required_unless_present_any = ["stream", "projection", "faulty"])]
        all: bool,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        None | Some(What::List) => list(tool),
        Some(What::Verify) => verify(tool),
        Some(What::Delete { stream, projection, faulty, all: _, consent }) => {
            let is_of = |snapshot: &SnapshotInfo| match (snapshot.source(), stream, projection) {
                (source, Some(stream), _) => source.and_then(SnapshotSource::stream) == Some(stream),
                (Some(SnapshotSource::Projection { name }), None, Some(projection)) => name == projection,
                (_, None, None) => true,
                _ => false,
            };
            delete(tool, |snapshot| is_of(snapshot) && (!faulty || snapshot.fault().is_some()), *consent)
        }
    }
}

const COLUMNS: &[&str] = &["source", "schema", "codec", "version", "position", "bytes", "time", "state"];

fn list(tool: &Tool) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let listed = store.snapshots()?.into_iter().map(|snapshot| Listed { state: standing(&snapshot), snapshot });
    print(tool, listed.collect())
}

fn verify(tool: &Tool) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    tool.lend_registry(&store);
    let checks = checks(tool, &store)?;
    let outcome = |snapshot: &SnapshotInfo| checks.iter().find(|check| check.snapshot() == snapshot);
    let listed: Vec<Listed> = store
        .snapshots()?
        .into_iter()
        .map(|snapshot| Listed { state: outcome(&snapshot).map_or_else(|| standing(&snapshot), told), snapshot })
        .collect();
    let bad =
        listed.iter().filter(|listed| ["not used", "differs"].iter().any(|bad| listed.state.starts_with(bad))).count();
    print(tool, listed)?;
    match bad {
        0 => Ok(()),
        _ => {
            let text = format!("{} in doubt", counted(bad as u64, "snapshot is", "snapshots are"));
            let advice =
                "`snapshots delete` takes them away; where one differs, its fold has changed and its number has not";
            Err(Failure::new(Exit::Other, text).advise(advice))
        }
    }
}

/// What this program knows of the snapshots of a store.
fn checks(tool: &Tool, store: &EventStore) -> Result<Vec<SnapshotCheck>, Failure> {
    let mut checks = tool.registry_for(store)?.verify_snapshots(store)?;
    for projection in &tool.projections {
        checks.extend(projection.verify_snapshots(store)?);
    }
    Ok(checks)
}

fn delete(tool: &Tool, is_meant: impl Fn(&SnapshotInfo) -> bool, consent: Consent) -> Result<(), Failure> {
    let reader = tool.open_read_only()?;
    let meant: Vec<SnapshotInfo> = reader.snapshots()?.into_iter().filter(is_meant).collect();
    reader.close()?;
    let bytes: u64 = meant.iter().map(SnapshotInfo::bytes).sum();
    let plan = format!("{} removed, with {bytes} bytes.", counted(meant.len() as u64, "snapshot is", "snapshots are"));
    let facts = Facts::default().with("snapshots", meant.len() as u64).with("bytes", bytes);
    if !consent.is_given(tool, &plan, facts.clone())? {
        return Ok(());
    }
    // Nothing is opened for nothing.
    if !meant.is_empty() {
        let store = tool.open_to_change("`store.delete_snapshot(..)`")?;
        for snapshot in &meant {
            store.delete_snapshot(snapshot)?;
        }
        store.close()?;
    }
    tool.output().facts(&facts.with("done", true))
}

fn print(tool: &Tool, listed: Vec<Listed>) -> Result<(), Failure> {
    let mut output = tool.output();
    let mut list = output.list(COLUMNS);
    let outcome = listed.iter().try_for_each(|listed| list.push(listed));
    list.finish()?;
    outcome
}

/// How a snapshot stands where nobody has replayed its events.
fn standing(snapshot: &SnapshotInfo) -> String {
    snapshot.fault().map_or_else(|| "sound".to_owned(), |fault| format!("not used: {fault}"))
}

fn told(check: &SnapshotCheck) -> String {
    match check.outcome() {
        SnapshotOutcome::Same => "same".to_owned(),
        SnapshotOutcome::Differs => "differs".to_owned(),
        SnapshotOutcome::NotUsed(fault) => format!("not used: {fault}"),
        SnapshotOutcome::Unchecked(why) => format!("unchecked: {why}"),
        #[allow(unreachable_patterns, reason = "a stranger to the crate must have it")]
        _ => "unknown".to_owned(),
    }
}

/// A snapshot as it is listed.
struct Listed {
    snapshot: SnapshotInfo,
    state: String,
}

impl Listed {
    fn codec(&self) -> Option<&'static str> {
        self.snapshot.codec().map(|codec| if codec == Codec::Bincode { "bincode" } else { "json" })
    }
}

impl Row for Listed {
    fn cells(&self) -> Vec<String> {
        let Listed { snapshot, state } = self;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let version = snapshot.version().get();
        vec![
            or_dash(snapshot.source().map(ToString::to_string)),
            snapshot.schema().to_string(),
            or_dash(self.codec().map(str::to_owned)),
            or_dash((version != 0).then(|| version.to_string())),
            snapshot.position().to_string(),
            snapshot.bytes().to_string(),
            or_dash(snapshot.time().map(rfc3339::print)),
            state.clone(),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let Listed { snapshot, state } = self;
        let text = |text: Option<&str>| text.map_or("null".to_owned(), quoted);
        let source = snapshot.source();
        let (projection, aggregate, stream) = match source {
            Some(SnapshotSource::Projection { name }) => (Some(&**name), None, None),
            Some(SnapshotSource::Aggregate { name, stream }) => (None, Some(&**name), Some(stream.as_str())),
            None => (None, None, None),
        };
        let (projection, aggregate, stream) = (text(projection), text(aggregate), text(stream));
        let (schema, codec, bytes) = (snapshot.schema(), text(self.codec()), snapshot.bytes());
        let (version, position) = (snapshot.version(), snapshot.position());
        let time = text(snapshot.time().map(rfc3339::print).as_deref());
        let (path, state) = (quoted(&snapshot.path()), quoted(state));
        *line = format!(
            r#"{{"projection":{projection},"aggregate":{aggregate},"stream":{stream},"schema":{schema},"codec":{codec},"version":{version},"position":{position},"bytes":{bytes},"time":{time},"path":{path},"state":{state}}}"#
        );
        Ok(())
    }
}
