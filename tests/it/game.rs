//! A table to play at: a game without a store, its events, a clock that is moved by hand, and words that nobody said before.

use scorebook::game::*;
use scorebook::{Aggregate, Event, EventContext, Faults, Position, Timestamp, Version};

/// When the tests' games are created.
pub(crate) const NOON: Moment = Moment::from_millis(1_700_000_000_000);

/// The guild of the tests' games.
pub(crate) fn guild() -> GuildId {
    GuildId::from(900)
}

/// A team of its own for each number; a higher number is a higher team id.
pub(crate) fn team(number: u64) -> TeamId {
    TeamId::of((2 * number + 1).into(), (2 * number + 2).into()).expect("they are two")
}

pub(crate) fn teams(count: u64) -> Vec<TeamId> {
    (1..=count).map(team).collect()
}

pub(crate) fn word(text: &str) -> Word {
    Word::new(text).expect("a word")
}

/// A word for each number, and another for another number.
pub(crate) fn numbered(mut number: u64) -> String {
    let mut text = String::from("w");
    loop {
        text.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return text + "q";
        }
    }
}

/// Judges that words match if they are the same without case.
pub(crate) struct SameWord;

impl Judge for SameWord {
    fn judge(&self, first: &Word, second: &Word) -> Outcome {
        if first.is_same(second) { Outcome::Match } else { Outcome::Miss }
    }
}

/// What came of a command.
pub(crate) type Answer = Result<Vec<GameEvent>, Refusal>;

