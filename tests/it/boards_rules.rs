//! What counts on the boards, rule by rule, and when.

use super::boards::{DAY_MS, boards, counts, date};
use super::bot::{Club, Direct, HERE, events, two_player};
#[cfg(feature = "cli")]
use crate::model::{Chance, seed};
use scorebook::game::*;
use scorebook::{EventContext, Position, Projection, Timestamp, Version};

/// A game of two that is over in one round, at this moment.
fn play_at(club: &Club, at: Moment, one: u64, other: u64) -> GameId {
    club.props.set_now(at);
    let game = club.opened(HERE, two_player(1), &[one, other]);
    club.done(HERE, one, Ask::Start { game: Some(game) });
    club.hit(one, other);
    game
}

/// How many games are on a board of players, for a player.
fn games_of(boards: &Boards, player: u64, period: Period, at: Moment) -> u64 {
    let lines = boards.leaderboard(900.into(), Board::Players, period, at, usize::MAX);
    let line = lines.into_iter().find(|line| line.who == Contender::Player(player.into()));
    line.map_or(0, |line| line.tally.games)
}

#[test]
fn days_weeks_and_months_begin_and_end_where_people_say() {
    let club = Club::new();
    // A Thursday that is a leap day; the Sunday and the Monday behind it; the end of a month, of a year, and of a February
    // without a leap day.
    let days = [date(2024, 2, 29), date(2024, 3, 3), date(2024, 3, 31), date(2024, 12, 31), date(2025, 2, 28)];
    let mut ends = Vec::new();
    for day in days {
        for at in [day, day.plus(DAY_MS - 1), day.plus(DAY_MS)] {
            play_at(&club, at, 7, 8);
            ends.push(at);
        }
    }
    let boards = boards(club.store());
    let check = |period, now: Moment, expected: u64| {
        assert_eq!(games_of(&boards, 7, period, now), expected, "{period} at {now:?}");
        let counted = ends.iter().filter(|end| counts(period, **end, now)).count();
        assert_eq!(counted as u64, expected, "the test itself: {period} at {now:?}");
    };
    let last_ms = |day: Moment| day.plus(DAY_MS - 1);
    // "Day (last 24 h)".
    check(Period::Day, last_ms(days[0]), 2);
    check(Period::Day, days[0].plus(DAY_MS), 2);
    check(Period::Day, last_ms(days[0]).plus(DAY_MS - 1), 2);
    check(Period::Day, last_ms(days[0]).plus(DAY_MS), 1);
    check(Period::Day, days[0].plus(2 * DAY_MS), 0);
    // "Month (calendar)": the leap day is February's last, 1 March is March.
    check(Period::Month, last_ms(days[0]), 2);
    check(Period::Month, days[0].plus(DAY_MS), 1);
    check(Period::Month, last_ms(date(2024, 3, 31)), 6);
    check(Period::Month, date(2024, 4, 1), 1);
    check(Period::Month, last_ms(date(2024, 12, 31)), 2);
    check(Period::Month, date(2025, 1, 1), 1);
    check(Period::Month, last_ms(date(2025, 2, 28)), 2);
    check(Period::Month, date(2025, 3, 1), 1);
    // "Week (Mon–Sun)": the week of the leap day ends on Sunday, 3 March; a year's end does not end a week.
    check(Period::Week, last_ms(date(2024, 3, 3)), 5);
    check(Period::Week, date(2024, 3, 4), 1);
    check(Period::Week, last_ms(date(2024, 3, 10)), 1);
    check(Period::Week, date(2024, 3, 11), 0);
    check(Period::Week, date(2025, 1, 5), 3);
    check(Period::Week, date(2025, 1, 6), 0);
    check(Period::All, days[0].plus(DAY_MS - 2), 1);
    check(Period::All, Moment::MAX, 15);
}

/// Bots that answer at once may see another time each: what counts is when a game ended, not where the log has it.
#[test]
fn a_game_counts_at_the_moment_it_ended_wherever_the_log_has_it() {
    let club = Club::new();
    let now = club.props.now();
    let later = play_at(&club, now.plus(10_000), 7, 8);
    let earlier = play_at(&club, now.plus(5_000), 9, 10);
    let boards = boards(club.store());
    let count = |player, at: u64| games_of(&boards, player, Period::All, now.plus(at));
    assert_eq!([count(7, 7_000), count(9, 7_000), count(7, 10_000), count(9, 4_999)], [0, 1, 1, 0]);
    let history = boards.history(900.into(), None, None, 9).games;
    assert_eq!(history.iter().map(|game| game.game_id).collect::<Vec<_>>(), [later, earlier]);
}

#[cfg(feature = "cli")]
#[test]
fn periods_begin_where_a_library_of_dates_says() {
    let mut chance = Chance(seed());
    for _ in 0..20_000 {
        let moment = Moment::from_millis(chance.next() % Moment::MAX.millis());
        let millis = i64::try_from(moment.millis()).expect("within its bounds");
        let now = jiff::Timestamp::from_millisecond(millis).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
        let midnight = now.start_of_day().expect("there is one");
        let monday = midnight.checked_sub(jiff::Span::new().days(now.weekday().to_monday_zero_offset())).expect("one");
        let first = now.first_of_month().and_then(|day| day.start_of_day()).expect("there is one");
        for (period, begins) in [(Period::Week, monday), (Period::Month, first)] {
            let begins = u64::try_from(begins.timestamp().as_millisecond()).unwrap_or(0);
            assert_eq!(period.until(moment).start().millis(), begins, "{period} at {now}, seed {}", seed());
        }
    }
}

