//! `replay`: a stream folded again, event by event if need be; a word game in words and tables.

use crate::cli::Tool;
use crate::cli::at::At;
use crate::cli::compact::indented;
use crate::cli::difference::differences;
use crate::cli::event;
use crate::cli::failure::{Exit, Failure, chain};
use crate::cli::fold::{begin, go_on, how_to_fold};
use crate::cli::game::{self, Names, Story, Told};
use crate::cli::ndjson::quoted;
use crate::cli::output::{List, Row, say};
use crate::cli::rfc3339;
use scorebook::game::{GameEvent, GameId, ReplayName};
use scorebook::{ErrorKind, Event, EventStore, Faults, Fold, Query, RecordedEvent, StreamName, Timestamp, Version};

/// Tells a word game: its rounds side by side, who was faster, and how it ended. Any other stream is folded again, and its
/// last event told with the state behind it; with --step every event, and what it changed.
///
/// A stream is told as a word game where this program folds it as one. Names are those that players and teams have now; times
/// stand still while a game is held up. Of a game that begins with a state that the log carries, that and what came behind is folded. On a terminal that is too narrow for a table, its rows become lines. As JSON, a game is an object with all that is told to people, exact to the
/// millisecond, and every event of --step comes with the whole state behind it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A game's id, the name of its replay, or a stream; the part of a stream's name before the first `-` chooses the aggregate
    #[arg(required = true, value_name = "GAME")]
    streams: Vec<StreamName>,
    /// Up to this version (0 is before the first event), or to then: an RFC 3339 time, a date, or an age such as 2h
    #[arg(long, value_name = "V|TIME")]
    at: Option<At>,
    /// Tell every event
    #[arg(long)]
    step: bool,
    /// With --step: the whole state behind every event, not only what it changed
    #[arg(long, requires = "step")]
    whole: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let store = tool.open_read_only()?;
    let mut output = tool.output();
    let mut list = output.lines();
    let mut replay = Replay { tool, arguments, store: &store, list: &mut list };
    let outcome = arguments.streams.iter().enumerate().try_for_each(|(at, name)| replay.tell(at, name));
    list.finish()?;
    outcome
}

/// Streams that are being told, one after the other.
struct Replay<'a, 'o> {
    tool: &'a Tool,
    arguments: &'a Arguments,
    store: &'a EventStore,
    list: &'a mut List<'o>,
}

impl Replay<'_, '_> {
    fn tell(&mut self, at: usize, name: &StreamName) -> Result<(), Failure> {
        let stream = &self.meant(name)?;
        let last = At::version_or_last(self.arguments.at, self.store, stream)?;
        if 1 < self.arguments.streams.len() {
            if at != 0 {
                self.list.heading("")?;
            }
            self.list.heading(&format!("== {stream}"))?;
        }
        match self.tool.fold(self.store, stream)? {
            None => self.events(stream, last),
            Some(fold) if self.is_whole_game(stream)? => self.game(stream, last, fold),
            Some(fold) => self.states(stream, last, fold),
        }
    }

    /// Whether a stream is a game that can be told: what came before a state that it begins with is not known any more.
    fn is_whole_game(&self, stream: &StreamName) -> Result<bool, Failure> {
        Ok(game::is_game(&self.tool.registry, self.store, stream)? && self.store.carried_state(stream)?.is_none())
    }

    /// The stream that a name stands for: that of a game where there is no stream of this name, and it is a game's id, or the
    /// name of a replay.
    fn meant(&self, name: &StreamName) -> Result<StreamName, Failure> {
        if !self.tool.registry.has::<GameEvent>() {
            return Ok(name.clone());
        }
        match self.store.stream_info(name) {
            Err(error) if error.kind() == ErrorKind::StreamNotFound => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(name.clone()),
        }
        let of_game = StreamName::new(format!("game-{}", name.as_str().to_ascii_lowercase())).ok();
        if let Some(stream) = of_game.filter(|stream| GameId::of_stream(stream).is_some()) {
            return Ok(stream);
        }
        let named = name.as_str().parse().ok().map(|name| self.game_named(&name)).transpose()?.flatten();
        Ok(named.map_or_else(|| name.clone(), GameId::stream))
    }

    /// The game that has a name to be looked at again by: of several that had it, one after the other, the last.
    fn game_named(&self, name: &ReplayName) -> Result<Option<GameId>, Failure> {
        let created = Query::all().of_type("replay_created").tag("replay", name);
        let Some(recorded) = self.store.read_all().matching(created).backwards().limit(1).into_iter().next() else {
            return Ok(None);
        };
        let mut events = self.tool.registry.decode(&recorded?)?;
        Ok(events.find_map(|event| match event {
            GameEvent::ReplayCreated(of) => Some(of.game_id),
            _ => None,
        }))
    }

    /// The events of a stream that nothing folds here.
    fn events(&mut self, stream: &StreamName, last: Version) -> Result<(), Failure> {
        self.list.under(event::COLUMNS)?;
        self.store.read(stream).to(last).into_iter().try_for_each(|event| self.list.push(&event?))?;
        self.list.as_lines()?;
        say(&how_to_fold(self.tool, stream));
        Ok(())
    }

