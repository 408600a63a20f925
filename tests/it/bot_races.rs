//! Many at once: one outcome, and the same after a replay.

use super::bot::{Account, Asked, At, Club, Direct, Guild, HERE, events, refusal, say};
use super::game::word;
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::{Aggregate, EventContext, Position, Timestamp, Version};
use std::sync::Barrier;
use std::thread;

/// Has all of these asked at once, each on its own thread. Gives what came of each.
fn at_once(club: &Club, asks: &[(At, u64, Ask)]) -> Vec<Asked> {
    let barrier = Barrier::new(asks.len());
    let ask = |(at, player, ask): &(At, u64, Ask)| {
        let asking = club.bot.ask(club.caller(*at, *player), ask.clone());
        barrier.wait();
        asking.wait()
    };
    thread::scope(|scope| {
        let threads = asks.iter().map(|one| scope.spawn(|| ask(one))).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// A replay of all events of a game gives the state that is kept.
fn check_replay(club: &Club, game: GameId) {
    let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
    let mut replayed = Game::new(&game.stream());
    let of_game =
        events(club.store()).into_iter().filter(|event| event.base().is_some_and(|base| base.game_id == game));
    of_game.for_each(|event| replayed.apply(&event, &context));
    assert_eq!(replayed, club.game(game));
}

fn side(club: &Club, game: GameId, one: u64, other: u64) -> Side {
    let team = TeamId::of(one.into(), other.into()).expect("two");
    club.game(game).side(team).expect("in the game").clone()
}

#[test]
fn both_words_at_once_are_compared_once() {
    let club = Club::new();
    let game = club.opened(HERE, super::bot::two_player(100), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: None });
    for round in 1..=30 {
        let text = club.fresh();
        let asked = at_once(&club, &[(Direct, 7, say(&text)), (Direct, 8, say(&text))]);
        assert!(asked.iter().all(Result::is_ok), "round {round}: {asked:?}");
        let side = side(&club, game, 7, 8);
        assert_eq!((side.matches(), side.total_guesses(), side.round()), (round, round, round + 1));
        // Whoever was second is told of the match, and nobody of a word before.
        let matched = asked.iter().flatten().filter(|answer| answer.events().len() == 3).count();
        assert_eq!(matched, 1);
    }
    check_replay(&club, game);
}

/// The same player's two words: one waits, the other is too many.
#[test]
fn two_words_of_one_player_at_once_are_one_word() {
    let club = Club::new();
    let game = club.opened(HERE, super::bot::two_player(100), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: None });
    for _ in 0..15 {
        let texts = [club.fresh(), club.fresh()];
        let asked = at_once(&club, &[(Direct, 7, say(&texts[0])), (Direct, 7, say(&texts[1]))]);
        let said = asked.iter().position(Result::is_ok).expect("one was first");
        let refused = asked.into_iter().nth(1 - said).expect("two");
        assert_eq!(refusal(refused), Refusal::GuessAlreadySubmitted);
        let pending = side(&club, game, 7, 8).pending().cloned().expect("it waits");
        assert_eq!(pending.word, word(&texts[said]));
        club.say(8, &texts[said]);
    }
    check_replay(&club, game);
}

/// What a player said last is forbidden to them over all games, also where they say it in two of them at once.
#[test]
fn one_word_in_two_games_at_once_is_taken_in_one() {
    let club = Club::new();
    let short = club.opened(HERE, super::bot::two_player(100), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: None });
    let long = club.started(Guild(1), Mode::Longform, &[7, 8, 9, 10, 11, 12]);
    for _ in 0..20 {
        let text = club.fresh();
        let asks = [short, long].map(|game| (Direct, 7, Ask::Guess { game: Some(game), word: text.clone() }));
        let asked = at_once(&club, &asks);
        let taken = asked.iter().position(Result::is_ok).expect("one was first");
        let refused = asked.into_iter().nth(1 - taken).expect("two");
        assert_eq!(refusal(refused), Refusal::ForbiddenWord);
        let game = Some([short, long][taken]);
        club.done(Direct, 8, Ask::Guess { game, word: club.fresh() });
    }
}

