//! The records of players and teams, held against an account that is made of the states of the games.

use super::boards::{Account, Evening, GUILDS, Over, PLAYERS, Sums, better, boards};
use super::bot::{Club, HERE};
use crate::model::seed;
use scorebook::game::*;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// "Player – games, wins, win rate, average score, best partner; team – games, wins, average score, best game, current win
/// streak, server ranking; team efficiency: guesses per match per mode, perfect rounds, best/worst round."
#[test]
fn every_record_is_what_an_account_of_the_games_says() {
    let (mut teams, mut players) = (0, 0);
    for seed in seed() + 10..seed() + 15 {
        let evening = Evening::play(seed, 500);
        let (boards, account) = (boards(evening.club.store()), Account::of(evening.club.store()));
        for guild in GUILDS.map(GuildId::from) {
            for player in (1..=PLAYERS).map(PlayerId::from) {
                let expected = account.player(player, |of| of == guild);
                let got = boards.player(guild, player);
                assert_eq!(got.as_ref().map(told), expected, "seed {seed}: {player} in {guild}");
                let board = account.board(guild, Board::Players, |_| true);
                let place =
                    board.iter().find(|(_, who, _)| *who == Contender::Player(player)).map(|(place, ..)| *place);
                assert_eq!(got.and_then(|record| record.place), place);
                players += usize::from(place.is_some());
            }
            for (one, other) in (1..=PLAYERS).flat_map(|one| (one + 1..=PLAYERS).map(move |other| (one, other))) {
                let team = TeamId::of(one.into(), other.into()).expect("two");
                let (got, expected) = (boards.team(guild, team), account.team(guild, team));
                assert_eq!(got.is_some(), expected.is_some(), "seed {seed}: {team} in {guild}");
                let (Some(got), Some(expected)) = (got, expected) else { continue };
                let board = account.board(guild, Board::Teams, |_| true);
                let place = board.iter().find(|(_, who, _)| *who == Contender::Team(team)).map(|(place, ..)| *place);
                assert_eq!((&got.tally.games, got.place), (&expected.tally.games, place));
                assert_eq!(TeamRecord { place: None, name: None, ..got.clone() }, expected, "seed {seed}: {team}");
                teams += 1;
            }
        }
        for player in (1..=PLAYERS).map(PlayerId::from) {
            let got = boards.player_everywhere(player);
            assert_eq!(got.as_ref().map(told), account.player(player, |_| true), "seed {seed}: {player} everywhere");
            assert_eq!(got.and_then(|record| record.place), None);
        }
    }
    assert!(20 < teams && 50 < players, "{teams}, {players}");
}

/// Sums, the best score, attempts abandoned, the best partner, and when the last game ended.
type Told = (Sums, i64, u64, Option<PlayerId>, Moment);

fn told(record: &PlayerRecord) -> Told {
    let Tally { games, wins, score, guesses, matches } = record.tally;
    let sums = (games, wins, score, guesses, matches);
    (sums, record.best_score, record.abandoned, record.best_partner, record.last_played_at)
}

