//! What is wrong with the parts of a registry, apart from what the graph of shapes and steps says by itself.

use super::decode::{AnyDecoder, Described};
use super::fault::RegistryFault;
use super::fold::AnyFold;
use super::graph::{Graph, Ways};
use super::shape::EventShape;
use super::upcast::Step;
use crate::name::{StreamName, event_type_fault, tag_fault};
use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

/// The enums that were taken in, in their order.
pub(super) type Decoders = [(TypeId, Box<dyn AnyDecoder>)];

/// Types that no event can have, and schema 0.
pub(super) fn name_faults(graph: &Graph) -> Vec<RegistryFault> {
    let fault = |shape: &EventShape| match (event_type_fault(shape.event_type()), shape.schema()) {
        (Some(fault), _) => Some(format!("the type {fault}")),
        (None, 0) => Some("schemas are numbered from 1".to_owned()),
        (None, _) => None,
    };
    let of_shape =
        |shape: &EventShape| Some(RegistryFault::InvalidName { shape: shape.clone(), reason: fault(shape)? });
    graph.shapes().iter().filter_map(of_shape).collect()
}

/// What is registered twice and not the same each time: by one enum anything, by several what they write.
pub(super) fn conflicts(decoders: &Decoders) -> Vec<RegistryFault> {
    let mut faults = Vec::new();
    let mut written: BTreeMap<&EventShape, (&'static str, Described<'_>)> = BTreeMap::new();
    for (_, decoder) in decoders {
        let mut own: BTreeMap<&EventShape, Described<'_>> = BTreeMap::new();
        let events = decoder.events();
        for described in decoder.described() {
            if let Some(first) = own.insert(described.shape, described) {
                faults.push(conflict(events, &first, events, &described));
            } else if let (Some(codec), Some((first_events, first))) = (described.codec, written.get(described.shape)) {
                if (Some(codec), described.payload_id) != (first.codec, first.payload_id) {
                    faults.push(conflict(first_events, first, events, &described));
                }
            } else if described.codec.is_some() {
                written.insert(described.shape, (events, described));
            }
        }
    }
    faults
}

fn conflict(first_events: &str, first: &Described<'_>, second_events: &str, second: &Described<'_>) -> RegistryFault {
    let said = |events: &str, described: &Described<'_>| match described.codec {
        Some(codec) => format!("{events} writes {} as {codec:?}", described.payload),
        None => format!("{events} reads {}", described.payload),
    };
    RegistryFault::Conflict {
        shape: first.shape.clone(),
        first: said(first_events, first),
        second: said(second_events, second),
    }
}

/// Steps out of a shape that the enum itself reads whose history they are part of; and steps out of a shape that is read,
/// where none of those that do not read it could take them.
pub(super) fn superfluous(decoders: &Decoders, steps: &[Step], graph: &Graph, ways: &[Ways]) -> Vec<RegistryFault> {
    let read: Vec<BTreeSet<&EventShape>> =
        decoders.iter().map(|(_, decoder)| decoder.shapes().into_iter().collect()).collect();
    let mut faults = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let readers = || decoders.iter().zip(&read).filter(|(_, read)| read.contains(&step.from));
        let own = readers().find(|((_, decoder), _)| step.of == Some(decoder.events()));
        let is_taken =
            || read.iter().zip(ways).any(|(read, ways)| !read.contains(&step.from) && ways.could_take(graph, number));
        let reader = own.or_else(|| readers().next().filter(|_| !is_taken()));
        if let Some(((_, decoder), _)) = reader {
            let (from, to) = (step.from.clone(), step.to.clone());
            faults.push(RegistryFault::Superfluous { from, to, events: decoder.events() });
        }
    }
    faults
}

/// Categories that two aggregates fold.
pub(super) fn rivals(folds: &[(String, Box<dyn AnyFold>)]) -> Vec<RegistryFault> {
    let mut faults = Vec::new();
    for (number, (category, second)) in folds.iter().enumerate() {
        let first = folds[..number].iter().find(|(known, _)| known == category);
        if let Some((_, first)) = first.filter(|(_, first)| first.aggregate() != second.aggregate()) {
            let (category, first, second) = (category.clone(), first.aggregate(), second.aggregate());
            faults.push(RegistryFault::ConflictingAggregates { category, first, second });
        }
    }
    faults
}

/// Names that no stream's category can be.
pub(super) fn category_faults(folds: &[(String, Box<dyn AnyFold>)]) -> Vec<RegistryFault> {
    let is_category = |name: &str| StreamName::new(name).is_ok_and(|stream| stream.category() == name);
    let others = folds.iter().filter(|(category, _)| !is_category(category));
    others.map(|(category, _)| RegistryFault::InvalidCategory { category: category.clone() }).collect()
}

/// Rules that nobody would ever ask: by the types and the keys of tags that they are for.
pub(super) fn idle_rules<'a>(
    graph: &Graph,
    types: impl Iterator<Item = &'a String>,
    tags: impl Iterator<Item = &'a String>,
) -> Vec<RegistryFault> {
    let is_there = |event_type: &str| graph.shapes().iter().any(|shape| shape.event_type() == event_type);
    let of_type = |event_type: &'a String| {
        let reason = match event_type_fault(event_type) {
            Some(fault) => format!("the type {fault}"),
            None if !is_there(event_type) => "nothing in the registry has this type".to_owned(),
            None => return None,
        };
        Some(RegistryFault::IdleRule { rule: format!("for the type `{}`", event_type.escape_debug()), reason })
    };
    let of_tag = |key: &'a String| {
        let reason = format!("the tag {}", tag_fault(key, "")?);
        Some(RegistryFault::IdleRule { rule: format!("for the tag `{}`", key.escape_debug()), reason })
    };
    types.filter_map(of_type).chain(tags.filter_map(of_tag)).collect()
}
