//! Everything that happens, as one enum, and what is attached to each event for finding it again.

use super::ids::{GameId, PlayerId, TeamId};
use super::moment::Moment;
use super::payload::*;
use super::rules;
use scorebook::NewEvent;

scorebook::events! {
    /// Everything that happens in games, teams and to users.
    #[derive(Clone, Debug, PartialEq)]
    pub enum GameEvent {
        /// A game is open for players.
        GameCreated(GameCreated) = "game_created", 1;
        /// The game will be played in another way.
        GameModeChanged(GameModeChanged) = "game_mode_changed", 1;
        /// Something else is set.
        GameConfigured(GameConfigured) = "game_configured", 1;
        /// A player is in the game.
        PlayerJoined(PlayerJoined) = "player_joined", 1;
        /// A player is no more in the game.
        PlayerLeft(PlayerLeft) = "player_left", 1;
        /// A player is here, or for a while is not.
        PlayerStatusChanged(PlayerStatusChanged) = "player_status_changed", 1;
        /// The game is played from here on.
        GameStarted(GameStarted) = "game_started", 1;
        /// The clock of a knockout round runs.
        KnockoutRoundStarted(KnockoutRoundStarted) = "knockout_round_started", 1;
        /// A round begins for some teams.
        RoundStarted(RoundStarted) = "round_started", 1;
        /// Words were dealt within a round.
        WordsDealt(WordsDealt) = "words_dealt", 1;
        /// The first of two words was said.
        GuessStarted(GuessStarted) = "guess_started", 1;
        /// Both words were said and compared.
        GuessProcessed(GuessProcessed) = "guess_processed", 1;
        /// An attempt ended without a comparison.
        GuessAbandoned(GuessAbandoned) = "guess_abandoned", 1;
        /// A team is out.
        TeamEliminated(TeamEliminated) = "team_eliminated", 1;
        /// A round has ended.
        RoundCompleted(RoundCompleted) = "round_completed", 1;
        /// A round of a knockout has ended.
        KnockoutRoundCompleted(KnockoutRoundCompleted) = "knockout_round_completed", 1;
        /// The time of a race is up.
        RaceModeTimeExpired(RaceModeTimeExpired) = "race_mode_time_expired", 1;
        /// The time of a golf race is up.
        GolfRaceTimeExpired(GolfRaceTimeExpired) = "golf_race_time_expired", 1;
        /// A day of a longform game has ended.
        LongformDayEnded(LongformDayEnded) = "longform_day_ended", 1;
        /// No deadline runs until the game is resumed.
        GamePaused(GamePaused) = "game_paused", 1;
        /// The game goes on.
        GameResumed(GameResumed) = "game_resumed", 1;
        /// The game is over.
        GameCompleted(GameCompleted) = "game_completed", 1;
        /// The game ends without a result.
        GameCancelled(GameCancelled) = "game_cancelled", 1;

        /// There is a team.
        TeamCreated(TeamCreated) = "team_created", 1;
        /// The team is called otherwise.
        TeamUpdated(TeamUpdated) = "team_updated", 1;
        /// A player is in the team again.
        TeamMemberAdded(TeamMemberAdded) = "team_member_added", 1;
        /// A player is no more in the team.
        TeamMemberRemoved(TeamMemberRemoved) = "team_member_removed", 1;
        /// One player asks another to be a team.
        TeamInvitationCreated(TeamInvitationCreated) = "team_invitation_created", 1;
        /// Who was asked said yes.
        TeamInvitationAccepted(TeamInvitationAccepted) = "team_invitation_accepted", 1;
        /// The invitation came to nothing.
        TeamInvitationDeclined(TeamInvitationDeclined) = "team_invitation_declined", 1;

        /// Somebody came for the first time.
        UserRegistered(UserRegistered) = "user_registered", 1;
        /// Somebody is to be shown by another name.
        UserProfileUpdated(UserProfileUpdated) = "user_profile_updated", 1;
        /// Somebody wants it otherwise.
        UserPreferencesChanged(UserPreferencesChanged) = "user_preferences_changed", 1;

        /// A finished game can be looked at again, by a name.
        ReplayCreated(ReplayCreated) = "replay_created", 1;
        /// Somebody has looked at a finished game.
        ReplayAccessed(ReplayAccessed) = "replay_accessed", 1;

        /// A command could not be done.
        CommandError(CommandError) = "command_error", 1;
        /// Something went wrong that nobody asked for.
        SystemError(SystemError) = "system_error", 1;
        /// A word was refused.
        GuessError(GuessError) = "guess_error", 1;
        /// A pair of words was refused.
        GuessPairError(GuessPairError) = "guess_pair_error", 1;
        /// The time could not be looked at.
        RoundCheckError(RoundCheckError) = "round_check_error", 1;
        /// The bot came back and took up its games.
        RecoveryPerformed(RecoveryPerformed) = "recovery_performed", 1;
    }
    dress = dress;
    validate = rules::check;
}

