//! Words that are said: the first of a pair waits, the second completes it, and `give up` ends it.

use super::deciding::is_started;
use super::game::Phase;
use super::ids::{ChannelId, PlayerId, TeamId};
use super::judge::{Outcome, Verdict};
use super::mode::Mode;
use super::payload::*;
use super::refusal::Refusal;
use super::side::Pending;
use super::turn::Turn;
use super::word::{Word, WordFault, WordPair, is_give_up};
use super::words::WordCheck;
use super::{knockout, race, two_player};

/// What a player says.
pub(super) struct Guess<'a> {
    pub(super) player: PlayerId,
    pub(super) channel: ChannelId,
    pub(super) word: &'a str,
    pub(super) check: WordCheck,
    pub(super) verdict: Option<&'a Verdict>,
}

/// Takes what a player says. The checks come in the order in which the documents have them.
pub(super) fn guess(turn: &mut Turn<'_>, guess: &Guess<'_>) -> Result<(), Refusal> {
    is_started(turn)?;
    let team = turn.game.team_of(guess.player).ok_or(Refusal::PlayerNotInGame(guess.player))?;
    may_guess(turn, team)?;
    let gives_up = is_give_up(guess.word);
    let word = if gives_up { None } else { Some(Word::new(guess.word)?) };
    let side = turn.side(team)?;
    let pending = side.pending.clone();
    if pending.as_ref().is_some_and(|pending| pending.player == guess.player) {
        return Err(Refusal::GuessAlreadySubmitted);
    }
    let Some(word) = word else { return give_up(turn, team, guess.player) };
    match guess.check {
        WordCheck::Unknown => return Err(Refusal::InvalidWord(WordFault::Unknown)),
        WordCheck::Forbidden => return Err(Refusal::ForbiddenWord),
        WordCheck::Valid if side.dealt.contains(&word.folded()) => return Err(Refusal::ForbiddenWord),
        WordCheck::Valid => {}
    }
    match pending {
        None => first_word(turn, team, guess, word),
        Some(pending) => second_word(turn, team, guess, (pending, word)),
    }
}

/// Whether the team has an attempt open, and time for it.
fn may_guess(turn: &Turn<'_>, team: TeamId) -> Result<(), Refusal> {
    let side = turn.side(team)?;
    if side.out.is_some() {
        return Err(Refusal::TeamEliminated);
    }
    if turn.game.paused_since().is_some() {
        return Err(Refusal::GamePaused);
    }
    if turn.game.phase == Phase::BetweenRounds {
        return Err(Refusal::RoundNotStarted);
    }
    // What is due is due, also where nobody has looked at the time yet: else it would depend on who is asked first. Not so
    // a game that was left alone too long: as long as nobody has cancelled it, a word shows that it is not.
    if turn.game.play_deadline().is_some_and(|(due, _)| due <= turn.now()) {
        let is_race = turn.game.mode().is_race();
        return Err(if is_race { Refusal::GameTimeExpired } else { Refusal::RoundTimeExpired });
    }
    match side.words() {
        _ if side.has_matched() => Err(Refusal::RoundMatched),
        None => Err(Refusal::RoundNotStarted),
        Some(_) => Ok(()),
    }
}

fn first_word(turn: &mut Turn<'_>, team_id: TeamId, guess: &Guess<'_>, word: Word) -> Result<(), Refusal> {
    let side = turn.side(team_id)?;
    let event = GuessStarted {
        base: turn.base()?,
        team_id,
        player_id: guess.player,
        channel_id: guess.channel,
        word,
        round_number: side.round,
        guess_count: side.guess_count,
        duration: turn.now().saturating_sub(side.round_began),
    };
    turn.emit(event);
    Ok(())
}

fn second_word(
    turn: &mut Turn<'_>,
    team_id: TeamId,
    guess: &Guess<'_>,
    (pending, word): (Pending, Word),
) -> Result<(), Refusal> {
    let verdict = guess.verdict.filter(|verdict| verdict.is_on(&pending.word, &word));
    let guess_successful = verdict.ok_or(Refusal::VerdictMissing)?.outcome() == Outcome::Match;
    let side = turn.side(team_id)?;
    let [player1_id, player2_id] = team_id.players();
    let WordPair(player1_word, player2_word) = WordPair::said(team_id, (guess.player, &word), &pending.word);
    let duration = turn.now().saturating_sub(side.round_began);
    let duration_of = |player| Some(if player == guess.player { duration } else { pending.duration });
    let event = GuessProcessed {
        base: turn.base()?,
        round_number: side.round,
        team_id,
        player1_id,
        player2_id,
        player1_word,
        player2_word,
        guess_successful,
        match_score: guess_successful.then_some(1),
        guess_count: side.guess_count,
        round_guess_count: side.guess_count,
        total_guesses: side.total_guesses.saturating_add(1),
        guess_duration: duration.max(pending.duration),
        player1_duration: duration_of(player1_id),
        player2_duration: duration_of(player2_id),
    };
    turn.emit(event);
    match (turn.game.mode(), guess_successful) {
        (Mode::TwoPlayer, true) => two_player::matched(turn, team_id),
        (Mode::Race | Mode::GolfRace, true) => race::matched(turn, team_id),
        (Mode::Knockout, true) => knockout::go_on(turn),
        (Mode::Knockout, false) => knockout::missed(turn, team_id),
        // "After an ordinary miss the two guessed words are the next pair and nothing is dealt." And a day lasts until
        // its end, whoever has matched.
        (Mode::TwoPlayer | Mode::Race | Mode::GolfRace | Mode::Longform, _) => Ok(()),
    }
}

fn give_up(turn: &mut Turn<'_>, team: TeamId, player: PlayerId) -> Result<(), Refusal> {
    turn.abandon(team, AbandonReason::GaveUp, Some(player))?;
    match turn.game.mode() {
        Mode::Race | Mode::GolfRace => race::gave_up(turn, team),
        Mode::Knockout => knockout::gave_up(turn, team),
        Mode::TwoPlayer | Mode::Longform => turn.deal_words(team),
    }
}
