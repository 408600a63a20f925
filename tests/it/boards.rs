//! The boards of the game, held against an account that is made of the states of the games and knows nothing of the projection.

use super::bot::{Club, Direct, Guild, Props, events};
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use scorebook::{EventContext, EventStore, Projection, Registry};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const DAY_MS: u64 = 86_400_000;

/// A game that is over, as its state says.
pub(super) struct Over {
    pub(super) guild: GuildId,
    pub(super) game: GameId,
    /// Where its end stands in the log.
    number: usize,
    pub(super) at: Moment,
    /// None of a cancelled one.
    pub(super) played: Option<Game>,
    /// The teams that were teams of the guild when it began.
    pub(super) as_teams: BTreeSet<TeamId>,
}

/// What somebody has come to: games, wins, points, guesses, matches.
pub(super) type Sums = (u64, u64, i64, u64, u64);

/// All games that are over, in the order in which they ended.
pub(super) struct Account(pub(super) Vec<Over>);

impl Account {
    pub(super) fn of(store: &EventStore) -> Account {
        let mut members: BTreeMap<(GuildId, TeamId), BTreeSet<PlayerId>> = BTreeMap::new();
        let mut began: BTreeMap<GameId, BTreeSet<TeamId>> = BTreeMap::new();
        let mut over = Vec::new();
        for (number, event) in events(store).into_iter().enumerate() {
            if let Some(base) = event.team_base() {
                let of = members.entry((base.guild_id, base.team_id)).or_default();
                match &event {
                    GameEvent::TeamCreated(event) => of.extend(event.player_ids.iter().copied()),
                    GameEvent::TeamMemberAdded(event) => drop(of.insert(event.player_id).then_some(())),
                    GameEvent::TeamMemberRemoved(event) => drop(of.remove(&event.player_id).then_some(())),
                    _ => {}
                }
            }
            let Some(base) = event.base().copied() else { continue };
            let end = match &event {
                GameEvent::GameStarted(of) => {
                    let both = |team: &&TeamId| members.get(&(base.guild_id, **team)).is_some_and(|of| of.len() == 2);
                    began.insert(base.game_id, of.team_ids.iter().filter(both).copied().collect());
                    continue;
                }
                GameEvent::GameCompleted(of) => Some(of.finished_at),
                GameEvent::GameCancelled(_) => None,
                _ => continue,
            };
            let game = || store.aggregate::<Game>(&base.game_id.stream()).load().expect("a game").into_state();
            over.push(Over {
                guild: base.guild_id,
                game: base.game_id,
                number,
                at: end.unwrap_or(base.timestamp),
                played: end.map(|_| game()),
                as_teams: began.remove(&base.game_id).unwrap_or_default(),
            });
        }
        over.sort_by_key(|over| (over.at, over.number));
        Account(over)
    }

    /// What everybody has come to in games of a guild that are meant.
    fn sums(&self, guild: GuildId, board: Board, is_meant: impl Fn(Moment) -> bool) -> BTreeMap<Contender, Sums> {
        let mut sums = BTreeMap::new();
        for over in self.0.iter().filter(|over| over.guild == guild && is_meant(over.at)) {
            let Some(game) = &over.played else { continue };
            for side in game.sides() {
                let (team, has_won) = (side.team(), game.winners().contains(&side.team()));
                let both = (side.total_guesses(), side.matches());
                let whom = match board {
                    Board::Players => {
                        let stats = side.standing().player_stats;
                        let did = |player| (stats[&player].total_guesses, stats[&player].successful_matches);
                        team.players().map(|player| (Contender::Player(player), did(player))).to_vec()
                    }
                    Board::Teams if over.as_teams.contains(&team) => vec![(Contender::Team(team), both)],
                    Board::Teams => vec![],
                    Board::Pairs => vec![(Contender::Pair(team), both)],
                };
                for (who, (guesses, matches)) in whom {
                    let sum: &mut Sums = sums.entry(who).or_default();
                    sum.0 += 1;
                    sum.1 += u64::from(has_won);
                    sum.2 += side.score();
                    sum.3 += u64::from(guesses);
                    sum.4 += u64::from(matches);
                }
            }
        }
        sums
    }

