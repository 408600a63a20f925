//! The search for the events of one segment that meet a plan.

use super::blocks::Doubt;
use super::body::{Events, Source};
use super::plan::Plan;

/// What a plan asks for, with the postings of one segment. Items that nothing here can meet are left out.
pub(super) struct Sought<'a> {
    items: Vec<Item<'a>>,
}

/// For each demand of an item the events that have one of its terms.
type Item<'a> = Vec<Vec<Events<'a>>>;

/// How far a look for the next event has come.
pub(super) enum Hit {
    /// The event here is one.
    Met(u32),
    /// None stands before this one.
    Nearer(u32),
}

impl Hit {
    pub(super) fn offset(&self) -> u32 {
        match self {
            Hit::Met(offset) | Hit::Nearer(offset) => *offset,
        }
    }
}

impl<'a> Sought<'a> {
    pub(super) fn new(plan: &Plan, source: Source<'a>) -> Result<Sought<'a>, Doubt> {
        let mut items = Vec::with_capacity(plan.items().len());
        for item in plan.items() {
            let demands = item.iter().map(|demand| source.find(demand)).collect::<Result<Item<'a>, Doubt>>()?;
            if demands.iter().all(|demand| !demand.is_empty()) {
                items.push(demands);
            }
        }
        Ok(Sought { items })
    }

    /// How many looks into postings a step takes.
    pub(super) fn looks(&self) -> usize {
        self.items.iter().flatten().map(Vec::len).sum()
    }

    /// The nearest event at or behind an offset, or one that none stands before; of an item that is where the furthest of
    /// its demands is met next.
    pub(super) fn at_or_behind(&self, at: u32) -> Result<Option<Hit>, Doubt> {
        let mut nearest: Option<(u32, bool)> = None;
        for item in &self.items {
            if let Some((first, last)) = span(item, |events| events.at_or_behind(at), u32::min)? {
                let found = (last, first == last);
                let is_nearer = |best: (u32, bool)| (found.0, !found.1) < (best.0, !best.1);
                nearest = if nearest.is_none_or(is_nearer) { Some(found) } else { nearest };
            }
        }
        Ok(nearest.map(hit))
    }

    /// The same towards the beginning, for what stands before an offset.
    pub(super) fn before(&self, before: u32) -> Result<Option<Hit>, Doubt> {
        let mut nearest: Option<(u32, bool)> = None;
        for item in &self.items {
            if let Some((first, last)) = span(item, |events| events.before(before), u32::max)? {
                nearest = nearest.max(Some((first, first == last)));
            }
        }
        Ok(nearest.map(hit))
    }
}

fn hit((offset, is_met): (u32, bool)) -> Hit {
    if is_met { Hit::Met(offset) } else { Hit::Nearer(offset) }
}

/// The lowest and the highest of the events at which the demands of an item are met next; none where one never is. Of the
/// terms of one demand the `nearer` event counts.
fn span(
    item: &[Vec<Events<'_>>],
    next: impl Fn(&Events<'_>) -> Result<Option<u32>, Doubt>,
    nearer: fn(u32, u32) -> u32,
) -> Result<Option<(u32, u32)>, Doubt> {
    let (mut first, mut last) = (u32::MAX, 0);
    for demand in item {
        let mut nearest: Option<u32> = None;
        for events in demand {
            let found = next(events)?;
            nearest = nearest.zip(found).map(|(one, other)| nearer(one, other)).or(nearest).or(found);
        }
        let Some(at) = nearest else { return Ok(None) };
        (first, last) = (first.min(at), last.max(at));
    }
    Ok(Some((first, last)))
}
