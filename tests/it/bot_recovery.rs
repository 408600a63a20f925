//! Going on after the bot was away: all games are there, no time has passed for them, and what cannot be read is in nobody's
//! way.

use super::bot::{Club, Direct, Guild, HERE, Props, caller, events, say, two_player};
use super::game::{Table, numbered};
use super::support::{eventually, name};
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::testing::SimulatedDisk;
use scorebook::{Event, EventStore, ExpectedVersion, NewEvent};
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Puts games of all modes and in all phases into a store, each with players of its own. Gives each as it was left.
fn play_many(store: &EventStore, count: u64) -> Vec<Game> {
    let mut chance = Chance(seed());
    let games = (0..count).map(|number| {
        let mode = Mode::ALL[number as usize % 5];
        let id = GameId::new(super::game::NOON.plus(number), [number as u8; 10]);
        // One team more than it takes, so that a knockout has a second round.
        let count = *mode.teams().start() as u64 + u64::from(mode == Mode::Knockout);
        let teams = (0..count).map(|team| super::game::team(12 * number + team)).collect::<Vec<_>>();
        let mut table = Table::open_as(id, GameConfig::of(mode), &teams);
        let goes_on = |table: &Table| !table.game.is_over();
        if !chance.one_in(6) {
            table.start();
            for _ in 0..chance.below(12) {
                let player = *chance.pick(&table.game.players());
                let text = numbered(chance.below(9) as u64);
                table.wait(chance.below(5_000) as u64);
                let before = table.clone();
                let _ = table.try_act(table.guess(player, &text));
                table = if goes_on(&table) { table } else { before };
            }
            if mode == Mode::Knockout && chance.one_in(2) {
                // Between two rounds, unless that is the end.
                let before = table.clone();
                teams.iter().for_each(|team| drop(table.try_hit(*team)));
                table = if goes_on(&table) { table } else { before };
            }
            if chance.one_in(5) {
                table.act(GameAction::Pause { reason: PauseReason::ByPlayers, by: Some(table.game.players()[0]) });
            }
        }
        let new = table.events.iter().map(|event| event.dress(event.encode().expect("it can be written")));
        (table.game.clone(), new.collect::<Vec<_>>())
    });
    let games = games.collect::<Vec<_>>();
    for part in games.chunks(200) {
        let batch = part.iter().fold(store.batch(), |batch, (game, new)| {
            batch.append(&game.id().expect("an id").stream(), ExpectedVersion::NoStream, new.clone())
        });
        batch.commit().wait().expect("they are new");
    }
    games.into_iter().map(|(game, _)| game).collect()
}

/// Whether a game gets a pause for the time that the bot was away.
fn gets_a_pause(game: &Game) -> bool {
    game.is_clocked() && game.paused_since().is_none()
}

/// Every game goes on as it was left, and who takes part in it is told where it stands.
fn check_taken_up(store: &EventStore, games: &[Game], recovered: &Recovered) {
    let ids = games.iter().map(|game| game.id().expect("an id")).collect::<Vec<_>>();
    assert_eq!(recovered.games(), ids, "the oldest first");
    assert!(recovered.hints().is_empty(), "{:?}", recovered.hints());
    let mut told = BTreeMap::<GameId, Vec<PlayerId>>::new();
    for message in recovered.messages() {
        let Subject::Game(game) = message.about() else { panic!("of games") };
        assert!(message.news().is_empty() && message.situation().is_some());
        told.entry(game).or_default().push(message.to());
    }
    for before in games {
        let id = before.id().expect("an id");
        let after = store.aggregate::<Game>(&id.stream()).load().expect("read").into_state();
        assert!(after.is_same_play(before), "{before:?}\n{after:?}");
        assert_eq!(after.paused_since(), before.paused_since(), "who is held up stays held up");
        assert_eq!(told.remove(&id).unwrap_or_default(), before.players());
    }
}

