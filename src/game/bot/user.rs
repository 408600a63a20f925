//! What is noted about the caller.

use super::deciding::{Decided, Decision};
use crate::game::{GameEvent, GuildId, User, UserAction, UserCommand};
use scorebook::{Aggregate, EventContext, ExecuteError, ExpectedVersion, Position, Timestamp, Version};

impl Decision<'_, '_> {
    /// "Auto-registered on first interaction."
    pub(super) fn register(&mut self) -> Decided {
        let is_known = self.caller.guild.is_none() || self.bot.store.exists(&self.caller.player.stream())?;
        if is_known { Ok(()) } else { self.user(None) }
    }

    /// Notes something about the caller. Who is not known yet is registered before that: the first thing that somebody asks may
    /// be about themselves.
    pub(super) fn user(&mut self, action: Option<UserAction>) -> Decided {
        let stream = self.caller.player.stream();
        let mut user = self.together.load::<User>(&stream)?.into_state();
        let mut events = self.caller.guild.map_or(Ok(Vec::new()), |guild| self.registration(&user, guild))?;
        let context = EventContext::new(Version::FIRST, Position::BEGINNING, Timestamp::EPOCH);
        events.iter().for_each(|event| user.apply(event, &context));
        if let Some(action) = action {
            let noted = user.decide(&UserCommand::new(self.at, action));
            events.extend(noted.map_err(ExecuteError::Refused)?);
        }
        let encoded = events.iter().map(|event| self.bot.registry.encode(event)).collect::<Result<Vec<_>, _>>()?;
        self.together.append(&stream, ExpectedVersion::Any, encoded);
        Ok(())
    }

    /// What registers a user, unless they are known. Nobody is kept from playing by what they are called elsewhere.
    fn registration(&self, user: &User, guild: GuildId) -> Decided<Vec<GameEvent>> {
        let register = |username: String| {
            let action = UserAction::Register { guild, username, display_name: None };
            user.decide(&UserCommand::new(self.at, action))
        };
        let usual = || format!("player {}", self.caller.player);
        register(self.caller.name.clone()).or_else(|_| register(usual())).map_err(ExecuteError::Refused)
    }
}
