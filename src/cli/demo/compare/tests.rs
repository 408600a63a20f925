//! Whatever the bot could do wrong is done here on purpose, in logs and answers that are made up, and has to be named.

use super::*;
use crate::cli::demo::recount::Entry;
use crate::cli::demo::wire::{Button, Heard, Interaction, Outcome, Stands, Told, Wants};
use scorebook::game::{CancelReason, GameConfig, GameId, Mode, Moment, TeamId, Word, WordPair};
use serde_json::{Value, json};

const GAME: &str = "01890000-0000-7000-8000-000000000001";
const OTHER: &str = "01890000-0000-7000-8000-000000000002";

/// A small evening: 7 and 8 play a game of one round; 9 opens another, joins, and it is cancelled by time.
struct Story {
    log: Vec<Entry>,
    answers: Vec<(Interaction, Outcome)>,
    by_time: Vec<Told>,
    gaps: Vec<Gap>,
}

fn game(id: &str) -> GameId {
    id.parse().expect("an id")
}

fn interaction(id: u64, player: u64, wants: Wants) -> Interaction {
    let at = Moment::from_millis(1_700_000_000_000);
    let (name, guild, channel) = (format!("player {player}"), Some(1.into()), 1.into());
    Interaction { id: id.into(), at, player: player.into(), name, guild, channel, wants }
}

fn told(to: u64, of: &str, version: u64, news: Vec<Heard>, stands: Stands) -> Told {
    Told { to: to.into(), game: Some(game(of)), version, news, stands: Some(stands) }
}

fn word(text: &str) -> Word {
    Word::new(text).expect("a word")
}

impl Story {
    fn new() -> Story {
        let mut story = Story { log: Vec::new(), answers: Vec::new(), by_time: Vec::new(), gaps: Vec::new() };
        let team = TeamId::of(7.into(), 8.into()).expect("they are two");
        let config = GameConfig::of(Mode::TwoPlayer);
        let typed = |text: String| Wants::Typed(text);
        story.asks(interaction(1, 7, Wants::Open { config, with_team: false }), vec![]);
        story.happens("game_created", Some(1), GAME, json!({ "team_ids": [] }));
        for player in [7, 8] {
            story.asks(interaction(player - 5, player, typed(format!("join {GAME}"))), vec![]);
            story.happens("player_joined", Some(player - 5), GAME, json!({ "player_id": player.to_string() }));
        }
        let start = Wants::Press { game: game(GAME), button: Button::Start };
        story.asks(interaction(4, 7, start), vec![]);
        story.happens("game_started", Some(4), GAME, json!({ "player_ids": ["7", "8"] }));
        story.happens("recovery_performed", None, "", json!({ "games": [GAME] }));

        let waits = Stands::WaitForPartner { said: word("Anchor") };
        story.asks(interaction(5, 7, Wants::Direct("Anchor".to_owned())), vec![told(7, GAME, 5, vec![], waits)]);
        let said = json!({ "team_id": team.to_string(), "player_id": "7", "word": "Anchor" });
        story.happens("guess_started", Some(5), GAME, said);

        let refused = Outcome::Refused("forbidden_word".to_owned());
        story.answers.push((interaction(6, 8, Wants::Direct("ocean".to_owned())), refused));
        story.happens("guess_error", Some(6), GAME, json!({ "reason": "forbidden_word" }));

        let news = vec![
            Heard::Matched(WordPair(word("Anchor"), word("anchors"))),
            Heard::Completed(vec![team]),
            Heard::Named("otter-123".parse().expect("a name")),
        ];
        let both = [7, 8].map(|player| told(player, GAME, 7, news.clone(), Stands::Over));
        story.asks(interaction(7, 8, Wants::Direct("anchors".to_owned())), both.to_vec());
        let pair = json!({
            "team_id": team.to_string(), "player1_id": "7", "player2_id": "8",
            "player1_word": "Anchor", "player2_word": "anchors", "guess_successful": true
        });
        story.happens("guess_processed", Some(7), GAME, pair);
        story.happens("game_completed", Some(7), GAME, json!({ "winners": [team.to_string()] }));
        story.happens("replay_created", Some(7), GAME, json!({ "name": "otter-123" }));

        story.asks(interaction(8, 9, Wants::Open { config, with_team: false }), vec![]);
        story.happens("game_created", Some(8), OTHER, json!({ "team_ids": [] }));
        story.asks(interaction(9, 9, typed(format!("join {OTHER}"))), vec![]);
        story.happens("player_joined", Some(9), OTHER, json!({ "player_id": "9" }));
        story.by_time = vec![told(9, OTHER, 3, vec![Heard::Cancelled(CancelReason::Idle)], Stands::Over)];
        story.happens("game_cancelled", None, OTHER, json!({ "reason": "idle", "player_ids": ["9"] }));
        story
    }

