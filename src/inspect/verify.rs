//! Checking everything and changing nothing.

use super::scan;
use crate::error::Error;
use crate::index::doubtful;
use crate::log::{Damage, RecoveryReport};
use crate::snapshot;
use crate::storage::Storage;
use crate::store::StoreParts;
use crate::sync::Arc;
use std::fmt;
use std::path::Path;

/// What a verification found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    report: RecoveryReport,
    notes: Vec<String>,
    bytes: u64,
}

/// Checks every byte of every file of the store in a directory, and changes nothing; beside a writer too.
///
/// Every record is verified in its place, every batch in its sequence, every segment against its neighbours and its footer.
///
/// ```
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("bot.scorebook");
/// use scorebook::{EventStore, verify};
/// EventStore::open(&path)?.close()?;
/// assert!(verify(&path)?.is_sound());
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
///
/// * [`StoreNotFound`](crate::ErrorKind::StoreNotFound): there is no store.
/// * [`TooNew`](crate::ErrorKind::TooNew): a newer version wrote it.
/// * [`Io`](crate::ErrorKind::Io): the operating system could not read something.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, Error> {
    verify_on(&StoreParts::existing(path.as_ref())?)
}

/// The same for any storage.
pub(crate) fn verify_on(storage: &Arc<dyn Storage>) -> Result<VerifyReport, Error> {
    StoreParts::check_exists(&**storage)?;
    let opened = scan(storage)?;
    let mut notes = opened.report.notes().to_vec();
    if let Some(place) = opened.report.torn_tail() {
        notes.push(format!("the unacknowledged remains of a crash begin at {place}; they do not count"));
    }
    let holes = opened.visitor.holes();
    let doubtful =
        doubtful(&**storage, &opened.segments).map_err(|error| Error::io("looking at derived files", error))?;
    let snapshots = snapshot::doubtful(&**storage, opened.store).into_iter();
    let doubtful = doubtful.into_iter().map(|(path, why)| (path, why.to_owned()));
    let doubtful: Vec<_> = doubtful.chain(snapshots.map(|(path, fault)| (path, fault.to_string()))).collect();
    notes.extend(
        doubtful.iter().map(|(path, why)| format!("the derived file {path} is in doubt and not relied on: {why}")),
    );
    notes.extend(holes.losses().map(|range| format!("positions {} to {} were lost before", range.first, range.last)));
    Ok(VerifyReport { report: opened.report, notes, bytes: opened.disk_bytes })
}

impl VerifyReport {
    /// The damage that was found: acknowledged bytes that are not what they should be.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        self.report.damage()
    }

    /// What is no damage and worth knowing: a torn tail, unknown files, files that do not count.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether there is no damage.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage().is_empty()
    }

    /// How many events verify.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.report.events()
    }

    /// How many segments count.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.report.segments().into()
    }

    /// How many bytes the files of the log have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_sound() { "sound" } else { "damaged" };
        write!(f, "{verdict}: {} events in {} segments, {} bytes", self.events(), self.segments(), self.bytes)?;
        self.damage().iter().try_for_each(|damage| write!(f, "\ndamage: {damage}"))?;
        self.notes.iter().try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}