#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) game: Game,
    pub(crate) events: Vec<GameEvent>,
    pub(crate) now: Moment,
    words: u64,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table::at(GameId::new(NOON, [7; 10]))
    }

    fn at(id: GameId) -> Table {
        Table { game: Game::new(&id.stream()), events: Vec::new(), now: NOON, words: 0 }
    }

    /// A table at which teams have sat down.
    pub(crate) fn open(config: GameConfig, teams: &[TeamId]) -> Table {
        Table::open_as(GameId::new(NOON, [7; 10]), config, teams)
    }

    /// The same of another game.
    pub(crate) fn open_as(id: GameId, config: GameConfig, teams: &[TeamId]) -> Table {
        let mut table = Table::at(id);
        let by = teams.first().map_or(1.into(), |team| team.players()[0]);
        table.act(GameAction::Create { guild: guild(), by, config, teams: teams.to_vec() });
        table
    }

    /// A table at which they play.
    pub(crate) fn started(config: GameConfig, count: u64) -> Table {
        let mut table = Table::open(config, &teams(count));
        table.start();
        table
    }

    pub(crate) fn start(&mut self) -> Vec<GameEvent> {
        let by = self.game.players()[0];
        self.act(GameAction::Start { by })
    }

    /// Has a command decided, and takes in what follows. A refusal must change nothing, and events must keep their rules.
    pub(crate) fn try_act(&mut self, action: GameAction) -> Answer {
        let pairs = (0..self.game.pairs_needed()).map(|_| WordPair(word(&self.fresh()), word(&self.fresh())));
        let pairs = pairs.collect::<Vec<_>>();
        self.try_command(GameCommand::new(self.now, action).dealing(pairs))
    }

    pub(crate) fn try_command(&mut self, command: GameCommand) -> Answer {
        let events = self.game.decide(&command)?;
        for event in &events {
            let mut faults = Faults::default();
            event.validate(&mut faults);
            assert!(faults.is_empty(), "{event:?}: {faults}");
            self.apply(event);
        }
        Ok(events)
    }

    pub(crate) fn apply(&mut self, event: &GameEvent) {
        let context = EventContext::new(Version::FIRST, Position::new(1), Timestamp::EPOCH);
        self.game.apply(event, &context);
        self.events.push(event.clone());
    }

    #[track_caller]
    pub(crate) fn act(&mut self, action: GameAction) -> Vec<GameEvent> {
        self.try_act(action).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, action: GameAction) -> Refusal {
        let before = self.game.clone();
        let refusal = self.try_act(action).expect_err("it is not allowed");
        assert_eq!(self.game, before, "a refusal changes nothing");
        refusal
    }

    /// What it takes for a player to say something: the verdict of the judge, where a word waits.
    pub(crate) fn guess(&self, player: PlayerId, text: &str) -> GameAction {
        let side = self.game.team_of(player).and_then(|team| self.game.side(team));
        let pending = side.and_then(Side::pending).filter(|pending| pending.player != player);
        let said = Word::new(text).ok();
        let verdict = pending.zip(said).map(|(pending, said)| Verdict::of(&SameWord, &pending.word, &said));
        let (channel, word) = (ChannelId::from(player.get() + 1_000), text.to_owned());
        GameAction::Guess { player, channel, word, check: WordCheck::Valid, verdict }
    }

    #[track_caller]
    pub(crate) fn say(&mut self, player: PlayerId, text: &str) -> Vec<GameEvent> {
        self.act(self.guess(player, text))
    }

    #[track_caller]
    pub(crate) fn say_refused(&mut self, player: PlayerId, text: &str) -> Refusal {
        self.refused(self.guess(player, text))
    }

    /// Both players of a team say the same word.
    #[track_caller]
    pub(crate) fn hit(&mut self, team: TeamId) -> Vec<GameEvent> {
        let text = self.fresh();
        self.say(team.players()[0], &text);
        self.say(team.players()[1], &text)
    }

    /// The same, if they may.
    pub(crate) fn try_hit(&mut self, team: TeamId) -> Answer {
        let text = self.fresh();
        self.try_act(self.guess(team.players()[0], &text))?;
        self.try_act(self.guess(team.players()[1], &text))
    }

    /// Both players of a team say something else, so many times.
    #[track_caller]
    pub(crate) fn miss(&mut self, team: TeamId, times: u32) -> Vec<GameEvent> {
        let mut last = Vec::new();
        for _ in 0..times {
            let (first, second) = (self.fresh(), self.fresh());
            self.say(team.players()[0], &first);
            last = self.say(team.players()[1], &second);
        }
        last
    }

    #[track_caller]
    pub(crate) fn give_up(&mut self, team: TeamId) -> Vec<GameEvent> {
        self.say(team.players()[0], "give up")
    }

    /// Time passes, and what is due is done.
    #[track_caller]
    pub(crate) fn pass(&mut self, millis: u64) -> Vec<GameEvent> {
        self.wait(millis);
        self.act(GameAction::PassTime)
    }

    /// Time passes, and nobody looks.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now.plus(millis);
    }

    /// Time passes until something is due, which is done.
    #[track_caller]
    pub(crate) fn pass_to_deadline(&mut self) -> Vec<GameEvent> {
        let (due, _) = self.game.deadline().expect("something is due");
        self.pass(due.since(self.now))
    }

    #[track_caller]
    pub(crate) fn leave(&mut self, player: PlayerId) -> Vec<GameEvent> {
        self.act(GameAction::Leave { player, reason: LeaveReason::PlayerQuit })
    }

    pub(crate) fn side(&self, team: TeamId) -> &Side {
        self.game.side(team).expect("the team is in the game")
    }

    /// A word that nobody has said.
    pub(crate) fn fresh(&mut self) -> String {
        self.words += 1;
        numbered(self.words)
    }
}

/// The types of events, in order.
#[track_caller]
pub(crate) fn types(events: &[GameEvent]) -> Vec<String> {
    events.iter().map(|event| event.encode().expect("it can be written").event_type().to_owned()).collect()
}

#[track_caller]
pub(crate) fn check_types(events: &[GameEvent], expected: &[&str]) {
    assert_eq!(types(events), expected);
}

/// Who went, and why, in this order.
pub(crate) fn gone(events: &[GameEvent]) -> Vec<(TeamId, EliminationReason)> {
    let gone = events.iter().filter_map(|event| match event {
        GameEvent::TeamEliminated(of) => Some((of.team_id, of.reason)),
        _ => None,
    });
    gone.collect()
}
