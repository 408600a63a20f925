//! Who is there: guilds, and people in them, with what each of them has been shown.

use crate::cli::demo::chance::{Chance, mixed};
use crate::cli::demo::mind::Mind;
use crate::cli::demo::wire::Stands;
use scorebook::game::{ChannelId, GameId, GuildId, PlayerId};
use std::collections::{BTreeMap, HashMap};

/// The guilds and the people of an evening.
pub(super) struct Town {
    pub(super) guilds: Vec<Guild>,
    pub(super) people: Vec<Person>,
    by_id: HashMap<PlayerId, usize>,
}

/// A server, as Discord calls it.
pub(super) struct Guild {
    pub(super) id: GuildId,
    pub(super) channel: ChannelId,
    /// Its members, by their places in the town.
    members: Vec<usize>,
}

/// Somebody.
pub(super) struct Person {
    pub(super) id: PlayerId,
    pub(super) name: String,
    /// Where the bot writes to them alone.
    pub(super) channel: ChannelId,
    pub(super) seats: BTreeMap<GameId, Seat>,
    /// The table of a game that is not longform, as far as they know.
    pub(super) short: Option<usize>,
    /// How many longform games they are in.
    pub(super) longs: u32,
}

/// Where somebody is in a game, as they were shown it.
pub(super) struct Seat {
    pub(super) version: u64,
    pub(super) stands: Stands,
    /// Whether they have learned to say which game they mean.
    pub(super) says_which: bool,
}

/// The most longform games that anybody has patience for.
const LONGS_MAX: u32 = 2;

impl Town {
    pub(super) fn new(guilds: u64, people_of_each: u64, mind: &Mind, chance: &mut Chance) -> Town {
        let snowflake = |number: u64| 1_100_000_000_000_000_000 + mixed(number) % 100_000_000_000_000_000;
        let mut town = Town { guilds: Vec::new(), people: Vec::new(), by_id: HashMap::new() };
        let mut numbers = 1_u64..;
        let mut number = || numbers.next().map_or(0, snowflake);
        for _ in 0..guilds {
            let (id, channel) = (GuildId::from(number()), ChannelId::from(number()));
            let mut members = Vec::new();
            for _ in 0..people_of_each {
                // Some are in more than one guild.
                if !town.people.is_empty() && chance.happens(500) {
                    let known = chance.place(town.people.len());
                    if !members.contains(&known) {
                        members.push(known);
                    }
                    continue;
                }
                let (id, channel) = (PlayerId::from(number()), ChannelId::from(number()));
                let name = mind.name(chance.next());
                town.by_id.insert(id, town.people.len());
                members.push(town.people.len());
                town.people.push(Person { id, name, channel, seats: BTreeMap::new(), short: None, longs: 0 });
            }
            town.guilds.push(Guild { id, channel, members });
        }
        town
    }

    pub(super) fn person(&self, id: PlayerId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// So many members of a guild who have time for a game, or fewer.
    pub(super) fn free(&self, guild: usize, is_longform: bool, count: usize, chance: &mut Chance) -> Vec<usize> {
        let has_time = |place: &usize| {
            let person = &self.people[*place];
            if is_longform { person.longs < LONGS_MAX } else { person.short.is_none() }
        };
        let mut free = self.guilds[guild].members.iter().copied().filter(has_time).collect::<Vec<_>>();
        chance.shuffle(&mut free);
        free.truncate(count);
        free
    }

    /// A member of a guild, whatever they are doing.
    pub(super) fn anybody(&self, guild: usize, chance: &mut Chance) -> usize {
        let members = &self.guilds[guild].members;
        members[chance.place(members.len())]
    }
}
