//! Teams: who asks whom, who says yes, and that who forms a new team leaves the former.

use super::ask::Ask;
use super::deciding::{Decided, Decision, refuse};
use super::schedule::Matter;
use crate::game::{GuildId, PlayerId, Refusal, Team, TeamAction, TeamCommand, TeamId};

/// Why somebody leaves a team who forms another.
const SUPERSEDED: &str = "formed another team";

impl Decision<'_, '_> {
    pub(super) fn decide_team(&mut self, ask: &Ask) -> Decided {
        let (guild, by) = (self.guild()?, self.caller.player);
        match ask {
            Ask::Invite { invitee, name } => {
                let Some(team) = TeamId::of(by, *invitee) else { return refuse(Refusal::SelfInvitation) };
                self.team(guild, team, TeamAction::Invite { by, invitee: *invitee, name: name.clone() })
            }
            Ask::Accept { inviter } => {
                let team = self.invitation(*inviter)?;
                self.leave_others(guild, team)?;
                self.team(guild, team, TeamAction::Accept { by })
            }
            Ask::Decline { inviter } => {
                let team = self.invitation(*inviter)?;
                self.team(guild, team, TeamAction::Decline { by })
            }
            Ask::Rename { name } => {
                let team = self.team_of_caller(guild)?;
                self.team(guild, team, TeamAction::Rename { by, name: name.clone() })
            }
            Ask::LeaveTeam { reason } => {
                let team = self.team_of_caller(guild)?;
                self.team(guild, team, TeamAction::RemoveMember { by, player: by, reason: reason.clone() })
            }
            Ask::TakeBack { partner } => {
                let Some(team) = TeamId::of(by, *partner) else { return refuse(Refusal::AlreadyTeamMember) };
                if self.membership(guild, *partner)?.is_some_and(|of| of.team != team) {
                    return refuse(Refusal::NotTeamMember);
                }
                self.team(guild, team, TeamAction::AddMember { by, player: *partner })
            }
            _ => refuse(Refusal::UnknownCommand),
        }
    }

    /// Notes what has expired of a team's invitations by now.
    pub(super) fn pass_time_of_team(&mut self, guild: GuildId, team: TeamId) -> Decided {
        self.team(guild, team, TeamAction::PassTime)
    }

    fn team(&mut self, guild: GuildId, team: TeamId, action: TeamAction) -> Decided {
        self.expect(Matter::Team(guild, team));
        let command = TeamCommand::new(self.at, action);
        self.together.execute::<Team>(&team.stream(guild), &command).map(|_| ())
    }

    fn team_of_caller(&mut self, guild: GuildId) -> Decided<TeamId> {
        let membership = self.membership(guild, self.caller.player)?;
        membership.map_or_else(|| refuse(Refusal::TeamNotFound), |of| Ok(of.team))
    }

    /// "A player is in one active team; forming a new team supersedes the former."
    fn leave_others(&mut self, guild: GuildId, team: TeamId) -> Decided {
        for player in team.players() {
            if let Some(former) = self.membership(guild, player)?.filter(|of| of.team != team) {
                self.leave(guild, former.team, player)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, guild: GuildId, team: TeamId, player: PlayerId) -> Decided {
        let reason = Some(SUPERSEDED.to_owned());
        self.team(guild, team, TeamAction::RemoveMember { by: player, player, reason })
    }
}
