//! Teams and users: given what has happened, when a command comes, then this follows.

use super::game::{NOON, guild, team};
use scorebook::game::*;
use scorebook::testing::{Scenario, scenario};
use scorebook::{Aggregate, StreamName};
use std::collections::BTreeMap;

const INVITER: u64 = 3;
const INVITEE: u64 = 4;

fn pair() -> Scenario<Team> {
    scenario::<Team>().on(&team(1).stream(guild()))
}

fn base(at: Moment) -> TeamBase {
    TeamBase { guild_id: guild(), team_id: team(1), timestamp: at }
}

fn at(millis: u64, action: TeamAction) -> TeamCommand {
    TeamCommand::new(NOON.plus(millis), action)
}

fn invite(name: Option<&str>) -> TeamAction {
    TeamAction::Invite { by: INVITER.into(), invitee: INVITEE.into(), name: name.map(str::to_owned) }
}

fn invited(name: Option<&str>) -> GameEvent {
    let at = NOON;
    TeamInvitationCreated {
        base: base(at),
        invitation_id: "inv-3-4-1700000000".to_owned(),
        inviter_id: INVITER.into(),
        invitee_id: INVITEE.into(),
        proposed_name: name.map(str::to_owned),
        created_at: at,
        expires_at: at.plus(300_000),
    }
    .into()
}

fn created(name: &str, at: Moment) -> GameEvent {
    TeamCreated { base: base(at), name: name.to_owned(), player_ids: team(1).players().to_vec(), created_at: at }.into()
}

fn declined(at: Moment, reason: DeclineReason) -> GameEvent {
    let invitation_id = "inv-3-4-1700000000".to_owned();
    TeamInvitationDeclined { base: base(at), invitation_id, declined_at: at, reason }.into()
}

/// "id `inv-{p1}-{p2}-{unix seconds}`; expires 300 s after creation"
#[test]
fn an_invitation_names_the_two_and_lasts_300_s() {
    pair().when(at(0, invite(Some("Night owls")))).then([invited(Some("Night owls"))]);
}

/// "accept invitation [team_invitation_accepted, team_created]"; "Default name `Team {p1}-{p2}`"
#[test]
fn who_accepts_makes_a_team() {
    let accept = || at(299_999, TeamAction::Accept { by: INVITEE.into() });
    let when = NOON.plus(299_999);
    let accepted = || -> GameEvent {
        let invitation_id = "inv-3-4-1700000000".to_owned();
        TeamInvitationAccepted { base: base(when), invitation_id, accepted_at: when }.into()
    };
    pair().given([invited(Some("Night owls"))]).when(accept()).then([accepted(), created("Night owls", when)]);
    let team = pair().given([invited(None)]).when(accept()).then([accepted(), created("Team 3-4", when)]);
    team.then_state(|team| assert!(team.is_complete() && team.invitation().is_none()));
}

/// "expires 300 s after creation; only the invitee may accept; not to oneself; one pending at a time (an expired one may be
/// replaced)"
#[test]
fn invitations_are_refused_by_name() {
    let accept = |millis, by: u64| at(millis, TeamAction::Accept { by: by.into() });
    pair().given([invited(None)]).when(accept(300_000, INVITEE)).then_refused(Refusal::InvitationExpired);
    pair().given([invited(None)]).when(accept(1, INVITER)).then_refused(Refusal::WrongInvitee);
    pair().when(accept(1, INVITEE)).then_refused(Refusal::NoPendingInvitation);
    pair().given([invited(None)]).when(at(1, invite(None))).then_refused(Refusal::AnotherInvitationPending);
    let oneself = TeamAction::Invite { by: INVITER.into(), invitee: INVITER.into(), name: None };
    pair().when(at(1, oneself)).then_refused(Refusal::SelfInvitation);
    let stranger = TeamAction::Invite { by: INVITER.into(), invitee: 99.into(), name: None };
    pair().when(at(1, stranger)).then_refused(Refusal::NotTeamMember);
    pair().given([created("Owls", NOON)]).when(at(1, invite(None))).then_refused(Refusal::TeamExists);
}

