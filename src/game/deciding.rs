//! What follows from a command.

use super::command::{CancelRight, GameAction, GameCommand};
use super::deadline::Deadline;
use super::event::GameEvent;
use super::game::{Game, Phase};
use super::guessing;
use super::ids::{GuildId, PlayerId, TeamId};
use super::mode::{GameConfig, Mode};
use super::moment::Moment;
use super::payload::*;
use super::refusal::Refusal;
use super::turn::Turn;
use super::{knockout, longform, race};

/// Decides a command over a game.
pub(super) fn decide(game: &Game, command: &GameCommand) -> Result<Vec<GameEvent>, Refusal> {
    if Moment::MAX < command.at {
        return Err(Refusal::InvalidTime);
    }
    let mut turn = Turn::new(game, game.clock.now(command.at), &command.deal);
    if let GameAction::Create { guild, by, config, teams } = &command.action {
        create(&mut turn, command.guild, (*guild, *by), *config, teams)?;
    } else {
        let guild = game.guild().ok_or(Refusal::GameNotFound)?;
        if command.guild.is_some_and(|from| from != guild) {
            return Err(Refusal::GuildMismatch);
        }
        act(&mut turn, &command.action)?;
    }
    Ok(turn.into_events())
}

fn act(turn: &mut Turn<'_>, action: &GameAction) -> Result<(), Refusal> {
    match (turn.game.phase, action) {
        (Phase::Completed | Phase::Cancelled, GameAction::PassTime | GameAction::Recover) => return Ok(()),
        (Phase::Completed, _) => return Err(Refusal::GameCompleted),
        (Phase::Cancelled, _) => return Err(Refusal::GameCancelled),
        _ => {}
    }
    match action {
        GameAction::Create { .. } => Err(Refusal::GameExists),
        GameAction::Configure { by, config } => configure(turn, *by, *config),
        GameAction::ChangeMode { by, mode } => change_mode(turn, *by, *mode),
        GameAction::Join { player, team } => join(turn, *player, *team),
        GameAction::Leave { player, reason } => leave(turn, *player, *reason),
        GameAction::ChangeStatus { player, status } => change_status(turn, *player, *status),
        GameAction::Start { by } => start(turn, *by),
        GameAction::Guess { player, channel, word, check, verdict } => {
            let guess =
                guessing::Guess { player: *player, channel: *channel, word, check: *check, verdict: verdict.as_ref() };
            guessing::guess(turn, &guess)
        }
        GameAction::PassTime => pass_time(turn),
        GameAction::Pause { reason, by } => pause(turn, *reason, *by),
        GameAction::Resume { by } => resume(turn, *by),
        GameAction::Recover => recover(turn),
        GameAction::Cancel { by, right } => cancel(turn, *by, *right),
    }
}

// Before the game has started.

fn create(
    turn: &mut Turn<'_>,
    from: Option<GuildId>,
    (guild_id, by): (GuildId, PlayerId),
    config: GameConfig,
    teams: &[TeamId],
) -> Result<(), Refusal> {
    if turn.game.phase != Phase::Missing {
        return Err(Refusal::GameExists);
    }
    let game_id = turn.game.id.ok_or(Refusal::InvalidStream)?;
    if from.is_some_and(|from| from != guild_id) {
        return Err(Refusal::GuildMismatch);
    }
    is_playable(&config)?;
    let mode = config.mode();
    if *mode.teams().end() < teams.len() {
        return Err(Refusal::TooManyTeams);
    }
    let players = teams.iter().flat_map(|team| team.players()).collect::<Vec<_>>();
    if let Some((_, twice)) = players.iter().enumerate().find(|(at, player)| players[..*at].contains(player)) {
        return Err(Refusal::AlreadyJoined(*twice));
    }
    let base = GameBase { game_id, guild_id, mode, timestamp: turn.at };
    let (created_at, team_ids) = (turn.at, teams.to_vec());
    turn.emit(GameCreated { base, created_by: by, created_at, team_ids });
    if config != GameConfig::of(mode) {
        turn.emit(GameConfigured { base, config, config_version: 1, by });
    }
    Ok(())
}

fn configure(turn: &mut Turn<'_>, by: PlayerId, config: GameConfig) -> Result<(), Refusal> {
    is_open(turn)?;
    takes_part(turn, by)?;
    let (expected, got) = (turn.game.mode(), config.mode());
    if expected != got {
        return Err(Refusal::InvalidMode { expected, got });
    }
    is_playable(&config)?;
    if config != turn.game.config {
        let (base, config_version) = (turn.base()?, turn.game.config_version.saturating_add(1));
        turn.emit(GameConfigured { base, config, config_version, by });
    }
    Ok(())
}