#[test]
fn a_thousand_games_go_on_as_they_were_left() {
    let store = EventStore::open_in_memory().expect("a store");
    let games = play_many(&store, 1_000);
    let count = |is_so: &dyn Fn(&Game) -> bool| games.iter().filter(|game| is_so(game)).count();
    let open = count(&|game| game.phase() == Phase::Open);
    let between = count(&|game| game.phase() == Phase::BetweenRounds);
    let paused = count(&|game| game.paused_since().is_some());
    let waiting = count(&|game| game.sides().any(|side| side.pending().is_some()));
    assert!(50 < open && 5 < between && 50 < paused && 100 < waiting, "{open}, {between}, {paused}, {waiting}");

    let props = Props::new();
    props.wait(10 * 3_600_000);
    let before = events(&store).len();
    let (bot, recovered) = Bot::start(&store, props.setup()).wait().expect("it starts");
    check_taken_up(&store, &games, &recovered);
    let happened = events(&store).split_off(before);
    let mut pairs = happened.chunks(2).map(|pair| match pair {
        [GameEvent::GamePaused(paused), GameEvent::GameResumed(resumed)] => {
            assert_eq!((paused.reason, paused.by, resumed.by), (PauseReason::BotRestart, None, None));
            assert_eq!(
                (resumed.base.game_id, resumed.paused_ms),
                (paused.base.game_id, props.now().since(paused.since))
            );
            paused.base.game_id
        }
        [GameEvent::RecoveryPerformed(of)] => {
            assert_eq!((&of.games[..], of.down_ms, &of.hints[..]), (recovered.games(), recovered.down_ms(), &[][..]));
            GameId::new(Moment::default(), [0; 10])
        }
        other => panic!("a pause and its end, not {other:?}"),
    });
    let clocked = games.iter().filter(|game| gets_a_pause(game)).filter_map(Game::id);
    assert!(clocked.eq(pairs.by_ref().take(count(&gets_a_pause))) && pairs.count() == 1);

    // Directly behind it another one, with nothing to be done twice.
    let (bot, again) = (bot, Bot::start(&store, props.setup()).wait().expect("it starts").1);
    check_taken_up(&store, &games, &again);
    assert_eq!((again.down_ms(), again.games()), (0, recovered.games()));
    // They are told the same, of a game that is two events further.
    let told =
        |of: &Recovered| of.messages().map(|of| (of.to(), of.about(), of.situation().cloned())).collect::<Vec<_>>();
    assert_eq!(told(&again), told(&recovered));

    // All of them end: who is held up goes on first.
    for game in games.iter().filter(|game| game.paused_since().is_some()) {
        let (id, player) = (game.id().expect("an id"), game.players()[0].get());
        bot.ask(
            caller(id.stream().as_str().len() as u64 + player * 1_000, Direct, player),
            Ask::Resume { game: Some(id) },
        )
        .wait()
        .expect("it is held up");
    }
    let club = Club::of(bot, props);
    club.play_out();
    for game in games.iter().step_by(7) {
        assert!(club.game(game.id().expect("an id")).is_over());
    }
    assert!(club.restart_is_quiet());
}

impl Club {
    /// Whether a start finds nothing to take up.
    fn restart_is_quiet(mut self) -> bool {
        let recovered = self.restart();
        recovered.games().is_empty() && recovered.messages().count() == 0
    }
}

/// Cut off anywhere, and once more, a start does no harm: the next takes up all games.
#[test]
fn a_start_that_is_killed_is_taken_up_by_the_next() {
    let disk = SimulatedDisk::new(seed());
    let games = play_many(&EventStore::options().open_simulated(&disk).expect("it opens"), 520);
    let disk = disk.kill();
    let props = Props::new();
    for stop_at in 1.. {
        let mut disk = disk.kill();
        let mut cuts = 0;
        // The power is cut while the store is opened or the games are taken up, and again on the next way.
        let (store, recovered) = loop {
            props.wait(60_000);
            if cuts < 2 {
                disk.stop_at(stop_at + cuts);
            }
            let started = EventStore::options().open_simulated(&disk).and_then(|store| {
                let (_, recovered) = Bot::start(&store, props.setup()).wait()?;
                Ok((store, recovered))
            });
            match started {
                Ok(started) => {
                    disk.heal();
                    break started;
                }
                Err(_) => assert!(disk.has_stopped()),
            }
            cuts += 1;
            disk = disk.kill();
        };
        check_taken_up(&store, &games, &recovered);
        if cuts == 0 {
            assert!(3 < stop_at, "only {stop_at} places to stop");
            break;
        }
    }
}

