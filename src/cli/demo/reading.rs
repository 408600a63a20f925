//! The games read once more, each from its first event on, and held against what their players were shown last.

use crate::cli::demo::account::Account;
use crate::cli::demo::compare::may_be_untold;
use crate::cli::demo::recount::Recount;
use crate::cli::demo::wire::Stands;
use crate::cli::failure::Failure;
use scorebook::EventStore;
use scorebook::game::{Game, GameId, Moment, Phase, PlayerId};

/// All that differs, in words. `end` is when the evening ended: what was due by then is done.
pub(super) fn differences(
    account: &Account,
    recount: &Recount,
    store: &EventStore,
    end: Moment,
) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for (name, played) in &recount.games {
        let Ok(id) = name.parse::<GameId>() else {
            found.push(format!("game {name}: this is no id"));
            continue;
        };
        let game = store.aggregate::<Game>(&id.stream()).load()?.into_state();
        if game.is_over() != played.end.is_some() {
            found.push(format!("game {id}: it is {:?}, and its log says {:?}", game.phase(), played.end));
        }
        if let Some((due, deadline)) = game.deadline().filter(|(due, _)| *due <= end) {
            found.push(format!("game {id}: {deadline:?} has been due for {} ms, and was forgotten", end.since(due)));
        }
        if may_be_untold(recount, name, &account.gaps) {
            continue;
        }
        for player in game.players() {
            let Some((version, shown)) = account.shown.get(&(name.clone(), player.get())) else { continue };
            let stands = stands(&game, player);
            if *shown != stands {
                let text =
                    format!("game {id}: {player} was shown {shown:?} at version {version}, and it is {stands:?}");
                found.push(text);
            }
        }
    }
    Ok(found)
}

/// Where a game stands for a player in it, by what the game says of itself.
fn stands(game: &Game, player: PlayerId) -> Stands {
    let side = game.team_of(player).and_then(|team| game.side(team));
    match (game.phase(), side) {
        (Phase::Completed | Phase::Cancelled, _) => Stands::Over,
        (Phase::Missing | Phase::Open, _) => Stands::Open,
        (_, None) => Stands::Out,
        (_, Some(side)) if side.out().is_some() => Stands::Out,
        _ if game.paused_since().is_some() => Stands::HeldUp,
        (Phase::BetweenRounds, _) => Stands::WaitForRound,
        (Phase::InRound, Some(side)) if side.has_matched() => Stands::WaitForRound,
        (Phase::InRound, Some(side)) => match (side.pending(), side.words()) {
            (Some(pending), _) if pending.player == player => Stands::WaitForPartner { said: pending.word.clone() },
            (_, Some(words)) => {
                let partner = side.team().partner(player);
                let partner = (!side.are_words_dealt()).then(|| words.of(side.team(), partner).clone());
                let own = words.of(side.team(), player).clone();
                Stands::Say { own, partner, round: side.round(), count: side.guess_count() }
            }
            (_, None) => Stands::WaitForRound,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::recount::Entry;
    use scorebook::game::{GameAction, GameCommand, GameConfig, Mode, TeamId, Word, WordPair};

    /// A knockout of two teams in its first round, and what was shown to its players.
    fn check(change: impl FnOnce(&mut Account), later_ms: u64, expected: &str) {
        let store = EventStore::open_in_memory().expect("a store");
        let begun = Moment::from_millis(1_700_000_000_000);
        let id = GameId::new(begun, [1; 10]);
        let teams = [(7, 8), (9, 10)].map(|(one, other)| TeamId::of(one.into(), other.into()).expect("two"));
        let config = GameConfig::of(Mode::Knockout);
        let word = |text: &str| Word::new(text).expect("a word");
        let pairs = [WordPair(word("ocean"), word("desert")), WordPair(word("anchor"), word("bagel"))];
        let create = GameAction::Create { guild: 1.into(), by: 7.into(), config, teams: teams.to_vec() };
        for action in [create, GameAction::Start { by: 7.into() }] {
            let command = GameCommand::new(begun, action).from_guild(1.into()).dealing(pairs.clone());
            store.aggregate::<Game>(&id.stream()).execute(command).wait().expect("it is allowed");
        }
        let mut recount = Recount::default();
        for event in store.read_all() {
            recount.count(&Entry::of(&event.expect("an event")).expect("a plain one"));
        }
        let mut account = Account::default();
        let say = |own: &str| Stands::Say { own: word(own), partner: None, round: 1, count: 1 };
        for (player, own) in [(7, "ocean"), (8, "desert"), (9, "anchor"), (10, "bagel")] {
            account.shown.insert((id.to_string(), player), (4, say(own)));
        }
        change(&mut account);
        let found = differences(&account, &recount, &store, begun.plus(later_ms)).expect("it can be read").join("\n");
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
    }

    #[test]
    fn what_was_shown_last_is_what_a_second_reading_says() {
        check(|_| {}, 1_000, "");
        let wrong = |account: &mut Account| account.shown.values_mut().for_each(|shown| shown.1 = Stands::WaitForRound);
        check(wrong, 1_000, "was shown WaitForRound at version 4, and it is Say");
    }

    #[test]
    fn a_deadline_that_nobody_thought_of_is_named() {
        check(|_| {}, 300_000, "RoundEnd has been due for 0 ms, and was forgotten");
    }
}