    /// The board that follows: who is ahead of nobody's is first.
    pub(super) fn board(
        &self,
        guild: GuildId,
        board: Board,
        is_meant: impl Fn(Moment) -> bool,
    ) -> Vec<(usize, Contender, Sums)> {
        let sums = self.sums(guild, board, is_meant);
        let place = |sum: &Sums| 1 + sums.values().filter(|other| better(other, sum) == Ordering::Greater).count();
        let mut board: Vec<_> = sums.iter().map(|(who, sum)| (place(sum), *who, *sum)).collect();
        board.sort_by_key(|(place, who, _)| (*place, *who));
        board
    }
}

/// "By wins; then by wins for each game; then by points."
pub(super) fn better(one: &Sums, other: &Sums) -> Ordering {
    let rate = |of: &Sums| (of.1 as f64 / of.0 as f64 * 1e9).round() as u64;
    (one.1, rate(one), one.2).cmp(&(other.1, rate(other), other.2))
}

/// Whether a game that ended at one moment counts at another: said in other words than the boards say it.
pub(super) fn counts(period: Period, ended: Moment, now: Moment) -> bool {
    let week = |moment: Moment| (moment.millis() / DAY_MS + 3) / 7;
    let is_recent = match period {
        Period::Day => now.since(ended) < DAY_MS,
        Period::Week => week(ended) == week(now),
        Period::Month => month(ended) == month(now),
        Period::All => true,
    };
    ended <= now && is_recent
}

/// The year and the month, by going through them one by one.
pub(super) fn month(moment: Moment) -> (u64, usize) {
    let (mut days, mut year) = (moment.millis() / DAY_MS, 1970);
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let months = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(months) {
            if days < length {
                return (year, month);
            }
            days -= length;
        }
        year += 1;
    }
}

/// Days since 1970 of a date after 2000.
pub(super) fn date(year: u64, month_of_year: usize, day: u64) -> Moment {
    let first = (10_957..).find(|days| month(Moment::from_millis(days * DAY_MS)) == (year, month_of_year));
    Moment::from_millis((first.expect("there is such a month") + day - 1) * DAY_MS)
}

pub(super) fn boards(store: &EventStore) -> Boards {
    let view = store.projection::<Boards>().expect("it can be projected");
    view.read_at(store.head().expect("a head"), Boards::clone).expect("nothing fails")
}

pub(super) const GUILDS: [u64; 3] = [900, 901, 902];
pub(super) const PLAYERS: u64 = 14;

/// An evening, which takes some weeks: games of all modes in three guilds, teams that come and go, and names that change.
pub(super) struct Evening {
    pub(super) club: Club,
    pub(super) chance: Chance,
    pub(super) games: Vec<(u64, GameId)>,
}

impl Evening {
    pub(super) fn begin(seed: u64) -> Evening {
        let club = Club::with(Props::new().words(100_000));
        for guild in GUILDS {
            [1, 3, 5].into_iter().for_each(|one| club.team(Guild(guild), one, one + 1));
        }
        Evening { club, chance: Chance(seed), games: Vec::new() }
    }

    pub(super) fn play(seed: u64, steps: usize) -> Evening {
        let mut evening = Evening::begin(seed);
        (0..steps).for_each(|_| evening.step());
        evening.club.play_out();
        evening
    }

