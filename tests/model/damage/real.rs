//! Looks at changed files on the real disk: verify and salvage, and files replaced by links and directories.

use super::change::{Changed, Kind};
use super::expected::Expected;
use super::look::{Checked, Look, Outcome, false_alarm, is_same, silent};
use super::subject::{Subject, options, unpack};
use super::table::Table;
use scorebook::{Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, SalvageReport};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Verifies and salvages a store on changed files. Nothing in the directory is changed by either.
pub(crate) fn inspect(subject: &Subject, changed: &Changed, expected: &Expected, scratch: &Path) -> Checked {
    let (source, copy) = (scratch.join("source"), scratch.join("copy"));
    let mut files = subject.files.clone();
    for (path, bytes) in changed {
        match bytes {
            Some(bytes) => files.insert(path.clone(), bytes.clone()),
            None => files.remove(path),
        };
    }
    unpack(&files, &source);
    let verified = match scorebook::verify(&source) {
        Ok(verified) => verified,
        Err(error) => return false_alarm(format!("verifying: {error:?}")),
    };
    if !expected.is_open_question && verified.is_sound() == expected.is_damage {
        let what = format!("verifying: {verified}");
        return if verified.is_sound() { silent(what) } else { false_alarm(what) };
    }
    let is_explained = verified.damage().iter().any(|damage| expected.explains(damage.place()));
    if !expected.is_open_question && !verified.is_sound() && !is_explained {
        return silent(format!("verifying names another place: {verified}"));
    }
    let report = match scorebook::salvage(&source, &copy) {
        Ok(report) => report,
        Err(error) => return false_alarm(format!("salvaging: {error:?}")),
    };
    let is_as_before = files.iter().all(|(path, bytes)| fs::read(source.join(path)).is_ok_and(|found| found == *bytes));
    if !is_as_before {
        return silent("looking changed the source");
    }
    if report.is_complete() != verified.is_sound() {
        return silent(format!("salvaging: {report}; verifying: {verified}"));
    }
    let checked = salvaged(subject, expected, &report, &copy);
    fs::remove_dir_all(scratch).expect("the scratch directory can be removed");
    checked
}

/// What was salvaged is exact, what was not is told, and the copy can be written on once the losses are accepted.
fn salvaged(subject: &Subject, expected: &Expected, report: &SalvageReport, copy: &Path) -> Checked {
    let open = |what: &str| match EventStore::open(copy) {
        Ok(store) => Ok(store),
        Err(error) => false_alarm(format!("opening {what}: {report}: {error:?}")),
    };
    let store = open("what was salvaged")?;
    let known = &subject.layout.events;
    let mut there = vec![false; known.len()];
    for event in store.read_all().skipping_lost() {
        let event = match event {
            Ok(event) => event,
            Err(error) => return false_alarm(format!("reading what was salvaged: {error:?}")),
        };
        match known.iter().position(|known| is_same(known, &event)) {
            Some(index) if !there[index] => there[index] = true,
            _ => return silent(format!("{event:?} was salvaged and is not as it was")),
        }
    }
    let is_lost =
        |position: u64| report.lost().iter().any(|(first, last)| (first.get()..=last.get()).contains(&position));
    // Where nothing says how far the log had reached, one position stands for the end.
    let last_told = report.lost().last().map_or(u64::MAX, |(_, last)| last.get());
    let last_there = there.iter().rposition(|there| *there).map_or(0, |index| known[index].position);
    for (index, event) in known.iter().enumerate().filter(|(index, _)| *index < expected.silent_from) {
        let is_told = is_lost(event.position) || last_told.max(last_there) < event.position;
        if is_told == there[index] {
            return silent(format!("position {}: there: {}, lost: {is_told}: {report}", event.position, there[index]));
        }
        if !there[index] && !expected.is_open_question && expected.is_intact(subject, index) {
            return false_alarm(format!("position {} is undamaged and was not salvaged: {report}", event.position));
        }
    }
    across(subject, &there, report, &store)?;
    doubts(subject, &there, report, &store)?;
    let went_on = store.accept_losses().and_then(|()| {
        for name in subject.streams.keys() {
            append(&store, name)?;
        }
        store.close()
    });
    if let Err(error) = went_on {
        return false_alarm(format!("going on with what was salvaged: {error:?}"));
    }
    let store = open("it again")?;
    across(subject, &there, report, &store)?;
    if let Err(error) = store.close() {
        return false_alarm(format!("closing what was salvaged: {error:?}"));
    }
    match scorebook::verify(copy) {
        Ok(verified) if verified.is_sound() => Ok(()),
        other => false_alarm(format!("verifying what was salvaged: {other:?}")),
    }
}

/// A read across a loss fails there, with all that stands before it; also when the loss was accepted.
fn across(subject: &Subject, there: &[bool], report: &SalvageReport, store: &EventStore) -> Checked {
    let found = report.lost().first().map(|(first, _)| first.get());
    let Some(first) = found.into_iter().chain(subject.layout.losses.first().map(|(first, _)| *first)).min() else {
        return Ok(());
    };
    let known = &subject.layout.events;
    let mut before = (0..known.len()).filter(|index| there[*index] && known[*index].position < first);
    for event in store.read_all() {
        let next = before.next().map(|index| &known[index]);
        match (event, next) {
            (Ok(event), Some(next)) if is_same(next, &event) => {}
            (Err(error), None) if error.kind() == ErrorKind::Lost => return Ok(()),
            (other, next) => {
                return silent(format!("reading to the loss at {first}: {other:?} for {next:?}: {report}"));
            }
        }
    }
    silent(format!("reading across the loss at {first}: {report}"))
}