fn change_mode(turn: &mut Turn<'_>, by: PlayerId, to: Mode) -> Result<(), Refusal> {
    is_open(turn)?;
    takes_part(turn, by)?;
    let teams = turn.game.order.len() + usize::from(turn.game.waiting.is_some());
    if *to.teams().end() < teams {
        return Err(Refusal::TooManyTeams);
    }
    let from = turn.game.mode();
    if from != to {
        let base = GameBase { mode: to, ..turn.base()? };
        let player_ids = turn.game.players();
        turn.emit(GameModeChanged { base, from, to, by, player_ids });
    }
    Ok(())
}

fn join(turn: &mut Turn<'_>, player: PlayerId, team: Option<TeamId>) -> Result<(), Refusal> {
    is_open(turn)?;
    let coming = match team {
        Some(team) if team.has(player) => team.players().to_vec(),
        Some(_) => return Err(Refusal::NotTeamMember),
        None => vec![player],
    };
    let present = turn.game.players();
    if let Some(present) = coming.iter().find(|player| present.contains(player)) {
        return Err(Refusal::AlreadyJoined(*present));
    }
    // Who waits alone keeps a place for a partner.
    let waiting = turn.game.waiting;
    let teams = turn.game.order.len() + usize::from(waiting.is_some());
    let is_partner = team.is_none() && waiting.is_some();
    if *turn.game.mode().teams().end() <= teams && !is_partner {
        return Err(Refusal::TooManyTeams);
    }
    let team_id = team.or(waiting.and_then(|waiting| TeamId::of(waiting, player)));
    let base = turn.base()?;
    for player_id in coming {
        turn.emit(PlayerJoined { base, player_id, team_id });
    }
    Ok(())
}

fn start(turn: &mut Turn<'_>, by: PlayerId) -> Result<(), Refusal> {
    is_open(turn)?;
    takes_part(turn, by)?;
    let (teams, mode) = (turn.game.order.len(), turn.game.mode());
    if let Some(alone) = turn.game.waiting {
        return Err(Refusal::TeamIncomplete(alone));
    }
    if !mode.teams().contains(&teams) {
        return Err(Refusal::InvalidTeamCount { teams, mode });
    }
    // It was asked when it was set; and again, for what can be played may have been something else then.
    is_playable(&turn.game.config)?;
    let team_ids = turn.game.order.clone();
    let event = GameStarted {
        base: turn.base()?,
        round_number: 1,
        teams: team_ids.iter().map(|team| (*team, team.players().to_vec())).collect(),
        player_ids: turn.game.players(),
        team_ids: team_ids.clone(),
        config: turn.game.config,
        started_at: turn.at,
    };
    turn.emit(event);
    match mode {
        Mode::Knockout => knockout::start_round(turn, 1),
        _ => turn.start_round(&team_ids, 1),
    }
}

// At any time.

fn leave(turn: &mut Turn<'_>, player_id: PlayerId, reason: LeaveReason) -> Result<(), Refusal> {
    let team_id = turn.game.team_of(player_id);
    if team_id.is_none() && turn.game.waiting != Some(player_id) {
        return Err(Refusal::PlayerNotInGame(player_id));
    }
    let base = turn.base()?;
    match team_id.filter(|_| turn.game.is_played()) {
        Some(team) => forfeit(turn, team, player_id, reason),
        None => {
            turn.emit(PlayerLeft { base, player_id, team_id, reason });
            // Nobody plays alone: the team goes as it came.
            if let Some(team) = team_id {
                let (player_id, reason) = (team.partner(player_id), LeaveReason::PartnerLeft);
                turn.emit(PlayerLeft { base, player_id, team_id, reason });
            }
            let is_empty = turn.game.players().is_empty();
            if is_empty { turn.cancel(CancelReason::TooFew, None) } else { Ok(()) }
        }
    }
}

/// "The open attempt is abandoned and the team is out, in every mode."
fn forfeit(turn: &mut Turn<'_>, team: TeamId, player_id: PlayerId, reason: LeaveReason) -> Result<(), Refusal> {
    if turn.side(team)?.out.is_some() {
        return Err(Refusal::TeamEliminated);
    }
    settle(turn)?;
    let side = turn.side(team)?;
    if turn.game.is_over() || side.out.is_some() {
        return Ok(()); // There is nothing left to leave.
    }
    if side.is_guessing() {
        let is_lost = reason == LeaveReason::Disconnected;
        let abandoned = if is_lost { AbandonReason::Disconnected } else { AbandonReason::PlayerQuit };
        turn.abandon(team, abandoned, Some(player_id))?;
    }
    let base = turn.base()?;
    turn.emit(PlayerLeft { base, player_id, team_id: Some(team), reason });
    turn.eliminate(team, EliminationReason::Forfeit, None)?;
    match turn.game.mode() {
        Mode::TwoPlayer => turn.complete(Vec::new()),
        Mode::Knockout => knockout::go_on(turn),
        Mode::Race | Mode::GolfRace => race::team_left(turn),
        Mode::Longform => longform::team_left(turn),
    }
}