    pub(super) fn step(&mut self) {
        let waits = [5, 900, 4_000, 40_000, 600_000, 3_000_000, 30_000_000];
        self.club.props.wait(waits[if self.chance.one_in(12) { self.chance.below(7) } else { self.chance.below(3) }]);
        if self.chance.one_in(10) {
            // Now and then a clock is set back: of two games the one that ends later may say that it ended earlier.
            self.club.props.set_now(Moment::from_millis(self.club.props.now().millis() - 2_500));
        }
        let guild = *self.chance.pick(&GUILDS);
        let player = 1 + self.chance.below(PLAYERS as usize) as u64;
        let other = 1 + self.chance.below(PLAYERS as usize) as u64;
        let ask = match self.chance.below(40) {
            0..3 => {
                let mode = *self.chance.pick(&Mode::ALL);
                return self.gather(guild, mode);
            }
            3..6 => {
                let _ = self.club.ask(Guild(guild), player, Ask::Invite { invitee: other.into(), name: None });
                return drop(self.club.ask(Guild(guild), other, Ask::Accept { inviter: None }));
            }
            6 if self.chance.one_in(3) => Ask::LeaveTeam { reason: None },
            7 => Ask::Rename { name: format!("Owls {}", self.chance.below(90)) },
            8 => Ask::UpdateProfile { display_name: format!("ada {}", self.chance.below(90)) },
            9 if self.chance.one_in(3) => Ask::Leave { game: None },
            9 if self.chance.one_in(3) => Ask::Cancel { game: None },
            10 => return drop(self.club.pass(0)),
            _ => return self.guess(),
        };
        let _ = self.club.ask(Guild(guild), player, ask);
    }

    /// A game is opened, and whoever has time comes, some of them as teams. Now and then it is not begun.
    fn gather(&mut self, guild: u64, mode: Mode) {
        let config = match mode {
            Mode::TwoPlayer => GameConfig::TwoPlayer { rounds_required: 2, success_threshold: 2 },
            Mode::Knockout => GameConfig::Knockout { round_ms: 60_000, elimination_guess_limit: 3 },
            Mode::Race => GameConfig::Race { time_limit_ms: 60_000 },
            Mode::GolfRace => GameConfig::GolfRace { time_limit_ms: 60_000 },
            Mode::Longform => GameConfig::Longform { day_ms: 600_000 },
        };
        let game = self.club.open(Guild(guild), config);
        self.games.push((guild, game));
        let teams = *mode.teams().start() + self.chance.below(2) * usize::from(mode != Mode::TwoPlayer);
        let (mut host, mut tries) = (99, 0);
        while self.club.game(game).players().len() < 2 * teams && tries < 60 {
            tries += 1;
            let player = 1 + self.chance.below(PLAYERS as usize) as u64;
            let ask = if self.chance.one_in(2) { Ask::JoinWithTeam { game } } else { Ask::Join { game } };
            if self.club.ask(Guild(guild), player, ask).is_ok() {
                host = player;
            }
        }
        if self.chance.one_in(6) {
            let _ = self.club.ask(Guild(guild), host, Ask::Leave { game: Some(game) });
        }
        if mode == Mode::Race && self.chance.one_in(3) {
            let _ = self.club.ask(Guild(guild), 99, Ask::ChangeMode { game: Some(game), mode: Mode::GolfRace });
        }
        if !self.chance.one_in(8) {
            let _ = self.club.ask(Guild(guild), host, Ask::Start { game: Some(game) });
        }
    }

    /// A team that can guess does.
    fn guess(&mut self) {
        let playing = self.games.iter().rev().take(12).map(|(_, game)| self.club.game(*game)).filter(Game::is_played);
        let playing: Vec<Game> = playing.collect();
        if playing.is_empty() {
            return;
        }
        let game = self.chance.pick(&playing);
        let sides: Vec<&Side> = game.sides().filter(|side| side.out().is_none()).collect();
        if sides.is_empty() {
            return;
        }
        let [one, other] = self.chance.pick(&sides).team().players().map(PlayerId::get);
        let game = game.id();
        let (first, mut second) = (self.club.fresh(), self.club.fresh());
        let (one, other) = if self.chance.one_in(2) { (one, other) } else { (other, one) };
        match self.chance.below(12) {
            0 => second = "give up".to_owned(),
            1 => return drop(self.club.ask(Direct, one, Ask::Guess { game, word: first })),
            2..5 => {}
            _ => second.clone_from(&first),
        }
        for (player, word) in [(one, first), (other, second)] {
            self.club.props.wait(self.chance.below(3_000) as u64);
            let _ = self.club.ask(Direct, player, Ask::Guess { game, word });
        }
    }
}

