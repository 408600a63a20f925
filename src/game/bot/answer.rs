//! What came of it: read back from what was appended, so that who asks twice is told the same twice.

use super::asking::Asked;
use super::message::Message;
use super::report::Report;
use super::schedule::Matter;
use super::{Inner, refusing, showing};
use crate::game::{Game, GameEvent, GameId, Moment, PlayerId, Replay, ReplayCreated, Team, TeamId};
use scorebook::{Error, ExecuteError, Receipt, StreamReceipt};

/// What came of something that was asked, or of time that passed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub(super) events: Vec<GameEvent>,
    pub(super) messages: Vec<Message>,
    pub(super) replay: Option<ReplayCreated>,
    pub(super) report: Option<Report>,
    pub(super) is_repeat: bool,
}

impl Answer {
    /// What has happened, in this order. Nothing where what was asked for was so already.
    #[must_use]
    pub fn events(&self) -> &[GameEvent] {
        &self.events
    }

    /// The game it is about, if it is about one.
    #[must_use]
    pub fn game(&self) -> Option<GameId> {
        self.events.iter().find_map(GameEvent::game)
    }

    /// What everybody whom it concerns should now be shown: of a game one message for each player, and of teams one for each
    /// player of each.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// What this player should now be shown.
    #[must_use]
    pub fn message_to(&self, player: PlayerId) -> Option<&Message> {
        self.messages.iter().find(|message| message.to() == player)
    }

    /// The finished game that was asked for, or has just been finished.
    #[must_use]
    pub fn replay(&self) -> Option<&ReplayCreated> {
        self.replay.as_ref()
    }

    /// What was looked up, where something was. A repeat is looked up anew.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Whether this interaction was seen before and this is its first answer again. Then everybody was told already, if the
    /// handler got to it.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }
}

impl Inner {
    /// The answer to something that was asked.
    pub(super) fn settle(&self, outcome: Asked<Option<Receipt>>) -> Asked<Answer> {
        let Some(receipt) = outcome? else { return Ok(Answer::default()) };
        let answer = self.answer(&receipt)?;
        match answer.events.iter().find_map(refusing::of_kept) {
            Some(refusal) => Err(ExecuteError::Refused(refusal)),
            None => Ok(answer),
        }
    }

    /// What a batch has done, and what everybody should be shown then.
    pub(super) fn answer(&self, receipt: &Receipt) -> Result<Answer, Error> {
        let mut answer = Answer { is_repeat: receipt.is_repeat(), ..Answer::default() };
        for of in receipt.streams() {
            answer.events.extend(self.events(of)?);
        }
        // What was asked for was decided last: a former team that somebody leaves for it comes behind.
        for of in receipt.streams().iter().rev() {
            if let Some(game) = GameId::of_stream(of.stream()) {
                let state = self.game_behind(of)?;
                self.schedule.put_game(game, of.last_version(), &state);
                answer.messages.extend(showing::game(&state, of.last_version(), &answer.events));
            } else if let Some((guild, team)) = TeamId::of_stream(of.stream()) {
                let loaded = self.store.aggregate::<Team>(of.stream()).load()?;
                self.schedule.put_team((guild, team), loaded.version(), loaded.state());
                answer.messages.extend(showing::team(team, of.last_version(), &answer.events));
            } else if GameId::of_replay(of.stream()).is_some() {
                answer.replay = self.store.aggregate::<Replay>(of.stream()).load()?.state().created().cloned();
            }
        }
        Ok(answer)
    }

    /// Looks when something is due that nothing came of by now; what is due now all the same is left alone until later.
    pub(super) fn look_again(&self, matter: Matter, now: Moment, later: Moment) -> Result<(), Error> {
        match matter {
            Matter::Game(game) => {
                let loaded = self.store.aggregate::<Game>(&game.stream()).load()?;
                self.schedule.put_game(game, loaded.version(), loaded.state());
            }
            Matter::Team(guild, team) => {
                let loaded = self.store.aggregate::<Team>(&team.stream(guild)).load()?;
                self.schedule.put_team((guild, team), loaded.version(), loaded.state());
            }
        }
        self.schedule.put_off(matter, now, later);
        Ok(())
    }

    /// The events that a batch appended to a stream.
    fn events(&self, of: &StreamReceipt) -> Result<Vec<GameEvent>, Error> {
        let mut events = Vec::new();
        for event in self.store.read(of.stream()).from(of.first_version()).to(of.last_version()) {
            events.extend(self.registry.decode::<GameEvent>(&event?)?);
        }
        Ok(events)
    }

    /// A game as it was right behind a batch, whatever has happened since.
    fn game_behind(&self, of: &StreamReceipt) -> Result<Game, Error> {
        let stream = self.store.aggregate::<Game>(of.stream());
        let newest = stream.load()?;
        let loaded = if newest.version() == of.last_version() { newest } else { stream.state_at(of.last_version())? };
        Ok(loaded.into_state())
    }
}
