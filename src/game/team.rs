//! Two players and the way to become a team.

use super::event::GameEvent;
use super::ids::{GuildId, PlayerId, TeamId};
use super::moment::Moment;
use super::payload::*;
use super::refusal::Refusal;
use scorebook::{Aggregate, EventContext, StreamName};
use serde::Serialize;
use std::collections::BTreeSet;

/// How long an invitation can be accepted: 300 s.
pub const INVITATION_MS: u64 = 300 * 1_000;

/// The most characters of a reason in somebody's words.
pub const REASON_CHARS_MAX: usize = 200;

/// Two players of a guild, as an aggregate of the stream `team-{guild}-{lower player}-{higher player}`: their invitations,
/// and the team that came of one.
///
/// ```
/// use scorebook::EventStore;
/// use scorebook::game::{Moment, Team, TeamAction, TeamCommand, TeamId};
///
/// let store = EventStore::open_in_memory()?;
/// let now = Moment::from_millis(1_700_000_000_000);
/// let id = TeamId::of(7.into(), 8.into()).expect("they are two");
/// let team = store.aggregate::<Team>(&id.stream(9.into()));
/// let invite = TeamAction::Invite { by: 7.into(), invitee: 8.into(), name: Some("Night owls".to_owned()) };
/// team.execute(TeamCommand::new(now, invite)).wait().expect("nobody has asked before");
/// team.execute(TeamCommand::new(now.plus(60_000), TeamAction::Accept { by: 8.into() })).wait().expect("in time");
/// assert_eq!(team.load()?.state().name(), Some("Night owls"));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Team {
    id: Option<(GuildId, TeamId)>,
    /// What it is called; `None` before it exists.
    name: Option<String>,
    members: BTreeSet<PlayerId>,
    invitation: Option<Invitation>,
    last: Moment,
}

/// An invitation that nobody has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// Who asks.
    pub inviter: PlayerId,
    /// Who is asked.
    pub invitee: PlayerId,
    /// What the team would be called.
    pub proposed_name: Option<String>,
    /// From when on it cannot be accepted any more.
    pub expires_at: Moment,
}

/// What a team is asked to do, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamCommand {
    at: Moment,
    action: TeamAction,
}

impl TeamCommand {
    /// An action at some time. A time before the last event counts as the time of that event.
    #[must_use]
    pub fn new(at: Moment, action: TeamAction) -> TeamCommand {
        TeamCommand { at, action }
    }
}

/// What a team is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamAction {
    /// To be created, without an invitation.
    Create {
        /// Who wants it.
        by: PlayerId,
        /// What it is called. Default: `Team` and the two ids.
        name: Option<String>,
    },
    /// To note that one player asks the other.
    Invite {
        /// Who asks.
        by: PlayerId,
        /// Who is asked.
        invitee: PlayerId,
        /// What the team would be called.
        name: Option<String>,
    },
    /// To be created, as it was asked for.
    Accept {
        /// Who says yes.
        by: PlayerId,
    },
    /// To note that nothing comes of it.
    Decline {
        /// Who says no.
        by: PlayerId,
    },
    /// To note what has expired by now.
    PassTime,
    /// To be called otherwise.
    Rename {
        /// Who wants it.
        by: PlayerId,
        /// How.
        name: String,
    },
    /// To take a player in again.
    AddMember {
        /// Who wants it.
        by: PlayerId,
        /// Whom.
        player: PlayerId,
    },
    /// To let a player go. Who forms another team leaves the former.
    RemoveMember {
        /// Who wants it.
        by: PlayerId,
        /// Whom.
        player: PlayerId,
        /// Why, in their words: at most 200 characters.
        reason: Option<String>,
    },
}

impl Team {
    /// What it is called; `None` before it exists.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Who is in it. Of less than two, nobody can play.
    #[must_use]
    pub fn members(&self) -> &BTreeSet<PlayerId> {
        &self.members
    }

