//! `query`: the events that are of some type, have some tags, stand in some streams, or hold something.

use crate::cli::Tool;
use crate::cli::failure::Failure;
use crate::cli::moment::Moment;
use crate::cli::output::Facts;
use crate::cli::read::print;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use scorebook::{Position, Predicate, Query, StreamName};

/// The events that are wanted: by type, tags, stream and category, by time, and by what they hold.
///
/// --type, --tag, --stream and --category make an item: an event of one of the types, with all of the tags, in one of
/// the streams, in one of the categories. --or begins the next item; an event is wanted where any item asks for it. All
/// other options hold for the whole query.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    items: Items,
    /// Only streams whose names begin so
    #[arg(long, value_name = "P")]
    prefix: Option<String>,
    /// Only what stands after this position
    #[arg(long, value_name = "P")]
    after: Option<u64>,
    /// Only what stands before this position
    #[arg(long, value_name = "P")]
    before: Option<u64>,
    /// Only what came then or later: an RFC 3339 time, a date, or an age such as 2h
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only what came before then
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only what holds this: `data.team = "owls" and data.guesses > 3`; also `or`, `not`, `exists PATH`, parentheses
    #[arg(long = "where", value_name = "EXPR")]
    predicate: Option<Predicate>,
    /// The last event first
    #[arg(long)]
    backwards: bool,
    /// At most so many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print how many there are instead
    #[arg(long)]
    count: bool,
}

pub(crate) fn run(tool: &Tool, arguments: &Arguments) -> Result<(), Failure> {
    let mut query = arguments.items.0.clone();
    if let Some(prefix) = &arguments.prefix {
        query = query.prefix(prefix);
    }
    let store = tool.open_read_only()?;
    let mut read = store.read_all().matching(query);
    if let Some(position) = arguments.after {
        read = read.after(Position::new(position));
    }
    if let Some(position) = arguments.before {
        read = read.before(Position::new(position));
    }
    if let Some(moment) = arguments.since {
        read = read.since(moment.0);
    }
    if let Some(moment) = arguments.until {
        read = read.until(moment.0);
    }
    if let Some(predicate) = &arguments.predicate {
        read = read.filtered_by(predicate.clone());
    }
    if arguments.backwards {
        read = read.backwards();
    }
    if let Some(limit) = arguments.limit {
        read = read.limit(limit);
    }
    let mut output = tool.output();
    if arguments.count {
        output.facts(&Facts::default().with("events", read.count()?))
    } else {
        print(&mut output, read)
    }
}

/// The items of a query. What belongs to which follows from the order of the options, which only clap's matches know.
struct Items(Query);

/// The options that make an item.
const TERMS: [(&str, &str, &str); 4] = [
    ("type", "T", "One of these types"),
    ("tag", "K:V", "All of these tags"),
    ("stream", "NAME", "One of these streams"),
    ("category", "C", "One of these categories: the part of a stream's name before the first `-`"),
];
const OR: &str = "or";

impl Args for Items {
    fn augment_args(command: Command) -> Command {
        let term =
            |(name, value, help)| Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append);
        let or = Arg::new(OR).long(OR).num_args(0).default_missing_value("").action(ArgAction::Append);
        command.args(TERMS.map(term)).arg(or.help("Begins the next item"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Items::augment_args(command)
    }
}

impl FromArgMatches for Items {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Items, clap::Error> {
        let names = TERMS.iter().map(|(name, ..)| *name).chain([OR]);
        let mut told: Vec<(usize, &str, &str)> = names
            .flat_map(|name| {
                let indices = matches.indices_of(name).into_iter().flatten();
                let values = matches.get_many::<String>(name).into_iter().flatten();
                indices.zip(values).map(move |(index, value)| (index, name, value.as_str()))
            })
            .collect();
        told.sort_unstable();
        let has_or = told.iter().any(|(_, name, _)| *name == OR);
        if has_or && told.split(|(_, name, _)| *name == OR).any(<[_]>::is_empty) {
            return Err(refused("an item beside `--or` asks for nothing"));
        }
        let mut items = Vec::new();
        let mut item = Query::all();
        for (_, name, value) in told {
            item = match name {
                "type" => item.of_type(value),
                "tag" => match value.split_once(':') {
                    Some((key, value)) => item.tag(key, value),
                    None => return Err(refused(&format!("tag `{value}` has no `:` between key and value"))),
                },
                "stream" => item.in_stream(&StreamName::new(value).map_err(|error| refused(&error.to_string()))?),
                "category" => item.in_category(value),
                _ => {
                    items.push(item);
                    Query::all()
                }
            };
        }
        let query = items.into_iter().rev().fold(item, |later, earlier| earlier.or(later));
        match query.fault() {
            Some(fault) => Err(refused(&fault.to_string())),
            None => Ok(Items(query)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Items::from_arg_matches(matches)?;
        Ok(())
    }
}

fn refused(what: &str) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{what}\n"))
}
