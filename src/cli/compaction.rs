//! `compact`: removes what may go from the segments that have ended.

use crate::cli::Tool;
use crate::cli::consent::Consent;
use crate::cli::failure::Failure;
use crate::cli::ndjson::quoted;
use crate::cli::output::{Facts, Row, counted};
use crate::cli::progress::Progress;
use scorebook::{Compacted, CompactionPlan, EventStore, LeftBecause, SegmentAct, SegmentPlan, StreamName, StreamPlan};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Removes what may go from the segments that have ended, and makes small ones one.
///
/// What may go is all of a finished stream, what is before the version a stream begins with, and what no rule for what is kept
/// keeps. What is held, what a consumer is not done with, and the last event of a stream stay. It can be ended at any moment:
/// what was done is done, and the next one goes on from there.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Remove also what consumers are not done with
    #[arg(long)]
    beyond_consumers: bool,
    /// Let rules remove also the last event of a stream that is not finished
    #[arg(long)]
    with_last_events: bool,
    /// Write every segment anew of which anything goes, not only those of which at least a tenth does
    #[arg(long)]
    thoroughly: bool,
    /// Tell of so many of the streams of which most goes
    #[arg(long, value_name = "N", default_value_t = 20)]
    streams: usize,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let consent = arguments.consent;
    consent.can_be_given()?;
    let reader = tool.open_read_only()?;
    if consent.is_out_of_the_question() {
        let plan = plan(&reader, arguments)?;
        let told = Told::new(&plan, arguments.streams);
        return told.show(tool, told.facts().with("done", false));
    }
    reader.close()?;
    // What is shown is what is done: nobody else can have the store open in between.
    let store = tool.open_to_change("`store.compaction()`")?;
    let plan = plan(&store, arguments)?;
    if !plan.is_empty() {
        consent.ask(|| {
            let told = Told::new(&plan, arguments.streams);
            if tool.output().is_for_people() {
                told.show(tool, told.facts())?;
            }
            Ok(told.sentence())
        })?;
    }
    let progress = Progress::of_segments();
    let compacted = plan.apply_while(|reached| {
        progress.rewritten(reached);
        ControlFlow::Continue(())
    });
    drop(progress);
    let advice = "what was done before is done: the next `scorebook compact` goes on from there";
    let compacted = compacted.map_err(|error| Failure::from(error).advise(advice))?;
    store.close()?;
    tool.output().facts(&facts(compacted).with("done", true))
}

fn plan(store: &EventStore, arguments: &Arguments) -> Result<CompactionPlan, Failure> {
    let _progress = Progress::of_nobody_knows("reading the log");
    let compaction = store.compaction();
    let compaction = if arguments.beyond_consumers { compaction.beyond_consumers() } else { compaction };
    let compaction = if arguments.with_last_events { compaction.with_last_events() } else { compaction };
    let compaction = if arguments.thoroughly { compaction.thoroughly() } else { compaction };
    Ok(compaction.plan()?)
}

/// What it came to.
fn facts(compacted: Compacted) -> Facts {
    Facts::default()
        .with("segments_before", compacted.segments_before())
        .with("segments_after", compacted.segments_after())
        .with("bytes_before", compacted.bytes_before())
        .with("bytes_after", compacted.bytes_after())
        .with("events_removed", compacted.events_removed())
}

/// A plan as it is told.
struct Told<'a> {
    plan: &'a CompactionPlan,
    /// Those of which most goes, and then those of which most stays that would go.
    streams: Vec<Stream<'a>>,
    streams_beginning_later: u64,
    /// How many events stay that would go, by what keeps them.
    staying: BTreeMap<String, u64>,
}

