//! `segments`: the files of the log, and what of each is live.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::output::Row;
use crate::cli::progress::Progress;
use scorebook::{LeftBecause, SegmentAct, SegmentPlan};

const COLUMNS: &[&str] = &["segment", "stands_for", "state", "bytes", "events", "live_bytes", "dead_bytes", "live"];

pub(crate) fn run(tool: &Tool) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let progress = Progress::of_nobody_knows("reading the log");
    let plan = store.compaction().plan()?;
    drop(progress);
    let mut output = tool.output();
    let mut list = output.list(COLUMNS);
    let outcome = plan.segments().iter().try_for_each(|segment| list.push(&Drawn(segment)));
    list.finish()?;
    outcome
}

/// A segment with its live and dead bytes.
struct Drawn<'a>(&'a SegmentPlan);

impl Drawn<'_> {
    fn live_bytes(&self) -> u64 {
        self.0.bytes().saturating_sub(self.0.bytes_going())
    }

    fn state(&self) -> &'static str {
        if self.0.act() == SegmentAct::Leave(LeftBecause::Active) { "active" } else { "sealed" }
    }
}

impl Row for Drawn<'_> {
    fn cells(&self) -> Vec<String> {
        let segment = self.0;
        vec![
            segment.sequence().to_string(),
            stands_for(segment),
            self.state().to_owned(),
            segment.bytes().to_string(),
            segment.events().to_string(),
            self.live_bytes().to_string(),
            segment.bytes_going().to_string(),
            bar(self.live_bytes(), segment.bytes()),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let segment = self.0;
        *line = format!(
            r#"{{"segment":{},"stands_from":{},"generation":{},"state":"{}","bytes":{},"events":{},"live_bytes":{},"dead_bytes":{},"dead_events":{}}}"#,
            segment.sequence(),
            segment.stands_from(),
            segment.generation(),
            self.state(),
            segment.bytes(),
            segment.events(),
            self.live_bytes(),
            segment.bytes_going(),
            segment.events_going(),
        );
        Ok(())
    }
}

/// The sequence numbers for which a segment stands that compaction wrote.
fn stands_for(segment: &SegmentPlan) -> String {
    match (segment.generation(), segment.stands_from(), segment.sequence()) {
        (0, ..) => "-".to_owned(),
        (_, from, to) if from == to => from.to_string(),
        (_, from, to) => format!("{from} to {to}"),
    }
}

/// How many characters of a bar stand for all of a segment.
const BAR_CELLS: u64 = 20;

/// A bar that is full where all is live. Of what there is at least a little is seen, on either side.
fn bar(live: u64, all: u64) -> String {
    let all = all.max(1);
    let rounded = (live * BAR_CELLS + all / 2) / all;
    let cells = rounded.clamp(u64::from(0 < live), BAR_CELLS - u64::from(live < all));
    let drawn: String = (0..BAR_CELLS).map(|cell| if cell < cells { '#' } else { '.' }).collect();
    format!("[{drawn}] {:>3} %", live * 100 / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_at_least_a_little_of_what_there_is() {
        assert_eq!(bar(100, 100), "[####################] 100 %");
        assert_eq!(bar(999, 1000), "[###################.]  99 %");
        assert_eq!(bar(50, 100), "[##########..........]  50 %");
        assert_eq!(bar(1, 1000), "[#...................]   0 %");
        assert_eq!(bar(0, 1000), "[....................]   0 %");
        assert_eq!(bar(0, 0), "[....................]   0 %");
    }
}
