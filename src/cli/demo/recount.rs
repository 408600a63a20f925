//! What the log says, counted again from its first event on by what stands in each, and by no code of the game's.

use crate::cli::demo::account::{Fact, Game, Player};
use crate::cli::failure::Failure;
use scorebook::RecordedEvent;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An event, as far as it is counted.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: u64,
    pub(super) stream: String,
    pub(super) version: u64,
    pub(super) event_type: String,
    /// The interaction that it comes from; none of what time brings.
    pub(super) cause: Option<u64>,
    pub(super) data: Value,
}

impl Entry {
    pub(super) fn of(event: &RecordedEvent) -> Result<Entry, Failure> {
        Ok(Entry {
            position: event.position().get(),
            stream: event.stream().to_owned(),
            version: event.version().get(),
            event_type: event.event_type().to_owned(),
            cause: event.metadata()?.causation().and_then(|cause| cause.parse().ok()),
            data: event.json()?,
        })
    }

    fn game(&self) -> Game {
        self.text("game_id")
    }

    fn text(&self, key: &str) -> String {
        text_of(&self.data[key])
    }

    fn player(&self, key: &str) -> Player {
        player_of(&self.data[key])
    }

    fn players(&self, key: &str) -> Vec<Player> {
        self.data[key].as_array().map(|players| players.iter().map(player_of).collect()).unwrap_or_default()
    }
}

/// What an interaction has left in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// How many events of each type.
    pub(super) types: BTreeMap<String, u64>,
    /// Why a word was refused, where that was kept.
    pub(super) refusals: Vec<String>,
}

/// What people should have been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) fact: Fact,
    pub(super) to: Vec<Player>,
    pub(super) position: u64,
    pub(super) is_of_time: bool,
}

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Recount {
    pub(super) events: u64,
    versions: HashMap<String, u64>,
    pub(super) effects: HashMap<u64, Effect>,
    /// How often a word was taken, by game and player.
    pub(super) taken: BTreeMap<(Game, Player, String), u64>,
    pub(super) news: BTreeMap<Game, Vec<News>>,
    pub(super) games: BTreeMap<Game, Played>,
    /// In which games that are not longform a player is.
    seats: HashMap<Player, BTreeSet<Game>>,
    names: BTreeSet<String>,
    /// How many games were played at once, at most.
    pub(super) at_once_max: usize,
    at_once: BTreeSet<Game>,
    pub(super) complaints: Vec<String>,
}

/// A game.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) mode: String,
    /// The position of its first event.
    pub(super) first: u64,
    players: Vec<Player>,
    /// Who said the first word of each team, and which.
    pending: BTreeMap<String, (Player, String)>,
    /// Since when its clock runs, for how many milliseconds, and for what.
    clock: Option<(u64, u64, &'static str)>,
    is_held_up: bool,
    pub(super) end: Option<End>,
    pub(super) words: u64,
    pub(super) matches: u64,
    pub(super) name: Option<String>,
}

/// How a game ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Cancelled,
}

/// Between two ticks, and while the bot is busy, something may be due for so many milliseconds.
const LATE_MAX_MS: u64 = 6_000;

/// How long players catch their breath between two rounds of a knockout.
const BREATH_MS: u64 = 5_000;

impl Played {
    /// Notes whether a clock runs. Says so where it had run out long before this event, and nobody had noticed.
    fn clocked(&mut self, entry: &Entry) -> Option<String> {
        let at = entry.data["timestamp"].as_u64().unwrap_or_default();
        let number = |value: &Value, key: &str| value[key].as_u64().unwrap_or_default();
        match entry.event_type.as_str() {
            "game_paused" => self.is_held_up = true,
            "game_resumed" => {
                // No time has passed meanwhile.
                self.is_held_up = false;
                let clock = self.clock.as_mut();
                clock.into_iter().for_each(|(since, ..)| *since += number(&entry.data, "paused_ms"));
            }
            _ => {}
        }
        if self.is_held_up {
            return None;
        }
        let late = self.clock.and_then(|(since, limit, what)| {
            let late = at.saturating_sub(since).saturating_sub(limit);
            (LATE_MAX_MS < late).then(|| format!("{what} had been due for {late} ms"))
        });
        let config = &entry.data["config"];
        match (entry.event_type.as_str(), self.mode.as_str()) {
            ("game_started", "race" | "golf_race") => {
                self.clock = Some((at, number(config, "time_limit_ms"), "the end of the race"));
            }
            ("game_started", "longform") => self.clock = Some((at, number(config, "day_ms"), "the end of the day")),
            ("round_started", "longform") => {
                self.clock = self.clock.map(|(_, limit, what)| (at, limit, what));
            }
            ("knockout_round_started", _) => {
                self.clock = Some((at, number(&entry.data, "limit_ms"), "the end of the round"));
            }
            ("knockout_round_completed", _) => self.clock = Some((at, BREATH_MS, "the next round")),
            ("race_mode_time_expired" | "golf_race_time_expired" | "game_completed", _) => self.clock = None,
            _ => {}
        }
        late
    }
}