#[test]
fn a_guess_and_a_deadline_have_one_outcome() {
    let (mut in_time, mut late) = (0, 0);
    for number in 0..30 {
        let club = Club::new();
        let game = club.started(HERE, Mode::Knockout, &[7, 8, 9, 10]);
        club.hit(9, 10);
        let text = club.fresh();
        club.say(7, &text);
        // Asked in time, and done at the same moment at which the time is up.
        club.props.wait(299_999);
        let guess = club.bot.ask(club.caller(Direct, 8), say(&text));
        club.props.wait(1);
        let barrier = Barrier::new(2);
        let (guessed, passed) = thread::scope(|scope| {
            let guessed = scope.spawn(|| {
                barrier.wait();
                (0..number % 7).for_each(|_| thread::yield_now());
                guess.wait()
            });
            barrier.wait();
            let passed = club.bot.pass_time().wait().expect("the store works");
            (guessed.join().expect("no panic"), passed)
        });
        match guessed {
            // All have matched, so the round is over by itself: one of two goes, and the game is over.
            Ok(answer) => {
                assert!(answer.events().iter().any(|event| matches!(event, GameEvent::GuessProcessed(_))));
                assert!(passed.is_empty());
                in_time += 1;
            }
            Err(error) => {
                let over = [Refusal::GameCompleted, Refusal::GameNotFound];
                assert!(error.refusal().is_some_and(|refusal| over.contains(refusal)), "{error}");
                assert_eq!(passed.len(), 1);
                late += 1;
            }
        }
        assert_eq!(club.game(game).phase(), Phase::Completed);
        let completed = events(club.store()).into_iter().filter(|event| matches!(event, GameEvent::GameCompleted(_)));
        assert_eq!(completed.count(), 1);
        check_replay(&club, game);
    }
    assert_eq!(in_time + late, 30);
}

#[test]
fn of_two_joins_to_the_last_place_one_is_too_many() {
    let club = Club::new();
    for number in 0..15 {
        let players = [10, 11, 12].map(|player| player + 10 * number);
        let game = club.opened(HERE, super::bot::two_player(1), &players[..1]);
        let asked =
            at_once(&club, &players[1..].iter().map(|player| (HERE, *player, Ask::Join { game })).collect::<Vec<_>>());
        assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 1);
        let refused = asked.into_iter().find(Result::is_err).expect("one came too late");
        assert_eq!(refusal(refused), Refusal::TooManyTeams);
        assert_eq!(club.game(game).players().len(), 2);
        check_replay(&club, game);
    }
}

#[test]
fn of_two_starts_one_begins_the_game() {
    let club = Club::new();
    for number in 1..=15 {
        let players = [0, 1, 2, 3].map(|player| player + 10 * number);
        let game = club.opened(HERE, GameConfig::of(Mode::Race), &players);
        let asked = at_once(&club, &players.map(|player| (HERE, player, Ask::Start { game: None })));
        assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 1);
        asked.into_iter().filter(Result::is_err).for_each(|asked| assert_eq!(refusal(asked), Refusal::GameStarted));
        check_replay(&club, game);
    }
}

#[test]
fn an_invitation_is_accepted_or_declined_and_never_both() {
    let club = Club::new();
    for number in 1..=15 {
        let (one, other) = (10 * number, 10 * number + 1);
        club.done(HERE, one, Ask::Invite { invitee: other.into(), name: None });
        let asks =
            [Ask::Accept { inviter: None }, Ask::Decline { inviter: None }, Ask::Accept { inviter: Some(one.into()) }];
        let asked = at_once(&club, &asks.map(|ask| (HERE, other, ask)));
        assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 1);
        let refused = asked.into_iter().filter(Result::is_err).map(refusal);
        refused.for_each(|refusal| assert_eq!(refusal, Refusal::NoPendingInvitation));
    }
}

/// Two who accept somebody's invitations at once are two teams after each other, and only one of them still is.
#[test]
fn nobody_is_in_two_teams_however_many_accept_at_once() {
    let club = Club::new();
    for number in 1..=40 {
        let [one, others @ ..] = [0, 1, 2, 3, 4, 5, 6].map(|player| 10 * number + player);
        for other in others {
            club.done(HERE, one, Ask::Invite { invitee: other.into(), name: None });
        }
        let asked = at_once(&club, &others.map(|player| (HERE, player, Ask::Accept { inviter: None })));
        assert!(asked.iter().all(Result::is_ok), "{asked:?}");
        let complete = others.into_iter().filter(|other| {
            let stream = TeamId::of(one.into(), (*other).into()).expect("two").stream(900.into());
            club.store().aggregate::<Team>(&stream).load().expect("read").state().is_complete()
        });
        assert_eq!(complete.count(), 1);
    }
}

