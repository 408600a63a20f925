//! What people were told, held against what the log says. Every difference is named.

use crate::cli::demo::account::{Account, Answered, Fact, Game, Gap, Kind, Player, Sent};
use crate::cli::demo::recount::{Effect, News, Recount};
use std::collections::BTreeMap;

/// All that differs, in words.
pub(super) fn differences(account: &Account, recount: &Recount) -> Vec<String> {
    let mut found = account.complaints.clone();
    found.extend(recount.complaints.iter().cloned());
    found.extend(of_answers(account, recount));
    found.extend(of_words(account, recount));
    found.extend(of_news(account, recount));
    found
}

/// "Acknowledged once, done once": each answer with what it left in the log.
fn of_answers(account: &Account, recount: &Recount) -> Vec<String> {
    let none = Effect::default();
    let mut ids = account.sent.keys().chain(recount.effects.keys()).collect::<Vec<_>>();
    ids.sort();
    ids.dedup();
    let mut found = Vec::new();
    for id in ids {
        let effect = recount.effects.get(id).unwrap_or(&none);
        let is_wrong = match account.sent.get(id) {
            None => Some("nobody sent it".to_owned()),
            Some(Sent { answer: None, .. }) => Some("it was never answered".to_owned()),
            Some(Sent { kind, answer: Some(Answered::Done(events)) }) => of_done(*kind, *events, effect),
            Some(Sent { answer: Some(Answered::Refused(reason)), .. }) => of_refused(reason, effect),
        };
        found.extend(is_wrong.map(|wrong| format!("interaction {id}: {wrong}")));
    }
    found
}

fn of_done(kind: Kind, events: u64, effect: &Effect) -> Option<String> {
    let left = effect.types.values().sum::<u64>();
    if left != events {
        return Some(format!("{events} events were told, and {left} are in the log"));
    }
    let (types, most): (&[&str], u64) = match kind {
        Kind::Open => (&["game_created"], 1),
        // A team comes as two.
        Kind::Join => (&["player_joined"], 2),
        Kind::Leave => (&["player_left"], 2),
        Kind::Start => (&["game_started"], 1),
        Kind::Say => (&["guess_started", "guess_processed", "guess_abandoned"], 1),
        Kind::Pause => (&["game_paused"], 1),
        Kind::Resume => (&["game_resumed"], 1),
        Kind::Cancel => (&["game_cancelled"], 1),
        Kind::Invite => (&["team_invitation_created"], 1),
        Kind::Accept => (&["team_invitation_accepted"], 1),
        Kind::Decline => (&["team_invitation_declined"], 1),
        Kind::Other => return None,
    };
    let count = types.iter().filter_map(|of| effect.types.get(*of)).sum::<u64>();
    // Where a game's end was due by then, that came first, and nothing was left to do.
    let is_over = effect.types.contains_key("game_completed");
    if count == 0 && is_over && matches!(kind, Kind::Pause | Kind::Leave | Kind::Cancel) {
        return None;
    }
    (count == 0 || most < count).then(|| format!("it was done, and the log has {count} of {}", types.join(", ")))
}

/// What was refused leaves nothing, but that a word was.
fn of_refused(reason: &str, effect: &Effect) -> Option<String> {
    match (&effect.refusals[..], effect.types.values().sum::<u64>()) {
        ([], 0) => None,
        ([kept], 1) if kept == reason => None,
        ([kept], 1) => Some(format!("it was refused as {reason}, and is kept as {kept}")),
        (_, left) => Some(format!("it was refused, and {left} events of it are in the log")),
    }
}

/// Words told as taken are the words in the log: neither more nor less.
fn of_words(account: &Account, recount: &Recount) -> Vec<String> {
    let mut found = Vec::new();
    let mut keys = account.taken.keys().chain(recount.taken.keys()).collect::<Vec<_>>();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (told, logged) = (account.taken.get(key).unwrap_or(&0), recount.taken.get(key).unwrap_or(&0));
        if told != logged {
            let (game, player, word) = key;
            let text = format!(
                "game {game}: `{word}` of {player} was told as taken {told} times, and is in the log {logged} times"
            );
            found.push(text);
        }
    }
    found
}

/// What people were told of matches, eliminations, winners and names is what the log says. Of what time brought while the bot
/// was being killed they may not have heard.
fn of_news(account: &Account, recount: &Recount) -> Vec<String> {
    let mut logged: BTreeMap<(&Game, Player, &Fact), (u64, u64)> = BTreeMap::new();
    for (game, news) in &recount.news {
        for news in news {
            let is_certain = !is_excused(news, &account.gaps);
            for player in &news.to {
                let (least, most) = logged.entry((game, *player, &news.fact)).or_default();
                *least += u64::from(is_certain);
                *most += 1;
            }
        }
    }
    let mut found = Vec::new();
    for ((game, player, fact), told) in &account.facts {
        let most = logged.get(&(game, *player, fact)).map_or(0, |(_, most)| *most);
        // Who leaves an open game as its last player hears of its end without being in it.
        let is_gone = most == 0 && matches!(fact, Fact::Cancelled(_)) && has_happened(recount, game, fact);
        if most < *told && !is_gone {
            found
                .push(format!("game {game}: {player} was told {fact:?} {told} times, and the log has it {most} times"));
        }
    }
    for ((game, player, fact), (least, _)) in logged {
        let told = account.facts.get(&(game.clone(), player, fact.clone())).copied().unwrap_or(0);
        if told < least {
            found.push(format!(
                "game {game}: {player} was told {fact:?} {told} times, and the log has it {least} times"
            ));
        }
    }
    found
}

fn has_happened(recount: &Recount, game: &Game, fact: &Fact) -> bool {
    recount.news.get(game).is_some_and(|news| news.iter().any(|news| news.fact == *fact))
}

pub(super) fn is_excused(news: &News, gaps: &[Gap]) -> bool {
    news.is_of_time && gaps.iter().any(|gap| gap.after < news.position && news.position <= gap.to)
}

/// Whether somebody may not have heard of the end of this game.
pub(super) fn may_be_untold(recount: &Recount, game: &Game, gaps: &[Gap]) -> bool {
    let ends = |fact: &Fact| matches!(fact, Fact::Completed(_) | Fact::Cancelled(_));
    recount.news.get(game).is_some_and(|news| news.iter().any(|news| ends(&news.fact) && is_excused(news, gaps)))
}

#[cfg(test)]
mod tests;