    /// Something was asked and done; how many events that took is told as the log of the story has it.
    fn asks(&mut self, interaction: Interaction, told: Vec<Told>) {
        self.answers.push((interaction, Outcome::Done { events: 0, game: None, told, record: None }));
    }

    fn happens(&mut self, event_type: &str, cause: Option<u64>, of: &str, mut data: Value) {
        data["game_id"] = json!(of);
        data["mode"] = json!("two_player");
        let stream = match event_type {
            "recovery_performed" => "bot-recovery".to_owned(),
            "guess_error" => "refusal-1".to_owned(),
            "replay_created" => format!("replay-{of}"),
            _ => format!("game-{of}"),
        };
        let event_type = event_type.to_owned();
        self.log.push(Entry { position: 0, stream, version: 0, event_type, cause, data });
        if let (Some(cause), Some((last, Outcome::Done { events, .. }))) = (cause, self.answers.last_mut()) {
            *events += u64::from(last.id == cause.into());
        }
    }

    /// The story with something else in its log, which is numbered as a store would.
    fn with_log(mut self, change: impl FnOnce(&mut Vec<Entry>)) -> Story {
        change(&mut self.log);
        self
    }

    fn with_answers(mut self, change: impl FnOnce(&mut Vec<(Interaction, Outcome)>)) -> Story {
        change(&mut self.answers);
        self
    }

    fn account(&self) -> Account {
        let mut account = Account { gaps: self.gaps.clone(), ..Account::default() };
        for (interaction, outcome) in &self.answers {
            account.sends(interaction);
            account.is_answered(interaction, outcome);
        }
        self.by_time.iter().for_each(|told| account.is_told(told));
        account
    }

    #[track_caller]
    fn differs(self, expected: &[&str]) {
        let account = self.account();
        let mut recount = Recount::default();
        for at in 0..self.log.len() {
            let version = self.log[..=at].iter().filter(|entry| entry.stream == self.log[at].stream).count() as u64;
            let position = at as u64 + 1;
            recount.count(&Entry { position, version, ..self.log[at].clone() });
        }
        let found = differences(&account, &recount);
        for expected in expected {
            assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:#?}");
        }
        assert_eq!(expected.is_empty(), found.is_empty(), "{found:#?}");
    }
}

fn at(log: &[Entry], event_type: &str) -> usize {
    log.iter().position(|entry| entry.event_type == event_type).expect("there is one")
}

#[test]
fn a_story_in_which_everything_holds_differs_in_nothing() {
    Story::new().differs(&[]);
}

#[test]
fn an_acknowledged_event_that_is_missing_is_named() {
    let lose = |lost: &'static str| {
        Story::new().with_log(move |log| {
            log.remove(at(log, lost));
        })
    };
    lose("guess_started")
        .differs(&["interaction 5: 1 events were told, and 0", "`anchor` of 7 was told as taken 1 times"]);
    lose("player_joined").differs(&["interaction 2: 1 events were told, and 0"]);
    lose("replay_created").differs(&["interaction 7: 3 events were told, and 2"]);
}

#[test]
fn what_is_done_twice_is_named() {
    let again = |cause: Option<u64>| {
        Story::new().with_log(move |log| {
            let first = at(log, "guess_started");
            let entry = Entry { cause, ..log[first].clone() };
            log.insert(first + 1, entry);
        })
    };
    again(Some(5)).differs(&["interaction 5: 1 events were told, and 2 are in the log"]);
    again(Some(99)).differs(&["interaction 99: nobody sent it", "and is in the log 2 times"]);
    again(None).differs(&["`anchor` of 7 was told as taken 1 times, and is in the log 2 times"]);
}

#[test]
fn what_was_refused_and_done_is_named() {
    let refused = |id: usize, reason: &'static str| {
        Story::new().with_answers(move |answers| answers[id - 1].1 = Outcome::Refused(reason.to_owned()))
    };
    refused(5, "forbidden_word").differs(&["interaction 5: it was refused, and 1 events of it are in the log"]);
    refused(6, "invalid_word")
        .differs(&["interaction 6: it was refused as invalid_word, and is kept as forbidden_word"]);
}