impl GameEvent {
    /// What it says of the game it belongs to; `None` for what belongs to none.
    #[must_use]
    pub fn base(&self) -> Option<&GameBase> {
        Some(match self {
            GameEvent::GameCreated(of) => &of.base,
            GameEvent::GameModeChanged(of) => &of.base,
            GameEvent::GameConfigured(of) => &of.base,
            GameEvent::PlayerJoined(of) => &of.base,
            GameEvent::PlayerLeft(of) => &of.base,
            GameEvent::PlayerStatusChanged(of) => &of.base,
            GameEvent::GameStarted(of) => &of.base,
            GameEvent::KnockoutRoundStarted(of) => &of.base,
            GameEvent::RoundStarted(of) => &of.base,
            GameEvent::WordsDealt(of) => &of.base,
            GameEvent::GuessStarted(of) => &of.base,
            GameEvent::GuessProcessed(of) => &of.base,
            GameEvent::GuessAbandoned(of) => &of.base,
            GameEvent::TeamEliminated(of) => &of.base,
            GameEvent::RoundCompleted(of) => &of.base,
            GameEvent::KnockoutRoundCompleted(of) => &of.base,
            GameEvent::RaceModeTimeExpired(of) => &of.base,
            GameEvent::GolfRaceTimeExpired(of) => &of.base,
            GameEvent::LongformDayEnded(of) => &of.base,
            GameEvent::GamePaused(of) => &of.base,
            GameEvent::GameResumed(of) => &of.base,
            GameEvent::GameCompleted(of) => &of.base,
            GameEvent::GameCancelled(of) => &of.base,
            _ => return None,
        })
    }

    /// What it says of the team it belongs to; `None` for what happens in a game, or elsewhere.
    #[must_use]
    pub fn team_base(&self) -> Option<&TeamBase> {
        Some(match self {
            GameEvent::TeamCreated(of) => &of.base,
            GameEvent::TeamUpdated(of) => &of.base,
            GameEvent::TeamMemberAdded(of) => &of.base,
            GameEvent::TeamMemberRemoved(of) => &of.base,
            GameEvent::TeamInvitationCreated(of) => &of.base,
            GameEvent::TeamInvitationAccepted(of) => &of.base,
            GameEvent::TeamInvitationDeclined(of) => &of.base,
            _ => return None,
        })
    }

    /// The game it belongs to, or is about.
    #[must_use]
    pub fn game(&self) -> Option<GameId> {
        match self {
            GameEvent::ReplayCreated(of) => Some(of.game_id),
            GameEvent::ReplayAccessed(of) => Some(of.game_id),
            GameEvent::CommandError(of) => of.game_id,
            GameEvent::SystemError(of) => of.game_id,
            GameEvent::GuessError(of) => Some(of.game_id),
            GameEvent::GuessPairError(of) => Some(of.game_id),
            GameEvent::RoundCheckError(of) => Some(of.game_id),
            _ => self.base().map(|base| base.game_id),
        }
    }

