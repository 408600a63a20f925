//! The corpus without the engine.

use crate::targets;
use std::fs;
use std::path::{Path, PathBuf};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// Runs everything in the corpus of a target through it.
fn replay(target: &str, run: fn(&[u8])) {
    let mut files: Vec<PathBuf> = fs::read_dir(corpus(target))
        .expect("every target has a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() > 3, "the corpus of {target} has {} files", files.len());
    for file in files {
        let data = fs::read(&file).expect("a file of the corpus");
        let outcome = std::panic::catch_unwind(|| run(&data));
        assert!(outcome.is_ok(), "{} fails on {}", target, file.file_name().expect("a name").display());
    }
}

#[test]
fn the_corpus_of_records_holds() {
    replay("record", targets::record::run);
}

#[test]
fn the_corpus_of_segments_holds() {
    replay("segment", targets::segment::run);
}

#[test]
fn the_corpus_of_directories_holds() {
    replay("directory", targets::directory::run);
}

#[test]
fn the_corpus_of_imports_holds() {
    replay("import", targets::import::run);
}

#[test]
fn the_corpus_of_operations_holds() {
    replay("operations", targets::operations::run);
}