/// A stream that may have ended in a loss takes no append before that is accepted, and every other does.
fn doubts(subject: &Subject, there: &[bool], report: &SalvageReport, store: &EventStore) -> Checked {
    let Some((_, last_lost)) = report.lost().last() else {
        return Ok(());
    };
    for (name, events) in &subject.streams {
        let last = events.iter().rev().find(|index| there[**index]);
        let last = last.map_or(0, |index| subject.layout.events[*index].position);
        let is_in_doubt = last < last_lost.get();
        // What was accepted before may have to be accepted again, together with what was found now.
        let may_be_in_doubt = subject.layout.losses.last().is_some_and(|(_, lost)| last < *lost);
        match append(store, name) {
            Err(error) if (is_in_doubt || may_be_in_doubt) && error.kind() == ErrorKind::Lost => {}
            Ok(()) if !is_in_doubt => {}
            other => {
                return silent(format!("appending to {name}, which ends at {last}: {other:?}: {report}"));
            }
        }
    }
    Ok(())
}

fn append(store: &EventStore, name: &scorebook::StreamName) -> Result<(), Error> {
    let appended = store.append(name, ExpectedVersion::Any, [NewEvent::bytes("afterwards", Vec::new())]);
    appended.wait().map(|_| ()).map_err(scorebook::AppendError::into_error)
}

/// What can stand where a file stood.
#[derive(Clone, Copy, Debug)]
enum Replacement {
    /// A link to the file, which lies elsewhere now.
    Link,
    /// A link to nothing.
    DanglingLink,
    Directory,
}

/// Replaces every file by links and directories: nothing is followed, nothing lost, and the answer is clear.
pub(crate) fn replace_files(subjects: &[Subject], scratch: &Path, table: &mut Table) {
    for subject in subjects {
        for path in subject.files.keys() {
            for replacement in [Replacement::Link, Replacement::DanglingLink, Replacement::Directory] {
                let directory = scratch.join("replaced");
                let outcome = replace_file(subject, path, replacement, &directory);
                table.note(Kind::FileReplaced, subject.name, outcome, || {
                    format!("{path} of `{}` replaced by {replacement:?}", subject.name)
                });
                fs::remove_dir_all(&directory).expect("the scratch directory can be removed");
            }
        }
    }
}

fn replace_file(subject: &Subject, path: &str, replacement: Replacement, scratch: &Path) -> Checked<Outcome> {
    let store = scratch.join("store");
    unpack(&subject.files, &store);
    let (there, elsewhere) = (store.join(path), scratch.join("elsewhere"));
    fs::rename(&there, &elsewhere).expect("the file is there");
    match replacement {
        Replacement::Link => symlink(&elsewhere, &there).expect("a link"),
        Replacement::DanglingLink => symlink(scratch.join("nowhere"), &there).expect("a link"),
        Replacement::Directory => fs::create_dir(&there).expect("a directory"),
    }
    let before = listing(&store).expect("a listing");
    let counts = subject.layout.segments.iter().any(|segment| segment.path == path && !segment.batches.is_empty());
    // What stands where a segment stood is damage; what stands elsewhere is in the way, at most.
    let mut refusals = 0;
    let expected = Expected::of_replaced(subject, path);
    let look = Look { subject, expected: &expected };
    for opened in [options().open_read_only(&store), options().open(&store)] {
        match opened {
            Ok(opened) => {
                let is_sound = opened.recovery_report().damage().is_empty();
                if counts && is_sound {
                    return silent(format!("it opened: {}", opened.recovery_report()));
                }
                look.everything(&opened, !is_sound)?;
                refusals += u32::from(!is_sound);
            }
            Err(error) if is_clear(&error, path) => refusals += 1,
            Err(error) => return silent(format!("it is not clear what is wrong: {error:?}")),
        }
    }
    if 0 < refusals && before != listing(&store).expect("a listing") {
        return silent("a refused opening changed something");
    }
    if fs::read(&elsewhere).expect("the file is there") != subject.files[path] {
        return silent("what lies elsewhere was changed");
    }
    Ok(if refusals == 0 { Outcome::Harmless } else { Outcome::Detected })
}

/// Whether an error says which file is meant, here or in its sources.
fn is_clear(error: &Error, path: &str) -> bool {
    let text = format!("{error:?}");
    let name = path.rsplit('/').next().unwrap_or(path);
    let sequence = super::layout::sequence_of(path).map(|sequence| format!("segment {sequence}"));
    text.contains(name) || sequence.is_some_and(|sequence| text.contains(&sequence)) || text.contains("locking")
}

/// What stands in a store: every path but that of `live`, which an opening may write, and what it is.
fn listing(store: &Path) -> io::Result<Vec<(PathBuf, String, Vec<u8>)>> {
    let mut found = Vec::new();
    for directory in [store.to_owned(), store.join("log")] {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let file_type = entry.file_type()?;
            let is_file = file_type.is_file() && entry.file_name() != "live" && entry.file_name() != "LOCK";
            let bytes = if is_file { fs::read(entry.path())? } else { Vec::new() };
            found.push((entry.path(), format!("{file_type:?}"), bytes));
        }
    }
    found.sort();
    Ok(found)
}