#[test]
fn an_expired_invitation_is_replaced() {
    let state = pair().given([invited(None)]).when(at(300_000, invite(Some("Again")))).then_state(|team| {
        let invitation = team.invitation().expect("a new one");
        assert_eq!(invitation.proposed_name.as_deref(), Some("Again"));
        assert_eq!(invitation.expires_at, NOON.plus(600_000));
    });
    state.when(at(300_001, invite(None))).then_refused(Refusal::AnotherInvitationPending);
}

#[test]
fn an_invitation_is_declined_or_expires() {
    let decline = |by: u64| at(7, TeamAction::Decline { by: by.into() });
    let no = declined(NOON.plus(7), DeclineReason::Declined);
    pair().given([invited(None)]).when(decline(INVITEE)).then([no]);
    pair().given([invited(None)]).when(decline(INVITER)).then_refused(Refusal::WrongInvitee);
    pair().given([invited(None)]).when(at(299_999, TeamAction::PassTime)).then([]);
    let expired = declined(NOON.plus(300_000), DeclineReason::Expired);
    pair().given([invited(None)]).when(at(300_000, TeamAction::PassTime)).then([expired]);
}

/// "3–32 chars; no control chars and at least one letter or digit"
#[test]
fn team_names_keep_to_the_rule() {
    let rename = |name: &str| at(1, TeamAction::Rename { by: INVITER.into(), name: name.to_owned() });
    let team = || pair().given([created("Owls", NOON)]);
    let (most, long) = ("x".repeat(32), "x".repeat(33));
    for name in ["abc", "Night owls", "🦉 1", "Füchse-2", &most] {
        let (base, name, at) = (base(NOON.plus(1)), name.to_owned(), NOON.plus(1));
        let renamed = TeamUpdated { base, name: name.clone(), updated_by: INVITER.into(), updated_at: at };
        team().when(rename(&name)).then([renamed.into()]);
    }
    for (name, refusal) in [
        ("", Refusal::NameTooShort),
        ("ab", Refusal::NameTooShort),
        (&*long, Refusal::NameTooLong),
        ("🦉🦉🦉", Refusal::InvalidNameFormat),
        ("   ", Refusal::InvalidNameFormat),
        (" owls", Refusal::InvalidNameFormat),
        ("ow\nls", Refusal::InvalidNameFormat),
        ("ow\u{202e}ls", Refusal::InvalidNameFormat),
        ("ow\u{200b}ls", Refusal::InvalidNameFormat),
    ] {
        team().when(rename(name)).then_refused(refusal.clone());
        let create = TeamAction::Create { by: INVITER.into(), name: Some(name.to_owned()) };
        pair().when(at(1, create)).then_refused(refusal);
    }
    team().when(rename("Owls")).then([]);
    let stranger = TeamAction::Rename { by: 99.into(), name: "Owls".to_owned() };
    team().when(at(1, stranger)).then_refused(Refusal::NotTeamMember);
    pair().when(rename("Owls")).then_refused(Refusal::TeamNotFound);
}

#[test]
fn a_team_loses_a_member_and_takes_it_in_again() {
    let remove = |player: u64, reason: Option<&str>| {
        let (by, player, reason) = (INVITER.into(), player.into(), reason.map(str::to_owned));
        at(1, TeamAction::RemoveMember { by, player, reason })
    };
    let add = |player: u64| at(2, TeamAction::AddMember { by: INVITER.into(), player: player.into() });
    let left = pair().given([created("Owls", NOON)]).when(remove(INVITEE, Some("another team"))).then_state(|team| {
        assert!(!team.is_complete());
        assert_eq!(team.members().len(), 1);
    });
    let back = left.when(add(INVITEE)).then_state(|team| assert!(team.is_complete()));
    let full = back.when(add(INVITEE)).then_refused(Refusal::AlreadyTeamMember);
    full.when(add(99)).then_refused(Refusal::NotTeamMember);
    let team = || pair().given([created("Owls", NOON)]);
    team().when(remove(99, None)).then_refused(Refusal::NotTeamMember);
    team().when(remove(INVITEE, Some(&"x".repeat(201)))).then_refused(Refusal::TextTooLong);
}

