//! The shape of a payload: an event type together with the number of a schema.

use std::fmt;
use std::sync::Arc;

/// An event type and the number of one of its schemas: what says how a payload is to be read.
///
/// ```
/// use scorebook::EventShape;
/// let shape = EventShape::new("counted", 2);
/// assert_eq!(shape.to_string(), "`counted` (schema 2)");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventShape {
    event_type: Arc<str>,
    schema: u32,
}

impl EventShape {
    /// The shape of this type and schema; neither is checked here.
    #[must_use]
    pub fn new(event_type: &str, schema: u32) -> EventShape {
        EventShape { event_type: event_type.into(), schema }
    }

    /// The event type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The number of the schema.
    #[must_use]
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// Whether this is the shape of that type and schema.
    pub(super) fn is(&self, event_type: &str, schema: u32) -> bool {
        self.schema == schema && *self.event_type == *event_type
    }
}

impl From<(&str, u32)> for EventShape {
    fn from((event_type, schema): (&str, u32)) -> EventShape {
        EventShape::new(event_type, schema)
    }
}

impl fmt::Display for EventShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (schema {})", self.event_type.escape_debug(), self.schema)
    }
}

impl fmt::Debug for EventShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shapes in the order in which a payload goes through them.
pub(super) fn write_path(f: &mut fmt::Formatter<'_>, path: &[EventShape]) -> fmt::Result {
    for (index, shape) in path.iter().enumerate() {
        if index != 0 {
            f.write_str(" -> ")?;
        }
        fmt::Display::fmt(shape, f)?;
    }
    Ok(())
}
