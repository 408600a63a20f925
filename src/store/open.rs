//! Opening a store.

use super::above::Above;
use super::audience::Audience;
use super::reader::Reader;
use super::threads::Threads;
use super::writer::Writer;
use super::{Engine, EventStore, Held, Shared};
use crate::error::{Error, ErrorKind};
use crate::index::{derived_bytes, forget};
use crate::log::{LOCK_PATIENCE, RecoveryReport};
use crate::mutant::Mutant;
use crate::observe::spans::{self, Span};
use crate::observe::{Observer, label_of};
use crate::options::Options;
use crate::segment::LOG_DIR;
use crate::storage::{RealDisk, SimulatedDisk, Storage};
use crate::sync::{Arc, Mutex, RwLock, channel, sleep};
use std::path::Path;
use std::time::Duration;

impl EventStore {
    /// Opens the store in a directory with the default options, and creates it where there is none.
    ///
    /// `Ok` guarantees that no segment of what was acknowledged is missing, cut or exchanged, and that everything behind
    /// what is known from derived files was verified. What a crash left unfinished was left out;
    /// [`recovery_report`](Self::recovery_report) says what opening found.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a directory");
    /// # let path = directory.path().join("bot.scorebook");
    /// use scorebook::EventStore;
    /// let store = EventStore::open(&path)?;
    /// assert_eq!(store.head()?.get(), 0);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * [`Locked`](ErrorKind::Locked): another writer has it open; nothing was changed.
    /// * [`Damaged`](ErrorKind::Damaged): acknowledged bytes do not verify; no file of the log was changed. Segments of which
    ///   all is known from derived files are not read: damage in those is told by whoever reads it, and by
    ///   [`verify`](crate::verify). [`open_read_only`](Self::open_read_only) reads what can be read.
    /// * [`TooNew`](ErrorKind::TooNew): a newer version wrote it.
    /// * [`Full`](ErrorKind::Full): there is no room to create it.
    /// * [`Io`](ErrorKind::Io): the operating system refused something; the text says what.
    pub fn open(path: impl AsRef<Path>) -> Result<EventStore, Error> {
        Options::default().open(path)
    }

    /// Opens the store in a directory for reading only, beside a writer in another process or alone.
    ///
    /// Nothing is created and nothing changed. Each read sees what is visible by then: beside a writer, what that one
    /// says; else what recovery would accept. Damage does not prevent opening: what can be read is read, and what
    /// cannot is an error.
    ///
    /// # Errors
    ///
    /// * [`StoreNotFound`](ErrorKind::StoreNotFound): there is none.
    /// * [`TooNew`](ErrorKind::TooNew), [`Io`](ErrorKind::Io).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<EventStore, Error> {
        Options::default().open_read_only(path)
    }

    /// Opens a new store that lives in memory and behaves the same.
    ///
    /// # Errors
    ///
    /// * [`Io`](ErrorKind::Io): no thread could be started.
    pub fn open_in_memory() -> Result<EventStore, Error> {
        Options::default().open_in_memory()
    }

    /// The options a store is opened with, all at their defaults.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }
}

