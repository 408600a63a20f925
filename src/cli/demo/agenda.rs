//! What people mean to do, and when.

use crate::cli::demo::wire::{Interaction, Outcome};
use scorebook::game::GameId;
use std::collections::BTreeMap;

/// Something that somebody means to do.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    /// Some members of a guild want to play.
    Meet { guild: usize },
    /// The first of a pair asks the second to be a team.
    Invite { table: usize, pair: usize },
    /// The second says yes.
    Accept { table: usize, pair: usize },
    /// Or no, for now.
    Decline { table: usize, pair: usize },
    /// Somebody is asked who does not answer.
    InviteInVain { table: usize },
    /// The host opens the game.
    Open { table: usize },
    /// Somebody joins, or a pair.
    Join { table: usize, person: usize },
    /// Somebody tries to who does not belong there.
    Intrude { table: usize, person: usize, guild: usize },
    /// The game is begun.
    Start { table: usize },
    /// Somebody says a word, if they still see at this version that they are to.
    Say { person: usize, game: GameId, version: u64, tries: u32 },
    /// Somebody does something else at a table.
    Aside { table: usize, person: usize, aside: Aside },
    /// Somebody looks up what they have come to, after a game.
    LookUp { person: usize, guild: usize },
    /// The host looks whether anything still happens.
    Watch { table: usize },
    /// Something comes once more.
    AskTwice { interaction: Box<Interaction>, outcome: Box<Outcome> },
}

/// Something else than to say a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    Leave,
    Pause,
    Resume,
    Away,
    Back,
    CancelAsAdmin,
}

/// What is meant to be done, by time.
#[derive(Default)]
pub(super) struct Agenda {
    intents: BTreeMap<(u64, u64), Intent>,
    put: u64,
}

impl Agenda {
    pub(super) fn put(&mut self, at: u64, intent: Intent) {
        self.put += 1;
        self.intents.insert((at, self.put), intent);
    }

    /// How much is due by now.
    pub(super) fn due(&self, now: u64) -> usize {
        self.intents.range(..=(now, u64::MAX)).count()
    }

    /// The first thing that is due by now.
    pub(super) fn take(&mut self, now: u64) -> Option<Intent> {
        let first = self.intents.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