#[test]
fn games_that_ended_meanwhile_are_not_taken_up() {
    let mut club = Club::new();
    let first = club.started(HERE, Mode::Race, &[1, 2, 3, 4]);
    let second = club.started(Guild(1), Mode::Knockout, &[5, 6, 7, 8]);
    assert_eq!(club.restart().games(), [first, second]);
    let third = club.started(HERE, Mode::Longform, &[1, 2, 3, 4, 5, 6]);
    club.done(HERE, 99, Ask::Cancel { game: Some(first) });
    club.done(Direct, 5, Ask::Leave { game: Some(second) });
    assert_eq!(club.restart().games(), [third]);
    club.done(HERE, 99, Ask::Cancel { game: Some(third) });
    assert!(club.restart().games().is_empty());
    let fourth = club.started(HERE, Mode::Race, &[1, 2, 3, 4]);
    assert_eq!(club.restart().games(), [fourth]);
    let performed = events(club.store()).into_iter().filter(|event| matches!(event, GameEvent::RecoveryPerformed(_)));
    assert_eq!(performed.count(), 3, "where there is nothing to take up, nothing is noted");
}

/// "Downtime does not count": of a race with a word pending, the rest of the time is left, and the partner answers.
#[test]
fn a_race_goes_on_where_it_was_left() {
    let mut club = Club::new();
    let id = club.started(HERE, Mode::Race, &[1, 2, 3, 4]);
    club.props.wait(100_000);
    club.say(1, "wxaq");
    club.props.wait(10 * 24 * 3_600_000);
    let recovered = club.restart();
    assert_eq!(recovered.down_ms(), 10 * 24 * 3_600_000);
    let told = recovered.messages().find(|message| message.to() == 1.into()).and_then(Message::situation);
    let until = Some(club.props.now().plus(80_000));
    assert_eq!(told, Some(&Situation::WaitForPartner { said: super::game::word("wxaq"), until }));
    assert_eq!(club.bot.next_due(), until);
    club.props.wait(79_999);
    club.say(2, "wxaq");
    assert_eq!(club.pass(0).len(), 0);
    assert_eq!(club.pass(1).len(), 1);
    assert!(club.game(id).is_over());
}

// What cannot be read.

/// An event as nobody wrote it, in a game's stream or elsewhere, with the tags that such an event has.
fn forge(store: &EventStore, stream: &str, event_type: &str, players: &[u64]) {
    let forged = NewEvent::json(event_type, &"forged").expect("JSON").tag("guild", 900).tag("mode", "race");
    let forged = forged.occurred(super::game::NOON);
    let forged = players.iter().fold(forged, |forged, player| forged.tag("player", player));
    store.append(&name(stream), ExpectedVersion::Any, [forged]).wait().expect("the store does not know");
}

fn notes(store: &EventStore) -> Vec<GameId> {
    let notes = store.read(&GuildId::from(900).refusal_stream()).into_iter().filter_map(|event| {
        let event = event.ok().filter(|event| event.event_type() == "round_check_error")?;
        Some(event.json::<RoundCheckError>().expect("a note").game_id)
    });
    notes.collect()
}

#[test]
fn a_game_that_cannot_be_read_keeps_no_other_from_going_on() {
    for event_type in ["guess_processed", "game_started", "no_such_event"] {
        let mut club = Club::new();
        let broken = club.started(HERE, Mode::Race, &[1, 2, 3, 4]);
        let sound = club.started(HERE, Mode::Race, &[5, 6, 7, 8]);
        forge(club.store(), broken.stream().as_str(), event_type, &[]);
        // As long as the bot runs, the others go on, and of this one it is noted once why it does not.
        club.props.wait(180_000);
        let barrier = Barrier::new(6);
        let pass = || {
            barrier.wait();
            club.bot.pass_time().wait().expect("it works");
        };
        thread::scope(|scope| (0..6).for_each(|_| drop(scope.spawn(pass))));
        assert!(club.game(sound).is_over(), "{event_type}");
        // Nobody waits for the note.
        eventually("it is noted", || !notes(club.store()).is_empty());
        assert_eq!(notes(club.store()), [broken], "{event_type}");
        assert!(club.pass(600_000).is_empty() && notes(club.store()).len() == 1);
        let refused = club.ask(Direct, 1, say("wxaq")).expect_err("it cannot be read");
        assert!(refused.refusal().is_none(), "{refused}");

        let other = club.started(HERE, Mode::Longform, &[5, 6, 7, 8, 9, 10]);
        for _ in 0..3 {
            let recovered = club.restart();
            assert_eq!(recovered.games(), [other]);
            // Each time: it may be the program that is too old to read it.
            let [hint] = recovered.hints() else { panic!("one hint: {:?}", recovered.hints()) };
            assert!(hint.starts_with(&broken.stream().to_string()), "{hint}");
            let log = club.store().read(&name("bot-recovery")).backwards().limit(1);
            let performed = log.into_iter().next().expect("noted").expect("read").json::<RecoveryPerformed>();
            assert_eq!(performed.expect("an event").hints, recovered.hints());
        }
        club.done(HERE, 99, Ask::Cancel { game: Some(other) });
        let alone = club.restart();
        assert_eq!((alone.games().len(), alone.hints().len()), (0, 1), "also where there is nothing else");
        let Some(GameEvent::RecoveryPerformed(noted)) = events(club.store()).pop() else { panic!("it is noted") };
        assert_eq!((&noted.games[..], &noted.hints[..]), (&[broken][..], alone.hints()));
        assert_eq!(club.restart().hints().len(), 1);
    }
}

