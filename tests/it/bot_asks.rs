//! What can be asked of the bot, one after the other: allowed and refused, in a guild and in a direct message.

use super::bot::{Club, Direct, Guild, HERE, Props, events, say, two_player};
use super::game::{check_types, numbered, team};
use scorebook::game::*;
use std::collections::BTreeMap;

#[test]
fn a_game_is_opened_by_anybody_in_a_guild() {
    let club = Club::new();
    for mode in Mode::ALL {
        let answer = club.done(HERE, 7, Ask::Open { config: GameConfig::of(mode) });
        let game = club.game(answer.game().expect("it is open"));
        assert_eq!((game.phase(), game.mode(), game.players()), (Phase::Open, mode, vec![]));
        assert_eq!(answer.messages().count(), 0, "nobody is in it");
    }
    let config = two_player(0);
    assert_eq!(club.refused(HERE, 7, Ask::Open { config }), Refusal::InvalidConfig(ConfigFault::InvalidRounds));
    assert_eq!(club.refused(Direct, 7, Ask::Open { config: two_player(1) }), Refusal::MissingGuild);
    assert!(club.games_of(7).is_empty(), "who opens a game is not in it");
}

#[test]
fn a_team_opens_and_joins_as_one() {
    let club = Club::new();
    let config = GameConfig::of(Mode::Race);
    assert_eq!(club.refused(HERE, 7, Ask::OpenWithTeam { config }), Refusal::TeamNotFound);
    club.team(HERE, 7, 8);
    assert_eq!(club.refused(Guild(1), 7, Ask::OpenWithTeam { config }), Refusal::TeamNotFound);
    assert_eq!(club.refused(Direct, 7, Ask::OpenWithTeam { config }), Refusal::MissingGuild);
    let answer = club.done(HERE, 8, Ask::OpenWithTeam { config });
    let game = answer.game().expect("it is open");
    let both = answer.messages().map(|message| message.to().get()).collect::<Vec<_>>();
    assert_eq!(both, [7, 8]);
    assert_eq!(answer.message_to(7.into()).expect("told").news(), [News::Opened { mode: Mode::Race, by: 8.into() }]);
    assert_eq!(club.refused(HERE, 7, Ask::OpenWithTeam { config }), Refusal::AlreadyPlaying(7.into()));

    club.team(HERE, 9, 10);
    club.team(HERE, 11, 12);
    let other = club.open(HERE, config);
    club.done(HERE, 12, Ask::Join { game: other });
    assert_eq!(club.refused(HERE, 11, Ask::JoinWithTeam { game }), Refusal::AlreadyPlaying(12.into()));
    assert_eq!(club.refused(HERE, 13, Ask::JoinWithTeam { game }), Refusal::TeamNotFound);
    let answer = club.done(HERE, 9, Ask::JoinWithTeam { game });
    assert_eq!(answer.messages().count(), 4);
    assert_eq!(club.game(game).players(), [7, 8, 9, 10].map(PlayerId::from));
    assert_eq!(club.refused(HERE, 10, Ask::JoinWithTeam { game }), Refusal::AlreadyJoined(9.into()));

    club.done(HERE, 12, Ask::LeaveTeam { reason: None });
    assert_eq!(club.refused(HERE, 11, Ask::JoinWithTeam { game }), Refusal::TeamNotFound, "nobody plays alone");
}