fn change_status(turn: &mut Turn<'_>, player_id: PlayerId, to: PlayerStatus) -> Result<(), Refusal> {
    if !turn.game.players().contains(&player_id) {
        return Err(Refusal::PlayerNotInGame(player_id));
    }
    let from = turn.game.status_of(player_id);
    if from != to {
        let base = turn.base()?;
        turn.emit(PlayerStatusChanged { base, player_id, from, to });
    }
    Ok(())
}

/// Who opened a game may end it for all, and who plays it with nobody but the partner: else whoever is about to lose could
/// take the game from the others. They may leave.
fn cancel(turn: &mut Turn<'_>, by: PlayerId, right: CancelRight) -> Result<(), Refusal> {
    let reason = match right {
        CancelRight::Player => {
            takes_part(turn, by)?;
            let is_shared = turn.game.players().len() > 2;
            if is_shared && !is_creator(turn, by) {
                return Err(Refusal::NotOpener);
            }
            CancelReason::ByPlayers
        }
        CancelRight::Admin => CancelReason::ByAdmin,
    };
    settle(turn)?;
    if turn.game.is_over() { Ok(()) } else { turn.cancel(reason, Some(by)) }
}

// Time.

fn pass_time(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    if turn.game.paused_since().is_some() {
        return Ok(());
    }
    let due = turn.game.next_deadline().filter(|(due, _)| *due <= turn.now());
    // One thing is done: whatever it begins lasts from now on, and is due later.
    match due.map(|(_, deadline)| deadline) {
        Some(Deadline::RoundEnd) => knockout::time_is_up(turn),
        Some(Deadline::NextRound) => knockout::next_round(turn),
        Some(Deadline::RaceEnd) => race::time_is_up(turn),
        Some(Deadline::DayEnd) => longform::day_is_over(turn),
        Some(Deadline::Idle) => turn.cancel(CancelReason::Idle, None),
        None => Ok(()),
    }
}

/// Does what is due in the round before anybody leaves or stops it: what is due is due, also where nobody has looked at the time yet.
/// Else a race that was won could be lost by leaving, or a lost one be cancelled, as long as nobody looks.
fn settle(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let is_due = turn.game.play_deadline().is_some_and(|(due, _)| due <= turn.now());
    if is_due && turn.is_in_round() { pass_time(turn) } else { Ok(()) }
}

fn pause(turn: &mut Turn<'_>, reason: PauseReason, by: Option<PlayerId>) -> Result<(), Refusal> {
    is_started(turn)?;
    if turn.game.paused_since().is_some() {
        return Err(Refusal::GamePaused);
    }
    if let (PauseReason::ByPlayers, Some(player)) = (reason, by) {
        takes_part(turn, player)?;
    }
    // Downtime does not count: whatever time passed since the last event, nobody could play.
    let is_restart = reason == PauseReason::BotRestart;
    if !is_restart {
        settle(turn)?;
        if turn.game.is_over() {
            return Ok(());
        }
    }
    let since = if is_restart { turn.game.clock.last() } else { turn.at };
    let base = turn.base()?;
    turn.emit(GamePaused { base, reason, since, by });
    Ok(())
}

fn resume(turn: &mut Turn<'_>, by: Option<PlayerId>) -> Result<(), Refusal> {
    is_started(turn)?;
    let since = turn.game.paused_since().ok_or(Refusal::GameNotPaused)?;
    let (base, paused_ms) = (turn.base()?, turn.at.since(since));
    turn.emit(GameResumed { base, by, paused_ms });
    Ok(())
}

/// "Each clocked game gets `game_paused` (reason `bot_restart`, since its last event) and `game_resumed`." A game that its
/// players hold up stays held up.
fn recover(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    if !turn.game.is_clocked() || turn.game.paused_since().is_some() {
        return Ok(());
    }
    pause(turn, PauseReason::BotRestart, None)?;
    resume(turn, None)
}

// What several ask for.

fn is_open(turn: &Turn<'_>) -> Result<(), Refusal> {
    if turn.game.phase == Phase::Open { Ok(()) } else { Err(Refusal::GameStarted) }
}

pub(super) fn is_started(turn: &Turn<'_>) -> Result<(), Refusal> {
    if turn.game.is_played() { Ok(()) } else { Err(Refusal::GameNotStarted) }
}

/// Whether somebody is in the game, or has opened it.
fn takes_part(turn: &Turn<'_>, player: PlayerId) -> Result<(), Refusal> {
    let takes_part = is_creator(turn, player) || turn.game.players().contains(&player);
    if takes_part { Ok(()) } else { Err(Refusal::PlayerNotInGame(player)) }
}

fn is_creator(turn: &Turn<'_>, player: PlayerId) -> bool {
    turn.game.about.is_some_and(|about| about.creator == player)
}

fn is_playable(config: &GameConfig) -> Result<(), Refusal> {
    config.faults().first().map_or(Ok(()), |fault| Err(Refusal::InvalidConfig(*fault)))
}
