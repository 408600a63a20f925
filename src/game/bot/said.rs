//! The words that a player said last, over all games: they are forbidden to them. Found by asking the store.

use crate::game::{FORBIDDEN_WORDS_MAX, GameEvent, GameId, PlayerId, TeamId, Word};
use scorebook::{AllRead, Error, Query, Registry};

/// An attempt of a team.
#[derive(PartialEq)]
struct Attempt {
    game: GameId,
    team: TeamId,
    round: u32,
    count: u32,
}

/// Everything in which a player said a word that was taken.
pub(super) fn query(player: PlayerId) -> Query {
    Query::all().of_type("guess_started").of_type("guess_processed").tag("player", player)
}

/// The last words that a player said, the newest first.
pub(super) fn last(read: AllRead, player: PlayerId, registry: &Registry) -> Result<Vec<Word>, Error> {
    let mut words = Vec::new();
    // Of who spoke first there are two events: the word, and the pair it became part of.
    let mut compared: Vec<Attempt> = Vec::new();
    for event in read.backwards() {
        // What cannot be read forbids nothing: a word that somebody forged in one game keeps nobody from the others.
        let Ok(said) = registry.decode::<GameEvent>(&event?) else { continue };
        for event in said {
            match event {
                GameEvent::GuessProcessed(of) => {
                    let is_first = of.player1_id == player;
                    words.push(if is_first { of.player1_word } else { of.player2_word });
                    let (game, team) = (of.base.game_id, of.team_id);
                    compared.push(Attempt { game, team, round: of.round_number, count: of.guess_count });
                }
                GameEvent::GuessStarted(of) if of.player_id == player => {
                    let (game, team) = (of.base.game_id, of.team_id);
                    let attempt = Attempt { game, team, round: of.round_number, count: of.guess_count };
                    if !compared.contains(&attempt) {
                        words.push(of.word);
                    }
                }
                _ => {}
            }
        }
        if FORBIDDEN_WORDS_MAX <= words.len() {
            break;
        }
    }
    Ok(words)
}
