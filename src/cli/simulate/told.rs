//! What the players of one game were told last.

use scorebook::game::{Answer, GameId, PlayerId, ShownWords, Situation, Subject, Word};
use std::collections::BTreeMap;

/// Where a game stands for each of its players.
pub(super) struct Told {
    game: GameId,
    stands: BTreeMap<PlayerId, Situation>,
}

impl Told {
    pub(super) fn new(game: GameId) -> Told {
        Told { game, stands: BTreeMap::new() }
    }

    pub(super) fn hear(&mut self, answer: &Answer) {
        for message in answer.messages() {
            if message.about() == Subject::Game(self.game)
                && let Some(situation) = message.situation()
            {
                self.stands.insert(message.to(), situation.clone());
            }
        }
    }

    /// Who is to say a word.
    pub(super) fn asked(&self) -> Vec<PlayerId> {
        let is_asked = |(_, situation): &(&PlayerId, &Situation)| matches!(situation, Situation::Say { .. });
        self.stands.iter().filter(is_asked).map(|(player, _)| *player).collect()
    }

    /// The words that a player sees: the own one, and the partner's where both were said.
    pub(super) fn words(&self, player: PlayerId) -> Option<(&Word, Option<&Word>)> {
        match self.stands.get(&player)? {
            Situation::Say { words: ShownWords::Own(own), .. } => Some((own, None)),
            Situation::Say { words: ShownWords::Both { own, partner }, .. } => Some((own, Some(partner))),
            _ => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stands.values().any(|situation| *situation == Situation::Over)
    }
}