impl<'a> Told<'a> {
    fn new(plan: &'a CompactionPlan, streams_max: usize) -> Told<'a> {
        let mut streams: Vec<Stream<'_>> = plan.streams().map(|(name, of)| Stream { name, of }).collect();
        let streams_beginning_later = streams.iter().filter(|stream| stream.of.begins_with().is_some()).count() as u64;
        let mut staying: BTreeMap<String, u64> = BTreeMap::new();
        let kept = streams.iter().flat_map(|stream| stream.of.staying());
        let kept = kept.map(|(why, events)| (why.to_string(), events));
        let left = plan.segments().iter().filter_map(|segment| match segment.act() {
            SegmentAct::Leave(LeftBecause::Active) => {
                Some(("in the active segment".to_owned(), segment.events_going()))
            }
            SegmentAct::Leave(_) => Some(("in segments of which too little goes".to_owned(), segment.events_going())),
            _ => None,
        });
        for (why, events) in kept.chain(left).filter(|(_, events)| *events != 0) {
            *staying.entry(why).or_default() += events;
        }
        streams.sort_by_key(|stream| (Reverse(stream.of.bytes_going()), Reverse(stream.events_staying()), stream.name));
        streams.truncate(streams_max);
        Told { plan, streams, streams_beginning_later, staying }
    }

    /// Shows what is planned for segments and streams, and then these facts.
    fn show(&self, tool: &Tool, facts: Facts) -> Result<(), Failure> {
        let mut output = tool.output();
        let segments: Vec<Segment<'_>> = self.plan.segments().iter().map(Segment).collect();
        if !output.is_for_people() {
            let listed = Facts::default().with_json("segments", &json_of(&segments)?, Vec::new());
            return output.facts(&listed.with_json("streams", &json_of(&self.streams)?, Vec::new()).and(facts));
        }
        let mut list = output.list(&["segment", "bytes", "events", "events_going", "bytes_going", "share", "act"]);
        segments.iter().try_for_each(|segment| list.push(segment))?;
        if !self.streams.is_empty() {
            list.under(&["stream", "events_going", "bytes_going", "why", "begins_with", "stays"])?;
            list.heading("")?;
            self.streams.iter().try_for_each(|stream| list.push(stream))?;
        }
        list.finish()?;
        output.text("\n")?;
        output.facts(&facts)
    }

    fn facts(&self) -> Facts {
        let staying: Value = self.staying.iter().map(|(why, events)| json!({ "why": why, "events": events })).collect();
        Facts::default()
            .with("segments_before", self.segments_before())
            .with("segments_after", self.segments_after())
            .with("events_going", self.plan.events_going())
            .with("bytes_going", self.plan.bytes_going())
            .with("streams_beginning_later", self.streams_beginning_later)
            .with_shown("staying", &staying, shown(&self.staying))
    }

    /// How many segments are written anew.
    fn segments_before(&self) -> u64 {
        self.rewritten().count() as u64
    }

    /// How many stand for them then.
    fn segments_after(&self) -> u64 {
        let mut rows = 0;
        let mut segments = self.rewritten();
        while let Some(row) = segments.next() {
            rows += 1;
            segments.by_ref().take(row - 1).for_each(drop);
        }
        rows
    }

    /// Of each segment that is written anew how many there are in its row.
    fn rewritten(&self) -> impl Iterator<Item = usize> {
        self.plan.segments().iter().filter_map(|segment| match segment.act() {
            SegmentAct::Rewrite { row } => Some(row),
            _ => None,
        })
    }

    /// The plan in a sentence.
    fn sentence(&self) -> String {
        let events = counted(self.plan.events_going(), "event goes", "events go");
        let bytes = counted(self.plan.bytes_going(), "byte", "bytes");
        let before = counted(self.segments_before(), "segment is", "segments are");
        let streams = counted(self.streams_beginning_later, "stream begins", "streams begin");
        format!("{events}, {bytes}: {before} written anew as {}, and {streams} later.", self.segments_after())
    }
}

/// Rows as a JSON array.
fn json_of(rows: &[impl Row]) -> Result<String, Failure> {
    let mut listed = Vec::new();
    for row in rows {
        let mut json = String::new();
        row.write_json(&mut json)?;
        listed.push(json);
    }
    Ok(format!("[{}]", listed.join(",")))
}

/// Numbers of events by what keeps them.
fn shown(staying: &BTreeMap<String, u64>) -> Vec<String> {
    staying.iter().map(|(why, events)| format!("{events}: {why}")).collect()
}

/// What becomes of a segment.
struct Segment<'a>(&'a SegmentPlan);

impl Row for Segment<'_> {
    fn cells(&self) -> Vec<String> {
        let segment = self.0;
        let share = (segment.bytes_going() * 100).checked_div(segment.bytes()).unwrap_or(0);
        vec![
            segment.sequence().to_string(),
            segment.bytes().to_string(),
            segment.events().to_string(),
            segment.events_going().to_string(),
            segment.bytes_going().to_string(),
            format!("{share} %"),
            segment.act().to_string(),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let segment = self.0;
        let row = match segment.act() {
            SegmentAct::Rewrite { row } => row.to_string(),
            _ => "null".to_owned(),
        };
        let left = match segment.act() {
            SegmentAct::Leave(because) => quoted(&because.to_string()),
            _ => "null".to_owned(),
        };
        *line = format!(
            r#"{{"segment":{},"bytes":{},"events":{},"events_going":{},"bytes_going":{},"row":{row},"left":{left}}}"#,
            segment.sequence(),
            segment.bytes(),
            segment.events(),
            segment.events_going(),
            segment.bytes_going(),
        );
        Ok(())
    }
}

/// What becomes of a stream.
struct Stream<'a> {
    name: &'a StreamName,
    of: &'a StreamPlan,
}

impl Stream<'_> {
    fn staying(&self) -> BTreeMap<String, u64> {
        self.of.staying().map(|(why, events)| (why.to_string(), events)).collect()
    }

    fn events_staying(&self) -> u64 {
        self.of.staying().map(|(_, events)| events).sum()
    }
}

impl Row for Stream<'_> {
    fn cells(&self) -> Vec<String> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let staying = shown(&self.staying()).join(", ");
        let without = if self.of.drops_state() { ", without its state" } else { "" };
        vec![
            self.name.to_string(),
            self.of.events_going().to_string(),
            self.of.bytes_going().to_string(),
            or_none(self.of.why().map(|why| why.to_string())),
            or_none(self.of.begins_with().map(|first| format!("{first}{without}"))),
            or_none(Some(staying).filter(|staying| !staying.is_empty())),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let or_null = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
        let staying: Value =
            self.staying().iter().map(|(why, events)| json!({ "why": why, "events": events })).collect();
        *line = format!(
            r#"{{"stream":{},"events_going":{},"bytes_going":{},"why":{},"begins_with":{},"drops_state":{},"staying":{staying}}}"#,
            quoted(self.name.as_str()),
            self.of.events_going(),
            self.of.bytes_going(),
            or_null(self.of.why().map(|why| quoted(&why.to_string()))),
            or_null(self.of.begins_with().map(|first| first.to_string())),
            self.of.drops_state(),
        );
        Ok(())
    }
}
