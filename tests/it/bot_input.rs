//! What nobody should send, and somebody will.

use super::bot::{Club, Direct, Guild, HERE, events, is_kept, say, two_player};
use super::game::numbered;
use crate::model::{Chance, Choices, seed};
use scorebook::ExecuteError;
use scorebook::game::*;

const STRANGE: [&str; 16] = [
    "",
    " ",
    "\u{0}",
    "\u{feff}",
    "\u{202e}live",
    "e\u{301}\u{301}\u{301}\u{301}",
    "🦀🦀",
    "👨‍👩‍👧",
    "ﷺ",
    "İI",
    "ß",
    "a-",
    "-",
    "'",
    "\u{1F1E9}\u{1F1EA}",
    "двойка",
];

#[test]
fn typed_commands_say_what_they_say() {
    let game = GameId::new(Moment::from_millis(1), [3; 10]);
    let typed = [
        ("open race", Ask::Open { config: GameConfig::of(Mode::Race) }),
        ("  OPEN\tGolf Race  ", Ask::Open { config: GameConfig::of(Mode::GolfRace) }),
        ("open two-player team", Ask::OpenWithTeam { config: GameConfig::of(Mode::TwoPlayer) }),
        (&format!("join {game}"), Ask::Join { game }),
        (&format!("join {game} TEAM"), Ask::JoinWithTeam { game }),
        ("leave", Ask::Leave { game: None }),
        ("Start", Ask::Start { game: None }),
        ("cancel", Ask::Cancel { game: None }),
        ("pause", Ask::Pause { game: None }),
        ("resume", Ask::Resume { game: None }),
        ("away", Ask::ChangeStatus { game: None, status: PlayerStatus::Away }),
        ("back", Ask::ChangeStatus { game: None, status: PlayerStatus::Active }),
        ("mode longform", Ask::ChangeMode { game: None, mode: Mode::Longform }),
        ("guess Otter", say("Otter")),
        ("give up", say(GIVE_UP)),
        ("Give Up", say(GIVE_UP)),
        ("GIVE \t UP ", say(GIVE_UP)),
        ("team <@!12> Night owls", Ask::Invite { invitee: 12.into(), name: Some("Night owls".to_owned()) }),
        ("team 12", Ask::Invite { invitee: 12.into(), name: None }),
        ("ok", Ask::Accept { inviter: None }),
        ("ok <@12>", Ask::Accept { inviter: Some(12.into()) }),
        ("no 12", Ask::Decline { inviter: Some(12.into()) }),
        ("rename Night owls", Ask::Rename { name: "Night owls".to_owned() }),
        ("unteam", Ask::LeaveTeam { reason: None }),
        ("replay Otter-123", Ask::Replay { name: "otter-123".parse().expect("a name"), access: ReplayAccess::View }),
    ];
    for (text, ask) in typed {
        assert_eq!(Ask::typed(text), Ok(ask), "{text:?}");
    }
}

#[test]
fn malformed_commands_are_refused_by_name() {
    let unknown = [
        "dance",
        "open",
        "open team",
        "open race race",
        "mode",
        "mode 7",
        "guess",
        "give",
        "give up now",
        "leave now",
        "team",
        "team owls",
        "team <@>",
        "team <@&12>",
        "team <#12>",
        "team -12",
        "team +12",
        "team 18446744073709551616",
        "team ١٢",
        "team <@!!12>",
        "team <@12",
        "team !12",
        "ok then",
        "no <@x>",
        "unteam 12",
        "\u{0}",
        "stärt",
        "open\u{a0}dance",
    ];
    for text in unknown {
        assert_eq!(Ask::typed(text), Err(Refusal::UnknownCommand), "{text:?}");
    }
    for text in ["join", "join 12", "join team", "join game-0", "join 00000000000000000000000000000000", "join 🦀"] {
        assert_eq!(Ask::typed(text), Err(Refusal::GameNotFound), "{text:?}");
    }
    for text in ["replay", "replay otter", "replay otter-12", "replay -123", "replay otter-12x", "replay ötter-123"] {
        assert_eq!(Ask::typed(text), Err(Refusal::ReplayNotFound), "{text:?}");
    }
    let long = "x".repeat(2_001);
    for text in ["", " \t\n", "\u{3000}", &long] {
        assert_eq!((Ask::typed(text), Ask::direct(text)), (Err(Refusal::InvalidMessage), Err(Refusal::InvalidMessage)));
    }
    assert_eq!(Ask::direct(&"🦀".repeat(2_000)), Ok(say(&"🦀".repeat(2_000))));
    assert_eq!(Ask::direct(" start "), Ok(say("start")), "a direct message is no command");
}