impl Account {
    fn parts<'a>(&'a self, is_meant: impl Fn(GuildId) -> bool + 'a) -> impl Iterator<Item = (&'a Over, &'a Game)> {
        let over = self.0.iter().filter(move |over| is_meant(over.guild));
        over.filter_map(|over| Some((over, over.played.as_ref()?)))
    }

    fn player(&self, player: PlayerId, is_meant: impl Fn(GuildId) -> bool) -> Option<Told> {
        let mut told: Told = ((0, 0, 0, 0, 0), i64::MIN, 0, None, Moment::default());
        let mut partners: BTreeMap<PlayerId, Sums> = BTreeMap::new();
        for (over, game) in self.parts(is_meant) {
            let Some(side) = game.team_of(player).and_then(|team| game.side(team)) else { continue };
            let (stats, won) = (side.standing().player_stats[&player], game.winners().contains(&side.team()));
            let partner = partners.entry(side.team().partner(player)).or_default();
            for sum in [&mut told.0, partner] {
                *sum = (sum.0 + 1, sum.1 + u64::from(won), sum.2 + side.score(), sum.3, sum.4);
            }
            told.0.3 += u64::from(stats.total_guesses);
            told.0.4 += u64::from(stats.successful_matches);
            told.1 = told.1.max(side.score());
            told.2 += u64::from(stats.abandoned_guesses);
            told.4 = told.4.max(over.at);
        }
        // The best, and of several the one with the lowest id.
        for (partner, sums) in &partners {
            if told.3.is_none_or(|best| better(sums, &partners[&best]) == Ordering::Greater) {
                told.3 = Some(*partner);
            }
        }
        (0 < told.0.0).then_some(told)
    }

    fn team(&self, guild: GuildId, team: TeamId) -> Option<TeamRecord> {
        let parts = self.parts(|of| of == guild).filter(|(over, _)| over.as_teams.contains(&team));
        let parts: Vec<(&Game, &Side)> = parts.filter_map(|(_, game)| Some((game, game.side(team)?))).collect();
        let tally = |of: &[&(&Game, &Side)]| Tally {
            games: of.len() as u64,
            wins: of.iter().filter(|(game, _)| game.winners().contains(&team)).count() as u64,
            score: of.iter().map(|(_, side)| side.score()).sum(),
            guesses: of.iter().map(|(_, side)| u64::from(side.total_guesses())).sum(),
            matches: of.iter().map(|(_, side)| u64::from(side.matches())).sum(),
        };
        let of_mode = |mode| parts.iter().filter(|(game, _)| game.mode() == mode).collect::<Vec<_>>();
        let modes = Mode::ALL.into_iter().filter(|mode| !of_mode(*mode).is_empty());
        let matched = || parts.iter().flat_map(|(_, side)| side.rounds()).filter(|round| round.is_match);
        let round = |of: &RoundResult| MatchedRound {
            guess_count: of.guess_count,
            duration_ms: of.duration,
            round_number: of.round_number,
        };
        let mut best: Option<BestGame> = None;
        for (game, side) in &parts {
            let (score, guesses) = (side.score(), side.total_guesses());
            let is_better = |best: &BestGame| best.score < score || best.score == score && guesses < best.guesses;
            if best.as_ref().is_none_or(is_better) {
                best = Some(BestGame { game_id: game.id()?, mode: game.mode(), score, guesses });
            }
        }
        let all = parts.iter().collect::<Vec<_>>();
        let record = TeamRecord {
            team,
            name: None,
            tally: tally(&all),
            place: None,
            win_streak: parts.iter().rev().take_while(|(game, _)| game.winners().contains(&team)).count() as u64,
            best_game: best,
            by_mode: modes.map(|mode| (mode, tally(&of_mode(mode)))).collect(),
            rounds: MatchedRounds {
                perfect: matched().filter(|round| round.guess_count == 1).count() as u32,
                best: matched().map(round).min(),
                worst: matched().map(round).max(),
            },
        };
        (!parts.is_empty()).then_some(record)
    }
}

/// A team's history, game by game: with one attempt it wins, with more it loses.
#[test]
fn a_streak_lasts_until_a_game_is_not_won() {
    let club = Club::new();
    club.team(HERE, 7, 8);
    let team = TeamId::of(7.into(), 8.into()).expect("two");
    let play = |misses: usize| {
        let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 1 };
        let game = club.opened(HERE, config, &[7, 8]);
        club.done(HERE, 7, Ask::Start { game: Some(game) });
        for _ in 0..misses {
            club.say(7, &club.fresh());
            club.say(8, &club.fresh());
        }
        club.props.wait(1_000);
        club.hit(7, 8);
        (game, boards(club.store()).team(900.into(), team).expect("they have played"))
    };
    let streak = |misses| play(misses).1.win_streak;
    assert_eq!([streak(2), streak(0), streak(0), streak(1), streak(0)], [0, 1, 2, 0, 1]);
    let (_, record) = play(0);
    assert_eq!((record.tally.games, record.tally.wins, record.win_streak), (6, 4, 2));
    // Of games with as many points the one with the fewest guesses is the best, and of those the first.
    let best = record.best_game.expect("there is one");
    let second = boards(club.store()).history(900.into(), None, None, 9).games[4].game_id;
    assert_eq!((best.game_id, best.guesses, best.score), (second, 1, 1));
    assert_eq!((record.rounds.perfect, record.rounds.worst.map(|round| round.guess_count)), (4, Some(3)));
    let of_mode = record.by_mode[&Mode::TwoPlayer];
    assert!((of_mode.guesses_a_match() - 9.0 / 6.0).abs() < 1e-9, "{of_mode:?}");
}