fn ranked(boards: &Boards, guild: GuildId, board: Board, period: Period, at: Moment) -> Vec<(usize, Contender, Sums)> {
    let lines = boards.leaderboard(guild, board, period, at, usize::MAX).into_iter();
    let sums = |tally: Tally| (tally.games, tally.wins, tally.score, tally.guesses, tally.matches);
    lines.map(|line| (line.place, line.who, sums(line.tally))).collect()
}

/// "Leaderboards: type players | teams | pairs; timeframe all | month (calendar) | week (Mon–Sun) | day (last 24 h); limit; per
/// guild."
#[test]
fn every_board_is_what_an_account_of_the_games_says_at_every_moment() {
    let (mut modes, mut completed, mut cancelled, mut as_teams, mut levels) = (BTreeSet::new(), 0, 0, 0, 0);
    for seed in seed()..seed() + 4 {
        let mut evening = Evening::play(seed, 500);
        let (boards, account) = (boards(evening.club.store()), Account::of(evening.club.store()));
        let mut moments: Vec<Moment> = account.0.iter().map(|over| over.at).collect();
        let edges = account.0.iter().flat_map(|over| [over.at.plus(DAY_MS - 1), over.at.plus(DAY_MS)]);
        moments.extend(edges.step_by(5));
        moments.extend((0..20).map(|_| account.0[0].at.plus(evening.chance.next() % (30 * DAY_MS))));
        moments.push(Moment::MAX);
        for at in moments.iter().step_by(3) {
            for (guild, board, period) in GUILDS.iter().flat_map(|guild| {
                let boards = Board::ALL.into_iter();
                boards.flat_map(move |board| Period::ALL.map(|period| (GuildId::from(*guild), board, period)))
            }) {
                let expected = account.board(guild, board, |ended| counts(period, ended, *at));
                levels += expected.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
                let got = ranked(&boards, guild, board, period, *at);
                assert_eq!(got, expected, "seed {seed}: {board} of {guild}, {period} at {at:?}");
                let (limit, whole) = (evening.chance.below(9), boards.leaderboard(guild, board, period, *at, 99));
                let first = boards.leaderboard(guild, board, period, *at, limit);
                assert_eq!(first[..], whole[..limit.min(whole.len())], "seed {seed}: the first {limit}");
            }
        }
        modes.extend(account.0.iter().filter_map(|over| over.played.as_ref()).map(Game::mode));
        completed += account.0.iter().filter(|over| over.played.is_some()).count();
        cancelled += account.0.iter().filter(|over| over.played.is_none()).count();
        as_teams += account.0.iter().map(|over| over.as_teams.len()).sum::<usize>();
    }
    assert!(modes.len() == 5 && 60 < completed && 10 < cancelled, "{modes:?}, {completed}, {cancelled}");
    assert!(10 < as_teams && 100 < levels, "{as_teams} teams, {levels} level");
}

