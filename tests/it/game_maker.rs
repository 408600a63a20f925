//! Events of every type, made by chance.

use super::game::{NOON, numbered, team, word};
use crate::model::{Chance, Choices};
use scorebook::game::*;
use std::collections::BTreeMap;

/// Makes the parts of events by chance.
pub(crate) struct Maker(pub(crate) Chance);

impl Maker {
    fn number(&mut self, bound: usize) -> u32 {
        self.0.below(bound) as u32
    }

    pub(crate) fn moment(&mut self) -> Moment {
        NOON.plus(u64::from(self.number(1 << 30)))
    }

    fn id(&mut self) -> u64 {
        self.0.next() | 1 << 60
    }

    fn player(&mut self) -> PlayerId {
        self.id().into()
    }

    fn team(&mut self) -> TeamId {
        TeamId::of(self.player(), self.player()).unwrap_or(team(1))
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Maker) -> T) -> Option<T> {
        if self.0.one_in(2) { Some(make(self)) } else { None }
    }

    fn text(&mut self, chars: usize) -> String {
        let letters = ['a', 'Z', '0', 'é', '中', '🦉', '"', '\\', '-', '{', '\u{1f468}'];
        let rest = (1..chars).map(|_| *self.0.pick(&letters)).collect::<String>();
        format!("x{rest}")
    }

    fn word(&mut self) -> Word {
        word(&numbered(self.id()))
    }

    pub(crate) fn pair(&mut self) -> WordPair {
        WordPair(self.word(), self.word())
    }

    fn base(&mut self, mode: Mode) -> GameBase {
        let chance = std::array::from_fn(|_| self.number(256) as u8);
        let game_id = GameId::new(self.moment(), chance);
        GameBase { game_id, guild_id: self.id().into(), mode, timestamp: self.moment() }
    }

    fn team_base(&mut self) -> TeamBase {
        TeamBase { guild_id: self.id().into(), team_id: self.team(), timestamp: self.moment() }
    }

    pub(crate) fn mode(&mut self) -> Mode {
        *self.0.pick(&Mode::ALL)
    }

    fn score(&mut self, team: TeamId) -> (TeamId, TeamScore) {
        let average = |maker: &mut Maker| f64::from(maker.number(1_000)) / f64::from(1 + maker.number(7));
        let mut stats = |_: PlayerId| PlayerStats {
            total_guesses: 100 + self.number(100),
            successful_matches: self.number(100),
            abandoned_guesses: self.number(100),
            average_guess_count: average(self),
        };
        let player_stats = team.players().into_iter().map(|player| (player, stats(player))).collect();
        let (score, matches) = (i64::from(self.number(100)) - 50, self.number(50));
        let total_guesses = matches + self.number(50);
        (team, TeamScore { score, matches, total_guesses, average_guesses: average(self), player_stats })
    }

    fn scores(&mut self) -> BTreeMap<TeamId, TeamScore> {
        (0..1 + self.number(12))
            .map(|_| self.team())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|team| self.score(team))
            .collect()
    }

    /// An event of this type that keeps all rules.
    pub(crate) fn event(&mut self, event_type: &str) -> GameEvent {
        let mode = self.mode();
        let base = self.base(mode);
        let at = base.timestamp;
        let team_id = self.team();
        let [player1_id, player2_id] = team_id.players();
        let (round_number, guess_count) = (1 + self.number(99), 1 + self.number(99));
        let player_id = player1_id;
        match event_type {
            "game_created" => {
                let team_ids = (0..self.number(1 + mode.teams().end())).map(|_| self.team()).collect();
                GameCreated { base, created_by: self.player(), created_at: at, team_ids }.into()
            }
            "game_started" => {
                let team_ids = (0..*mode.teams().end()).map(|_| self.team()).collect::<Vec<_>>();
                GameStarted {
                    base,
                    round_number: 1,
                    teams: team_ids.iter().map(|team| (*team, team.players().to_vec())).collect(),
                    player_ids: team_ids.iter().flat_map(|team| team.players()).collect(),
                    team_ids,
                    config: GameConfig::of(mode),
                    started_at: at,
                }
                .into()
            }
            "game_completed" => {
                let final_scores = self.scores();
                let most = if matches!(mode, Mode::Race | Mode::GolfRace) { 12 } else { 1 };
                let winners = final_scores.keys().copied().filter(|_| self.0.one_in(2)).take(most).collect();
                let (game_duration, total_rounds) = (self.id() >> 12, round_number);
                let finished_at = at;
                GameCompleted { base, round_number, winners, final_scores, game_duration, total_rounds, finished_at }
                    .into()
            }
            "game_cancelled" => {
                let (reason, by) = match self.number(4) {
                    0 => (CancelReason::ByPlayers, Some(player_id)),
                    1 => (CancelReason::ByAdmin, Some(player_id)),
                    2 => (CancelReason::Idle, None),
                    _ => (CancelReason::TooFew, None),
                };
                GameCancelled { base, reason, by, player_ids: vec![player1_id, player2_id] }.into()
            }
            "player_joined" => PlayerJoined { base, player_id, team_id: self.maybe(|_| team_id) }.into(),
            "player_left" => {
                let reasons = [LeaveReason::PlayerQuit, LeaveReason::Disconnected, LeaveReason::PartnerLeft];
                PlayerLeft { base, player_id, team_id: self.maybe(|_| team_id), reason: *self.0.pick(&reasons) }.into()
            }
            "player_status_changed" => {
                let (from, to) = (PlayerStatus::Active, PlayerStatus::Away);
                PlayerStatusChanged { base, player_id, from, to }.into()
            }
            "game_paused" => {
                let reasons = [PauseReason::ByPlayers, PauseReason::ByAdmin, PauseReason::BotRestart];
                GamePaused { base, reason: *self.0.pick(&reasons), since: at, by: self.maybe(Maker::player) }.into()
            }
            "game_resumed" => {
                GameResumed { base, by: self.maybe(Maker::player), paused_ms: u64::from(self.number(1 << 30)) }.into()
            }
            "game_mode_changed" => {
                let from = if mode == Mode::Race { Mode::Knockout } else { Mode::Race };
                GameModeChanged { base, from, to: mode, by: player_id, player_ids: vec![player1_id, player2_id] }.into()
            }
            "game_configured" => {
                GameConfigured { base, config: GameConfig::of(mode), config_version: guess_count, by: player_id }.into()
            }
            "words_dealt" => WordsDealt { base, team_id, round_number, guess_count, words: self.pair() }.into(),
            "guess_started" => {
                let (channel_id, word, duration) = (self.id().into(), self.word(), self.id() >> 12);
                GuessStarted { base, team_id, player_id, channel_id, word, round_number, guess_count, duration }.into()
            }
            "guess_processed" => {
                let guess_successful = self.0.one_in(2);
                let durations = (u64::from(self.number(1 << 30)), u64::from(self.number(1 << 30)));
                GuessProcessed {
                    base,
                    round_number,
                    team_id,
                    player1_id,
                    player2_id,
                    player1_word: self.word(),
                    player2_word: self.word(),
                    guess_successful,
                    match_score: guess_successful.then_some(1),
                    guess_count,
                    round_guess_count: guess_count,
                    total_guesses: guess_count + self.number(9),
                    guess_duration: durations.0.max(durations.1),
                    player1_duration: Some(durations.0),
                    player2_duration: Some(durations.1),
                }
                .into()
            }
            "guess_abandoned" => {
                let reasons = [
                    AbandonReason::GaveUp,
                    AbandonReason::Timeout,
                    AbandonReason::PlayerQuit,
                    AbandonReason::Disconnected,
                ];
                let reason = *self.0.pick(&reasons);
                GuessAbandoned {
                    base,
                    round_number,
                    team_id,
                    player1_id,
                    player2_id,
                    reason,
                    abandoning_player_id: (reason != AbandonReason::Timeout).then_some(player1_id),
                    last_guess: self.maybe(|maker| LastGuess { player_id, word: maker.word(), duration: 7 }),
                    guess_count,
                    round_guess_count: guess_count,
                    total_guesses: guess_count,
                    guess_duration: (reason == AbandonReason::GaveUp).then_some(9),
                }
                .into()
            }
            "team_eliminated" => {
                let (_, final_state) = self.score(team_id);
                let (final_score, reason) = (final_state.score, EliminationReason::ForcedElimination);
                let round_position = self.maybe(|maker| 1 + maker.number(3));
                let mode = *self.0.pick(&[Mode::Knockout, Mode::Longform]);
                TeamEliminated {
                    base: GameBase { mode, ..base },
                    round_number,
                    team_id,
                    reason,
                    guess_count,
                    final_state,
                    final_score,
                    round_position,
                }
                .into()
            }
            "round_started" => {
                let team_states = (0..1 + self.number(12)).map(|_| {
                    let (team, standing) = (self.team(), self.score(team_id).1);
                    let state = TeamRoundState {
                        active_players: team.players().to_vec(),
                        score: standing.score,
                        matches: standing.matches,
                        total_guesses: standing.total_guesses,
                        average_guesses: standing.average_guesses,
                        remaining_guesses: if mode == Mode::Knockout { self.maybe(|_| 12) } else { None },
                        words: self.pair(),
                    };
                    (team, state)
                });
                let team_states = team_states.collect();
                RoundStarted { base, round_number, team_states }.into()
            }
            "round_completed" => {
                let round_stats = self.score(team_id).1.player_stats;
                let (whose, winner_team_id) = (self.maybe(|_| team_id), self.maybe(|_| team_id));
                RoundCompleted { base, round_number, team_id: whose, winner_team_id, round_score: -1, round_stats }
                    .into()
            }
            "knockout_round_started" => {
                let base = GameBase { mode: Mode::Knockout, ..base };
                KnockoutRoundStarted { base, round_number, team_ids: vec![team_id], limit_ms: 300_000 }.into()
            }
            "knockout_round_completed" => {
                let gone = EliminatedTeam { team_id, reason: EliminationReason::GuessLimit, final_score: -3 };
                KnockoutRoundCompleted {
                    base: GameBase { mode: Mode::Knockout, ..base },
                    round_number,
                    eliminated_teams: vec![gone],
                    advancing_teams: self.scores(),
                    round_duration: 9,
                }
                .into()
            }
            "race_mode_time_expired" => {
                let base = GameBase { mode: Mode::Race, ..base };
                RaceModeTimeExpired { base, round_number, final_matches: self.scores(), game_duration: 180_000 }.into()
            }
            "golf_race_time_expired" => {
                let final_matches = self.scores();
                let points = final_matches.iter().map(|(team, score)| (*team, score.score)).collect();
                let base = GameBase { mode: Mode::GolfRace, ..base };
                GolfRaceTimeExpired { base, round_number, final_matches, points, game_duration: 180_000 }.into()
            }
            "longform_day_ended" => {
                let team_standings = self.scores();
                LongformDayEnded {
                    base: GameBase { mode: Mode::Longform, ..base },
                    round_number,
                    day_number: round_number,
                    eliminated_teams: team_standings.keys().copied().take(1).collect(),
                    team_standings,
                    day_duration: 86_400_000,
                }
                .into()
            }
            _ => self.other(event_type),
        }
    }

    fn other(&mut self, event_type: &str) -> GameEvent {
        let base = self.team_base();
        let (at, player_id) = (base.timestamp, base.team_id.players()[1]);
        let inviter_id = base.team_id.players()[0];
        let (user_id, guild_id) = (self.player(), GuildId::from(self.id()));
        let game_id = self.base(Mode::Race).game_id;
        let invitation_id = self.text(20);
        match event_type {
            "team_created" => {
                let (name, player_ids) = (self.text(30), base.team_id.players().to_vec());
                TeamCreated { base, name, player_ids, created_at: at }.into()
            }
            "team_updated" => TeamUpdated { base, name: self.text(3), updated_by: player_id, updated_at: at }.into(),
            "team_member_added" => TeamMemberAdded { base, player_id, added_by: user_id, added_at: at }.into(),
            "team_member_removed" => {
                let reason = self.maybe(|maker| maker.text(200));
                TeamMemberRemoved { base, player_id, removed_by: user_id, reason, removed_at: at }.into()
            }
            "team_invitation_created" => TeamInvitationCreated {
                base,
                invitation_id,
                inviter_id,
                invitee_id: player_id,
                proposed_name: self.maybe(|maker| maker.text(32)),
                created_at: at,
                expires_at: at.plus(INVITATION_MS),
            }
            .into(),
            "team_invitation_accepted" => TeamInvitationAccepted { base, invitation_id, accepted_at: at }.into(),
            "team_invitation_declined" => {
                let reason = *self.0.pick(&[DeclineReason::Declined, DeclineReason::Expired]);
                TeamInvitationDeclined { base, invitation_id, declined_at: at, reason }.into()
            }
            "user_registered" => {
                let (username, display_name) = (self.text(30), self.maybe(|maker| maker.text(100)));
                UserRegistered { user_id, guild_id, username, display_name, created_at: at }.into()
            }
            "user_profile_updated" => {
                UserProfileUpdated { user_id, display_name: self.text(50), updated_at: at }.into()
            }
            "user_preferences_changed" => {
                let number = i64::from_ne_bytes(self.0.next().to_ne_bytes());
                let settings = [Setting::Switch(true), Setting::Number(number), Setting::Text(self.text(9))];
                let notification_settings = settings.into_iter().map(|setting| (self.text(9), setting)).collect();
                let ui_preferences = BTreeMap::new();
                UserPreferencesChanged { user_id, notification_settings, ui_preferences, updated_at: at }.into()
            }
            "command_error" => CommandError {
                guild_id,
                game_id: self.maybe(|_| game_id),
                command_name: "guess".to_owned(),
                error_code: "game_not_found".to_owned(),
                error_message: self.text(300),
                user_id,
                channel_id: self.id().into(),
                timestamp: at,
            }
            .into(),
            "system_error" => SystemError {
                guild_id: self.maybe(|_| guild_id),
                game_id: self.maybe(|_| game_id),
                error_type: "store".to_owned(),
                error_message: self.text(300),
                context: BTreeMap::from([(self.text(5), self.text(5))]),
                timestamp: at,
            }
            .into(),
            "guess_error" => GuessError {
                guild_id,
                game_id,
                team_id: self.maybe(|_| base.team_id),
                player_id,
                word: self.text(100),
                reason: "forbidden_word".to_owned(),
                timestamp: at,
            }
            .into(),
            "guess_pair_error" => GuessPairError {
                guild_id,
                game_id,
                team_id: base.team_id,
                word1: self.text(9),
                word2: self.text(9),
                reason: "round_time_expired".to_owned(),
                timestamp: at,
            }
            .into(),
            "round_check_error" => {
                let context = BTreeMap::from([(self.text(5), self.text(5))]);
                RoundCheckError { guild_id, game_id, reason: self.text(9), context, timestamp: at }.into()
            }
            "replay_created" => ReplayCreated {
                game_id,
                guild_id,
                mode: Mode::Race,
                name: format!("otter-{}", 100 + self.number(100_000)).parse().expect("a name"),
                event_count: 1 + self.id(),
                start_time: at,
                end_time: at,
                created_at: at.plus(7),
            }
            .into(),
            "replay_accessed" => {
                let accesses = [ReplayAccess::View, ReplayAccess::Share, ReplayAccess::Download, ReplayAccess::Embed];
                ReplayAccessed { game_id, guild_id, user_id, access: *self.0.pick(&accesses), accessed_at: at }.into()
            }
            "recovery_performed" => {
                let hints = vec![self.text(9)];
                RecoveryPerformed { games: vec![game_id], down_ms: 9, hints, timestamp: at }.into()
            }
            unknown => panic!("no such type: {unknown}"),
        }
    }
}
