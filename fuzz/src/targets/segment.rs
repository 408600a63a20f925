//! The scan of a segment: a log of one file, raw or with checksums made right so that it gets inside.
//!
//! Checksums being right is no reason to believe what a log says: versions with gaps, positions that repeat, epochs from
//! nowhere. What such a log holds, or that it must be refused, is worked out from the rules and compared.

use crate::image::Image;
use crate::layout::segment_path;
use crate::look::{self, Event, check_named, options};
use crate::rules::{self, Answer, Fact};
use scorebook::ErrorKind;
use scorebook::testing::verify_simulated;

/// Opens a log of this one segment for reading and for writing, and compares with the rules.
pub fn run(data: &[u8]) {
    let mut image = Image::of(data);
    let path = segment_path(1);
    image.files.retain(|name, _| *name == path);
    image.directories.clear();
    let Some(segment) = image.files.get(&path) else { return };
    let answer = rules::of_one_segment(segment);
    let disk = image.disk(1);
    let before = disk.contents();
    let reader = options().open_simulated_read_only(&disk);
    let report = reader.as_ref().map(|store| store.recovery_report());
    let read = reader.as_ref().map(look::everything);
    let verified = verify_simulated(&disk);
    assert!(disk.contents() == before, "looking changed something");
    let written = options().open_simulated(&disk).map(|store| look::everything(&store));
    match &answer {
        Answer::Holds(facts, u32::MAX) => {
            let error = written.err().expect("no number is left for another epoch");
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}, {} events", facts.len());
        }
        Answer::Holds(facts, _) => {
            let report = report.unwrap_or_else(|error| panic!("{error:?}, by the rules it holds {facts:?}"));
            assert!(report.damage().is_empty(), "{report}, by the rules it holds {facts:?}");
            assert!(verified.expect("a verdict").is_sound(), "verified, by the rules it holds {facts:?}");
            let written = written.unwrap_or_else(|error| panic!("{error:?}, by the rules it holds {facts:?}"));
            for seen in [read.expect("it was opened"), written] {
                assert!(!seen.is_damaged(), "{:?}, by the rules it holds {facts:?}", seen.trouble);
                assert!(seen.events.iter().map(fact).eq(facts.iter().cloned()), "{:?}\n{facts:?}", seen.events);
            }
        }
        Answer::Refused(why) => {
            let error = written.err().unwrap_or_else(|| panic!("accepted, and by the rules to be refused for {why}"));
            check_named(&error);
            match (report, verified) {
                (Ok(report), Ok(verified)) => {
                    assert!(!report.damage().is_empty(), "{error:?}, for {why}, and not a word to a reader");
                    assert!(!verified.is_sound(), "{error:?}, for {why}, and verified as sound");
                }
                (report, verified) => {
                    [report.err(), verified.as_ref().err()].into_iter().flatten().for_each(check_named);
                }
            }
        }
        Answer::NotAsked => {}
    }
    assert!(image.files[&path] == before[&path], "nothing writes into the segment of another opening");
}

fn fact(event: &Event) -> Fact {
    Fact {
        position: event.position,
        version: event.version.get(),
        time: event.time.nanos(),
        epoch: event.epoch,
        stream: event.stream.clone(),
        event_type: event.event_type.clone(),
        data: event.data.clone(),
    }
}
