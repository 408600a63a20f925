//! The leaderboards, held against what people counted for themselves.
//!
//! What is counted here rests on what people were told, and on nothing that the boards are made of: which games were completed,
//! who won them, and which of their words were compared. Only where time ended a game while the bot was being killed, so that
//! nobody may have heard of it, the log is asked.

use crate::cli::demo::account::{Account, Fact, Game, Player};
use crate::cli::demo::compare::is_excused;
use crate::cli::demo::recount::Recount;
use crate::cli::demo::wire::Record;
use crate::cli::failure::Failure;
use scorebook::EventStore;
use scorebook::game::{Board, Boards, Contender, GuildId, Moment, Period, Ranked};
use std::collections::{BTreeMap, BTreeSet};

/// What people have come to, as they would count it for themselves.
#[derive(Debug, Default)]
pub(super) struct Counted {
    players: BTreeMap<(GuildId, Player), Count>,
    /// The games that two have won together, by the id of the two.
    pairs: BTreeMap<(GuildId, String), u64>,
    guilds: BTreeSet<GuildId>,
}

/// What a player has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    record: Record,
    words: u64,
    matches: u64,
}

impl Counted {
    pub(super) fn of(account: &Account, recount: &Recount) -> Counted {
        let mut counted = Counted::default();
        let mut won = BTreeSet::new();
        for ((game, player), winners) in completed(account, recount) {
            let Some(guild) = account.guilds.get(game) else { continue };
            counted.guilds.insert(*guild);
            let count = counted.players.entry((*guild, player)).or_default();
            count.record.games += 1;
            count.record.wins += u64::from(winners.iter().any(|team| is_of(player, team)));
            for (fact, times) in told(account, game, player) {
                count.words += times * u64::from(matches!(fact, Fact::Missed(..) | Fact::Matched(..)));
                count.matches += times * u64::from(matches!(fact, Fact::Matched(..)));
            }
            won.extend(winners.iter().map(|team| (game, *guild, team)));
        }
        for (_, guild, team) in won {
            *counted.pairs.entry((guild, team.clone())).or_default() += 1;
        }
        counted
    }

    pub(super) fn players(&self) -> usize {
        self.players.len()
    }

    pub(super) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// What differs on the board of players.
    fn check_players(&self, guild: GuildId, board: &[Ranked]) -> Vec<String> {
        let of_line = |ranked: &Ranked| match ranked.who {
            Contender::Player(player) => Some((player.get(), Count::of(ranked))),
            Contender::Team(_) | Contender::Pair(_) => None,
        };
        let shown = board.iter().filter_map(of_line).collect::<BTreeMap<_, _>>();
        let counted = self.players.range((guild, 0)..=(guild, Player::MAX));
        let counted = counted.map(|((_, player), count)| (*player, *count)).collect();
        differ(guild, &shown, &counted)
    }

    /// What differs on the board of pairs. Who has not won was told of no pair.
    fn check_pairs(&self, guild: GuildId, board: &[Ranked]) -> Vec<String> {
        let of_line = |ranked: &Ranked| match ranked.who {
            Contender::Pair(team) if 0 < ranked.tally.wins => Some((team.to_string(), ranked.tally.wins)),
            _ => None,
        };
        let shown = board.iter().filter_map(of_line).collect::<BTreeMap<_, _>>();
        let counted = self.pairs.iter().filter(|((of, _), _)| *of == guild);
        let counted = counted.map(|((_, team), wins)| (team.clone(), *wins)).collect();
        differ(guild, &shown, &counted)
    }
}

impl Count {
    fn of(ranked: &Ranked) -> Count {
        let tally = &ranked.tally;
        let record = Record { games: tally.games, wins: tally.wins };
        Count { record, words: tally.guesses, matches: tally.matches }
    }
}

/// All that differs, in words.
pub(super) fn differences(
    account: &Account,
    counted: &Counted,
    store: &EventStore,
    end: Moment,
) -> Result<Vec<String>, Failure> {
    let boards = store.projection::<Boards>()?.read_at(store.head()?, Boards::clone)?;
    let mut found = Vec::new();
    for guild in &counted.guilds {
        let board = |board| boards.leaderboard(*guild, board, Period::All, end, usize::MAX);
        let (players, pairs) = (board(Board::Players), board(Board::Pairs));
        found.extend(counted.check_players(*guild, &players));
        found.extend(counted.check_pairs(*guild, &pairs));
        found.extend(out_of_order(*guild, &players));
    }
    for guild in boards.guilds().filter(|guild| !counted.guilds.contains(guild)) {
        if !boards.leaderboard(guild, Board::Players, Period::All, end, 1).is_empty() {
            found.push(format!("guild {guild}: there is a leaderboard, and nobody was told of a game"));
        }
    }
    for (guild, player, record) in &account.looked {
        let last = counted.players.get(&(*guild, *player)).map(|count| count.record).unwrap_or_default();
        if last.games < record.games || last.wins < record.wins {
            found.push(format!("guild {guild}: {player} was told {record:?}, and has come to {last:?} in the end"));
        }
    }
    let check = store.check_projection::<Boards>()?;
    if !check.is_sound() {
        found.push(format!("the boards folded anew are others: {check:?}"));
    }
    Ok(found)
}

/// Who was in which game that was completed, and who won it.
fn completed<'a>(account: &'a Account, recount: &'a Recount) -> BTreeMap<(&'a Game, Player), &'a [String]> {
    let of = |fact: &'a Fact| if let Fact::Completed(winners) = fact { Some(winners.as_slice()) } else { None };
    let told = account.facts.keys().filter_map(|(game, player, fact)| Some(((game, *player), of(fact)?)));
    let untold = recount.news.iter().flat_map(|(game, news)| {
        let excused = news.iter().filter(|news| is_excused(news, &account.gaps));
        let ends = excused.filter_map(|news| Some((of(&news.fact)?, &news.to)));
        ends.flat_map(move |(winners, to)| to.iter().map(move |player| ((game, *player), winners)))
    });
    untold.chain(told).collect()
}