/// What is refused shortly before something is due makes nobody wait for it.
#[test]
fn a_refused_command_puts_off_nothing() {
    let club = Club::new();
    let game = club.started(HERE, Mode::Race, &[7, 8, 9, 10]);
    club.props.wait(179_900);
    club.refused(HERE, 7, Ask::Start { game: None });
    assert!(club.pass(0).is_empty());
    assert_eq!(club.pass(100).len(), 1);
    assert!(club.game(game).is_over());
}

#[test]
fn time_that_passes_on_many_threads_passes_once() {
    let club = Club::new();
    let games = [1, 2, 3].map(|number| {
        let players = [0, 1, 2, 3, 4, 5].map(|player| player + 10 * number);
        club.started(HERE, if number == 2 { Mode::Longform } else { Mode::Knockout }, &players)
    });
    for [one, other] in [[10, 11], [12, 13], [20, 21], [22, 23], [30, 31], [32, 33]] {
        club.done(Direct, one, say(&format!("wx{}q", char::from(b'a' + one as u8 % 26))));
        club.done(Direct, other, say(&format!("wx{}q", char::from(b'a' + one as u8 % 26))));
    }
    for wait in [300_000, 5_000, 300_000, 24 * 3_600_000, 24 * 3_600_000, 48 * 3_600_000] {
        club.props.wait(wait);
        let before = events(club.store()).len();
        let barrier = Barrier::new(8);
        let told = thread::scope(|scope| {
            let pass = || {
                barrier.wait();
                club.bot.pass_time().wait().expect("the store works")
            };
            let threads = (0..8).map(|_| scope.spawn(pass)).collect::<Vec<_>>();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        // What happened was told by exactly one of the threads.
        let told = told.iter().map(|answer| answer.events().len()).sum::<usize>();
        assert_eq!(told, events(club.store()).len() - before, "{wait} ms later");
        assert!(club.pass(0).is_empty(), "nothing is left to be done");
        games.iter().for_each(|game| check_replay(&club, *game));
    }
    assert!(games.iter().all(|game| club.game(*game).is_over()) && club.bot.next_due().is_none());
}

/// "At most one active game for a player, under 64 threads."
#[test]
fn nobody_is_in_two_short_games_under_sixty_four_threads() {
    let club = Club::new();
    let guilds = [Guild(1), Guild(2), Guild(3)];
    let modes = [Mode::Race, Mode::TwoPlayer, Mode::Longform, Mode::Knockout];
    for at in guilds {
        (0..3).for_each(|team| club.team(at, 1 + 2 * team, 2 + 2 * team));
    }
    let games = (0..12).map(|number| {
        let at = guilds[number % 3];
        (at, club.open(at, GameConfig::of(modes[number % 4])))
    });
    let games = games.collect::<Vec<_>>();
    let (barrier, seed) = (Barrier::new(64), seed());
    let act = |number: u64| {
        let mut chance = Chance(seed ^ number << 32);
        barrier.wait();
        for _ in 0..12 {
            let (at, id) = *chance.pick(&games);
            let (player, game) = (1 + chance.below(8) as u64, if chance.one_in(2) { Some(id) } else { None });
            let (config, mode) = (GameConfig::of(*chance.pick(&modes)), *chance.pick(&modes));
            let ask = match chance.below(12) {
                0..5 => Ask::Join { game: id },
                5 => Ask::JoinWithTeam { game: id },
                6 => Ask::OpenWithTeam { config },
                7 => Ask::Leave { game },
                8 | 9 => Ask::ChangeMode { game, mode },
                10 => Ask::Start { game },
                _ => Ask::Guess { game, word: "give up".to_owned() },
            };
            let asked = club.ask(at, player, ask.clone());
            let is_answer =
                asked.as_ref().err().is_none_or(|error| error.refusal().is_some() || error.conflict().is_some());
            assert!(is_answer, "{ask:?}: {asked:?}");
        }
    };
    thread::scope(|scope| {
        let act = &act;
        (0..64).for_each(|number| drop(scope.spawn(move || act(number))));
    });
    let log = events(club.store());
    let account = Account::of(&log);
    let entered = log.iter().filter(|event| matches!(event, GameEvent::PlayerJoined(_))).count();
    assert!(30 < entered, "seed {seed}: only {entered} joined");
    for player in 1..=8 {
        assert_eq!(account.all_of(player.into()), club.games_of(player).into_iter().collect(), "seed {seed}");
    }
    account.games.keys().for_each(|game| check_replay(&club, *game));
}
