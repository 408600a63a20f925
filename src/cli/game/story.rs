//! What happened in a game, in rounds and attempts.
//!
//! Everything here is taken from the events as they stand, and nothing is decided again. Events that make no sense are told
//! all the same, each in a place of its own: whoever looks at a log wants to see what is in it.

use super::attempt::Attempt;
use super::sentence::by;
use scorebook::game::{
    Game, GameEvent, GuessAbandoned, GuessProcessed, GuessStarted, Mode, Moment, PlayerId, RoundCompleted,
    RoundStarted, TeamId, Word,
};
use scorebook::{Aggregate, EventContext, RecordedEvent, StreamName, Version};
use std::collections::BTreeSet;

/// A game, as far as it was read.
pub(crate) struct Story {
    pub(super) stream: StreamName,
    /// The version of the last event that was taken in.
    pub(super) version: Version,
    pub(super) game: Game,
    pub(super) created: Option<Moment>,
    pub(super) started: Option<Moment>,
    /// When it was over, and how.
    pub(super) ended: Option<(Moment, GameEvent)>,
    /// How often it was held up, and for how many milliseconds in all.
    pub(super) pauses: (u64, u64),
    pub(super) chapters: Vec<Chapter>,
    /// Everybody whom an event names.
    pub(super) players: BTreeSet<PlayerId>,
    /// Every team in the game, and every one that an event names.
    pub(super) teams: BTreeSet<TeamId>,
}

/// A part of a game that is told together.
pub(super) struct Chapter {
    pub(super) about: About,
    /// The rounds of teams in it, in the order in which they began.
    pub(super) courses: Vec<Course>,
    /// What else happened.
    pub(super) notes: Vec<Note>,
}

/// What a chapter is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    BeforeTheStart,
    /// A round that all play.
    Round(u32),
    /// The rounds of all teams, which each has for itself.
    Race,
}

/// A round as one team played it.
pub(super) struct Course {
    pub(super) team: TeamId,
    pub(super) round: u32,
    pub(super) attempts: Vec<Attempt>,
    /// What it gave, where it was the team's own round and is over.
    pub(super) points: Option<i64>,
}

/// Something that is no guess.
pub(super) struct Note {
    pub(super) version: Version,
    pub(super) moment: Moment,
    /// How many milliseconds had been played; none before the start.
    pub(super) played_ms: Option<u64>,
    pub(super) event: GameEvent,
}

impl Story {
    /// A game of which nothing was read yet.
    pub(crate) fn new(stream: &StreamName) -> Story {
        Story {
            stream: stream.clone(),
            version: Version::new(0),
            game: Game::new(stream),
            created: None,
            started: None,
            ended: None,
            pauses: (0, 0),
            chapters: Vec::new(),
            players: BTreeSet::new(),
            teams: BTreeSet::new(),
        }
    }

    /// Takes in the next event of the stream, with what it was decoded to.
    pub(crate) fn take(&mut self, recorded: &RecordedEvent, events: &[GameEvent]) {
        self.version = recorded.version();
        let context = EventContext::new(recorded.version(), recorded.position(), recorded.time());
        for event in events {
            self.game.apply(event, &context);
            self.players.extend(event.players().into_iter().chain(by(event)));
            self.tell(event);
        }
    }

