//! Refused words are kept, in the stream of their guild: what players tried and could not is what they ask about later.

use crate::game::{Game, GameEvent, GuessError, GuessPairError, Moment, PlayerId, Refusal, Word, WordFault};

/// The most characters that are kept of what was said.
const WORD_CHARS_MAX: usize = 100;

/// What is kept of a refused word; `None` where there is no game whose guild could keep it.
///
/// A word that is refused for itself is a `guess_error`; one that would have completed a pair and came at a wrong time is a
/// `guess_pair_error`, as the documents have it: the session looks at words, the mode at pairs.
pub(super) fn kept(
    game: &Game,
    (player_id, said): (PlayerId, &str),
    refusal: &Refusal,
    timestamp: Moment,
) -> Option<GameEvent> {
    let (guild_id, game_id) = (game.guild()?, game.id()?);
    let team_id = game.team_of(player_id);
    let word: String = said.trim().chars().take(WORD_CHARS_MAX).collect();
    let reason = refusal.name().to_owned();
    let pending = team_id.and_then(|team| game.side(team)?.pending()).filter(|pending| pending.player != player_id);
    match (team_id, pending) {
        (Some(team_id), Some(pending)) if !is_about_the_word(refusal) => {
            let word1 = pending.word.to_string();
            Some(GuessPairError { guild_id, game_id, team_id, word1, word2: word, reason, timestamp }.into())
        }
        _ => Some(GuessError { guild_id, game_id, team_id, player_id, word, reason, timestamp }.into()),
    }
}

fn is_about_the_word(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::InvalidWord(_) | Refusal::ForbiddenWord | Refusal::GuessAlreadySubmitted | Refusal::PlayerNotInGame(_)
    )
}

/// The refusal that was kept, so that a repeat gets the first answer again.
pub(super) fn of_kept(event: &GameEvent) -> Option<Refusal> {
    let (reason, word, player) = match event {
        GameEvent::GuessError(of) => (&of.reason, &of.word, Some(of.player_id)),
        GameEvent::GuessPairError(of) => (&of.reason, &of.word2, None),
        _ => return None,
    };
    let player = player.map_or(Refusal::UnknownCommand, Refusal::PlayerNotInGame);
    let fault = Word::new(word).err().unwrap_or(WordFault::Unknown);
    let refusals = [
        Refusal::GuildMismatch,
        Refusal::GameNotFound,
        Refusal::GameNotStarted,
        Refusal::GameCompleted,
        Refusal::GameCancelled,
        Refusal::GamePaused,
        player,
        Refusal::TeamEliminated,
        Refusal::RoundMatched,
        Refusal::RoundNotStarted,
        Refusal::RoundTimeExpired,
        Refusal::GameTimeExpired,
        Refusal::GuessAlreadySubmitted,
        Refusal::ForbiddenWord,
        Refusal::WordsMissing,
        Refusal::InvalidTime,
        Refusal::InvalidWord(fault),
    ];
    refusals.into_iter().find(|refusal| refusal.name() == reason)
}
