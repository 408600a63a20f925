//! A knockout with a round a day.

use super::ids::TeamId;
use super::payload::{CancelReason, EliminationReason, LongformDayEnded};
use super::refusal::Refusal;
use super::side::Side;
use super::turn::Turn;

/// After so many days on which nobody said a word, nobody plays any more.
const QUIET_DAYS: u32 = 2;

/// A team is out.
pub(super) fn team_left(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let left = turn.playing();
    if left.len() <= 1 { turn.complete(left) } else { Ok(()) }
}

/// The day is over: who goes, goes, and the next begins.
pub(super) fn day_is_over(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let teams = turn.playing();
    turn.time_out(&teams)?;
    let team_standings = turn.standings(&teams);
    turn.complete_round()?;
    let gone = who_goes(turn);
    for (team, reason) in &gone {
        turn.eliminate(*team, *reason, None)?;
    }
    let (base, round_number) = (turn.base()?, turn.game.round);
    turn.emit(LongformDayEnded {
        base,
        round_number,
        day_number: round_number,
        team_standings,
        eliminated_teams: gone.into_iter().map(|(team, _)| team).collect(),
        day_duration: turn.now().saturating_sub(turn.game.round_began),
    });
    let left = turn.playing();
    if left.len() <= 1 {
        turn.complete(left)
    } else if QUIET_DAYS <= turn.game.quiet_rounds {
        turn.cancel(CancelReason::Idle, None)
    } else {
        turn.start_round(&left, round_number.saturating_add(1))
    }
}

/// "Teams without a match go first, unless that is all of them (then nobody goes); if all matched, the highest count goes,
/// ties by the later match, then the higher team id; one always stays."
fn who_goes(turn: &Turn<'_>) -> Vec<(TeamId, EliminationReason)> {
    let (matched, late) = turn.game.playing().partition::<Vec<_>, _>(|side| side.has_matched());
    if matched.is_empty() {
        return Vec::new();
    }
    if !late.is_empty() {
        return late.into_iter().map(|side| (side.team, EliminationReason::TimeExpired)).collect();
    }
    let key = |side: &&Side| (side.count(), side.matched.map(|matched| matched.at), side.team);
    let last = matched.into_iter().max_by_key(key).filter(|_| 1 < turn.playing().len());
    last.into_iter().map(|side| (side.team, EliminationReason::ForcedElimination)).collect()
}
