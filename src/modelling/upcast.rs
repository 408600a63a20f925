//! Steps from one shape of a payload to others, and how a payload goes through one. Which step is taken is decided in
//! `graph`; what was recorded stays as it is.

use super::payload::{self, Cause};
use super::shape::EventShape;
use crate::event::Codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// A step out of a shape.
pub(super) struct Step {
    pub(super) from: EventShape,
    /// Each once; none where the event is of no interest any more.
    pub(super) to: Vec<EventShape>,
    /// The enum that has this step in its history; `None` where it was given to the registry itself.
    pub(super) of: Option<&'static str>,
    change: Change,
}

enum Change {
    /// The payload stays as it is.
    Rename,
    Make(Box<Make>),
}

type Make = dyn Fn(&[u8], &mut Split<'_>) -> Result<(), Cause> + Send + Sync;

/// What a split hands out: events in place of one that was recorded.
pub struct Split<'a> {
    codec: Codec,
    to: &'a [EventShape],
    parts: Vec<Part>,
    /// The first fault that a part met.
    fault: Option<Cause>,
}

/// A payload behind a step.
pub(super) struct Part {
    /// Which of the step's shapes it has.
    pub(super) target: usize,
    pub(super) data: Vec<u8>,
}

impl Split<'_> {
    /// Hands out an event of one of the shapes that the split announced.
    ///
    /// Its payload is written in the codec of the event that was recorded. Any number of events may be handed out, also
    /// none, and several of one shape. What cannot be handed out makes decoding the recorded event fail.
    pub fn push<T: Serialize + ?Sized>(&mut self, event_type: &str, schema: u32, payload: &T) {
        if self.fault.is_some() {
            return;
        }
        let Some(target) = self.to.iter().position(|shape| shape.is(event_type, schema)) else {
            let shape = EventShape::new(event_type, schema);
            self.fault = Some(format!("the split handed out {shape}, which it had not announced").into());
            return;
        };
        match payload::encode(self.codec, payload) {
            Ok(data) => self.parts.push(Part { target, data }),
            Err(fault) => self.fault = Some(fault),
        }
    }
}

impl Step {
    /// The payload, and thereby what it says, stays as it is.
    pub(super) fn rename(from: EventShape, to: EventShape) -> Step {
        Step { from, to: vec![to], of: None, change: Change::Rename }
    }

    pub(super) fn discard(from: EventShape) -> Step {
        Step { from, to: Vec::new(), of: None, change: Change::Rename }
    }

    /// One event into one.
    pub(super) fn one<Old: DeserializeOwned, New: Serialize, Fault: Display>(
        from: EventShape,
        to: EventShape,
        change: impl Fn(Old) -> Result<New, Fault> + Send + Sync + 'static,
    ) -> Step {
        let make = move |data: &[u8], out: &mut Split<'_>| {
            let new = change(payload::decode(out.codec, data)?).map_err(|fault| fault.to_string())?;
            out.parts.push(Part { target: 0, data: payload::encode(out.codec, &new)? });
            Ok(())
        };
        Step { from, to: vec![to], of: None, change: Change::Make(Box::new(make)) }
    }

    /// One event into several or none.
    pub(super) fn split<Old: DeserializeOwned>(
        from: EventShape,
        mut to: Vec<EventShape>,
        change: impl Fn(Old, &mut Split<'_>) + Send + Sync + 'static,
    ) -> Step {
        to.sort();
        to.dedup();
        let make = move |data: &[u8], out: &mut Split<'_>| {
            change(payload::decode(out.codec, data)?, out);
            Ok(())
        };
        Step { from, to, of: None, change: Change::Make(Box::new(make)) }
    }

    /// What becomes of a payload.
    pub(super) fn take(&self, codec: Codec, data: &[u8]) -> Result<Vec<Part>, Cause> {
        match &self.change {
            Change::Rename if self.to.is_empty() => Ok(Vec::new()),
            Change::Rename => Ok(vec![Part { target: 0, data: data.to_vec() }]),
            Change::Make(make) => {
                let mut out = Split { codec, to: &self.to, parts: Vec::new(), fault: None };
                make(data, &mut out)?;
                match out.fault {
                    None => Ok(out.parts),
                    Some(fault) => Err(fault),
                }
            }
        }
    }
}