#[test]
fn who_joins_alone_is_teamed_with_whoever_waits() {
    let club = Club::new();
    let game = club.open(HERE, two_player(1));
    let answer = club.done(HERE, 7, Ask::Join { game });
    assert_eq!(answer.message_to(7.into()).expect("told").news(), [News::Joined { player: 7.into(), team: None }]);
    assert_eq!(club.refused(HERE, 7, Ask::Join { game }), Refusal::AlreadyJoined(7.into()));
    assert_eq!(club.refused(HERE, 7, Ask::Start { game: None }), Refusal::TeamIncomplete(7.into()));
    let answer = club.done(HERE, 8, Ask::Join { game });
    let joined = News::Joined { player: 8.into(), team: TeamId::of(7.into(), 8.into()) };
    assert_eq!(answer.message_to(7.into()).expect("told").news(), [joined]);
    assert_eq!(club.refused(HERE, 9, Ask::Join { game }), Refusal::TooManyTeams);
    assert_eq!(club.refused(Direct, 9, Ask::Join { game }), Refusal::MissingGuild);
    assert_eq!(club.refused(Guild(1), 9, Ask::Join { game }), Refusal::GuildMismatch);
    let unknown = GameId::new(club.props.now(), [9; 10]);
    assert_eq!(club.refused(HERE, 9, Ask::Join { game: unknown }), Refusal::GameNotFound);
    club.done(HERE, 8, Ask::Start { game: None });
    assert_eq!(club.refused(HERE, 9, Ask::Join { game }), Refusal::GameStarted);
}

#[test]
fn who_leaves_is_told_so_and_the_team_goes_along() {
    let club = Club::new();
    assert_eq!(club.refused(HERE, 7, Ask::Leave { game: None }), Refusal::GameNotFound);
    let game = club.opened(HERE, GameConfig::of(Mode::Race), &[7, 8, 9, 10]);
    let answer = club.done(Direct, 7, Ask::Leave { game: None });
    let told = answer.messages().map(|message| message.to().get()).collect::<Vec<_>>();
    assert_eq!(told, [7, 8, 9, 10]);
    assert_eq!(club.game(game).players(), [9, 10].map(PlayerId::from));
    assert_eq!(club.refused(HERE, 8, Ask::Leave { game: Some(game) }), Refusal::PlayerNotInGame(8.into()));
    let answer = club.done(HERE, 9, Ask::Leave { game: None });
    check_types(answer.events(), &["player_left", "player_left", "game_cancelled"]);
    assert_eq!(club.refused(HERE, 9, Ask::Leave { game: Some(game) }), Refusal::GameCancelled);
}

#[test]
fn a_game_is_set_up_by_who_takes_part_before_it_starts() {
    let club = Club::new();
    let game = club.opened(HERE, GameConfig::of(Mode::Race), &[7, 8, 9, 10]);
    let config = GameConfig::Race { time_limit_ms: 60_000 };
    assert_eq!(
        club.refused(HERE, 77, Ask::Configure { game: Some(game), config }),
        Refusal::PlayerNotInGame(77.into())
    );
    assert_eq!(club.refused(HERE, 77, Ask::Configure { game: None, config }), Refusal::GameNotFound);
    let answer = club.done(HERE, 99, Ask::Configure { game: Some(game), config });
    assert_eq!(answer.messages().count(), 4, "who has opened it may, and the players are told");
    let answer = club.done(HERE, 7, Ask::Configure { game: None, config });
    assert!(answer.events().iter().all(|event| matches!(event, GameEvent::UserRegistered(_))), "it is so already");
    let wrong = Refusal::InvalidMode { expected: Mode::Race, got: Mode::TwoPlayer };
    assert_eq!(club.refused(HERE, 7, Ask::Configure { game: None, config: two_player(1) }), wrong);

    assert_eq!(club.refused(HERE, 7, Ask::ChangeMode { game: None, mode: Mode::TwoPlayer }), Refusal::TooManyTeams);
    let answer = club.done(Direct, 7, Ask::ChangeMode { game: None, mode: Mode::Knockout });
    let changed = News::Changed { mode: Mode::Knockout, by: 7.into() };
    assert_eq!(answer.message_to(10.into()).expect("told").news(), [changed]);
    assert_eq!(club.refused(HERE, 77, Ask::Start { game: Some(game) }), Refusal::PlayerNotInGame(77.into()));
    let answer = club.done(HERE, 99, Ask::Start { game: Some(game) });
    assert_eq!(answer.messages().count(), 4);
    let say = answer.message_to(7.into()).and_then(|message| message.situation()).cloned();
    let until = club.props.now().plus(300_000);
    assert!(
        matches!(say, Some(Situation::Say { until: Some(at), guess_count: 1, round_number: 1, .. }) if at == until)
    );
    for ask in [
        Ask::Start { game: None },
        Ask::ChangeMode { game: None, mode: Mode::Race },
        Ask::Configure { game: None, config },
    ] {
        assert_eq!(club.refused(HERE, 7, ask), Refusal::GameStarted);
    }
}

