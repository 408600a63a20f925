//! Who plays, where, and in which game.

use super::refusal::Refusal;
use scorebook::{Error, Snowflake, StreamName};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! snowflake {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Snowflake);

        impl $name {
            /// The id as a number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> $name {
                $name(Snowflake::from(number))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<$name, Error> {
                text.parse().map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

snowflake! {
    /// A server of Discord. Whatever happens belongs to one, whatever channel it came through.
    GuildId
}

snowflake! {
    /// A user of Discord.
    PlayerId
}

snowflake! {
    /// Where a message was written.
    ChannelId
}

snowflake! {
    /// A message or an interaction: what somebody wanted, once, however often it is delivered.
    InteractionId
}

impl GuildId {
    /// The stream of what was refused in this guild.
    #[must_use]
    pub fn refusal_stream(self) -> StreamName {
        StreamName::new(format!("refusal-{self}")).expect("short, and of plain characters")
    }
}

impl PlayerId {
    /// The stream of this user, over all guilds.
    #[must_use]
    pub fn stream(self) -> StreamName {
        StreamName::new(format!("user-{self}")).expect("short, and of plain characters")
    }

    /// The user that a stream is about; `None` where it is about something else.
    #[must_use]
    pub fn of_stream(stream: &StreamName) -> Option<PlayerId> {
        stream.as_str().strip_prefix("user-")?.parse().ok()
    }
}

/// Two players who try to say the same word. A pair of players is always the same team.
///
/// ```
/// use scorebook::game::{PlayerId, TeamId};
/// let (alice, bob) = (PlayerId::from(8), PlayerId::from(7));
/// let team = TeamId::of(alice, bob).expect("they are two");
/// assert_eq!(team.to_string(), "team-7-8");
/// assert_eq!(TeamId::of(bob, alice), Some(team));
/// assert_eq!(TeamId::of(bob, bob), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamId {
    // INVARIANT: the lower id is the first, and they differ.
    first: PlayerId,
    second: PlayerId,
}

impl TeamId {
    /// The team of two players; `None` where they are one.
    #[must_use]
    pub fn of(one: PlayerId, other: PlayerId) -> Option<TeamId> {
        (one != other).then(|| TeamId { first: one.min(other), second: one.max(other) })
    }

    /// The players, the lower id first: the events' player 1 and player 2.
    #[must_use]
    pub fn players(self) -> [PlayerId; 2] {
        [self.first, self.second]
    }

    /// Whether the player is one of the two.
    #[must_use]
    pub fn has(self, player: PlayerId) -> bool {
        self.players().contains(&player)
    }

    /// The other of the two.
    #[must_use]
    pub fn partner(self, player: PlayerId) -> PlayerId {
        if player == self.first { self.second } else { self.first }
    }

    /// The stream of this team in a guild, its invitations in it. The same two may be a team in several guilds.
    #[must_use]
    pub fn stream(self, guild: GuildId) -> StreamName {
        let name = format!("team-{guild}-{}-{}", self.first, self.second);
        StreamName::new(name).expect("short, and of plain characters")
    }

    /// The guild and the team that a stream is about; `None` where it is about something else.
    #[must_use]
    pub fn of_stream(stream: &StreamName) -> Option<(GuildId, TeamId)> {
        let (guild, players) = stream.as_str().strip_prefix("team-")?.split_once('-')?;
        Some((guild.parse().ok()?, TeamId::read(players)?))
    }

    /// Reads the two ids, the lower one first.
    fn read(players: &str) -> Option<TeamId> {
        let (first, second) = players.split_once('-')?;
        let (first, second) = (first.parse().ok()?, second.parse().ok()?);
        TeamId::of(first, second).filter(|team| team.first == first)
    }
}

impl fmt::Display for TeamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "team-{}-{}", self.first, self.second)
    }
}

impl fmt::Debug for TeamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TeamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TeamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TeamId, D::Error> {
        deserializer.deserialize_str(OfText {
            read: |text| text.strip_prefix("team-").and_then(TeamId::read),
            form: "a team is `team-`, the lower player, `-` and the higher player",
        })
    }
}

/// A game.
///
/// ```
/// use scorebook::game::{GameId, Moment};
/// let game = GameId::new(Moment::from_millis(1_700_000_000_000), [7; 10]);
/// assert_eq!(game.stream().as_str(), format!("game-{game}"));
/// assert_eq!(GameId::of_stream(&game.stream()), Some(game));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GameId(Uuid);

impl GameId {
    /// A new game's id, a UUID of version 7: from the time it is made, and chance.
    #[must_use]
    pub fn new(at: super::Moment, chance: [u8; 10]) -> GameId {
        GameId(uuid::Builder::from_unix_timestamp_millis(at.millis(), &chance).into_uuid())
    }

    /// The stream of this game.
    #[must_use]
    pub fn stream(self) -> StreamName {
        StreamName::new(format!("game-{self}")).expect("short, and of plain characters")
    }

    /// The stream of its replay: the name it can be looked at by, and who did.
    #[must_use]
    pub fn replay_stream(self) -> StreamName {
        StreamName::new(format!("replay-{self}")).expect("short, and of plain characters")
    }

    /// The game that a stream of a replay is about; `None` where it is about something else.
    #[must_use]
    pub fn of_replay(stream: &StreamName) -> Option<GameId> {
        GameId::read(stream.as_str().strip_prefix("replay-")?)
    }

    /// The game that a stream is about; `None` where it is about something else.
    #[must_use]
    pub fn of_stream(stream: &StreamName) -> Option<GameId> {
        GameId::read(stream.as_str().strip_prefix("game-")?)
    }

    /// Reads it as it is written, and in no other of the forms that such ids have.
    fn read(text: &str) -> Option<GameId> {
        let id = GameId(Uuid::parse_str(text).ok()?);
        (*id.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text).then_some(id)
    }
}

impl FromStr for GameId {
    type Err = Refusal;

    /// Reads an id as it is written.
    fn from_str(text: &str) -> Result<GameId, Refusal> {
        GameId::read(text.trim()).ok_or(Refusal::GameNotFound)
    }
}

impl fmt::Display for GameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for GameId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GameId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GameId, D::Error> {
        deserializer.deserialize_str(OfText { read: GameId::read, form: "a game is a UUID, hyphenated, in lower case" })
    }
}

/// Reads a text where it stands.
struct OfText<T> {
    read: fn(&str) -> Option<T>,
    /// What it must be, as a sentence.
    form: &'static str,
}

impl<T> de::Visitor<'_> for OfText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| E::custom(self.form))
    }
}