    /// The version of the last event that was taken in; 0 before the first.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    fn tell(&mut self, event: &GameEvent) {
        let Some(base) = event.base() else { return };
        self.teams.extend(self.game.teams());
        match event {
            GameEvent::GameCreated(_) => self.created = Some(base.timestamp),
            GameEvent::GameStarted(_) => self.started = Some(base.timestamp),
            GameEvent::GameCompleted(_) | GameEvent::GameCancelled(_) => {
                self.ended = Some((base.timestamp, event.clone()));
            }
            GameEvent::KnockoutRoundStarted(of) => {
                self.chapter(of.round_number);
            }
            GameEvent::RoundStarted(of) => self.round_started(of),
            GameEvent::WordsDealt(of) => {
                let attempt = Attempt::dealt(of.guess_count, &of.words);
                self.course(of.team_id, of.round_number).attempts.push(attempt);
            }
            GameEvent::GuessStarted(of) => self.word_said(of),
            GameEvent::GuessProcessed(of) => self.compared(of),
            GameEvent::GuessAbandoned(of) => self.abandoned(of),
            GameEvent::RoundCompleted(of) if of.team_id.is_some() => self.own_round_over(of),
            _ => self.note(base.timestamp, event),
        }
    }

    fn round_started(&mut self, of: &RoundStarted) {
        for (team, state) in &of.team_states {
            self.teams.insert(*team);
            let course = self.new_course(*team, of.round_number);
            course.attempts.push(Attempt::dealt(1, &state.words));
        }
    }

    fn word_said(&mut self, of: &GuessStarted) {
        let course = self.course(of.team_id, of.round_number);
        let since = course.since();
        course.attempt(of.guess_count, &[]).begin(of, since);
    }

    fn compared(&mut self, of: &GuessProcessed) {
        let course = self.course(of.team_id, of.round_number);
        let since = course.since();
        let words = [(of.player1_id, &of.player1_word), (of.player2_id, &of.player2_word)];
        course.attempt(of.guess_count, &words).compare(of, since);
    }

    fn abandoned(&mut self, of: &GuessAbandoned) {
        let course = self.course(of.team_id, of.round_number);
        let since = course.since();
        let words = of.last_guess.iter().map(|last| (last.player_id, &last.word)).collect::<Vec<_>>();
        course.attempt(of.guess_count, &words).abandon(of, since);
    }

    fn own_round_over(&mut self, of: &RoundCompleted) {
        if let Some(team) = of.team_id {
            self.course(team, of.round_number).points = Some(of.round_score);
        }
    }

    fn note(&mut self, moment: Moment, event: &GameEvent) {
        let played_ms = self.started.map(|_| self.game.played_ms());
        if let GameEvent::GameResumed(of) = event {
            self.pauses = (self.pauses.0 + 1, self.pauses.1.saturating_add(of.paused_ms));
        }
        let note = Note { version: self.version, moment, played_ms, event: event.clone() };
        if self.chapters.is_empty() {
            self.chapters.push(Chapter::new(About::BeforeTheStart));
        }
        self.chapters.last_mut().expect("there is one").notes.push(note);
    }

    /// The chapter that a round of this number is told in, begun where there is none.
    fn chapter(&mut self, round: u32) -> &mut Chapter {
        let about = if is_race(&self.game) { About::Race } else { About::Round(round) };
        if self.chapters.last().is_none_or(|last| last.about != about) {
            self.chapters.push(Chapter::new(about));
        }
        self.chapters.last_mut().expect("there is one")
    }

    fn new_course(&mut self, team: TeamId, round: u32) -> &mut Course {
        let courses = &mut self.chapter(round).courses;
        courses.push(Course { team, round, attempts: Vec::new(), points: None });
        courses.last_mut().expect("it was just pushed")
    }

    /// A team's round, begun where nothing says that it was.
    fn course(&mut self, team: TeamId, round: u32) -> &mut Course {
        self.teams.insert(team);
        let is_it = |course: &Course| course.team == team && course.round == round;
        let found = self.chapters.last().and_then(|chapter| chapter.courses.iter().rposition(is_it));
        match found {
            Some(at) => &mut self.chapters.last_mut().expect("it was just found").courses[at],
            None => self.new_course(team, round),
        }
    }
}

/// Whether each team has rounds of its own in such a game.
pub(super) fn is_race(game: &Game) -> bool {
    matches!(game.mode(), Mode::Race | Mode::GolfRace)
}

impl Chapter {
    fn new(about: About) -> Chapter {
        Chapter { about, courses: Vec::new(), notes: Vec::new() }
    }
}

impl Course {
    /// Since when the words are there from which the next are guessed, in milliseconds since the round began.
    fn since(&self) -> u64 {
        self.attempts.iter().rev().find_map(|attempt| attempt.ended_ms).unwrap_or(0)
    }

    /// The attempt that an event goes on with, or a new one.
    fn attempt(&mut self, number: u32, words: &[(PlayerId, &Word)]) -> &mut Attempt {
        if !self.attempts.last().is_some_and(|last| last.is_continued(number, words)) {
            self.attempts.push(Attempt::open(number));
        }
        self.attempts.last_mut().expect("there is one")
    }
}