#[test]
fn too_few_teams_cannot_start() {
    let club = Club::new();
    for (mode, players) in [(Mode::Race, &[7, 8][..]), (Mode::Longform, &[11, 12, 13, 14])] {
        club.opened(HERE, GameConfig::of(mode), players);
        let refusal = Refusal::InvalidTeamCount { teams: players.len() / 2, mode };
        assert_eq!(club.refused(HERE, players[0], Ask::Start { game: None }), refusal);
    }
}

#[test]
fn a_round_is_played_with_words() {
    let club = Club::new();
    let game = club.opened(HERE, two_player(2), &[7, 8]);
    assert_eq!(club.refused(Direct, 7, say("wxq")), Refusal::GameNotStarted);
    club.done(HERE, 7, Ask::Start { game: None });
    check_types(club.say(7, "wxaq").events(), &["guess_started"]);
    assert_eq!(club.refused(Direct, 7, say("wxbq")), Refusal::GuessAlreadySubmitted);
    assert_eq!(club.refused(Direct, 8, say("no-such")), Refusal::InvalidWord(WordFault::Unknown));
    assert_eq!(club.refused(Direct, 8, say("n0")), Refusal::InvalidWord(WordFault::Strange('0')));
    check_types(club.say(8, "wxbq").events(), &["guess_processed"]);
    assert_eq!(club.refused(Direct, 8, say("wxbq")), Refusal::ForbiddenWord, "said not long ago");
    check_types(club.say(8, "Give  Up").events(), &["guess_abandoned", "words_dealt"]);
    let dealt = club.game(game).side(TeamId::of(7.into(), 8.into()).expect("two")).expect("in it").words().cloned();
    assert_eq!(club.refused(Direct, 8, say(dealt.expect("words").0.as_str())), Refusal::ForbiddenWord, "dealt");
    check_types(club.hit(7, 8).events(), &["guess_processed", "round_completed", "round_started"]);
    let answer = club.hit(8, 7);
    check_types(answer.events(), &["guess_processed", "round_completed", "game_completed", "replay_created"]);
    assert_eq!(answer.message_to(7.into()).and_then(Message::situation), Some(&Situation::Over));
    assert_eq!(club.refused(Direct, 7, Ask::Guess { game: Some(game), word: "wxq".into() }), Refusal::GameCompleted);
    assert_eq!(club.refused(Direct, 7, say("wxq")), Refusal::GameNotFound, "they are free");
}

/// Nobody is dealt a word that one of the two has said lately, however few there are.
#[test]
fn no_word_is_dealt_that_one_of_the_two_has_said_lately() {
    let club = Club::with(Props::new().words(40));
    let team = TeamId::of(7.into(), 8.into()).expect("two");
    let game = club.opened(HERE, two_player(60), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: None });
    let mut said = Vec::new();
    for _ in 0..60 {
        let dealt = club.game(game).side(team).and_then(Side::words).cloned().expect("dealt");
        let lately = said.iter().rev().take(12).collect::<Vec<_>>();
        assert!(!lately.contains(&&dealt.0.to_string()) && !lately.contains(&&dealt.1.to_string()), "{dealt:?}");
        let may_be_said =
            |word: &String| ![&dealt.0, &dealt.1].map(Word::as_str).contains(&&**word) && !lately.contains(&word);
        let text = (0..40).map(|number| numbered(number * 7 % 40)).find(may_be_said).expect("there are enough");
        club.say(7, &text);
        club.say(8, &text);
        said.push(text);
    }
    assert!(club.game(game).is_over());
}