    /// When it happened, as the bot saw it.
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        Some(match self {
            GameEvent::UserRegistered(of) => of.created_at,
            GameEvent::UserProfileUpdated(of) => of.updated_at,
            GameEvent::UserPreferencesChanged(of) => of.updated_at,
            GameEvent::ReplayCreated(of) => of.created_at,
            GameEvent::ReplayAccessed(of) => of.accessed_at,
            GameEvent::CommandError(of) => of.timestamp,
            GameEvent::SystemError(of) => of.timestamp,
            GameEvent::GuessError(of) => of.timestamp,
            GameEvent::GuessPairError(of) => of.timestamp,
            GameEvent::RoundCheckError(of) => of.timestamp,
            GameEvent::RecoveryPerformed(of) => of.timestamp,
            _ => {
                let of_team = || self.team_base().map(|base| base.timestamp);
                return self.base().map(|base| base.timestamp).or_else(of_team);
            }
        })
    }

    /// The team whose guess or elimination this is.
    fn team(&self) -> Option<TeamId> {
        match self {
            GameEvent::WordsDealt(of) => Some(of.team_id),
            GameEvent::GuessStarted(of) => Some(of.team_id),
            GameEvent::GuessProcessed(of) => Some(of.team_id),
            GameEvent::GuessAbandoned(of) => Some(of.team_id),
            GameEvent::TeamEliminated(of) => Some(of.team_id),
            GameEvent::GuessPairError(of) => Some(of.team_id),
            _ => self.team_base().map(|base| base.team_id),
        }
    }

    /// The players that this concerns, by whom it can be found.
    #[must_use]
    pub fn players(&self) -> Vec<PlayerId> {
        let of_teams = |teams: &[TeamId]| teams.iter().flat_map(|team| team.players()).collect();
        match self {
            GameEvent::GameCreated(of) => of_teams(&of.team_ids),
            GameEvent::GameModeChanged(of) => of.player_ids.clone(),
            GameEvent::GameStarted(of) => of.player_ids.clone(),
            GameEvent::PlayerJoined(of) => vec![of.player_id],
            GameEvent::PlayerLeft(of) => vec![of.player_id],
            GameEvent::PlayerStatusChanged(of) => vec![of.player_id],
            GameEvent::GameCompleted(of) => of.final_scores.keys().flat_map(|team| team.players()).collect(),
            GameEvent::GameCancelled(of) => of.player_ids.clone(),
            GameEvent::UserRegistered(of) => vec![of.user_id],
            GameEvent::UserProfileUpdated(of) => vec![of.user_id],
            GameEvent::UserPreferencesChanged(of) => vec![of.user_id],
            GameEvent::ReplayAccessed(of) => vec![of.user_id],
            GameEvent::CommandError(of) => vec![of.user_id],
            GameEvent::GuessError(of) => vec![of.player_id],
            _ => of_teams(self.team().as_slice()),
        }
    }
}

/// Guild, mode, players, team and the name of a replay as tags; the game as the correlation; the time it happened.
fn dress(event: &GameEvent, mut new: NewEvent) -> NewEvent {
    let guild = match event {
        GameEvent::UserRegistered(of) => Some(of.guild_id),
        GameEvent::ReplayCreated(of) => Some(of.guild_id),
        GameEvent::ReplayAccessed(of) => Some(of.guild_id),
        GameEvent::CommandError(of) => Some(of.guild_id),
        GameEvent::SystemError(of) => of.guild_id,
        GameEvent::GuessError(of) => Some(of.guild_id),
        GameEvent::GuessPairError(of) => Some(of.guild_id),
        GameEvent::RoundCheckError(of) => Some(of.guild_id),
        _ => event.base().map(|base| base.guild_id).or(event.team_base().map(|base| base.guild_id)),
    };
    if let Some(guild) = guild {
        new = new.tag("guild", guild);
    }
    if let Some(base) = event.base() {
        new = new.tag("mode", base.mode);
    }
    if let GameEvent::ReplayCreated(of) = event {
        new = new.tag("mode", of.mode).tag("replay", &of.name);
    }
    // A game is one story: whatever belongs to it has its id as the correlation, from the first event on.
    if let Some(game) = event.game() {
        new = new.correlation(game);
    }
    if let Some(at) = event.moment() {
        new = new.occurred(at);
    }
    if let Some(team) = event.team() {
        new = new.tag("team", team);
    }
    event.players().into_iter().fold(new, |new, player| new.tag("player", player))
}