impl Recount {
    /// Counts the next event.
    pub(super) fn count(&mut self, entry: &Entry) {
        self.events += 1;
        if entry.position != self.events {
            self.complaints.push(format!("position {} comes as number {}", entry.position, self.events));
        }
        let version = self.versions.entry(entry.stream.clone()).or_default();
        *version += 1;
        if *version != entry.version {
            let text = format!("{}: version {} comes as number {version}", entry.stream, entry.version);
            self.complaints.push(text);
        }
        if let Some(cause) = entry.cause {
            let effect = self.effects.entry(cause).or_default();
            *effect.types.entry(entry.event_type.clone()).or_default() += 1;
            if ["guess_error", "guess_pair_error"].contains(&entry.event_type.as_str()) {
                effect.refusals.push(entry.text("reason"));
            }
        }
        if entry.event_type == "recovery_performed" {
            self.recovered(entry);
        } else if entry.stream.starts_with("game-") {
            self.count_game(entry);
        } else if entry.event_type == "replay_created" {
            self.named(entry);
        }
    }

    fn count_game(&mut self, entry: &Entry) {
        let game = entry.game();
        let played = self.games.entry(game.clone()).or_default();
        played.mode = entry.text("mode");
        if entry.version == 1 {
            played.first = entry.position;
        }
        if played.end.is_some() {
            self.complaints
                .push(format!("game {game} is over, and has {} at version {}", entry.event_type, entry.version));
        }
        if let Some(late) = played.clocked(entry) {
            self.complaints.push(format!("game {game}: {late} at version {}", entry.version));
        }
        match entry.event_type.as_str() {
            "game_created" => {
                let teams = entry.data["team_ids"].as_array().map(|teams| teams.iter().flat_map(players_of).collect());
                self.enter(&game, teams.unwrap_or_default(), entry);
            }
            "player_joined" => self.enter(&game, vec![entry.player("player_id")], entry),
            "game_mode_changed" => {
                let players = entry.players("player_ids");
                self.leave(&game, &players);
                self.enter(&game, players, entry);
            }
            "game_started" => {
                played.players = entry.players("player_ids");
                self.at_once.insert(game.clone());
                self.at_once_max = self.at_once_max.max(self.at_once.len());
            }
            "player_left" => self.leave(&game, &[entry.player("player_id")]),
            "guess_started" | "guess_processed" | "guess_abandoned" => self.count_guess(&game, entry),
            "team_eliminated" => {
                let team = entry.text("team_id");
                let to = played.players.clone();
                self.leave(&game, &players_of(&entry.data["team_id"]));
                self.tell(&game, Fact::Eliminated(team, entry.text("reason")), to, entry);
            }
            "game_completed" => {
                let winners = entry.data["winners"].as_array().map(|of| of.iter().map(text_of).collect());
                let to = played.players.clone();
                self.end(&game, End::Completed, &to);
                self.tell(&game, Fact::Completed(winners.unwrap_or_default()), to, entry);
            }
            "game_cancelled" => {
                let to = entry.players("player_ids");
                self.end(&game, End::Cancelled, &to);
                self.tell(&game, Fact::Cancelled(entry.text("reason")), to, entry);
            }
            _ => {}
        }
    }