/// A small dictionary runs out of words that nobody has said lately. They go on with those that there are.
#[test]
fn a_game_goes_on_with_few_words() {
    let mut fewest_left = 3;
    for place in 0..12 {
        let club = Club::with(Props::new().words(3));
        club.props.draw_from(place * 1_000);
        let short = club.opened(HERE, two_player(20), &[7, 8]);
        club.done(HERE, 7, Ask::Start { game: None });
        let long = club.started(Guild(1), Mode::Longform, &[7, 8, 9, 10, 11, 12]);
        let mut left = 3;
        for number in 0..12 {
            let game = Some([short, long][number % 2]);
            let word = numbered(number as u64 / 2 % 3);
            // What is dealt in the one game may be said in the other.
            if club.ask(Direct, 7, Ask::Guess { game, word }).is_ok() {
                left -= 1;
                club.done(Direct, 8, Ask::Guess { game, word: club.fresh() });
            }
        }
        for game in [short, long, short] {
            club.done(Direct, 8, Ask::Guess { game: Some(game), word: GIVE_UP.to_owned() });
        }
        fewest_left = fewest_left.min(left);
    }
    assert!(fewest_left <= 1, "there was always a pair that nobody had said");
}

/// "Per player, the last 12 valid guesses over all games", those that nobody answered among them.
#[test]
fn the_last_twelve_words_of_a_player_are_forbidden_in_every_guild() {
    let club = Club::new();
    let words = (0..14).map(|number| numbered(700_000 + number)).collect::<Vec<_>>();
    for (number, pair) in words.chunks(2).enumerate() {
        let at = Guild(number as u64);
        club.opened(at, two_player(5), &[7, 8]);
        club.done(at, 7, Ask::Start { game: None });
        club.say(7, &pair[0]);
        club.say(8, &club.fresh());
        club.say(7, &pair[1]);
        club.done(at, 7, Ask::Leave { game: None });
    }
    club.opened(HERE, two_player(5), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: None });
    for word in &words[2..] {
        assert_eq!(club.refused(Direct, 7, say(&word.to_uppercase())), Refusal::ForbiddenWord, "{word}");
    }
    club.say(8, &words[13]);
    club.say(7, &words[1]);
    club.say(7, &words[2]);
}

#[test]
fn a_game_is_held_up_and_goes_on() {
    let club = Club::new();
    let game = club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    assert_eq!(club.refused(HERE, 7, Ask::Resume { game: None }), Refusal::GameNotPaused);
    assert_eq!(club.refused(HERE, 77, Ask::Pause { game: Some(game) }), Refusal::PlayerNotInGame(77.into()));
    let answer = club.done(Direct, 7, Ask::Pause { game: None });
    assert_eq!(answer.message_to(10.into()).and_then(Message::situation), Some(&Situation::HeldUp));
    assert_eq!(club.refused(HERE, 7, Ask::Pause { game: None }), Refusal::GamePaused);
    assert_eq!(club.refused(Direct, 8, say("wxq")), Refusal::GamePaused);
    assert!(club.pass(40 * 24 * 3_600_000).is_empty(), "while paused no deadline runs");
    let resumed = club.done(HERE, 8, Ask::Resume { game: None });
    check_types(resumed.events(), &["game_resumed"]);
    assert_eq!(club.pass(179_999).len(), 0);
    assert_eq!(club.pass(1).len(), 1, "all deadlines have moved");
    let game = club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    let admin = club.caller(HERE, 500).standing(Standing::Admin);
    club.bot.ask(admin, Ask::Pause { game: Some(game) }).wait().expect("an admin may");
    assert!(
        matches!(events(club.store()).last(), Some(GameEvent::GamePaused(of)) if of.reason == PauseReason::ByAdmin)
    );
}

