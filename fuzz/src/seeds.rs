//! What the corpus began with: real logs, written down as images. `cargo fuzz cmin` then keeps what is worth keeping.

use crate::image::Image;
use crate::layout::{SECTOR, segment_path, sequence_of};
use crate::look::options;
use scorebook::testing::{SimulatedDisk, salvage_simulated};
use scorebook::{
    Codec, EventId, EventStore, ExactEvent, ExpectedVersion, NewEvent, Position, StreamName, Timestamp, Version,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Larger ones only make a fuzzer slow.
const SEED_BYTES_MAX: usize = 4096;

type Files = BTreeMap<String, Vec<u8>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The golden directories, and a few stores that have what those have not.
fn stores() -> Vec<(String, Files)> {
    let mut stores = Vec::new();
    for name in ["clean", "torn", "rich"] {
        let golden = root().join("../tests/golden/v1").join(name);
        let mut files = Files::from([("live".to_owned(), fs::read(golden.join("live")).expect("a golden file"))]);
        for entry in fs::read_dir(golden.join("log")).expect("a golden directory") {
            let entry = entry.expect("an entry");
            let path = format!("log/{}", entry.file_name().display());
            files.insert(path, fs::read(entry.path()).expect("a golden file"));
        }
        stores.push((name.to_owned(), files));
    }
    stores.push(("killed".to_owned(), killed().contents()));
    stores.push(("holes".to_owned(), with_holes().contents()));
    let (damaged, salvaged) = salvaged();
    stores.push(("damaged".to_owned(), damaged.contents()));
    stores.push(("salvaged".to_owned(), salvaged.contents()));
    stores.push(("rolled".to_owned(), rolled().contents()));
    stores.push(("compacted".to_owned(), compacted().contents()));
    // What is derived is left out: an image has few files.
    stores.iter_mut().for_each(|(_, files)| files.retain(|path, _| path.ends_with(".log") || path == "live"));
    stores
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("a name")
}

fn append(store: &EventStore, name: &str, event: NewEvent) {
    store.append(&stream(name), ExpectedVersion::Any, [event]).wait().expect("a receipt");
}

fn killed() -> SimulatedDisk {
    let disk = SimulatedDisk::new(3);
    let store = options().open_simulated(&disk).expect("a store");
    for number in 0..4_u8 {
        append(&store, "a-1", NewEvent::bytes("t", [number]).id(EventId::from_bytes([number; 16])));
    }
    append(&store, "b", NewEvent::with_codec("t", Codec::Other(9), vec![1]).tag("k", "v").meta("m", &1).schema(7));
    disk.kill()
}

fn with_holes() -> SimulatedDisk {
    let disk = SimulatedDisk::new(4);
    let store = options().open_simulated(&disk).expect("a store");
    let mut import = store.exact_import().expect("an empty store");
    let exact = |position, version| ExactEvent {
        position: Position::new(position),
        stream: stream("a-1"),
        version: Version::new(version),
        time: Timestamp::from_nanos(5),
        epoch: None,
        event: NewEvent::bytes("t", []).id(EventId::from_bytes([9; 16])).occurred(Timestamp::from_nanos(-1)),
    };
    import.append(vec![exact(7, 3), exact(8, 4)]).expect("events with holes");
    import.append(vec![exact(20, 9)]).expect("events with holes");
    import.finish().expect("a sync");
    store.close().expect("nothing fails");
    disk
}

fn salvaged() -> (SimulatedDisk, SimulatedDisk) {
    let disk = SimulatedDisk::new(5);
    let store = options().open_simulated(&disk).expect("a store");
    for number in 0..3_u8 {
        append(&store, ["a", "b", "a"][usize::from(number)], NewEvent::bytes("t", [number; 5]));
    }
    store.close().expect("nothing fails");
    let bytes = disk.read_file(&segment_path(1)).expect("the segment");
    let at = bytes.windows(5).position(|window| window == [1; 5]).expect("the second event");
    disk.flip_bit(&segment_path(1), at as u64, 0);
    let copy = SimulatedDisk::new(6);
    salvage_simulated(&disk, &copy).expect("a salvage");
    let store = options().open_simulated(&copy).expect("what was salvaged");
    store.accept_losses().expect("nothing fails");
    store.close().expect("nothing fails");
    (disk, copy)
}

/// Two segments, the first of them nearly empty: one event does not fit into what it is.
fn rolled() -> SimulatedDisk {
    let disk = SimulatedDisk::new(7);
    let store = options().open_simulated(&disk).expect("a store");
    append(&store, "a", NewEvent::bytes("t", [1]));
    // Zeros are worth no bytes here.
    append(&store, "a", NewEvent::bytes("t", vec![0; 31_000]));
    append(&store, "a", NewEvent::bytes("t", vec![0; 31_000]));
    store.close().expect("nothing fails");
    disk
}

/// A segment that stands for several, and the last two. Like the golden directory of that name, in
/// fewer bytes.
fn compacted() -> SimulatedDisk {
    let disk = SimulatedDisk::new(8);
    let store = options().open_simulated(&disk).expect("a store");
    for number in 0..8_u8 {
        append(&store, "a", NewEvent::bytes("t", [number]).tag("k", number));
        append(&store, "b", NewEvent::bytes("t", [number]));
        if number % 3 == 2 {
            // Zeros are worth no bytes here.
            append(&store, "c", NewEvent::bytes("t", vec![0; 31_000]));
        }
    }
    store.truncate_before(&stream("b"), Version::new(4)).wait().expect("it begins later");
    store.tombstone(&stream("c"), ExpectedVersion::Any, "").wait().expect("it is finished");
    store.compaction().thoroughly().plan().expect("a plan").apply().expect("it is done");
    store.close().expect("nothing fails");
    disk
}

/// Lines that mean something to the import, and some that mean nothing.
fn inputs() -> Vec<String> {
    let history = fs::read_to_string(root().join("../tests/data/history.ndjson")).expect("the history");
    let exported = r#"{"position":1,"stream":"a-1","version":1,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"t","schema":1,"time":"2016-01-19T00:21:19.000000000Z","data":{"a":[1,2.50,"x"]}}"#;
    let hole = r#"{"position":9,"stream":"a-1","version":4,"id":"67e55044-10b1-426f-9247-bb680e5fe0c9","type":"t","schema":2,"time":"2016-01-19T00:21:20.5Z","occurred":"1969-12-31T23:59:59.000000001Z","data_base64":"AP+A","codec":200,"metadata":{"z":1.50,"actor":"x"},"tags":["player:8812","empty:"]}"#;
    vec![
        history.lines().take(3).map(|line| format!("{line}\n")).collect(),
        exported.to_owned(),
        format!("{exported}\n{hole}\n"),
        format!("\r\n{hole}\r\n\n{exported}"),
        r#"{"type":"t","data":null}"#.to_owned(),
        r#"{"stream":"s","type":"t","data":[1e400,-0.0,0.1000,"\/é\u00e9\ud83c"]}"#.to_owned(),
        r#" { "stream" : "s" , "type" : "t" , "data" : { "a b" : [ 1 , 2.0 ] } , "codec" : "json" } "#.to_owned(),
        r#"{"stream":"s","type":"t","data_base64":"e30=","codec":"json","metadata":{"correlation":"c","causation":""}}"#
            .to_owned(),
        r#"{"stream":"-","type":"t","data":1,"data":2}"#.to_owned(),
        "\u{feff}[1]\n{".to_owned(),
    ]
}

/// Writes the seeds beside what is there. They are small: what is large in a log is zeros.
#[test]
#[ignore = "writes into the corpus: only where the format or the images have changed"]
fn write_the_seeds() {
    let write = |target: &str, name: &str, data: &[u8]| {
        if SEED_BYTES_MAX < data.len() {
            return;
        }
        let folder = root().join("corpus").join(target);
        fs::create_dir_all(&folder).expect("a folder for the corpus");
        fs::write(folder.join(name), data).expect("a seed");
    };
    for (name, files) in stores() {
        for mend in 0..4 {
            write("directory", &format!("{name}-{mend}"), &Image::written(&files, mend));
        }
        write("directory", &format!("{name}-killed"), &Image::written(&files, 128));
        let facts: Files =
            files.iter().filter(|(path, _)| *path != "live").map(|(p, b)| (p.clone(), b.clone())).collect();
        write("directory", &format!("{name}-without-live"), &Image::written(&facts, 1));
        for (path, bytes) in facts.iter().filter(|(path, _)| path.starts_with("log/")) {
            let alone = Files::from([(path.clone(), bytes.clone())]);
            let number = path.trim_end_matches(".log").trim_start_matches("log/0");
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(SECTOR, |last| (last + 8) & !7);
            let batches = &bytes[SECTOR..end.clamp(SECTOR, bytes.len() - SECTOR).min(SECTOR + 3_000)];
            write("record", &format!("{name}-{number}"), &[&[1][..], batches].concat());
            write("record", &format!("{name}-{number}-preamble"), &[&[0][..], &bytes[..SECTOR]].concat());
            write("record", &format!("{name}-{number}-footer"), &[&[0][..], &bytes[bytes.len() - SECTOR..]].concat());
            if sequence_of(path).is_none() {
                // What compaction wrote is no segment by itself.
                continue;
            }
            let written = Image::written(&alone, 3);
            // The same content in segment 1, which has no other before it; numbers and chain follow.
            let content =
                written.windows(2).skip(3).position(|window| window == [0xFE, 0xED]).expect("a second letter") + 3;
            let content = written[content + 2..].windows(2).position(|window| window == [0xFE, 0xED]).expect("a third")
                + content
                + 2;
            write(
                "segment",
                &format!("{name}-{number}-first"),
                &[&[3, 0xFE, 0xED, b'S', 1][..], &written[content..]].concat(),
            );
            if *path == segment_path(1) {
                write("segment", &format!("{name}-raw"), &Image::written(&alone, 0));
                write("segment", &format!("{name}-sealed"), &Image::written(&alone, 1));
                write("segment", &format!("{name}-numbered"), &Image::written(&alone, 2));
            }
        }
        if let Some(live) = files.get("live") {
            write("record", &format!("{name}-live"), &[&[0][..], live].concat());
        }
    }
    for (number, input) in inputs().iter().enumerate() {
        write("import", &format!("lines-{number}"), input.as_bytes());
    }
    let mut state = 1_u32;
    for number in 0..8 {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let script: Vec<u8> = (0..64).map(|_| next()).collect();
        write("operations", &format!("script-{number}"), &script);
    }
}
