//! `trace`: what caused what, as a tree.

use crate::cli::Tool;
use crate::cli::event::Which;
use crate::cli::failure::{Exit, Failure};
use crate::cli::ndjson::quoted;
use crate::cli::output::Row;
use crate::cli::rfc3339;
use scorebook::{Error, ErrorKind, EventId, EventStore, Position, Predicate, RecordedEvent, Timestamp, Version};
use std::collections::HashMap;

/// The events that belong together with one, or have a correlation, as the tree of what caused what.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The position of an event, or its id: everything with its correlation
    #[arg(value_name = "POSITION|ID", required_unless_present = "correlation", conflicts_with = "correlation")]
    event: Option<Which>,
    /// Everything with this correlation
    #[arg(long, value_name = "C")]
    correlation: Option<String>,
    /// Print it as a Mermaid graph
    #[arg(long)]
    mermaid: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let correlation = match (&arguments.correlation, arguments.event) {
        (Some(correlation), _) => correlation.clone(),
        (None, Some(event)) => {
            let event = event.find(&store)?;
            // What begins a chain has none: those it caused have its id for it.
            event.metadata()?.correlation().map_or_else(|| event.id().to_string(), str::to_owned)
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "name an event or a correlation".to_owned())),
    };
    let tree = Tree::new(collect(&store, &correlation)?);
    let mut output = tool.output();
    if arguments.mermaid {
        output.text(&tree.mermaid())?;
        return output.flush();
    }
    let mut list = output.list(&["event", "position", "stream", "version", "time"]);
    let outcome = tree.in_order().try_for_each(|branch| list.push(&branch));
    list.finish()?;
    outcome
}

/// Everything with a correlation, and the event that began it, by position.
fn collect(store: &EventStore, correlation: &str) -> Result<Vec<Link>, Failure> {
    let predicate: Predicate = format!("metadata.correlation = {}", quoted(correlation)).parse()?;
    let read = store.read_all().filtered_by(predicate);
    let mut links = read.into_iter().map(|event| Link::of(&event?)).collect::<Result<Vec<Link>, Error>>()?;
    if let Some(id) = correlation.parse().ok().filter(|id| links.iter().all(|link| link.id != *id)) {
        match store.event_by_id(id) {
            Ok(first) => links.push(Link::of(&first)?),
            Err(error) if error.kind() == ErrorKind::EventNotFound => {}
            Err(error) => return Err(error.into()),
        }
        links.sort_unstable_by_key(|link| link.position);
    }
    Ok(links)
}

/// What is told of an event.
struct Link {
    position: Position,
    id: EventId,
    causation: Option<String>,
    stream: String,
    version: Version,
    event_type: String,
    time: Timestamp,
}

impl Link {
    fn of(event: &RecordedEvent) -> Result<Link, Error> {
        Ok(Link {
            position: event.position(),
            id: event.id(),
            causation: event.metadata()?.causation().map(str::to_owned),
            stream: event.stream().to_owned(),
            version: event.version(),
            event_type: event.event_type().to_owned(),
            time: event.time(),
        })
    }
}

/// Events, by position, and for each the index of the one that caused it.
struct Tree {
    links: Vec<Link>,
    causes: Vec<Option<usize>>,
}

impl Tree {
    fn new(links: Vec<Link>) -> Tree {
        let mut indices: HashMap<String, usize> = HashMap::new();
        let mut causes = Vec::new();
        for (index, link) in links.iter().enumerate() {
            // Ids are the callers': only what came before can have caused anything.
            causes.push(link.causation.as_ref().and_then(|causation| indices.get(causation).copied()));
            indices.entry(link.id.to_string()).or_insert(index);
        }
        Tree { links, causes }
    }

    /// Every event behind the one that caused it.
    fn in_order(&self) -> impl Iterator<Item = Branch<'_>> {
        let mut effects: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (index, cause) in self.causes.iter().enumerate() {
            effects.entry(*cause).or_default().push(index);
        }
        let mut left: Vec<(usize, String, bool)> = Vec::new();
        let mut add = move |left: &mut Vec<(usize, String, bool)>, cause: Option<usize>, lines: &str| {
            let of = effects.remove(&cause).unwrap_or_default();
            let last = of.last().copied();
            left.extend(of.into_iter().rev().map(|index| (index, lines.to_owned(), Some(index) == last)));
        };
        add(&mut left, None, "");
        std::iter::from_fn(move || {
            let (index, lines, is_last) = left.pop()?;
            let cause = self.causes[index];
            let (own, below) = match (cause, is_last) {
                (None, _) => ("", ""),
                (_, false) => ("├─ ", "│  "),
                (_, true) => ("└─ ", "   "),
            };
            add(&mut left, Some(index), &format!("{lines}{below}"));
            let cause = cause.map(|cause| self.links[cause].position);
            Some(Branch { link: &self.links[index], cause, lines: format!("{lines}{own}") })
        })
    }

    fn mermaid(&self) -> String {
        let mut text = "graph TD\n".to_owned();
        for Branch { link, cause, .. } in self.in_order() {
            let name = format!("{} {} {}@{}", link.position, link.event_type, link.stream, link.version);
            text += &format!("    e{}[\"{}\"]\n", link.position, name.replace('#', "#35;").replace('"', "#quot;"));
            if let Some(cause) = cause {
                text += &format!("    e{cause} --> e{}\n", link.position);
            }
        }
        text
    }
}

/// An event in the tree.
struct Branch<'a> {
    link: &'a Link,
    cause: Option<Position>,
    /// What is drawn before it.
    lines: String,
}

impl Row for Branch<'_> {
    fn cells(&self) -> Vec<String> {
        let link = self.link;
        vec![
            format!("{}{}", self.lines, link.event_type),
            link.position.to_string(),
            link.stream.clone(),
            link.version.to_string(),
            rfc3339::brief(link.time),
        ]
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let link = self.link;
        *line = format!(
            r#"{{"position":{},"cause":{},"stream":{},"version":{},"id":"{}","type":{},"time":"{}"}}"#,
            link.position,
            self.cause.map_or_else(|| "null".to_owned(), |cause| cause.to_string()),
            quoted(&link.stream),
            link.version,
            link.id,
            quoted(&link.event_type),
            rfc3339::print(link.time),
        );
        Ok(())
    }
}