    /// A word is taken: as the first of two, or as the one that completes them. `give up` counts as one.
    fn count_guess(&mut self, game: &Game, entry: &Entry) {
        let Some(played) = self.games.get_mut(game) else { return };
        let team = entry.text("team_id");
        let first = played.pending.remove(&team);
        let taken = match entry.event_type.as_str() {
            "guess_started" => {
                let said = (entry.player("player_id"), entry.text("word").to_lowercase());
                played.pending.insert(team, said.clone());
                if first.is_some() {
                    self.complaints
                        .push(format!("game {game}: a first word at version {}, and one waits", entry.version));
                }
                Some(said)
            }
            "guess_processed" => {
                let words = [entry.text("player1_word").to_lowercase(), entry.text("player2_word").to_lowercase()];
                let players = [entry.player("player1_id"), entry.player("player2_id")];
                let is_match = entry.data["guess_successful"] == true;
                played.matches += u64::from(is_match);
                let second = match &first {
                    Some((player, word)) if *player == players[0] && *word == words[0] => Some(1),
                    Some((player, word)) if *player == players[1] && *word == words[1] => Some(0),
                    _ => None,
                };
                let [one, other] = words.clone();
                let fact = if is_match { Fact::Matched(one, other) } else { Fact::Missed(one, other) };
                self.tell(game, fact, players.to_vec(), entry);
                if second.is_none() {
                    let text =
                        format!("game {game}: the pair at version {} is not of the word that waited", entry.version);
                    self.complaints.push(text);
                }
                second.map(|at| (players[at], words[at].clone()))
            }
            _ if entry.text("reason") == "gave_up" => {
                Some((entry.player("abandoning_player_id"), "give up".to_owned()))
            }
            _ => None,
        };
        if let Some((player, word)) = taken {
            self.games.entry(game.clone()).or_default().words += 1;
            *self.taken.entry((game.clone(), player, word)).or_default() += 1;
        }
    }

    fn end(&mut self, game: &Game, end: End, players: &[Player]) {
        if let Some(played) = self.games.get_mut(game) {
            played.end = Some(end);
        }
        self.at_once.remove(game);
        self.leave(game, players);
    }

    /// Players are in a game from here on: in one at a time, unless it is longform.
    fn enter(&mut self, game: &Game, players: Vec<Player>, entry: &Entry) {
        if entry.text("mode") == "longform" {
            return;
        }
        for player in players {
            let seats = self.seats.entry(player).or_default();
            if let Some(other) = seats.iter().find(|other| *other != game) {
                let position = entry.position;
                self.complaints
                    .push(format!("{player} enters game {game} at position {position}, and is in game {other}"));
            }
            seats.insert(game.clone());
        }
    }

    fn leave(&mut self, game: &Game, players: &[Player]) {
        for player in players {
            if let Some(seats) = self.seats.get_mut(player) {
                seats.remove(game);
            }
        }
    }

    fn named(&mut self, entry: &Entry) {
        let (game, name) = (entry.game(), entry.text("name"));
        if !self.names.insert(name.clone()) {
            self.complaints.push(format!("two games are called {name}"));
        }
        let Some(played) = self.games.get_mut(&game) else { return };
        played.name = Some(name.clone());
        let to = played.players.clone();
        self.tell(&game, Fact::Named(name), to, entry);
    }

    /// "It takes up every game that is not over": neither more nor less.
    fn recovered(&mut self, entry: &Entry) {
        let taken_up = entry.data["games"].as_array().map(|games| games.iter().map(text_of).collect::<BTreeSet<_>>());
        let taken_up = taken_up.unwrap_or_default();
        let unfinished = self.games.iter().filter(|(_, played)| played.end.is_none()).map(|(game, _)| game);
        let position = entry.position;
        for game in unfinished.clone().filter(|game| !taken_up.contains(*game)) {
            self.complaints.push(format!("game {game} was not over at position {position}, and was not taken up"));
        }
        let unfinished = unfinished.cloned().collect::<BTreeSet<_>>();
        for game in taken_up.difference(&unfinished) {
            self.complaints.push(format!("game {game} was taken up at position {position}, and was over"));
        }
    }

    fn tell(&mut self, game: &Game, fact: Fact, to: Vec<Player>, entry: &Entry) {
        let news = News { fact, to, position: entry.position, is_of_time: entry.cause.is_none() };
        self.news.entry(game.clone()).or_default().push(news);
    }

    pub(super) fn streams(&self) -> usize {
        self.versions.len()
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn player_of(value: &Value) -> Player {
    value.as_str().and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// The two players that a team's id names.
fn players_of(team: &Value) -> Vec<Player> {
    let players = team.as_str().unwrap_or_default().trim_start_matches("team-").split('-');
    players.filter_map(|player| player.parse().ok()).collect()
}
