//! Who should be shown what of what has happened.

use super::message::{Message, News, ShownWords, Situation, Subject};
use crate::game::{AbandonReason, DeclineReason, Game, GameEvent, Phase, PlayerId, Side, TeamId, WordPair};
use scorebook::Version;

/// Who should hear of something.
pub(super) enum To {
    Everybody,
    Team(TeamId),
    /// The partner of somebody.
    PartnerOf(TeamId, PlayerId),
}

/// What the players of a game should be shown behind these events, the last of which has this version.
pub(super) fn game(game: &Game, version: Version, events: &[GameEvent]) -> Vec<Message> {
    let Some(id) = game.id() else { return Vec::new() };
    let heard = events.iter().flat_map(of_game).collect::<Vec<_>>();
    let mut players = game.players();
    // Who has just left is told so as well.
    players.extend(
        events.iter().filter_map(|event| if let GameEvent::PlayerLeft(of) = event { Some(of.player_id) } else { None }),
    );
    players.sort();
    players.dedup();
    let message = |to: PlayerId| {
        let is_for = |(whose, _): &&(To, News)| match whose {
            To::Everybody => true,
            To::Team(team) => team.has(to),
            To::PartnerOf(team, player) => team.partner(*player) == to && team.has(to),
        };
        let news = heard.iter().filter(is_for).map(|(_, news)| news.clone()).collect::<Vec<_>>();
        let has_spoken = events.iter().any(|event| matches!(event, GameEvent::GuessStarted(of) if of.player_id == to));
        let is_concerned = !news.is_empty() || has_spoken;
        let (about, situation) = (Subject::Game(id), Some(situation(game, to)));
        is_concerned.then_some(Message { to, about, version, news, situation })
    };
    players.into_iter().filter_map(message).collect()
}

/// What the players of a game should be shown that goes on as it was.
pub(super) fn as_it_stands(game: &Game, version: Version) -> Vec<Message> {
    let Some(id) = game.id() else { return Vec::new() };
    let about = Subject::Game(id);
    let message = |to| Message { to, about, version, news: Vec::new(), situation: Some(situation(game, to)) };
    game.players().into_iter().map(message).collect()
}

pub(super) fn of_game(event: &GameEvent) -> Option<(To, News)> {
    let all = |news| Some((To::Everybody, news));
    match event {
        GameEvent::GameCreated(of) => all(News::Opened { mode: of.base.mode, by: of.created_by }),
        GameEvent::GameModeChanged(of) => all(News::Changed { mode: of.to, by: of.by }),
        GameEvent::GameConfigured(of) => all(News::Changed { mode: of.base.mode, by: of.by }),
        GameEvent::PlayerJoined(of) => all(News::Joined { player: of.player_id, team: of.team_id }),
        GameEvent::PlayerLeft(of) => all(News::Left { player: of.player_id, reason: of.reason }),
        GameEvent::PlayerStatusChanged(of) => all(News::Status { player: of.player_id, status: of.to }),
        GameEvent::GameStarted(_) => all(News::Started),
        GameEvent::RoundCompleted(of) if of.team_id.is_none() => {
            all(News::RoundOver { round_number: of.round_number, winner: of.winner_team_id })
        }
        GameEvent::TeamEliminated(of) => all(News::Eliminated { team: of.team_id, reason: of.reason }),
        GameEvent::RaceModeTimeExpired(_) | GameEvent::GolfRaceTimeExpired(_) => all(News::TimeUp),
        GameEvent::LongformDayEnded(of) => all(News::DayOver { day: of.day_number }),
        GameEvent::GamePaused(of) => all(News::Paused { reason: of.reason }),
        GameEvent::GameResumed(of) => all(News::Resumed { paused_ms: of.paused_ms }),
        GameEvent::GameCompleted(of) => all(News::Completed { winners: of.winners.clone() }),
        GameEvent::GameCancelled(of) => all(News::Cancelled { reason: of.reason }),
        GameEvent::ReplayCreated(of) => all(News::ReplayNamed { name: of.name.clone() }),
        _ => of_one_team(event),
    }
}