    /// Whether it exists, and both players are in it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.name.is_some() && self.members.len() == 2
    }

    /// The invitation that nobody has answered.
    #[must_use]
    pub fn invitation(&self) -> Option<&Invitation> {
        self.invitation.as_ref()
    }

    fn create(&self, base: TeamBase, name: Option<&str>) -> TeamCreated {
        let [first, second] = base.team_id.players();
        // Ids of twenty digits would make it longer than a name may be.
        let usual = || format!("Team {first}-{second}").chars().take(NAME_CHARS_MAX).collect();
        let name = name.map_or_else(usual, str::to_owned);
        TeamCreated { base, name, player_ids: vec![first, second], created_at: base.timestamp }
    }

    fn invite(
        &self,
        base: TeamBase,
        (inviter_id, invitee_id): (PlayerId, PlayerId),
        name: Option<&str>,
    ) -> Result<Vec<GameEvent>, Refusal> {
        if inviter_id == invitee_id {
            return Err(Refusal::SelfInvitation);
        }
        if !base.team_id.has(inviter_id) || !base.team_id.has(invitee_id) {
            return Err(Refusal::NotTeamMember);
        }
        if self.is_complete() {
            return Err(Refusal::TeamExists);
        }
        name.map_or(Ok(()), check_name)?;
        // "One pending at a time; an expired one may be replaced."
        let mut events = self.expired(base);
        if self.invitation.is_some() && events.is_empty() {
            return Err(Refusal::AnotherInvitationPending);
        }
        let [first, second] = base.team_id.players();
        events.push(GameEvent::from(TeamInvitationCreated {
            base,
            invitation_id: format!("inv-{first}-{second}-{}", base.timestamp.millis() / 1_000),
            inviter_id,
            invitee_id,
            proposed_name: name.map(str::to_owned),
            created_at: base.timestamp,
            expires_at: base.timestamp.plus(INVITATION_MS),
        }));
        Ok(events)
    }

    /// The invitation, if it is for this player to answer.
    fn asked(&self, by: PlayerId) -> Result<&Invitation, Refusal> {
        let invitation = self.invitation.as_ref().ok_or(Refusal::NoPendingInvitation)?;
        if invitation.invitee == by { Ok(invitation) } else { Err(Refusal::WrongInvitee) }
    }

    /// What follows from the time alone.
    fn expired(&self, base: TeamBase) -> Vec<GameEvent> {
        let expired = self.invitation.iter().filter(|invitation| invitation.expires_at <= base.timestamp);
        expired.map(|invitation| declined(base, invitation, DeclineReason::Expired)).collect()
    }

    /// That the team exists, and `by` is of it.
    fn has(&self, by: PlayerId) -> Result<(), Refusal> {
        match (&self.name, self.members.contains(&by)) {
            (None, _) => Err(Refusal::TeamNotFound),
            (Some(_), false) => Err(Refusal::NotTeamMember),
            (Some(_), true) => Ok(()),
        }
    }
}

fn declined(base: TeamBase, invitation: &Invitation, reason: DeclineReason) -> GameEvent {
    let invitation_id = invitation.id.clone();
    TeamInvitationDeclined { base, invitation_id, declined_at: base.timestamp, reason }.into()
}

/// The fewest and the most characters of a team's name.
const NAME_CHARS_MIN: usize = 3;
const NAME_CHARS_MAX: usize = 32;

/// What a team may be called: 3 to 32 characters that can be shown, a letter or a digit among them.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let chars = name.chars().take(NAME_CHARS_MAX + 1).count();
    if chars < NAME_CHARS_MIN {
        return Err(Refusal::NameTooShort);
    }
    if NAME_CHARS_MAX < chars {
        return Err(Refusal::NameTooLong);
    }
    let is_shown = !name.chars().any(is_unseen) && name.trim() == name;
    if is_shown && name.chars().any(char::is_alphanumeric) { Ok(()) } else { Err(Refusal::InvalidNameFormat) }
}

/// Characters that change a text without being in it: controls, what turns the direction around, what has no width, and
/// letters that are blank. The joiner of emoji is not one of them.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}')
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}')
}

impl Aggregate for Team {
    type Event = GameEvent;
    type Command = TeamCommand;
    type Refusal = Refusal;

    fn new(stream: &StreamName) -> Team {
        let id = TeamId::of_stream(stream);
        Team { id, name: None, members: BTreeSet::new(), invitation: None, last: Moment::default() }
    }

