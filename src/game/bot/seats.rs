//! Where a player sits, by asking the store what happened to them last.
//!
//! Whoever enters a game that is not longform is in no other such game at that moment: it is a condition of the batch. So the
//! newest event by which a player entered one says which it is, and what came behind it, whether they still are. Only those
//! few events are looked at, however many games there were.

use crate::game::{GameId, GuildId, Mode, PlayerId};
use scorebook::{AllRead, Error, Query, RecordedEvent};

/// A game that a player is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The game.
    pub game: GameId,
    /// Its guild.
    pub guild: GuildId,
    /// How it is played.
    pub mode: Mode,
}

/// By which types a player enters a game, and leaves it.
const ENTERS: [&str; 4] = ["game_created", "player_joined", "game_started", "game_mode_changed"];
const LEAVES: [&str; 4] = ["player_left", "team_eliminated", "game_completed", "game_cancelled"];

/// Everything by which a player enters and leaves games. What is read of it is a condition of the batch that lets them into
/// one.
pub(super) fn query(player: PlayerId) -> Query {
    let types = ENTERS.iter().chain(&LEAVES);
    types.fold(Query::all(), |query, event_type| query.of_type(event_type)).tag("player", player)
}

/// The game that is not longform that a player is in.
pub(super) fn short(read: AllRead) -> Result<Option<Seat>, Error> {
    let mut left = Vec::new();
    for event in read.backwards() {
        let event = event?;
        let Some(seat) = Seat::of(&event) else { continue };
        let is_mode_change = event.event_type() == "game_mode_changed";
        match seat.mode == Mode::Longform {
            // It was another sort of game until then.
            true if is_mode_change => left.push(seat.game),
            true => {}
            false if LEAVES.contains(&event.event_type()) => left.push(seat.game),
            false => return Ok((!left.contains(&seat.game)).then_some(seat)),
        }
    }
    Ok(None)
}

/// All games that a player is in, the one entered last first.
pub(super) fn all(read: AllRead) -> Result<Vec<Seat>, Error> {
    let mut known = Vec::new();
    let mut seats = Vec::new();
    for event in read.backwards() {
        let event = event?;
        let Some(seat) = Seat::of(&event) else { continue };
        if known.contains(&seat.game) {
            continue;
        }
        known.push(seat.game);
        if !LEAVES.contains(&event.event_type()) {
            seats.push(seat);
        }
    }
    Ok(seats)
}

impl Seat {
    /// What an event of a game says of the game; `None` of what is none.
    fn of(event: &RecordedEvent) -> Option<Seat> {
        let game = GameId::of_stream(&event.stream_name())?;
        let guild = event.tag("guild")?.parse().ok()?;
        Some(Seat { game, guild, mode: Mode::named(event.tag("mode")?)? })
    }
}