/// Two ids of twenty digits make a name that is still one.
#[test]
fn the_usual_name_is_short_enough() {
    let team = TeamId::of((u64::MAX - 1).into(), u64::MAX.into()).expect("two");
    let create = TeamAction::Create { by: u64::MAX.into(), name: None };
    let state = scenario::<Team>().on(&team.stream(u64::MAX.into())).when(at(0, create));
    state.then_state(|team| assert_eq!(team.name().map(|name| name.chars().count()), Some(32)));
}

#[test]
fn a_stream_of_another_kind_is_no_team_game_or_user() {
    let other = StreamName::new("elsewhere-1").expect("a name");
    let create = at(0, TeamAction::Create { by: INVITER.into(), name: None });
    scenario::<Team>().on(&other).when(create).then_refused(Refusal::InvalidStream);
    for name in ["team-9-4-3", "team-9-3-3", "team-9-3", "team-3-4", "team-9-3-4-5"] {
        let stream = StreamName::new(name).expect("a name");
        let create = at(0, TeamAction::Create { by: INVITER.into(), name: None });
        assert_eq!(Team::new(&stream).decide(&create), Err(Refusal::InvalidStream), "{name}");
    }
    let register = UserAction::Register { guild: guild(), username: "ada".to_owned(), display_name: None };
    scenario::<User>().on(&other).when(UserCommand::new(NOON, register)).then_refused(Refusal::InvalidStream);
    let create = GameAction::Create { guild: guild(), by: 1.into(), config: GameConfig::of(Mode::Race), teams: vec![] };
    scenario::<Game>().on(&other).when(GameCommand::new(NOON, create)).then_refused(Refusal::InvalidStream);
}

/// "Auto-registered on first interaction"; "over all guilds"
#[test]
fn a_user_is_registered_once() {
    let register = |guild: u64, name: &str| {
        let (username, display_name) = (name.to_owned(), None);
        UserCommand::new(NOON, UserAction::Register { guild: guild.into(), username, display_name })
    };
    let user = || scenario::<User>().on(&PlayerId::from(7).stream());
    let known = user().when(register(900, "ada")).then_state(|user| {
        assert_eq!((user.name(), user.first_guild()), (Some("ada"), Some(900.into())));
    });
    known.when(register(901, "ada")).then([]);
    user().when(register(900, "")).then_refused(Refusal::NameTooShort);
    user().when(register(900, &"x".repeat(101))).then_refused(Refusal::NameTooLong);
    user().when(register(900, "a\u{0}b")).then_refused(Refusal::InvalidNameFormat);
}

#[test]
fn a_user_changes_name_and_preferences() {
    let user = || {
        let registered = UserRegistered {
            user_id: 7.into(),
            guild_id: guild(),
            username: "ada".to_owned(),
            display_name: None,
            created_at: NOON,
        };
        scenario::<User>().on(&PlayerId::from(7).stream()).given([registered.into()])
    };
    let rename = |name: &str| UserCommand::new(NOON, UserAction::UpdateProfile { display_name: name.to_owned() });
    user().when(rename("Lady A.")).then_state(|user| assert_eq!(user.name(), Some("Lady A.")));
    let prefer = |key: &str, setting| {
        let notifications = BTreeMap::from([(key.to_owned(), setting)]);
        let ui = BTreeMap::from([("theme".to_owned(), Setting::Text("dark".to_owned()))]);
        UserCommand::new(NOON, UserAction::ChangePreferences { notifications, ui })
    };
    let changed = user().when(prefer("ping", Setting::Switch(false))).then_state(|user| {
        assert_eq!(user.notifications().get("ping"), Some(&Setting::Switch(false)));
    });
    changed.when(prefer("limit", Setting::Number(-3))).then_state(|user| {
        assert_eq!((user.notifications().len(), user.ui().len()), (2, 1), "what is not named stays");
    });
    user().when(prefer(&"x".repeat(101), Setting::Switch(true))).then_refused(Refusal::TextTooLong);
    let nobody = scenario::<User>().on(&PlayerId::from(7).stream());
    nobody.when(rename("Ada")).then_refused(Refusal::UserNotFound);
}