impl Options {
    /// Opens the store in a directory, and creates it where there is none. See [`EventStore::open`].
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): an option is out of its range.
    /// * Those of [`EventStore::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<EventStore, Error> {
        self.open_on(Arc::new(RealDisk::new(path.as_ref())))
    }

    /// Opens the store in a directory, and does not create one.
    ///
    /// # Errors
    ///
    /// * [`StoreNotFound`](ErrorKind::StoreNotFound): there is none.
    /// * Those of [`open`](Self::open).
    pub fn open_existing(&self, path: impl AsRef<Path>) -> Result<EventStore, Error> {
        let disk = RealDisk::new(path.as_ref());
        check_exists(&disk)?;
        self.open_on(Arc::new(disk))
    }

    /// Opens the store in a directory for reading only. See [`EventStore::open_read_only`].
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): an option is out of its range.
    /// * Those of [`EventStore::open_read_only`].
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<EventStore, Error> {
        self.open_on_read_only(Arc::new(RealDisk::new(path.as_ref())))
    }

    /// Opens a new store that lives in memory.
    ///
    /// # Errors
    ///
    /// * [`InvalidArgument`](ErrorKind::InvalidArgument): an option is out of its range.
    pub fn open_in_memory(&self) -> Result<EventStore, Error> {
        self.open_on(Arc::new(SimulatedDisk::volatile()))
    }

    /// Opens a store on a simulated disk. It has no threads: everything happens on the calling thread, one operation
    /// after the other, and can be repeated exactly.
    ///
    /// # Errors
    ///
    /// * Those of [`open`](Self::open).
    pub fn open_simulated(&self, disk: &SimulatedDisk) -> Result<EventStore, Error> {
        self.open_on(Arc::new(disk.clone()))
    }

    /// Opens a store on a simulated disk for reading only.
    ///
    /// # Errors
    ///
    /// * Those of [`open_read_only`](Self::open_read_only).
    pub fn open_simulated_read_only(&self, disk: &SimulatedDisk) -> Result<EventStore, Error> {
        self.open_on_read_only(Arc::new(disk.clone()))
    }

    pub(crate) fn open_on(&self, storage: Arc<dyn Storage>) -> Result<EventStore, Error> {
        self.check()?;
        let observer = Observer::new(&self.label_for(&*storage));
        storage.create_dir("").map_err(|error| {
            Error::io(format!("creating the directory of the store in {}", storage.describe()), error)
        })?;
        let lock = lock(&*storage)?;
        let audience = Arc::default();
        let (writer, threads) = start(&storage, (self, &observer), &audience)?;
        let shared = Shared {
            storage,
            options: self.clone(),
            observer,
            engine: RwLock::new(Engine::Writing(writer)),
            held: Mutex::new(Some(Held { threads, lock, last_attempt: None })),
            audience,
            before_close: Mutex::default(),
            above: Above::default(),
        };
        Ok(EventStore { shared: Arc::new(shared) })
    }

    pub(crate) fn open_on_read_only(&self, storage: Arc<dyn Storage>) -> Result<EventStore, Error> {
        self.check()?;
        check_exists(&*storage)?;
        let observer = Observer::new(&self.label_for(&*storage));
        let audience = Arc::default();
        let reader = {
            let span = spans::open(observer.label(), "reading");
            let reader = Reader::open(&storage, self, &audience)?;
            tell(&observer, &span, &reader.report());
            reader
        };
        let shared = Shared {
            storage,
            options: self.clone(),
            observer,
            engine: RwLock::new(Engine::Reading(Arc::new(reader))),
            held: Mutex::new(None),
            audience,
            before_close: Mutex::default(),
            above: Above::default(),
        };
        Ok(EventStore { shared: Arc::new(shared) })
    }

    /// What a store is called in metrics and spans.
    fn label_for(&self, storage: &dyn Storage) -> String {
        self.label.clone().unwrap_or_else(|| label_of(&storage.describe()))
    }
}

/// Tells what opening a store has found.
fn tell(observer: &Observer, span: &Span, report: &RecoveryReport) {
    span.record("events", report.events());
    span.record("segments", report.segments().into());
    let (copied, unproven) = (report.copied_events(), report.unproven_events());
    spans::recovered(observer.label(), &report.close_state(), report.torn_tail().is_some(), copied, unproven);
    report.notes().iter().for_each(|note| spans::noted(observer.label(), note));
    report.damage().iter().for_each(|damage| spans::damaged(&observer.label(), damage.place()));
}

/// Fails where the directory holds no log.
pub(crate) fn check_exists(storage: &dyn Storage) -> Result<(), Error> {
    let act = || format!("looking for a store in {}", storage.describe());
    let has_log = match storage.exists() {
        Ok(true) => storage.list("").map(|entries| entries.iter().any(|entry| entry.name == LOG_DIR && !entry.is_file)),
        other => other,
    };
    match has_log {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::StoreNotFound, format!("there is no store in {}", storage.describe()))),
        Err(error) => Err(Error::io(act(), error)),
    }
}