    fn states(&mut self, stream: &StreamName, last: Version, fold: Fold<'_>) -> Result<(), Failure> {
        let Replay { arguments, store, list, .. } = self;
        // What the first event changes can only be understood by whoever was told what was there before it.
        let fold = begin(store, stream, last, fold)?;
        let first = fold.version();
        let tells_beginning = last == first || arguments.step && !arguments.whole && list.is_for_people();
        let mut before = fold.json()?;
        if tells_beginning {
            list.push(&Step { event: None, first, before: None, state: before.clone() })?;
        }
        let mut end = None;
        let outcome = go_on(store, stream, last, fold, |event, fold| {
            if !arguments.step {
                end = Some(event.clone());
                return Ok(());
            }
            let state = fold.json()?;
            let before = std::mem::replace(&mut before, state.clone());
            let before = (!arguments.whole).then_some(before);
            list.push(&Step { event: Some(event.clone()), first, before, state })
        });
        outcome.and_then(|fold| match end {
            Some(event) => list.push(&Step { event: Some(event), first, before: None, state: fold.json()? }),
            None => Ok(()),
        })
    }

    fn game(&mut self, stream: &StreamName, last: Version, fold: Fold<'_>) -> Result<(), Failure> {
        let mut story = Story::new(stream);
        let registry = &self.tool.registry;
        // What precedes a failure is told first.
        let outcome = go_on(self.store, stream, last, fold, |recorded, _| {
            story.take(recorded, &self.decoded(stream, recorded)?);
            Ok(())
        });
        let names = Names::of((registry, self.store), &story)?;
        if self.arguments.step && last != Version::new(0) {
            self.moves(stream, &names, story.version())?;
        } else if outcome.is_ok() || story.version() != Version::new(0) {
            let width_max = self.list.width();
            self.list.push(&Told { story: &story, names: &names, width_max })?;
        }
        outcome.map(|_| ())
    }

    /// Every event of a game, up to a version to which all can be read.
    fn moves(&mut self, stream: &StreamName, names: &Names, last: Version) -> Result<(), Failure> {
        let Some(fold) = self.tool.registry.fold(stream) else { return Ok(()) };
        let mut story = Story::new(stream);
        let outcome = go_on(self.store, stream, last, fold, |recorded, fold| {
            let events = self.decoded(stream, recorded)?;
            story.take(recorded, &events);
            let now = if self.arguments.whole { game::now(&story, names) } else { Vec::new() };
            let said = events.iter().map(|event| game::sentence(event, names)).collect();
            let moment = events.first().and_then(game::moment_of).map(Timestamp::from);
            self.list.push(&Move { event: recorded.clone(), moment, said, now, state: fold.json()? })
        });
        outcome.map(|_| ())
    }

    /// What an event of a game says. It must be one that the game could have made: of this game, and with all rules kept.
    fn decoded(&self, stream: &StreamName, recorded: &RecordedEvent) -> Result<Vec<GameEvent>, Failure> {
        let events: Vec<GameEvent> = self.tool.registry.decode(recorded)?.collect();
        for event in &events {
            let mut faults = Faults::default();
            event.validate(&mut faults);
            let is_at_home = event.base().is_some_and(|base| base.game_id.stream() == *stream);
            faults.require(is_at_home, "game_id", "must be the game of the stream");
            if !faults.is_empty() {
                let (event_type, position) = (recorded.event_type(), recorded.position());
                let text = format!("the `{event_type}` at position {position} is forged: {}", chain(&faults));
                return Err(Failure::new(Exit::Undecoded, text));
            }
        }
        Ok(events)
    }
}

/// The state behind an event; behind none, where a stream begins.
struct Step {
    event: Option<RecordedEvent>,
    /// The version of the state that the stream begins with.
    first: Version,
    /// The state before it, where only what changed is to be told.
    before: Option<String>,
    state: String,
}

impl Row for Step {
    fn cells(&self) -> Vec<String> {
        let heading = match &self.event {
            None => format!("version {}", self.first),
            Some(event) => heading(event, event.time()),
        };
        let body: Vec<String> = match &self.before {
            None => indented(&self.state).lines().map(str::to_owned).collect(),
            Some(before) => differences(before, &self.state).iter().map(ToString::to_string).collect(),
        };
        std::iter::once(heading).chain(body.into_iter().map(|line| format!("  {line}"))).collect()
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        *line = match &self.event {
            None => format!(r#"{{"version":{},"state":{}}}"#, self.first, self.state),
            Some(event) => format!("{{{},\"state\":{}}}", members(event), self.state),
        };
        Ok(())
    }
}

/// An event of a game in words, and where the game stands behind it if that is wanted.
struct Move {
    event: RecordedEvent,
    /// When it happened by the game's own time.
    moment: Option<Timestamp>,
    said: Vec<String>,
    now: Vec<String>,
    state: String,
}

impl Row for Move {
    fn cells(&self) -> Vec<String> {
        let said = self.said.iter().map(|line| format!("  {line}"));
        let now = self.now.iter().map(|line| format!("    {line}"));
        std::iter::once(heading(&self.event, self.moment.unwrap_or(self.event.time()))).chain(said).chain(now).collect()
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        let said = quoted(&self.said.join("; "));
        *line = format!("{{{},\"said\":{said},\"state\":{}}}", members(&self.event), self.state);
        Ok(())
    }
}

fn heading(event: &RecordedEvent, time: Timestamp) -> String {
    format!("version {}  {}  {}", event.version(), rfc3339::brief(time), event.event_type())
}

/// What of an event stands before the state, as members of an object.
fn members(event: &RecordedEvent) -> String {
    format!(
        r#""position":{},"version":{},"time":"{}","type":{}"#,
        event.position(),
        event.version(),
        rfc3339::print(event.time()),
        quoted(event.event_type()),
    )
}