fn of_one_team(event: &GameEvent) -> Option<(To, News)> {
    Some(match event {
        GameEvent::RoundStarted(of) => {
            let round_number = of.round_number;
            match of.team_states.keys().next() {
                Some(team) if of.team_states.len() == 1 => (To::Team(*team), News::RoundStarted { round_number }),
                _ => (To::Everybody, News::RoundStarted { round_number }),
            }
        }
        GameEvent::GuessStarted(of) => (To::PartnerOf(of.team_id, of.player_id), News::PartnerSpoke),
        GameEvent::GuessProcessed(of) => {
            let words = WordPair(of.player1_word.clone(), of.player2_word.clone());
            let news = match of.guess_successful {
                true => News::Matched { words, guess_count: of.guess_count },
                false => News::Missed { words },
            };
            (To::Team(of.team_id), news)
        }
        GameEvent::GuessAbandoned(of) => match (of.reason, of.abandoning_player_id) {
            (AbandonReason::GaveUp, Some(by)) => (To::Team(of.team_id), News::GaveUp { by }),
            (AbandonReason::Timeout, _) => (To::Team(of.team_id), News::TimedOut),
            _ => return None,
        },
        _ => return None,
    })
}

/// Where a game stands for a player.
fn situation(game: &Game, player: PlayerId) -> Situation {
    match game.phase() {
        Phase::Completed | Phase::Cancelled => return Situation::Over,
        Phase::Missing | Phase::Open => return Situation::Open { players: game.players() },
        Phase::InRound | Phase::BetweenRounds => {}
    }
    let side = game.team_of(player).and_then(|team| game.side(team));
    let Some(side) = side.filter(|side| side.out().is_none()) else { return Situation::Out };
    if game.paused_since().is_some() {
        return Situation::HeldUp;
    }
    let at = game.deadline().map(|(at, _)| at);
    if game.phase() == Phase::BetweenRounds || side.has_matched() {
        return Situation::WaitForRound { at };
    }
    let until = at.filter(|_| game.is_clocked());
    match (side.pending(), shown_words(side, player)) {
        (Some(pending), _) if pending.player == player => {
            Situation::WaitForPartner { said: pending.word.clone(), until }
        }
        (_, Some(words)) => {
            Situation::Say { words, round_number: side.round(), guess_count: side.guess_count(), until }
        }
        (_, None) => Situation::WaitForRound { at },
    }
}

/// "Two random dictionary words, one given to each player. After a failed guess the two guessed words become the new pair
/// (each player sees both)."
fn shown_words(side: &Side, player: PlayerId) -> Option<ShownWords> {
    let words = side.words()?;
    let own = words.of(side.team(), player).clone();
    Some(match side.are_words_dealt() {
        true => ShownWords::Own(own),
        false => ShownWords::Both { own, partner: words.of(side.team(), side.team().partner(player)).clone() },
    })
}

/// What the players of a team should be shown of what has happened to it.
pub(super) fn team(team: TeamId, version: Version, events: &[GameEvent]) -> Vec<Message> {
    let of_team = events.iter().filter(|event| event.team_base().is_some_and(|base| base.team_id == team));
    let news = of_team.filter_map(of_team_news).collect::<Vec<_>>();
    if news.is_empty() {
        return Vec::new();
    }
    let about = Subject::Team(team);
    let message = |to| Message { to, about, version, news: news.clone(), situation: None };
    team.players().into_iter().map(message).collect()
}

fn of_team_news(event: &GameEvent) -> Option<News> {
    Some(match event {
        GameEvent::TeamInvitationCreated(of) => News::Invited {
            inviter: of.inviter_id,
            invitee: of.invitee_id,
            name: of.proposed_name.clone(),
            expires_at: of.expires_at,
        },
        GameEvent::TeamInvitationDeclined(of) if of.reason == DeclineReason::Expired => News::InvitationExpired,
        GameEvent::TeamInvitationDeclined(_) => News::InvitationDeclined,
        GameEvent::TeamCreated(of) => News::TeamFormed { name: of.name.clone() },
        GameEvent::TeamUpdated(of) => News::TeamRenamed { name: of.name.clone() },
        GameEvent::TeamMemberAdded(of) => News::MemberAdded { player: of.player_id },
        GameEvent::TeamMemberRemoved(of) => News::MemberRemoved { player: of.player_id, reason: of.reason.clone() },
        _ => return None,
    })
}