#[test]
fn a_game_that_was_not_taken_up_is_named_and_so_is_one_that_was_over() {
    let taken_up = |games: Value| {
        Story::new().with_log(|log| {
            let recovery = at(log, "recovery_performed");
            log[recovery].data["games"] = games;
        })
    };
    taken_up(json!([])).differs(&["was not over at position 5, and was not taken up"]);
    taken_up(json!([GAME, OTHER])).differs(&[&format!("game {OTHER} was taken up at position 5, and was over")]);
}

#[test]
fn a_wrong_result_is_named() {
    let logged = |event_type: &'static str, key: &'static str, value: Value| {
        Story::new().with_log(move |log| {
            let at = at(log, event_type);
            log[at].data[key] = value;
        })
    };
    logged("game_completed", "winners", json!([]))
        .differs(&["7 was told Completed([\"team-7-8\"]) 1 times, and the log has it 0"]);
    logged("replay_created", "name", json!("otter-124"))
        .differs(&["was told Named(\"otter-123\") 1 times, and the log has it 0"]);
    logged("game_cancelled", "reason", json!("by_admin")).differs(&["9 was told Cancelled(\"idle\") 1 times"]);
    logged("guess_processed", "guess_successful", json!(false))
        .differs(&["was told Matched(\"anchor\", \"anchors\") 1 times"]);
}

#[test]
fn what_time_brought_and_nobody_was_told_is_named_unless_the_bot_was_killed_meanwhile() {
    let untold = |gaps: &[Gap]| Story { by_time: Vec::new(), gaps: gaps.to_vec(), ..Story::new() };
    let last = Story::new().log.len() as u64;
    let named = ["9 was told Cancelled(\"idle\") 0 times, and the log has it 1 times"];
    untold(&[]).differs(&named);
    untold(&[Gap { after: 0, to: last - 1 }, Gap { after: last, to: last + 9 }]).differs(&named);
    untold(&[Gap { after: last - 1, to: last }]).differs(&[]);
}

#[test]
fn a_player_in_two_games_at_once_is_named() {
    let story = Story::new().with_log(|log| {
        let mut joined = log.remove(at(log, "player_joined"));
        joined.cause = Some(2);
        log.insert(2, joined.clone());
        joined.data["player_id"] = json!("8");
        joined.data["game_id"] = json!(OTHER);
        joined.stream = format!("game-{OTHER}");
        joined.cause = None;
        log.insert(3, joined);
    });
    story.differs(&[&format!("8 enters game {OTHER} at position 4, and is in game {GAME}")]);
}

#[test]
fn a_clock_that_had_run_out_unnoticed_is_named_and_pauses_do_not_count() {
    let raced = |until_ms: u64, paused_ms: u64| {
        let mut recount = Recount::default();
        let config = json!({ "mode": "race", "time_limit_ms": 10_000 });
        let events = [
            ("game_started", 1_000, json!({ "config": config, "player_ids": [] })),
            ("game_paused", 1_000 + until_ms - paused_ms, json!({})),
            ("game_resumed", 1_000 + until_ms, json!({ "paused_ms": paused_ms })),
            ("race_mode_time_expired", 1_000 + until_ms, json!({})),
        ];
        for (number, (event_type, at, mut data)) in (1..).zip(events) {
            data["game_id"] = json!(GAME);
            data["mode"] = json!("race");
            data["timestamp"] = json!(at);
            let (stream, event_type) = (format!("game-{GAME}"), event_type.to_owned());
            recount.count(&Entry { position: number, stream, version: number, event_type, cause: None, data });
        }
        recount.complaints.join("\n")
    };
    assert_eq!(raced(10_000, 0), "");
    assert_eq!(raced(500_000, 490_000), "");
    assert!(raced(500_000, 400_000).contains("the end of the race had been due for 90000 ms"));
}

#[test]
fn a_game_that_goes_on_behind_its_end_is_named() {
    let story = Story::new().with_log(|log| {
        let entry = Entry { cause: None, ..log[at(log, "player_joined")].clone() };
        log.push(entry);
    });
    story.differs(&[&format!("game {GAME} is over, and has player_joined")]);
}

#[test]
fn another_answer_to_the_same_interaction_is_named() {
    let mut account = Account::default();
    let done = |events| Outcome::Done { events, game: None, told: Vec::new(), record: None };
    account.is_answered_again(1, &done(1), &done(1), true);
    assert!(account.complaints.is_empty());
    account.is_answered_again(2, &done(1), &done(2), true);
    account.is_answered_again(3, &done(1), &done(1), false);
    assert_eq!(account.complaints.len(), 2, "{:?}", account.complaints);
}
