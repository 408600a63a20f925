//! Everybody plays the same round, and in each some teams go.

use super::ids::TeamId;
use super::mode::GameConfig;
use super::payload::{EliminatedTeam, EliminationReason, KnockoutRoundCompleted, KnockoutRoundStarted};
use super::refusal::Refusal;
use super::side::Side;
use super::turn::Turn;
use std::cmp::Reverse;

/// With more teams than this left, more than one goes.
const CROWD: usize = 8;

/// How many go of a crowd.
const CROWD_GOES: usize = 3;

/// Begins a round for all teams that are left.
pub(super) fn start_round(turn: &mut Turn<'_>, round_number: u32) -> Result<(), Refusal> {
    let GameConfig::Knockout { round_ms, .. } = turn.game.config else { return Ok(()) };
    let team_ids = turn.playing();
    let base = turn.base()?;
    turn.emit(KnockoutRoundStarted { base, round_number, team_ids: team_ids.clone(), limit_ms: round_ms });
    turn.start_round(&team_ids, round_number)
}

/// The breath is over, and whoever is left goes on.
pub(super) fn next_round(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    match turn.playing() {
        left if left.len() <= 1 => turn.complete(left),
        _ => start_round(turn, turn.game.round.saturating_add(1)),
    }
}

/// A pair did not match. "`guess_limit` at once": who has had all attempts is out.
pub(super) fn missed(turn: &mut Turn<'_>, team: TeamId) -> Result<(), Refusal> {
    if is_at_limit(turn, team)? {
        turn.eliminate(team, EliminationReason::GuessLimit, None)?;
        go_on(turn)?;
    }
    Ok(())
}

/// A pair was given up: it counts to the limit, and there is another, if the team is still in.
pub(super) fn gave_up(turn: &mut Turn<'_>, team: TeamId) -> Result<(), Refusal> {
    if is_at_limit(turn, team)? { missed(turn, team) } else { turn.deal_words(team) }
}

fn is_at_limit(turn: &Turn<'_>, team: TeamId) -> Result<bool, Refusal> {
    let limit = turn.game.config.guess_limit().unwrap_or(u32::MAX);
    Ok(limit < turn.side(team)?.guess_count)
}

/// A team has matched or is out: with nobody left to wait for, the round is over.
pub(super) fn go_on(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let is_settled = turn.playing().len() <= 1 || turn.game.playing().all(Side::has_matched);
    match turn.is_in_round() {
        true if is_settled => end_round(turn),
        true => Ok(()),
        // Between rounds only a team that leaves comes here.
        false if turn.playing().len() <= 1 => turn.complete(turn.playing()),
        false => Ok(()),
    }
}

/// The round has lasted long enough: "`time_expired` for all who have not matched".
pub(super) fn time_is_up(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let late = turn.game.playing().filter(|side| !side.has_matched()).map(Side::team).collect::<Vec<_>>();
    turn.time_out(&late)?;
    for team in late {
        turn.eliminate(team, EliminationReason::TimeExpired, None)?;
    }
    end_round(turn)
}

fn end_round(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    turn.complete_round()?;
    for (team, position) in forced_out(turn).into_iter().zip(1..) {
        turn.eliminate(team, EliminationReason::ForcedElimination, Some(position))?;
    }
    let round_number = turn.game.round;
    let gone = turn.game.eliminations().iter().filter(|of| of.round_number == round_number);
    let scored = |team| turn.game.side(team).map_or(0, Side::score);
    let eliminated_teams =
        gone.map(|of| EliminatedTeam { team_id: of.team, reason: of.reason, final_score: scored(of.team) }).collect();
    let left = turn.playing();
    let (base, advancing_teams) = (turn.base()?, turn.standings(&left));
    let round_duration = turn.now().saturating_sub(turn.game.round_began);
    turn.emit(KnockoutRoundCompleted { base, round_number, eliminated_teams, advancing_teams, round_duration });
    if left.len() <= 1 { turn.complete(left) } else { Ok(()) }
}

/// Who goes for having had the most guesses: "ties by the later match, then by the higher team id". The last team stays.
fn forced_out(turn: &Turn<'_>) -> Vec<TeamId> {
    let mut left = turn.game.playing().collect::<Vec<_>>();
    let goes = match left.len() {
        0 | 1 => 0,
        teams if CROWD < teams => CROWD_GOES,
        _ => 1,
    };
    left.sort_by_key(|side| Reverse((side.count(), side.matched.map(|matched| matched.at), side.team)));
    left.into_iter().take(goes).map(Side::team).collect()
}