/// Whoever is not in a game does not make it go on, as they do not hold it up.
#[test]
fn a_game_is_resumed_by_who_takes_part_or_looks_after_the_guild() {
    let club = Club::new();
    let game = Some(club.started(HERE, Mode::Race, &[7, 8, 9, 10]));
    club.done(HERE, 7, Ask::Pause { game });
    for at in [HERE, Direct] {
        assert_eq!(club.refused(at, 77, Ask::Resume { game }), Refusal::PlayerNotInGame(77.into()));
    }
    assert_eq!(club.refused(Guild(1), 7, Ask::Resume { game }), Refusal::GuildMismatch);
    club.done(HERE, 99, Ask::Resume { game });
    club.done(HERE, 7, Ask::Pause { game });
    club.bot.ask(club.caller(HERE, 77).standing(Standing::Admin), Ask::Resume { game }).wait().expect("an admin may");
}

/// An admin is one of a guild. In a direct message there is none, and the game may be anybody's.
#[test]
fn in_a_direct_message_nobody_is_an_admin() {
    let club = Club::new();
    let game = Some(club.started(HERE, Mode::Race, &[7, 8, 9, 10]));
    for ask in [Ask::Cancel { game }, Ask::Pause { game }] {
        let admin = club.caller(Direct, 77).standing(Standing::Admin);
        let refused = club.bot.ask(admin, ask.clone()).wait().expect_err("nobody's admin");
        assert_eq!(refused.refusal(), Some(&Refusal::PlayerNotInGame(77.into())), "{ask:?}");
        let elsewhere = club.caller(Guild(1), 77).standing(Standing::Admin);
        let refused = club.bot.ask(elsewhere, ask).wait().expect_err("another guild's");
        assert_eq!(refused.refusal(), Some(&Refusal::GuildMismatch));
    }
    let admin = club.caller(HERE, 77).standing(Standing::Admin);
    let answer = club.bot.ask(admin, Ask::Cancel { game }).wait().expect("an admin may");
    assert!(matches!(answer.events().last(), Some(GameEvent::GameCancelled(of)) if of.reason == CancelReason::ByAdmin));
    assert_eq!(answer.messages().count(), 4);
}

#[test]
fn a_game_is_cancelled_by_who_takes_part() {
    let club = Club::new();
    let game = club.opened(HERE, GameConfig::of(Mode::Race), &[7, 8]);
    assert_eq!(club.refused(HERE, 77, Ask::Cancel { game: Some(game) }), Refusal::PlayerNotInGame(77.into()));
    club.done(HERE, 7, Ask::Cancel { game: None });
    assert!(club.games_of(7).is_empty() && club.games_of(8).is_empty());
    assert_eq!(club.refused(HERE, 7, Ask::Cancel { game: Some(game) }), Refusal::GameCancelled);
    assert!(club.pass(0).is_empty());
    let game = Some(club.opened(HERE, GameConfig::of(Mode::Race), &[7, 8, 9]));
    assert_eq!(club.refused(HERE, 7, Ask::Cancel { game }), Refusal::NotOpener, "others play as well");
    club.done(Direct, 99, Ask::Cancel { game });
    club.pass(0);
    assert_eq!(club.bot.next_due(), None, "nothing is due in a game that is over");
}

#[test]
fn who_is_away_is_noted() {
    let club = Club::new();
    let game = club.opened(HERE, two_player(1), &[7, 8]);
    let status = PlayerStatus::Away;
    let answer = club.done(Direct, 7, Ask::ChangeStatus { game: None, status });
    assert_eq!(answer.message_to(8.into()).expect("told").news(), [News::Status { player: 7.into(), status }]);
    assert_eq!(club.done(Direct, 7, Ask::ChangeStatus { game: None, status }), Answer::default());
    let stranger = Ask::ChangeStatus { game: Some(game), status };
    assert_eq!(club.refused(HERE, 77, stranger), Refusal::PlayerNotInGame(77.into()));
}

// Teams.

