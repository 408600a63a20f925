//! Three generations of an enum over one log, which each of them wrote a part of.
//!
//! `tests/golden/schemas/` was written once by the ignored test below, by the code of each generation in turn. The third
//! reads it all, the first two what they know; and what nobody knows any more is carried along as it is.

use crate::model::{is_derived, options};
use crate::support::{add, contents_of, name, read};
use scorebook::testing::SimulatedDisk;
use scorebook::{
    Codec, ErrorKind, Event, EventShape, EventStore, ExpectedVersion, NewEvent, RecordedEvent, Registry, Snowflake,
    StreamName, salvage,
};
use std::fs;
use std::path::{Path, PathBuf};

/// As it was first written down: a guess is a letter, and nobody asked whose.
mod first {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Started {
        pub(super) word: String,
        pub(super) players: Vec<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Finished {
        pub(super) won: bool,
        pub(super) points: u32,
    }

    scorebook::events! {
        /// What happens in a game.
        #[derive(Clone, Debug, PartialEq)]
        pub(super) enum Game {
            /// It began.
            Started(Started) = "game_started", 1;
            /// A letter was guessed.
            Guessed(char) = "guessed", 1;
            /// It is over, with points.
            Finished(Finished) = "game_finished", 1;
            /// Somebody looked.
            Looked(()) = "board_looked_at", 1;
        }
    }
}

/// Then players became ids, a guess had a player, and nobody wanted to know any more who looked.
mod second {
    use scorebook::{Codec, EventTypes, Snowflake};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Started {
        pub(super) word: String,
        pub(super) players: Vec<Snowflake>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Guessed {
        pub(super) letter: char,
        pub(super) player: Option<Snowflake>,
    }

    pub(super) use super::first::Finished;

    scorebook::events! {
        /// What happens in a game.
        #[derive(Clone, Debug, PartialEq)]
        pub(super) enum Game {
            /// It began.
            Started(Started) = "game_started", 2;
            /// A letter was guessed.
            Guessed(Guessed) = "guessed", 2, Codec::Bincode;
            /// It is over, with points.
            Finished(Finished) = "game_finished", 1;
        }
        history = history;
    }

    pub(super) fn history(types: &mut EventTypes<Game>) {
        types
            .try_step(("game_started", 1), ("game_started", 2), |old: super::first::Started| {
                let players = old.players.iter().map(|player| player.parse()).collect::<Result<_, _>>()?;
                Ok::<_, scorebook::Error>(Started { word: old.word, players })
            })
            .step(("guessed", 1), ("guessed", 2), |letter: char| Guessed { letter, player: None })
            .discard(("board_looked_at", 1));
    }
}

/// Now a guess is called a letter that was tried, and the end of a game and its points are two events.
mod third {
    use scorebook::{Codec, EventTypes, NewEvent, Snowflake};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Started {
        pub(super) word: String,
        pub(super) players: Vec<Snowflake>,
        pub(super) language: String,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Finished {
        pub(super) won: bool,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Scored {
        pub(super) points: u32,
    }

    pub(super) use super::second::Guessed;

    scorebook::events! {
        /// What happens in a game.
        #[derive(Clone, Debug, PartialEq)]
        pub(super) enum Game {
            /// It began.
            Started(Started) = "game_started", 3;
            /// A letter was tried.
            Tried(Guessed) = "letter_tried", 1, Codec::Bincode;
            /// It is over.
            Finished(Finished) = "game_finished", 2;
            /// There were points.
            Scored(Scored) = "points_scored", 1;
        }
        history = history;
        dress = |event: &Game, new: NewEvent| match event {
            Game::Tried(Guessed { player: Some(player), .. }) => new.tag("player", player),
            _ => new,
        };
    }

    fn history(types: &mut EventTypes<Game>) {
        types
            .try_step(("game_started", 1), ("game_started", 2), |old: super::first::Started| {
                let players = old.players.iter().map(|player| player.parse()).collect::<Result<_, _>>()?;
                Ok::<_, scorebook::Error>(super::second::Started { word: old.word, players })
            })
            .step(("game_started", 2), ("game_started", 3), |old: super::second::Started| Started {
                word: old.word,
                players: old.players,
                language: "en".to_owned(),
            })
            .step(("guessed", 1), ("guessed", 2), |letter: char| Guessed { letter, player: None })
            .rename(("guessed", 2), ("letter_tried", 1))
            .split(
                ("game_finished", 1),
                &[("game_finished", 2), ("points_scored", 1)],
                |old: super::first::Finished, out| {
                    out.push("game_finished", 2, &Finished { won: old.won });
                    if old.points != 0 {
                        out.push("points_scored", 1, &Scored { points: old.points });
                    }
                },
            )
            .discard(("board_looked_at", 1));
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schemas")
}

/// The log, to be opened and written on.
fn opened(directory: &Path) -> EventStore {
    for (path, bytes) in contents_of(&golden()) {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
    EventStore::open(directory).expect("a golden log")
}

fn append<E: Event>(store: &EventStore, stream: &str, events: impl IntoIterator<Item = E>) {
    let events = events.into_iter().map(|event| event.dress(event.encode().expect("a payload")));
    add(store, &name(stream), events);
}

fn player(number: u64) -> Snowflake {
    Snowflake::from(9_007_199_254_740_993 + number)
}

#[test]
#[ignore = "writes the golden log of three generations"]
fn write_the_log_of_three_generations() {
    assert!(!golden().exists(), "what was released is never written again");
    let disk = SimulatedDisk::new(5);

    let store = options().open_simulated(&disk).expect("a store");
    let players = vec![player(1).to_string(), player(2).to_string()];
    append(&store, "game-1", [first::Game::Started(first::Started { word: "straße".to_owned(), players })]);
    append(&store, "game-1", ['s', 'ß'].map(first::Game::Guessed));
    append(&store, "game-1", [first::Game::Looked(())]);
    append(&store, "game-1", [first::Game::Finished(first::Finished { won: true, points: 7 })]);
    let named = vec!["alice".to_owned()];
    append(&store, "game-2", [first::Game::Started(first::Started { word: "owl".to_owned(), players: named })]);
    add(&store, &name("board-1"), [NewEvent::bytes("board_drawn", vec![0, 255, 10]).schema(4)]);
    store.close().expect("closing");

    let store = options().open_simulated(&disk).expect("a store");
    let started = second::Started { word: "tree".to_owned(), players: vec![player(3)] };
    append(&store, "game-3", [second::Game::Started(started)]);
    let guessed = |letter, player| second::Game::Guessed(second::Guessed { letter, player });
    append(&store, "game-3", [guessed('t', Some(player(3))), guessed('e', None)]);
    append(&store, "game-3", [second::Game::Finished(second::Finished { won: false, points: 0 })]);
    store.close().expect("closing");

    let store = options().open_simulated(&disk).expect("a store");
    let started = third::Started { word: "arbre".to_owned(), players: vec![player(4)], language: "fr".to_owned() };
    append(&store, "game-4", [third::Game::Started(started)]);
    append(&store, "game-4", [third::Game::Tried(third::Guessed { letter: 'é', player: Some(player(4)) })]);
    append(&store, "game-4", [third::Game::Finished(third::Finished { won: true })]);
    append(&store, "game-4", [third::Game::Scored(third::Scored { points: 9 })]);
    store.close().expect("closing");

    for (path, bytes) in disk.contents().into_iter().filter(|(path, _)| path != "LOCK" && !is_derived(path)) {
        let path = golden().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
}

/// What each event of the log becomes, or why nothing becomes of it.
fn decoded<E: Event>(registry: &Registry, store: &EventStore) -> Vec<Result<Vec<E>, (u64, ErrorKind)>> {
    let decode = |event: &RecordedEvent| match registry.decode::<E>(event) {
        Ok(events) => Ok(events.collect()),
        Err(error) => {
            let position = event.position().get();
            assert!(error.to_string().contains(&format!("at position {position}")), "{error}");
            Err((position, error.kind()))
        }
    };
    read(store.read_all()).iter().map(decode).collect()
}

fn registry_of<E: Event>() -> Registry {
    Registry::builder().events::<E>().build().expect("a registry")
}

#[test]
fn the_third_generation_reads_what_all_three_have_written() {
    use third::{Finished, Game, Guessed, Scored, Started};
    let directory = tempfile::tempdir().expect("a directory");
    let store = opened(directory.path());
    let started = |word: &str, players: &[u64], language: &str| {
        let players = players.iter().map(|number| player(*number)).collect();
        Ok(vec![Game::Started(Started { word: word.to_owned(), players, language: language.to_owned() })])
    };
    let tried = |letter, by: Option<u64>| Ok(vec![Game::Tried(Guessed { letter, player: by.map(player) })]);
    let (finished, scored) = (|won| Game::Finished(Finished { won }), |points| Game::Scored(Scored { points }));
    let expected = [
        started("straße", &[1, 2], "en"),
        tried('s', None),
        tried('ß', None),
        Ok(vec![]),
        Ok(vec![finished(true), scored(7)]),
        // A name where there should have been an id: no step makes one of it.
        Err((6, ErrorKind::Decode)),
        Err((7, ErrorKind::UnknownType)),
        started("tree", &[3], "en"),
        tried('t', Some(3)),
        tried('e', None),
        Ok(vec![finished(false)]),
        started("arbre", &[4], "fr"),
        tried('é', Some(4)),
        Ok(vec![finished(true)]),
        Ok(vec![scored(9)]),
    ];
    assert_eq!(decoded::<Game>(&registry_of::<Game>(), &store), expected);
}

#[test]
fn an_older_generation_reads_what_it_knows_and_names_the_rest() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = opened(directory.path());
    let first = decoded::<first::Game>(&registry_of::<first::Game>(), &store);
    let readable: Vec<usize> =
        (1..).zip(&first).filter(|(_, result)| result.is_ok()).map(|(position, _)| position).collect();
    // The end of a game was told in the first way for another generation.
    assert_eq!(readable, [1, 2, 3, 4, 5, 6, 11]);
    let second = decoded::<second::Game>(&registry_of::<second::Game>(), &store);
    let failures: Vec<(u64, ErrorKind)> = second.iter().filter_map(|result| result.as_ref().err().copied()).collect();
    let unknown = [7, 12, 13, 14, 15].map(|position| (position, ErrorKind::UnknownType));
    assert_eq!(failures, [&[(6, ErrorKind::Decode)][..], &unknown].concat());
}

#[test]
fn a_check_of_the_log_says_what_the_new_code_cannot_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = opened(directory.path());
    let before = read(store.read_all()).iter().map(carried).collect::<Vec<_>>();
    let report = registry_of::<third::Game>().check(&store).expect("it can be read");
    let failures: Vec<(u64, &EventShape)> =
        report.failures().map(|failure| (failure.position().get(), failure.shape())).collect();
    assert_eq!(failures, [(6, &EventShape::new("game_started", 1))]);
    let told = report.failures().map(|failure| format!("{:?}", failure.error())).collect::<String>();
    assert!(told.contains("the step from `game_started` (schema 1) to `game_started` (schema 2)"), "{told}");
    assert!(told.contains("snowflake `alice` is not a decimal number"), "{told}");
    let unknown: Vec<&EventShape> = report.unknown().map(|shape| shape.shape()).collect();
    assert_eq!(unknown, [&EventShape::new("board_drawn", 4)]);
    let counts: Vec<(String, u64)> = report.shapes().map(|shape| (shape.shape().to_string(), shape.events())).collect();
    assert_eq!(counts.len(), 11, "{counts:?}");
    assert_eq!(report.events(), 15);
    let after = read(store.read_all()).iter().map(carried).collect::<Vec<_>>();
    assert_eq!(before, after, "a schema that was recorded is never rewritten");
}

type Carried = (String, u32, Codec, Vec<u8>);

/// What must not change on any way from one store to another.
fn carried(event: &RecordedEvent) -> Carried {
    (event.event_type().to_owned(), event.schema(), event.codec(), event.data().to_vec())
}

#[test]
fn what_nobody_knows_is_copied_and_salvaged_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = opened(&directory.path().join("bot.scorebook"));
    let events = read(store.read_all());
    let expected: Vec<Carried> = events.iter().map(carried).collect();
    assert_eq!(expected[6], ("board_drawn".to_owned(), 4, Codec::Bytes, vec![0, 255, 10]));

    let copy = EventStore::open_in_memory().expect("a store");
    for event in &events {
        let (event_type, schema, codec, data) = carried(event);
        let stream: StreamName = event.stream_name();
        let new = NewEvent::with_codec(&event_type, codec, data).schema(schema);
        copy.append(&stream, ExpectedVersion::Any, [new]).wait().expect("a receipt");
    }
    let copied: Vec<Carried> = read(copy.read_all()).iter().map(carried).collect();
    assert_eq!(copied, expected);

    store.close().expect("closing");
    let target = directory.path().join("salvaged.scorebook");
    salvage(directory.path().join("bot.scorebook"), &target).expect("a sound store");
    let salvaged = EventStore::open(&target).expect("a store");
    let salvaged: Vec<Carried> = read(salvaged.read_all()).iter().map(carried).collect();
    assert_eq!(salvaged, expected);
}

#[cfg(feature = "cli")]
#[test]
fn what_nobody_knows_is_exported_and_imported_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, target) = (directory.path().join("bot.scorebook"), directory.path().join("imported.scorebook"));
    let store = opened(&path);
    let expected: Vec<Carried> = read(store.read_all()).iter().map(carried).collect();
    store.close().expect("closing");

    let run = |store: &Path, command: &[&str]| {
        let mut tool = std::process::Command::new(env!("CARGO_BIN_EXE_scorebook"));
        let output =
            tool.arg("--dir").arg(store).args(command).current_dir(directory.path()).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let lines = run(&path, &["export"]);
    assert_eq!(lines.matches("\"codec\":\"bincode\"").count(), 3, "{lines}");
    fs::write(directory.path().join("all.ndjson"), &lines).expect("a file");
    run(&target, &["import", "all.ndjson"]);
    let imported: Vec<Carried> =
        read(EventStore::open(&target).expect("a store").read_all()).iter().map(carried).collect();
    assert_eq!(imported, expected);
}