/// "Cursor pagination for history": through all pages each game comes once, also where several end at one moment, and whatever
/// ends while somebody turns the pages.
#[test]
fn a_history_is_whole_page_by_page_whatever_ends_meanwhile() {
    let mut ties = 0;
    for seed in seed() + 20..seed() + 23 {
        let mut evening = Evening::begin(seed);
        (0..250).for_each(|_| evening.step());
        // Whoever has not begun is cancelled at one moment.
        evening.club.pass(2 * DAY_MS);
        let guild = GuildId::from(900);
        let then: BTreeSet<GameId> = ended(evening.club.store(), guild).into_iter().collect();
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let page = boards(evening.club.store()).history(guild, None, cursor, 1 + evening.chance.below(4));
            seen.extend(page.games.iter().map(|game| game.game_id));
            match page.next {
                Some(next) => cursor = Some(next.to_string().parse::<Cursor>().expect("as it is written")),
                None => break,
            }
            (0..15).for_each(|_| evening.step());
        }
        let twice: BTreeSet<_> = seen.iter().collect();
        assert_eq!(twice.len(), seen.len(), "seed {seed}: a game comes twice");
        let missing: Vec<_> = then.iter().filter(|game| !seen.contains(game)).collect();
        assert_eq!(missing, Vec::<&GameId>::new(), "seed {seed}: some are left out");

        evening.club.play_out();
        let account = Account::of(evening.club.store());
        let expected: Vec<_> = ended(evening.club.store(), guild);
        let boards = boards(evening.club.store());
        let whole = boards.history(guild, None, None, usize::MAX);
        assert_eq!(whole.games.iter().map(|game| game.game_id).collect::<Vec<_>>(), expected, "seed {seed}");
        assert_eq!((whole.next, boards.history(guild, None, None, 0).games.len()), (None, 0));
        ties += account.0.windows(2).filter(|two| two[0].at == two[1].at && two[0].guild == two[1].guild).count();
        let of_one = boards.history(guild, Some(3.into()), None, usize::MAX).games;
        assert!(of_one.iter().all(|game| game.has(3.into())) && of_one.len() < whole.games.len());
        assert_eq!(of_one.len(), whole.games.iter().filter(|game| game.has(3.into())).count());
        for over in account.0.iter().filter(|over| over.guild == guild) {
            let summary = boards.game(guild, over.game).expect("it is known");
            let Some(game) = &over.played else { continue };
            assert_eq!((&summary.winners[..], summary.mode), (game.winners(), game.mode()));
            assert_eq!((summary.started_at, summary.finished_at), (game.started_at(), Some(over.at)));
            assert_eq!((summary.duration_ms, summary.created_by), (game.played_ms(), 99.into()));
            assert!(summary.replay.is_some() && summary.team_ids == game.teams());
            assert_eq!(boards.game(901.into(), over.game), None, "it is of another guild");
        }
    }
    assert!(5 < ties, "only {ties} at one moment");
}

/// The games of a guild that are over, the newest first.
fn ended(store: &EventStore, guild: GuildId) -> Vec<GameId> {
    let account = Account::of(store);
    account.0.iter().rev().filter(|over| over.guild == guild).map(|over| over.game).collect()
}

#[test]
fn active_games_are_those_that_are_not_over() {
    let mut evening = Evening::begin(seed() + 30);
    for _ in 0..120 {
        evening.step();
        let boards = boards(evening.club.store());
        for guild in GUILDS {
            let mut expected: Vec<_> = evening.games.iter().filter(|(of, _)| *of == guild).collect();
            expected.retain(|(_, game)| !evening.club.game(*game).is_over());
            let active = boards.active(guild.into());
            let ids: BTreeSet<_> = active.iter().map(|of| of.game_id).collect();
            assert_eq!(ids, expected.iter().map(|(_, game)| *game).collect(), "seed {}", seed());
            assert!(active.is_sorted_by(|one, other| other.created_at <= one.created_at), "the newest first");
            for of in active {
                let game = evening.club.game(of.game_id);
                let is_played = of.status == GameStatus::Active;
                assert_eq!((is_played, &of.team_ids[..]), (game.is_played(), game.teams()), "seed {}", seed());
            }
        }
    }
}

/// "Rebuilt in any chunk size: the same state", also where it was written down and read back on the way.
#[test]
fn the_boards_are_the_same_however_they_are_folded() {
    let evening = Evening::play(seed() + 40, 400);
    let store = evening.club.store();
    let (registry, served) = (Registry::builder().events::<GameEvent>().build().expect("one"), boards(store));
    for size in [1, 7, 100, 100_000] {
        let (mut state, mut folded) = (Boards::new(), 0);
        for event in store.read_all().matching(Boards::query()) {
            let event = event.expect("an event");
            let context = EventContext::of(&event);
            registry.decode::<GameEvent>(&event).expect("known").for_each(|event| state.apply(&event, &context));
            folded += 1;
            if folded % size == 0 {
                let text = serde_json::to_string(&state).expect("JSON");
                state = serde_json::from_str(&text).expect("the same");
            }
        }
        assert!(state == served, "in pieces of {size}, seed {}", seed());
    }
    assert!(store.check_projection::<Boards>().expect("it can be folded").is_sound());
}
