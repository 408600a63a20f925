//! In which team a player is, and who has asked them to be one, by asking the store.

use super::deciding::{Decided, Decision, refuse};
use crate::game::{GameEvent, GuildId, INVITATION_MS, Moment, PlayerId, Refusal, Team, TeamId};
use scorebook::{AllRead, Error, Query, Registry};

/// The team that a player is in.
pub(super) struct Membership {
    pub(super) team: TeamId,
    pub(super) state: Team,
}

/// Everything by which a player enters and leaves teams of a guild.
fn memberships(guild: GuildId, player: PlayerId) -> Query {
    let types = Query::all().of_type("team_created").of_type("team_member_added").of_type("team_member_removed");
    types.tag("player", player).tag("guild", guild)
}

/// The team that a player is in: who enters one is in no other at that moment, so the newest entry says which it is.
fn team_of(read: AllRead, player: PlayerId, registry: &Registry) -> Result<Option<TeamId>, Error> {
    let mut left = Vec::new();
    for event in read.backwards() {
        for event in registry.decode::<GameEvent>(&event?)? {
            match event {
                GameEvent::TeamMemberRemoved(of) if of.player_id == player => left.push(of.base.team_id),
                GameEvent::TeamMemberAdded(of) if of.player_id == player => {
                    return Ok((!left.contains(&of.base.team_id)).then_some(of.base.team_id));
                }
                GameEvent::TeamCreated(of) => {
                    return Ok((!left.contains(&of.base.team_id)).then_some(of.base.team_id));
                }
                _ => {}
            }
        }
    }
    Ok(None)
}

impl Decision<'_, '_> {
    /// The team that a player is in. That they are is a condition of the batch.
    pub(super) fn membership(&mut self, guild: GuildId, player: PlayerId) -> Decided<Option<Membership>> {
        let read = self.together.read(memberships(guild, player))?;
        let Some(team) = team_of(read, player, &self.bot.registry)? else { return Ok(None) };
        let state = self.together.load::<Team>(&team.stream(guild))?.into_state();
        Ok(Some(Membership { team, state }))
    }

    /// The team whose invitation the caller answers.
    pub(super) fn invitation(&mut self, inviter: Option<PlayerId>) -> Decided<TeamId> {
        let (guild, player) = (self.guild()?, self.caller.player);
        if let Some(inviter) = inviter {
            return TeamId::of(inviter, player).map_or_else(|| refuse(Refusal::SelfInvitation), Ok);
        }
        let asked = self.pending(guild, player)?;
        match asked[..] {
            [] => refuse(Refusal::NoPendingInvitation),
            [team] => Ok(team),
            ref several => {
                let inviters = several.iter().map(|team| team.partner(player)).collect();
                refuse(Refusal::AmbiguousInvitation(inviters))
            }
        }
    }

    /// The teams whose invitations a player can answer now.
    fn pending(&mut self, guild: GuildId, player: PlayerId) -> Decided<Vec<TeamId>> {
        let query = Query::all().of_type("team_invitation_created").tag("player", player).tag("guild", guild);
        let read = self.together.read(query)?;
        let mut pending = Vec::new();
        for team in asked_since(read, self.at, player, &self.bot.registry)? {
            let loaded = self.together.load::<Team>(&team.stream(guild))?;
            let is_asked = loaded.state().invitation().is_some_and(|of| of.invitee == player);
            if is_asked && !pending.contains(&team) {
                pending.push(team);
            }
        }
        Ok(pending)
    }
}

/// The teams that a player was asked to be, the newest first, by invitations that may not have expired by now.
fn asked_since(read: AllRead, now: Moment, player: PlayerId, registry: &Registry) -> Result<Vec<TeamId>, Error> {
    let mut teams = Vec::new();
    for event in read.backwards() {
        for event in registry.decode::<GameEvent>(&event?)? {
            let GameEvent::TeamInvitationCreated(of) = event else { continue };
            // What was asked before was asked longer ago.
            if INVITATION_MS <= now.since(of.created_at) {
                return Ok(teams);
            }
            if of.invitee_id == player {
                teams.push(of.base.team_id);
            }
        }
    }
    Ok(teams)
}