/// Takes the lock on the directory, with a little patience: readers look at it for moments.
pub(super) fn lock(storage: &dyn Storage) -> Result<Box<dyn Send + Sync>, Error> {
    let begun = storage.elapsed();
    loop {
        let taken = storage.try_lock();
        let taken = taken.map_err(|error| Error::io(format!("locking the store in {}", storage.describe()), error))?;
        if let Some(lock) = taken {
            return Ok(lock);
        }
        if Mutant::LocksNothing.is_on() {
            return Ok(Box::new(()));
        }
        if LOCK_PATIENCE < storage.elapsed().saturating_sub(begun) || !storage.has_threads() {
            let owner = storage.owner().map_or_else(String::new, |owner| format!(", by process {owner}"));
            let act = format!("the store in {} is open for writing already{owner}", storage.describe());
            return Err(Error::new(ErrorKind::Locked, act));
        }
        sleep(Duration::from_millis(5));
    }
}

/// Opens the log, under the lock, and starts the threads where there are such.
pub(super) fn start(
    storage: &Arc<dyn Storage>,
    (options, observer): (&Options, &Arc<Observer>),
    audience: &Arc<Audience>,
) -> Result<(Arc<Writer>, Option<Threads>), Error> {
    let span = spans::open(observer.label(), "writing");
    let open = |jobs| {
        let writer = Writer::open(storage, (options, observer), jobs, audience)?;
        tell(observer, &span, &writer.report);
        Ok::<_, Error>(Arc::new(writer))
    };
    if !storage.has_threads() {
        return Ok((open(None)?, None));
    }
    let (jobs, work) = channel();
    let writer = open(Some(jobs))?;
    let threads = Threads::start(&writer, work)?;
    Ok((writer, Some(threads)))
}

/// What the floor above needs to look into a directory.
pub(crate) struct StoreParts;

impl StoreParts {
    /// The storage of a directory that holds a store.
    pub(crate) fn existing(path: &Path) -> Result<Arc<dyn Storage>, Error> {
        let disk = RealDisk::new(path);
        check_exists(&disk)?;
        Ok(Arc::new(disk))
    }

    /// Fails where a storage holds no store.
    pub(crate) fn check_exists(storage: &dyn Storage) -> Result<(), Error> {
        check_exists(storage)
    }

    /// Takes the lock on a directory, without opening the store in it.
    pub(crate) fn lock(storage: &dyn Storage) -> Result<Box<dyn Send + Sync>, Error> {
        lock(storage)
    }

    /// Makes all that is derived from a log anew, under the lock: how many events and streams there are, and how many bytes
    /// that takes.
    pub(crate) fn rebuild(storage: &Arc<dyn Storage>, options: &Options) -> Result<(u64, u64, u64), Error> {
        check_exists(&**storage)?;
        let _lock = lock(&**storage)?;
        let act = |error| Error::io("making derived files anew", error);
        forget(&**storage).map_err(act)?;
        let options = options.clone().verify_at_open_max(u64::MAX);
        let observer = Observer::new(&options.label_for(&**storage));
        let span = spans::rebuild(observer.label(), "index");
        let writer = Writer::open(storage, (&options, &observer), None, &Arc::default())?;
        span.record("events", writer.report.events());
        let counts = {
            let view = writer.view.0.read();
            (view.table.events(), view.table.visible_streams())
        };
        let kept = writer.close_and_keep();
        kept.and_then(|()| derived_bytes(&**storage).map_err(act)).map(|bytes| (counts.0, counts.1, bytes))
    }

    /// Fails where a directory exists and holds anything.
    pub(crate) fn check_free(path: &Path) -> Result<(), Error> {
        let disk = RealDisk::new(path);
        let entries = match disk.exists() {
            Ok(true) => disk.list(""),
            Ok(false) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let entries = entries.map_err(|error| Error::io(format!("looking into {}", disk.describe()), error))?;
        if entries.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidArgument, format!("{} exists and is not empty", disk.describe())))
    }
}