#[test]
fn two_become_a_team_and_leave_their_former_ones() {
    let club = Club::new();
    assert_eq!(club.refused(HERE, 7, Ask::Invite { invitee: 7.into(), name: None }), Refusal::SelfInvitation);
    assert_eq!(club.refused(Direct, 7, Ask::Invite { invitee: 8.into(), name: None }), Refusal::MissingGuild);
    assert_eq!(club.refused(HERE, 8, Ask::Accept { inviter: None }), Refusal::NoPendingInvitation);
    let invite = |invitee: u64| Ask::Invite { invitee: invitee.into(), name: Some("Night owls".to_owned()) };
    let answer = club.done(HERE, 7, invite(8));
    assert!(
        matches!(answer.message_to(8.into()).expect("told").news(), [News::Invited { inviter, .. }] if *inviter == 7.into())
    );
    assert_eq!(club.refused(HERE, 7, invite(8)), Refusal::AnotherInvitationPending);
    assert_eq!(club.refused(HERE, 7, Ask::Accept { inviter: Some(8.into()) }), Refusal::WrongInvitee);
    assert_eq!(club.refused(Guild(1), 8, Ask::Accept { inviter: Some(7.into()) }), Refusal::NoPendingInvitation);
    club.done(HERE, 8, Ask::Accept { inviter: None });
    club.team(HERE, 9, 10);

    club.done(HERE, 7, invite(9));
    let answer = club.done(HERE, 9, Ask::Accept { inviter: None });
    let left =
        |player: u64| News::MemberRemoved { player: player.into(), reason: Some("formed another team".to_owned()) };
    assert!(answer.messages().any(|message| message.to() == 8.into() && message.news() == [left(7)]));
    assert!(answer.messages().any(|message| message.to() == 10.into() && message.news() == [left(9)]));
    let formed = [News::TeamFormed { name: "Night owls".to_owned() }];
    assert_eq!(answer.message_to(7.into()).expect("told").news(), formed, "the new team comes first");
    assert_eq!(answer.message_to(9.into()).expect("told").news(), formed);
    let config = GameConfig::of(Mode::Race);
    let game = club.done(HERE, 9, Ask::OpenWithTeam { config }).game().expect("it is open");
    assert_eq!(club.game(game).players(), [7, 9].map(PlayerId::from));
    for single in [8, 10] {
        assert_eq!(club.refused(HERE, single, Ask::OpenWithTeam { config }), Refusal::TeamNotFound);
    }
}

#[test]
fn an_invitation_is_declined_or_comes_to_nothing() {
    let club = Club::new();
    let invite = |invitee: u64| Ask::Invite { invitee: invitee.into(), name: None };
    club.done(HERE, 7, invite(9));
    club.done(HERE, 8, invite(9));
    let ambiguous = Refusal::AmbiguousInvitation([8, 7].map(PlayerId::from).to_vec());
    assert_eq!(club.refused(HERE, 9, Ask::Accept { inviter: None }), ambiguous);
    let answer = club.done(HERE, 9, Ask::Decline { inviter: Some(7.into()) });
    assert_eq!(answer.message_to(7.into()).expect("told").news(), [News::InvitationDeclined]);
    assert_eq!(club.refused(HERE, 9, Ask::Decline { inviter: Some(7.into()) }), Refusal::NoPendingInvitation);
    assert!(club.pass(0).is_empty());
    assert_eq!(club.bot.next_due(), Some(club.props.now().plus(INVITATION_MS)));
    assert!(club.pass(INVITATION_MS - 1).is_empty());
    club.props.wait(1);
    assert_eq!(club.refused(HERE, 9, Ask::Accept { inviter: None }), Refusal::NoPendingInvitation);
    assert_eq!(club.refused(HERE, 9, Ask::Accept { inviter: Some(8.into()) }), Refusal::InvitationExpired);
    let [answer] = &club.pass(0)[..] else { panic!("one has expired") };
    assert_eq!(answer.message_to(8.into()).expect("told").news(), [News::InvitationExpired]);
    assert_eq!(club.bot.next_due(), None);
}