/// "A game counts when it is completed, with everything in it."
#[test]
fn a_cancelled_game_counts_nothing_and_one_that_is_played_not_yet() {
    let club = Club::new();
    let game = club.opened(HERE, two_player(2), &[7, 8]);
    club.done(HERE, 7, Ask::Start { game: Some(game) });
    club.hit(7, 8);
    let before = boards(club.store());
    assert_eq!(
        before.active(900.into()).iter().map(|of| (of.game_id, of.status)).collect::<Vec<_>>(),
        [(game, GameStatus::Active)]
    );
    assert_eq!((before.player(900.into(), 7.into()), before.history(900.into(), None, None, 9).games.len()), (None, 0));
    club.done(HERE, 7, Ask::Cancel { game: None });
    let after = boards(club.store());
    assert_eq!(after.active(900.into()), Vec::<&GameSummary>::new());
    assert_eq!(after.player(900.into(), 7.into()), None);
    for (board, period) in Board::ALL.into_iter().zip(Period::ALL) {
        assert_eq!(after.leaderboard(900.into(), board, period, Moment::MAX, 9), []);
    }
    let cancelled = after.game(900.into(), game).expect("it is known");
    assert_eq!((cancelled.status, cancelled.finished_at), (GameStatus::Cancelled, Some(club.props.now())));
    assert!(cancelled.results.is_empty() && cancelled.replay.is_none());
}

#[test]
fn who_leaves_before_the_start_takes_the_team_along() {
    let club = Club::new();
    let game = club.opened(HERE, GameConfig::of(Mode::Race), &[7, 8, 9, 10]);
    let teams = || boards(club.store()).game(900.into(), game).expect("it is known").team_ids.clone();
    assert_eq!(teams(), club.game(game).teams());
    club.done(HERE, 8, Ask::Leave { game: None });
    assert_eq!((teams().len(), teams()), (1, club.game(game).teams().to_vec()));
    club.done(HERE, 11, Ask::Join { game });
    club.done(HERE, 12, Ask::Join { game });
    club.done(HERE, 9, Ask::Start { game: None });
    club.done(HERE, 11, Ask::Leave { game: None });
    assert_eq!((teams().len(), teams()), (2, club.game(game).teams().to_vec()), "now they have played");
}

/// "A player is in one active team; forming a new team supersedes the former." What it won stays its own.
#[test]
fn a_team_keeps_what_it_won_as_one() {
    let club = Club::new();
    let now = club.props.now();
    let team = |one: u64, other: u64| TeamId::of(one.into(), other.into()).expect("two");
    let teams = || {
        let lines = boards(club.store()).leaderboard(900.into(), Board::Teams, Period::All, Moment::MAX, 9);
        lines.into_iter().map(|line| (line.who, line.tally.games, line.name)).collect::<Vec<_>>()
    };
    play_at(&club, now, 7, 8);
    assert_eq!(teams(), [], "they were no team yet");
    club.team(HERE, 7, 8);
    play_at(&club, now.plus(1_000), 7, 8);
    let first = || (Contender::Team(team(7, 8)), 1, Some("Team 7-8".to_owned()));
    assert_eq!(teams(), [first()]);

    // 7 forms another team, and with it leaves the first; then that plays once more, as a pair.
    club.team(HERE, 7, 9);
    play_at(&club, now.plus(2_000), 7, 8);
    play_at(&club, now.plus(3_000), 7, 9);
    club.done(HERE, 9, Ask::Rename { name: "Night owls".to_owned() });
    assert_eq!(teams(), [first(), (Contender::Team(team(7, 9)), 1, Some("Night owls".to_owned()))]);
    let boards = boards(club.store());
    assert_eq!(boards.leaderboard(900.into(), Board::Pairs, Period::All, Moment::MAX, 1)[0].tally.games, 3);
    assert_eq!((boards.team_of(900.into(), 7.into()), boards.team_of(900.into(), 8.into())), (Some(team(7, 9)), None));
    assert_eq!(boards.team(900.into(), team(7, 8)).map(|record| record.tally.games), Some(1));
    assert_eq!(boards.team(901.into(), team(7, 8)), None, "boards are of one guild");
}

#[test]
fn players_are_called_on_boards_what_they_are_called_now() {
    let club = Club::new();
    play_at(&club, club.props.now(), 7, 8);
    let names = || {
        let lines = boards(club.store()).leaderboard(900.into(), Board::Players, Period::All, Moment::MAX, 9);
        lines.into_iter().filter_map(|line| line.name).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["player 7", "player 8"]);
    club.done(Direct, 7, Ask::UpdateProfile { display_name: "Ada".to_owned() });
    assert_eq!(names(), ["Ada", "player 8"]);
}

/// What cannot have happened changes nothing, and nothing panics: a log is a file, and somebody else may have written it.
#[test]
fn what_is_forged_counts_once_at_most() {
    let club = Club::new();
    play_at(&club, club.props.now(), 7, 8);
    let served = boards(club.store());
    let log = events(club.store());
    let mut state = served.clone();
    let context = EventContext::new(Version::new(99), Position::new(99), Timestamp::EPOCH);
    for event in log.iter().chain(&log).filter(|event| event.base().is_some()) {
        state.apply(event, &context);
    }
    assert!(state == served, "what is over is over");
}