/// A forged word that names a player of other games: it is none, and they go on playing.
#[test]
fn a_word_that_cannot_be_read_forbids_nothing_elsewhere() {
    let club = Club::new();
    let game = club.started(HERE, Mode::Knockout, &[1, 2, 3, 4, 5, 6]);
    let other = club.open(Guild(1), two_player(1));
    for event_type in ["guess_started", "guess_processed"] {
        forge(club.store(), other.stream().as_str(), event_type, &[1, 2, 3, 4, 5, 6]);
    }
    club.say(1, "wxaq");
    club.say(2, "wxaq");
    club.hit(3, 4);
    club.hit(5, 6);
    club.pass(5_000);
    assert_eq!((club.game(game).phase(), club.game(game).round()), (Phase::InRound, 2), "words are dealt to them");
    assert_eq!(club.refused(Direct, 1, say("wxaq")), Refusal::ForbiddenWord, "what can be read is forbidden");
    assert_eq!(notes(club.store()), []);
}

#[test]
fn forged_teams_and_recoveries_keep_no_bot_from_starting() {
    let mut club = Club::new();
    let game = club.started(HERE, Mode::Race, &[1, 2, 3, 4]);
    club.done(HERE, 5, Ask::Invite { invitee: 6.into(), name: None });
    forge(club.store(), "team-900-7-8", "team_invitation_created", &[7, 8]);
    forge(club.store(), "bot-recovery", "recovery_performed", &[]);
    forge(club.store(), "bot-recovery", "no_such_event", &[]);
    for _ in 0..2 {
        assert_eq!(club.restart().games(), [game]);
        forge(club.store(), "bot-recovery", "recovery_performed", &[]);
    }
    club.pass(INVITATION_MS);
    assert!(events_of_type(&club, "team_invitation_declined") == 1, "the invitation that can be read expires");
}

fn events_of_type(club: &Club, event_type: &str) -> usize {
    let events = club
        .store()
        .read_all()
        .into_iter()
        .filter(|event| event.as_ref().expect("an event").event_type() == event_type);
    events.count()
}

#[test]
fn invitations_expire_after_a_restart_however_long_the_bot_was_away() {
    for down_ms in [0, 60_000, INVITATION_MS, 30 * 24 * 3_600_000] {
        let mut club = Club::new();
        club.done(HERE, 7, Ask::Invite { invitee: 8.into(), name: None });
        club.done(HERE, 9, Ask::Invite { invitee: 10.into(), name: None });
        club.done(HERE, 10, Ask::Decline { inviter: None });
        club.props.wait(down_ms);
        club.restart();
        let answers = club.pass(INVITATION_MS);
        let [answer] = &answers[..] else { panic!("{down_ms} ms: one has expired, not {answers:?}") };
        assert_eq!(answer.message_to(7.into()).expect("told").news(), [News::InvitationExpired]);
        assert_eq!(club.bot.next_due(), None);
    }
}

/// What is opened by another bot while this one starts is taken up by the next.
#[test]
fn a_game_that_is_opened_during_a_start_is_not_forgotten() {
    let store = EventStore::open_in_memory().expect("a store");
    play_many(&store, 60);
    let mut club = Club::on(&store, Props::new());
    for round in 0..8 {
        let is_done = AtomicBool::new(false);
        let opened = thread::scope(|scope| {
            let opening = scope.spawn(|| {
                let mut opened = 0;
                while !is_done.load(Ordering::SeqCst) && opened < 200 {
                    club.open(HERE, two_player(1));
                    opened += 1;
                }
                opened
            });
            Bot::start(&store, club.props.setup()).wait().expect("it starts");
            is_done.store(true, Ordering::SeqCst);
            opening.join().expect("no panic")
        });
        let open = events(&store).iter().filter(|event| matches!(event, GameEvent::GameCreated(_))).count();
        let found = club.restart().games().len();
        assert_eq!(found, open, "round {round}: {opened} were opened meanwhile");
    }
}