#[test]
fn a_team_is_renamed_left_and_taken_back() {
    let club = Club::new();
    let rename = |name: &str| Ask::Rename { name: name.to_owned() };
    assert_eq!(club.refused(HERE, 7, rename("Owls")), Refusal::TeamNotFound);
    assert_eq!(club.refused(HERE, 7, Ask::LeaveTeam { reason: None }), Refusal::TeamNotFound);
    assert_eq!(club.refused(HERE, 7, Ask::TakeBack { partner: 8.into() }), Refusal::TeamNotFound);
    assert_eq!(club.refused(HERE, 7, Ask::TakeBack { partner: 7.into() }), Refusal::AlreadyTeamMember);
    club.team(HERE, 7, 8);
    club.done(HERE, 8, rename("Owls"));
    for (name, refusal) in
        [("ab", Refusal::NameTooShort), ("", Refusal::NameTooShort), ("a\u{202e}bc", Refusal::InvalidNameFormat)]
    {
        assert_eq!(club.refused(HERE, 8, rename(name)), refusal);
    }
    let reason = Some("x".repeat(REASON_CHARS_MAX + 1));
    assert_eq!(club.refused(HERE, 8, Ask::LeaveTeam { reason }), Refusal::TextTooLong);
    assert_eq!(club.refused(HERE, 7, Ask::TakeBack { partner: 8.into() }), Refusal::AlreadyTeamMember);
    club.done(HERE, 8, Ask::LeaveTeam { reason: Some("tired".to_owned()) });
    assert_eq!(club.refused(HERE, 8, Ask::TakeBack { partner: 7.into() }), Refusal::NotTeamMember);
    let answer = club.done(HERE, 7, Ask::TakeBack { partner: 8.into() });
    assert_eq!(answer.message_to(8.into()).expect("told").news(), [News::MemberAdded { player: 8.into() }]);
    club.done(HERE, 7, Ask::OpenWithTeam { config: GameConfig::of(Mode::Race) });
    club.done(HERE, 8, Ask::LeaveTeam { reason: None });
    club.team(HERE, 8, 9);
    assert_eq!(
        club.refused(HERE, 7, Ask::TakeBack { partner: 8.into() }),
        Refusal::NotTeamMember,
        "8 has another team"
    );
}

#[test]
fn the_same_two_may_be_a_team_in_several_guilds() {
    let club = Club::new();
    club.team(Guild(1), 7, 8);
    let invite = Ask::Invite { invitee: 8.into(), name: None };
    assert_eq!(club.refused(Guild(1), 7, invite), Refusal::TeamExists);
    club.team(Guild(2), 7, 8);
    club.team(Guild(2), 7, 9);
    let open = || Ask::OpenWithTeam { config: GameConfig::of(Mode::Longform) };
    club.done(Guild(1), 7, open());
    assert_eq!(club.refused(Guild(2), 8, open()), Refusal::TeamNotFound, "there, 7 has left for another");
    club.done(Guild(2), 9, open());
}

// Users.

#[test]
fn who_asks_for_the_first_time_is_registered() {
    let club = Club::new();
    club.open(HERE, two_player(1));
    let user = |player: u64| {
        club.store().aggregate::<User>(&PlayerId::from(player).stream()).load().expect("read").into_state()
    };
    assert_eq!(user(99).name(), Some("player 99"));
    assert_eq!(user(99).first_guild(), Some(900.into()));
    let ask = Ask::Open { config: two_player(1) };
    club.bot.ask(club.caller(HERE, 98).named("Ada"), ask.clone()).wait().expect("anybody may");
    club.bot.ask(club.caller(Guild(1), 98).named("Bob"), ask.clone()).wait().expect("anybody may");
    assert_eq!((user(98).name(), user(98).first_guild()), (Some("Ada"), Some(900.into())));
    // What Discord lets somebody be called and the rules do not is no reason to keep them from playing.
    for (player, name) in [(1, ""), (2, "\u{200b}"), (3, "\u{202e}evil"), (4, "x\ny"), (5, &"n".repeat(101))] {
        club.bot.ask(club.caller(HERE, player).named(name), ask.clone()).wait().expect("anybody may");
        assert_eq!(user(player).name(), Some(&*format!("player {player}")), "{name:?}");
    }
}