/// Whatever is typed, there is an answer or a refusal with a name, and nothing is lost or half done.
#[test]
fn whatever_is_typed_is_answered() {
    let seed = seed();
    let (club, mut chance) = (Club::new(), Chance(seed));
    let games = [club.started(HERE, Mode::Race, &[1, 2, 3, 4]), club.open(HERE, two_player(1))];
    let words =
        ["open", "join", "leave", "start", "mode", "guess", "team", "ok", "no", "rename", "replay", "race", "pause"];
    let mut typed = 0;
    for step in 0..1_500 {
        let parts = (0..1 + chance.below(4)).map(|_| match chance.below(6) {
            0 | 1 => (*chance.pick(&words)).to_owned(),
            2 => (*chance.pick(&STRANGE)).to_owned(),
            3 => format!("<@{}>", chance.below(9)),
            4 => numbered(chance.below(9) as u64),
            _ => chance.pick(&games).to_string(),
        });
        let text = parts.collect::<Vec<_>>().join(" ");
        let read = if chance.one_in(4) { Ask::direct(&text) } else { Ask::typed(&text) };
        let Ok(ask) = read else { continue };
        typed += 1;
        let before = club.head();
        let at = *chance.pick(&[HERE, Direct, Guild(1)]);
        match club.ask(at, 1 + chance.below(6) as u64, ask.clone()) {
            Ok(_) => {}
            Err(ExecuteError::Refused(refusal)) => {
                let happened = events(club.store()).split_off(before);
                assert!(happened.iter().all(is_kept), "seed {seed}, step {step}: {text:?}: {refusal}: {happened:?}");
                assert!(!refusal.name().is_empty() && !refusal.to_string().is_empty());
            }
            Err(other) => panic!("seed {seed}, step {step}: {text:?}: {other}"),
        }
    }
    assert!(300 < typed, "only {typed} were commands");
}

/// What is no word is refused as such, and what was said is kept, but never more of it than anybody reads.
#[test]
fn strange_words_are_kept_and_change_nothing() {
    let club = Club::new();
    let id = club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    club.say(7, "wxaq");
    let game = club.game(id);
    let long = "🦀".repeat(2_000);
    for text in STRANGE.into_iter().chain([&*long, "w".repeat(51).as_str(), "wa\nq"]) {
        let refusal = club.refused(Direct, 8, say(text));
        assert!(matches!(refusal, Refusal::InvalidWord(_)), "{text:?}: {refusal:?}");
        let Some(GameEvent::GuessError(kept)) = events(club.store()).pop() else { panic!("kept: {text:?}") };
        assert_eq!((kept.player_id, &*kept.reason, kept.guild_id), (8.into(), refusal.name(), 900.into()));
        assert!(text.trim().starts_with(&kept.word) && kept.word.chars().count() <= 100);
        assert_eq!(club.game(id), game);
    }
    club.done(Direct, 9, Ask::Pause { game: None });
    club.refused(Direct, 8, say("wxbq"));
    let Some(GameEvent::GuessPairError(kept)) = events(club.store()).pop() else { panic!("kept as a pair") };
    assert_eq!((&*kept.word1, &*kept.word2, &*kept.reason), ("wxaq", "wxbq", "game_paused"));
    club.refused(Direct, 7, say("wxbq"));
    assert!(matches!(events(club.store()).pop(), Some(GameEvent::GuessError(_))), "no word of another waited");
    club.done(Direct, 9, Ask::Resume { game: None });
    club.say(8, "wxaq");
}

/// A word from nowhere is nobody's to keep.
#[test]
fn a_word_outside_of_all_games_leaves_nothing_behind() {
    let club = Club::new();
    club.open(HERE, two_player(1));
    let head = club.head();
    assert_eq!(club.refused(HERE, 7, say("wxaq")), Refusal::GameNotFound);
    let unknown = Ask::Guess { game: Some(GameId::new(Moment::MAX, [7; 10])), word: "wxaq".to_owned() };
    assert_eq!(club.refused(Direct, 7, unknown), Refusal::GameNotFound);
    assert_eq!(club.head(), head);
    club.pass(1_000);
    assert_eq!(club.bot.next_due(), Some(Moment::from_millis(club.props.now().millis() - 1_000 + 3_600_000)));
}

/// A clock that shows a time that cannot be recorded: refused, and nothing is forgotten once it shows the right one again.
#[test]
fn a_time_beyond_all_times_is_refused() {
    let club = Club::new();
    let id = club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    let now = club.props.now();
    club.props.set_now(Moment::from_millis(u64::MAX));
    for ask in [say("wxaq"), say(""), Ask::Open { config: two_player(1) }, Ask::Leave { game: None }] {
        assert_eq!(club.refused(HERE, 7, ask), Refusal::InvalidTime);
    }
    assert!(club.pass(0).is_empty());
    club.props.set_now(now.plus(180_000));
    club.pass(0);
    club.pass(60_000);
    assert!(club.game(id).is_over(), "the race has ended all the same");
}
