//! The two people at the terminal.

use super::player_of;
use super::talk::Talk;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::escape;
use scorebook::game::{GameId, Message, PlayerId, Situation, Subject};

/// The most characters of a name.
const NAME_CHARS_MAX: usize = 32;

/// Two people with different names.
pub(super) struct Seats {
    names: [String; 2],
}

impl Seats {
    /// The two by name, as they were given or as they say. `None` where nobody says anything.
    pub(super) fn of(given: &[String], talk: &mut Talk) -> Result<Option<Seats>, Failure> {
        let names = match given {
            [] => {
                let Some(first) = talk.ask("Who plays? ")? else { return Ok(None) };
                let Some(second) = talk.ask("And with whom? ")? else { return Ok(None) };
                [first, second]
            }
            [first, second] => [first.clone(), second.clone()],
            _ => return Err(Failure::new(Exit::Usage, "two play: --names takes two names, with a comma between them")),
        };
        let names = names.map(|name| escape(name.trim()).into_owned());
        let is_name = |name: &String| !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX;
        if !names.iter().all(is_name) {
            let text = format!("a name has 1 to {NAME_CHARS_MAX} characters");
            return Err(Failure::new(Exit::Usage, text));
        }
        if player_of(&names[0]) == player_of(&names[1]) {
            return Err(Failure::new(Exit::Usage, "nobody plays this alone: it takes two names"));
        }
        Ok(Some(Seats { names }))
    }

    pub(super) fn name(&self, at: usize) -> &str {
        &self.names[at]
    }

    pub(super) fn player(&self, at: usize) -> PlayerId {
        player_of(&self.names[at])
    }

    pub(super) fn has(&self, player: PlayerId) -> bool {
        [0, 1].iter().any(|at| self.player(*at) == player)
    }

    /// A text with names where players are mentioned.
    pub(super) fn named(&self, text: &str) -> String {
        [0, 1]
            .iter()
            .fold(text.to_owned(), |text, at| text.replace(&format!("<@{}>", self.player(*at)), self.name(*at)))
    }

    /// Notes where the game stands for whom a message is to.
    pub(super) fn show(&self, shown: &mut [Option<Situation>; 2], game: GameId, message: &Message) {
        for (at, shown) in shown.iter_mut().enumerate() {
            if message.to() == self.player(at)
                && message.about() == Subject::Game(game)
                && let Some(situation) = message.situation()
            {
                *shown = Some(situation.clone());
            }
        }
    }
}
