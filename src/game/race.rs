//! As much as possible before the time is up: matches in a race, points in a golf race.

use super::ids::TeamId;
use super::mode::Mode;
use super::payload::{GolfRaceTimeExpired, RaceModeTimeExpired};
use super::refusal::Refusal;
use super::side::Side;
use super::turn::Turn;
use std::cmp::Ordering;

/// What giving up costs in a golf race.
const GIVEN_UP: i64 = -1;

/// The points of a match.
pub(super) fn points(mode: Mode, guess_count: u32) -> i64 {
    match (mode, guess_count) {
        (Mode::GolfRace, ..=1) => 4,
        (Mode::GolfRace, 2..=4) => 3,
        (Mode::GolfRace, 5..=7) => 2,
        (Mode::GolfRace, 8..=10) => 1,
        (Mode::GolfRace, 11..) => 0,
        (Mode::TwoPlayer | Mode::Knockout | Mode::Race | Mode::Longform, _) => 1,
    }
}

/// The team's round is over, and its next begins at once.
pub(super) fn matched(turn: &mut Turn<'_>, team: TeamId) -> Result<(), Refusal> {
    let side = turn.side(team)?;
    let (points, next) = (points(turn.game.mode(), side.guess_count), side.round.saturating_add(1));
    turn.complete_own_round(team, points)?;
    turn.start_round(&[team], next)
}

/// The team's round is over without a match.
pub(super) fn gave_up(turn: &mut Turn<'_>, team: TeamId) -> Result<(), Refusal> {
    let next = turn.side(team)?.round.saturating_add(1);
    let points = if turn.game.mode() == Mode::GolfRace { GIVEN_UP } else { 0 };
    turn.complete_own_round(team, points)?;
    turn.start_round(&[team], next)
}

/// A team is out. Who is left alone has nobody to race with, and has won: the others left.
pub(super) fn team_left(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let left = turn.playing();
    if left.len() <= 1 { turn.complete(left) } else { Ok(()) }
}

/// The race is over.
pub(super) fn time_is_up(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let racing = turn.playing();
    turn.time_out(&racing)?;
    let (base, teams) = (turn.base()?, turn.game.order.clone());
    let final_matches = turn.standings(&teams);
    let round_number = turn.game.sides().map(Side::round).max().unwrap_or(0);
    let game_duration = turn.now().saturating_sub(turn.game.started);
    if turn.game.mode() == Mode::GolfRace {
        let points = turn.game.sides().map(|side| (side.team, side.score)).collect();
        turn.emit(GolfRaceTimeExpired { base, round_number, final_matches, points, game_duration });
    } else {
        turn.emit(RaceModeTimeExpired { base, round_number, final_matches, game_duration });
    }
    turn.complete(winners(turn))
}

/// Who scored most of those that are left; "ties by fewest guesses for each match, then several winners". Who has never
/// matched has not won, whoever has less: a race without a match has no winner.
fn winners(turn: &Turn<'_>) -> Vec<TeamId> {
    let order = |one: &Side, other: &Side| other.score.cmp(&one.score).then_with(|| one.fewest_for_each_match(other));
    let mut racing = turn.game.playing().filter(|side| 0 < side.matches).collect::<Vec<_>>();
    racing.sort_by(|one, other| order(one, other));
    let best = racing.first().copied();
    let is_best = |side: &&Side| best.is_some_and(|best| order(side, best) == Ordering::Equal);
    racing.into_iter().filter(is_best).map(Side::team).collect()
}