/// The first thing that somebody asks may be about themselves.
#[test]
fn who_changes_the_profile_first_of_all_is_registered_with_it() {
    let club = Club::new();
    let user = |player: u64| {
        club.store().aggregate::<User>(&PlayerId::from(player).stream()).load().expect("read").into_state()
    };
    let profile = Ask::UpdateProfile { display_name: "Ada".to_owned() };
    let answer = club.done(HERE, 7, profile.clone());
    check_types(answer.events(), &["user_registered", "user_profile_updated"]);
    assert_eq!((user(7).name(), user(7).first_guild()), (Some("Ada"), Some(900.into())));
    assert!(club.done(HERE, 7, profile.clone()).events().is_empty(), "it is so already");

    let notifications = BTreeMap::from([("rounds".to_owned(), Setting::Switch(true))]);
    let preferences = Ask::ChangePreferences { notifications: notifications.clone(), ui: BTreeMap::new() };
    club.done(HERE, 8, preferences.clone());
    assert_eq!((user(8).name(), user(8).notifications()), (Some("player 8"), &notifications));
    club.done(Direct, 8, Ask::UpdateProfile { display_name: "Bob".to_owned() });
    assert_eq!((user(8).name(), user(8).notifications()), (Some("Bob"), &notifications), "what is not named stays");

    for ask in [profile, preferences] {
        assert_eq!(club.refused(Direct, 9, ask), Refusal::UserNotFound, "nobody knows in which guild");
    }
    let nameless = Ask::UpdateProfile { display_name: "\u{200b}".to_owned() };
    assert_eq!(club.refused(HERE, 9, nameless), Refusal::InvalidNameFormat);
    let many = (0..=SETTINGS_MAX).map(|number| (number.to_string(), Setting::Number(1))).collect();
    let many = Ask::ChangePreferences { notifications: many, ui: BTreeMap::new() };
    assert_eq!(club.refused(HERE, 9, many), Refusal::TextTooLong);
}

#[test]
fn every_ask_has_a_name_of_its_own() {
    let game = None;
    let config = two_player(1);
    let [notifications, ui] = [BTreeMap::new(), BTreeMap::new()];
    let (id, player) = (GameId::new(Moment::default(), [0; 10]), team(1).players()[0]);
    let name = "otter-123".parse::<ReplayName>().expect("a name");
    let asks = [
        Ask::Open { config },
        Ask::OpenWithTeam { config },
        Ask::Join { game: id },
        Ask::JoinWithTeam { game: id },
        Ask::Leave { game },
        Ask::ChangeStatus { game, status: PlayerStatus::Away },
        Ask::Configure { game, config },
        Ask::ChangeMode { game, mode: Mode::Race },
        Ask::Start { game },
        say("wxq"),
        Ask::Pause { game },
        Ask::Resume { game },
        Ask::Cancel { game },
        Ask::Invite { invitee: player, name: None },
        Ask::Accept { inviter: None },
        Ask::Decline { inviter: None },
        Ask::Rename { name: String::new() },
        Ask::LeaveTeam { reason: None },
        Ask::TakeBack { partner: player },
        Ask::UpdateProfile { display_name: String::new() },
        Ask::ChangePreferences { notifications, ui },
        Ask::Replay { name, access: ReplayAccess::View },
    ];
    let mut names = asks.iter().map(Ask::name).collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), asks.len());
    let club = Club::new();
    // Whoever is nowhere is refused by name, whatever they ask.
    for ask in asks.into_iter().filter(|ask| !matches!(ask, Ask::Open { .. })) {
        for (at, player) in [(HERE, 7), (Direct, 8)] {
            let asked = club.ask(at, player, ask.clone());
            if !matches!(ask, Ask::Invite { .. } | Ask::ChangePreferences { .. }) || at == Direct {
                assert!(asked.as_ref().is_err_and(|error| error.refusal().is_some()), "{ask:?}: {asked:?}");
            }
        }
    }
}