    fn decide(&self, command: &TeamCommand) -> Result<Vec<GameEvent>, Refusal> {
        let (guild_id, team_id) = self.id.ok_or(Refusal::InvalidStream)?;
        if Moment::MAX < command.at {
            return Err(Refusal::InvalidTime);
        }
        let timestamp = command.at.max(self.last);
        let base = TeamBase { guild_id, team_id, timestamp };
        match &command.action {
            TeamAction::Create { by, name } => {
                if !team_id.has(*by) {
                    return Err(Refusal::NotTeamMember);
                }
                if self.is_complete() {
                    return Err(Refusal::TeamExists);
                }
                name.as_deref().map_or(Ok(()), check_name)?;
                Ok(vec![self.create(base, name.as_deref()).into()])
            }
            TeamAction::Invite { by, invitee, name } => self.invite(base, (*by, *invitee), name.as_deref()),
            TeamAction::Accept { by } => {
                let invitation = self.asked(*by)?;
                if invitation.expires_at <= timestamp {
                    return Err(Refusal::InvitationExpired);
                }
                let (invitation_id, name) = (invitation.id.clone(), invitation.proposed_name.as_deref());
                let accepted = TeamInvitationAccepted { base, invitation_id, accepted_at: timestamp };
                Ok(vec![accepted.into(), self.create(base, name).into()])
            }
            TeamAction::Decline { by } => Ok(vec![declined(base, self.asked(*by)?, DeclineReason::Declined)]),
            TeamAction::PassTime => Ok(self.expired(base)),
            TeamAction::Rename { by, name } => {
                self.has(*by)?;
                check_name(name)?;
                let event = TeamUpdated { base, name: name.clone(), updated_by: *by, updated_at: timestamp };
                Ok(if self.name.as_ref() == Some(name) { Vec::new() } else { vec![event.into()] })
            }
            TeamAction::AddMember { by, player } => {
                self.has(*by)?;
                if !team_id.has(*player) {
                    return Err(Refusal::NotTeamMember);
                }
                if self.members.contains(player) {
                    return Err(Refusal::AlreadyTeamMember);
                }
                Ok(vec![TeamMemberAdded { base, player_id: *player, added_by: *by, added_at: timestamp }.into()])
            }
            TeamAction::RemoveMember { by, player, reason } => {
                self.has(*by)?;
                self.has(*player)?;
                if reason.as_ref().is_some_and(|reason| REASON_CHARS_MAX < reason.chars().count()) {
                    return Err(Refusal::TextTooLong);
                }
                let reason = reason.clone().filter(|reason| !reason.trim().is_empty());
                let (player_id, removed_by) = (*player, *by);
                Ok(vec![TeamMemberRemoved { base, player_id, removed_by, reason, removed_at: timestamp }.into()])
            }
        }
    }

    fn apply(&mut self, event: &GameEvent, _context: &EventContext<'_>) {
        // What belongs to another team is in a wrong stream, and changes nothing here.
        let is_its = |base: &&TeamBase| self.id == Some((base.guild_id, base.team_id)) && base.timestamp <= Moment::MAX;
        let Some(base) = event.team_base().filter(is_its) else { return };
        let team = base.team_id;
        self.last = self.last.max(base.timestamp);
        match event {
            GameEvent::TeamCreated(of) => {
                self.name = Some(of.name.clone());
                self.members = team.players().into_iter().collect();
                self.invitation = None;
            }
            GameEvent::TeamUpdated(of) => self.name = Some(of.name.clone()),
            GameEvent::TeamMemberAdded(of) if team.has(of.player_id) => {
                self.members.insert(of.player_id);
            }
            GameEvent::TeamMemberRemoved(of) => {
                self.members.remove(&of.player_id);
            }
            GameEvent::TeamInvitationCreated(of) if TeamId::of(of.inviter_id, of.invitee_id) == Some(team) => {
                self.invitation = Some(Invitation {
                    id: of.invitation_id.clone(),
                    inviter: of.inviter_id,
                    invitee: of.invitee_id,
                    proposed_name: of.proposed_name.clone(),
                    expires_at: of.expires_at,
                });
            }
            GameEvent::TeamInvitationAccepted(_) | GameEvent::TeamInvitationDeclined(_) => self.invitation = None,
            _ => {}
        }
    }
}
