//! A query as the terms it asks for.

use crate::event::EventId;
use crate::format::{Term, TermHasher};
use crate::query::Query;

/// What a query asks for: one of its items; of an item, each of its demands; of a demand, one of its terms.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) items: Vec<Vec<Demand>>,
}

/// One of these terms.
pub(crate) type Demand = Vec<Term>;

impl Plan {
    /// The terms of a query. An item that asks for nothing has no demands: every event meets it. Prefixes and positions
    /// are no terms.
    pub(crate) fn new(query: &Query, hasher: &TermHasher) -> Plan {
        let items = query.items().map(|item| {
            let types: Demand = item.types.iter().map(|name| hasher.event_type(name)).collect();
            let categories: Demand = item.categories.iter().map(|name| hasher.category(name)).collect();
            let streams = item.streams.iter().map(|name| hasher.stream(name.as_str())).collect();
            let tags = item.tags.iter().map(|(key, value)| vec![hasher.tag(key, value)]);
            let demands = [streams, categories, types].into_iter().chain(tags);
            demands.filter(|demand| !demand.is_empty()).collect()
        });
        Plan { items: items.collect() }
    }

    /// What the event with an id is found by, where a caller gave it.
    pub(crate) fn of_id(id: EventId, hasher: &TermHasher) -> Plan {
        Plan { items: vec![vec![vec![hasher.id(id)]]] }
    }

    /// What the record of a `once` key is found by.
    pub(crate) fn of_key(key: Term) -> Plan {
        Plan { items: vec![vec![vec![key]]] }
    }

    /// For each item the terms of the demand that tells most: an event that meets the plan has one of them. None where some
    /// item asks for nothing.
    pub(crate) fn telling_terms(&self) -> Option<Vec<Term>> {
        // A stream says most, and few events have a tag in common; types and categories stand in between.
        let telling = |item: &Vec<Demand>| item.iter().find(|demand| demand[0].is_stream()).or(item.last()).cloned();
        let mut terms = self.items.iter().map(telling).collect::<Option<Vec<Demand>>>()?.concat();
        terms.sort_unstable();
        terms.dedup();
        Some(terms)
    }

    /// Its items.
    pub(crate) fn items(&self) -> &[Vec<Demand>] {
        &self.items
    }

    /// Whether terms narrow it: no item is met by every event.
    pub(crate) fn narrows(&self) -> bool {
        self.items.iter().all(|item| !item.is_empty())
    }

    /// Whether it can be met where only such terms are.
    pub(super) fn may_be_met(&self, may_have: impl Fn(Term) -> bool) -> bool {
        self.items.iter().any(|item| item.iter().all(|demand| demand.iter().any(|term| may_have(*term))))
    }

    /// Whether an event with these terms meets it.
    pub(crate) fn is_met_by(&self, terms: &[Term]) -> bool {
        let meets = |demand: &Demand| demand.iter().any(|term| terms.contains(term));
        self.items.iter().any(|item| item.iter().all(meets))
    }
}