/// What a player was told of a game, and how often.
fn told<'a>(account: &'a Account, game: &Game, player: Player) -> impl Iterator<Item = (&'a Fact, u64)> {
    let first = (game.clone(), player, Fact::Missed(String::new(), String::new()));
    let (game, facts) = (game.clone(), account.facts.range(first..));
    let is_its = move |((of, to, _), _): &(&(Game, Player, Fact), &u64)| *of == game && *to == player;
    facts.take_while(is_its).map(|((_, _, fact), times)| (fact, *times))
}

/// Whether a player is one of the two that a team's id names.
fn is_of(player: Player, team: &str) -> bool {
    team.split('-').skip(1).any(|id| id.parse() == Ok(player))
}

fn differ<K: Ord + ToString, V: PartialEq + std::fmt::Debug>(
    guild: GuildId,
    shown: &BTreeMap<K, V>,
    counted: &BTreeMap<K, V>,
) -> Vec<String> {
    let who = shown.keys().chain(counted.keys()).collect::<BTreeSet<_>>();
    let wrong = who.into_iter().filter(|who| shown.get(who) != counted.get(who));
    let text = |who: &K| {
        let (shown, counted, who) = (shown.get(who), counted.get(who), who.to_string());
        format!("guild {guild}: {who} is on the leaderboard with {shown:?}, and was told of {counted:?}")
    };
    wrong.map(text).collect()
}

/// Whoever has won more is ahead.
fn out_of_order(guild: GuildId, board: &[Ranked]) -> Option<String> {
    let is_wrong = |pair: &&[Ranked]| pair[0].tally.wins < pair[1].tally.wins || pair[1].place < pair[0].place;
    let wrong = board.windows(2).find(is_wrong)?;
    Some(format!("guild {guild}: {} stands before {}", wrong[0], wrong[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::account::Gap;
    use crate::cli::demo::recount::News;
    use scorebook::game::{Tally, TeamId};

    const GAME: &str = "01890000-0000-7000-8000-000000000001";
    const OTHER: &str = "01890000-0000-7000-8000-000000000002";

    fn guild() -> GuildId {
        GuildId::from(1)
    }

    /// 7 and 8 have won a game against 9 and 10, with a miss and a match; another has ended while the bot was killed.
    fn counted() -> Counted {
        let mut account = Account::default();
        for game in [GAME, OTHER] {
            account.guilds.insert(game.to_owned(), guild());
        }
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let (missed, matched) = (pair("ocean", "desert"), pair("beach", "beaches"));
        for player in [7, 8] {
            for (fact, times) in [
                (Fact::Missed(missed.0.clone(), missed.1.clone()), 2),
                (Fact::Matched(matched.0.clone(), matched.1.clone()), 1),
            ] {
                account.facts.insert((GAME.to_owned(), player, fact), times);
            }
        }
        let won = Fact::Completed(vec!["team-7-8".to_owned()]);
        for player in 7..=10 {
            account.facts.insert((GAME.to_owned(), player, won.clone()), 1);
        }
        account.gaps.push(Gap { after: 10, to: 20 });
        let news = |position| News { fact: won.clone(), to: vec![7, 8], position, is_of_time: true };
        let mut recount = Recount::default();
        recount.news.insert(OTHER.to_owned(), vec![news(15)]);
        Counted::of(&account, &recount)
    }

    fn line(place: usize, who: Contender, [games, wins, guesses, matches]: [u64; 4]) -> Ranked {
        Ranked { place, who, name: None, tally: Tally { games, wins, score: 0, guesses, matches } }
    }

    fn players() -> Vec<Ranked> {
        let numbers = |player| if player < 9 { [2, 2, 3, 1] } else { [1, 0, 0, 0] };
        (7..=10).map(|player| line(1, Contender::Player(player.into()), numbers(player))).collect()
    }

    #[test]
    fn a_board_with_what_people_were_told_of_is_right() {
        assert_eq!(counted().check_players(guild(), &players()), Vec::<String>::new());
        let team = TeamId::of(7.into(), 8.into()).expect("two");
        let pairs = [line(1, Contender::Pair(team), [2, 2, 3, 1])];
        assert_eq!(counted().check_pairs(guild(), &pairs), Vec::<String>::new());
        assert_eq!(counted().check_pairs(guild(), &[]).len(), 1);
        assert_eq!((counted().players(), counted().pairs()), (4, 1));
    }

    #[test]
    fn whatever_is_wrong_on_a_board_is_named() {
        for at in 0..4 {
            let mut wrong = players();
            let tally = &mut wrong[0].tally;
            *[&mut tally.games, &mut tally.wins, &mut tally.guesses, &mut tally.matches][at] += 1;
            let found = counted().check_players(guild(), &wrong);
            assert!(found.len() == 1 && found[0].contains("7 is on the leaderboard"), "{found:?}");
        }
        let mut short = players();
        short.pop();
        assert_eq!(counted().check_players(guild(), &short).len(), 1);
        let mut stranger = players();
        stranger.push(line(5, Contender::Player(11.into()), [1, 0, 0, 0]));
        assert_eq!(counted().check_players(guild(), &stranger).len(), 1);
        assert!(out_of_order(guild(), &players()).is_none());
        let mut turned = players();
        turned.reverse();
        assert!(out_of_order(guild(), &turned).is_some());
    }
}
