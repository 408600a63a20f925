//! One team against a number of guesses.

use super::ids::TeamId;
use super::mode::GameConfig;
use super::refusal::Refusal;
use super::turn::Turn;

/// A round is over: the next begins, or the game is over.
pub(super) fn matched(turn: &mut Turn<'_>, team: TeamId) -> Result<(), Refusal> {
    let GameConfig::TwoPlayer { rounds_required, success_threshold } = turn.game.config else { return Ok(()) };
    turn.complete_own_round(team, 1)?;
    let side = turn.side(team)?;
    let (round, guesses) = (side.round, u64::from(side.total_guesses));
    if round < rounds_required {
        return turn.start_round(&[team], round.saturating_add(1));
    }
    // "Average guesses for each round at most the threshold; otherwise no winner": as a product, since an average that was
    // rounded could win where it should not.
    let is_won = guesses <= u64::from(success_threshold) * u64::from(round);
    turn.complete(if is_won { vec![team] } else { Vec::new() })
}
