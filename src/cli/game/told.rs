//! A game told whole: in words and tables for people, and the same as data.

use super::data;
use super::head::{head, phase};
use super::names::Names;
use super::round::chapter;
use super::standing::end;
use super::story::Story;
use super::words;
use crate::cli::failure::Failure;
use crate::cli::output::{Row, counted};
use scorebook::game::{Game, Side};

/// A game that is told, with the names to tell it by, in lines of so many characters where they fit.
pub(crate) struct Told<'a> {
    pub(crate) story: &'a Story,
    pub(crate) names: &'a Names,
    pub(crate) width_max: Option<usize>,
}

impl Row for Told<'_> {
    fn cells(&self) -> Vec<String> {
        let Told { story, names, width_max } = *self;
        let mut lines = head(story, names);
        for of in &story.chapters {
            lines.push(String::new());
            lines.extend(chapter(of, story, names, width_max));
        }
        if story.started.is_some() {
            lines.push(String::new());
            lines.extend(end(story, names, width_max));
        }
        lines
    }

    fn write_json(&self, line: &mut String) -> Result<(), Failure> {
        data::write(self.story, self.names, line)
    }
}

/// Where a game stands: how far it is, and what each team has before it.
pub(crate) fn now(story: &Story, names: &Names) -> Vec<String> {
    let sides = story.game.sides().map(|side| side_line(side, &story.game, names));
    std::iter::once(phase(story, names)).chain(sides).collect()
}

fn side_line(side: &Side, game: &Game, names: &Names) -> String {
    let score = side.standing();
    let mut parts = vec![
        counted_points(score.score),
        counted(score.matches.into(), "match", "matches"),
        counted(score.total_guesses.into(), "guess", "guesses"),
    ];
    if let Some(gone) = game.eliminations().iter().find(|gone| gone.team == side.team()) {
        parts.push(format!("out: {}", words::out(gone.reason, gone.guess_count)));
    } else if side.has_matched() {
        parts.push(format!("matched in round {}", side.round()));
    } else if let Some(pair) = side.words() {
        parts.push(format!("attempt {} of round {} from {} and {}", side.guess_count(), side.round(), pair.0, pair.1));
    }
    if let Some(pending) = side.pending() {
        parts.push(format!("{} of {} waits", pending.word, names.player(pending.player)));
    }
    format!("{}: {}", names.team(side.team()), parts.join(", "))
}

fn counted_points(points: i64) -> String {
    format!("{points} {}", if points.unsigned_abs() == 1 { "point" } else { "points" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorebook::game::{
        GameAction, GameCommand, GameConfig, GameEvent, GameId, Judge, Moment, Outcome, PlayerId, TeamId, Verdict,
        Word, WordCheck, WordPair,
    };
    use scorebook::{EventStore, Registry};

    struct Never;

    impl Judge for Never {
        fn judge(&self, _: &Word, _: &Word) -> Outcome {
            Outcome::Miss
        }
    }

    /// A game in which two players said these words, one after the other.
    fn story(words: [&str; 2]) -> Story {
        let store = EventStore::open_in_memory().unwrap();
        let now = Moment::from_millis(1_700_000_000_000);
        let id = GameId::new(now, [7; 10]);
        let game = store.aggregate::<Game>(&id.stream());
        let players = [PlayerId::from(3), PlayerId::from(4)];
        let team = TeamId::of(players[0], players[1]).unwrap();
        let word = |text: &str| Word::new(text).unwrap();
        let config = GameConfig::TwoPlayer { rounds_required: 1, success_threshold: 4 };
        let create = GameAction::Create { guild: 9.into(), by: players[0], config, teams: vec![team] };
        let verdict = Verdict::of(&Never, &word(words[0]), &word(words[1]));
        let guess = |at: usize| GameAction::Guess {
            player: players[at],
            channel: 1.into(),
            word: words[at].to_owned(),
            check: WordCheck::Valid,
            verdict: (at == 1).then(|| verdict.clone()),
        };
        for action in [create, GameAction::Start { by: players[0] }, guess(0), guess(1)] {
            let pair = WordPair(word("ocean"), word("desert"));
            game.execute(GameCommand::new(now, action).dealing([pair])).wait().expect("it is allowed");
        }
        let registry = Registry::builder().events::<GameEvent>().build().unwrap();
        let mut story = Story::new(&id.stream());
        for recorded in store.read(&id.stream()) {
            let recorded = recorded.unwrap();
            story.take(&recorded, &registry.decode(&recorded).unwrap().collect::<Vec<GameEvent>>());
        }
        story
    }

    #[test]
    fn on_a_narrow_terminal_rows_become_lines_and_every_word_stands_whole() {
        let (long, wide) = ("x".repeat(50), "語".repeat(50));
        let story = story([&long, &wide]);
        let names = Names::default();
        let told = |width_max| Told { story: &story, names: &names, width_max }.cells();
        let line = format!("  1        {long}  0 ms  {wide}  0 ms  both at once  no match");
        assert!(told(None).contains(&line), "{:#?}", told(None));
        assert!(told(Some(199)).contains(&line), "columns are counted, and not characters");
        for width in [0, 1, 20, 80, 198] {
            let lines = told(Some(width));
            let at = lines.iter().position(|line| line == "  attempt: 1").expect("an attempt");
            let expected = [format!("    player 3: {long}"), "    0 ms".to_owned(), format!("    player 4: {wide}")];
            assert_eq!(lines[at + 1..at + 4], expected, "{width}");
        }
    }
}
