//! What a store tells the crates `metrics` and `tracing`, held against the tables of the guide.

use super::support::{add, event, kilobyte, name, small_segments};
use scorebook::testing::{DiskFault, DiskOperation, SimulatedDisk};
use scorebook::{Consumer, EventStore, ExpectedVersion, NewEvent, Query, Start, rebuild_index};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

const GUIDE: &str = include_str!("../../src/guide/operating.md");

/// The rows of the guide's tables that are about names which begin like this: the name, and the next two cells.
fn rows(prefix: &str) -> BTreeMap<String, (String, String)> {
    let cells = |line: &str| line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect::<Vec<_>>();
    let rows = GUIDE.lines().filter(|line| line.starts_with(&format!("| `{prefix}"))).map(cells);
    // A row of another table has an expression where this has a name.
    let named = rows.filter(|cells| cells[0].starts_with('`') && cells[0].ends_with('`') && !cells[0].contains(' '));
    named.map(|cells| (cells[0].trim_matches('`').to_owned(), (cells[1].clone(), cells[2].clone()))).collect()
}

/// Everything that a store tells of, in one story on a simulated disk, under a label. The payloads, names, tags and keys are secret.
fn story(label: &str) -> EventStore {
    let disk = SimulatedDisk::new(7);
    let options = small_segments().label(label);
    let store = options.open_simulated(&disk).expect("the store opens");
    let secret = || NewEvent::json(SECRET, &SECRET).expect("text is JSON").tag("kind", SECRET).actor(SECRET);
    let stream = name(&format!("{SECRET}-1"));
    add(&store, &stream, [secret()]);
    let once = || store.batch().append(&stream, ExpectedVersion::Any, [secret()]).once(SECRET).commit().wait();
    once().expect("it is accepted");
    once().expect("it is a repeat");
    store.append(&stream, ExpectedVersion::NoStream, [secret()]).wait().expect_err("it exists");
    (0..100).for_each(|number| drop(add(&store, &name(&format!("s-{}", number % 2)), [kilobyte(number)])));
    let member = store.join(&Consumer::new("scores", Query::all(), Start::Beginning)).expect("it is joined");
    store.tombstone(&name("s-0"), ExpectedVersion::Any, SECRET).wait().expect("it is finished");
    store.compaction().beyond_consumers().plan().expect("a plan").apply().expect("it is compacted");
    let place = tempfile::tempdir().expect("a directory");
    store.backup(place.path().join("backup")).expect("it is copied");
    disk.set_sync_time(Duration::from_millis(1500));
    add(&store, &stream, [secret()]);
    disk.set_sync_time(Duration::ZERO);
    // It is full for a while, and then it fails.
    disk.set_capacity(Some(0));
    let full = (0..200).find_map(|number| store.append(&stream, ExpectedVersion::Any, [kilobyte(number)]).wait().err());
    assert!(full.is_some(), "there is no room");
    disk.set_capacity(Some(1 << 40));
    add(&store, &stream, [secret()]);
    disk.fail(DiskFault::new(DiskOperation::Sync, io::ErrorKind::Other));
    store.append(&stream, ExpectedVersion::Any, [secret()]).wait().expect_err("the sync fails");
    drop(member);
    store
}

/// No such text is ever told.
const SECRET: &str = "otter";

/// What only other stores tell of: what is found in a directory, and what is made anew.
fn elsewhere(place: &Path) {
    let (store, copy) = (place.join("bot.scorebook"), place.join("copy"));
    let opened = small_segments().verify_at_open_max(0).open(&store).expect("the store opens");
    (0..100).for_each(|number| drop(add(&opened, &name("a"), [kilobyte(number)])));
    opened.backup(place.join("backup")).expect("it is copied");
    opened.close().expect("it closes");
    drop(opened);
    scorebook::restore(place.join("backup"), &copy, scorebook::Until::Everything).expect("it is restored");
    rebuild_index(&store).expect("it is made anew");
    std::fs::write(store.join("log").join("notes.txt"), "x").expect("a file");
    let segment = store.join("log").join("0000000001.log");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[5_000] ^= 1;
    std::fs::write(&segment, bytes).expect("it is written");
    let damaged = small_segments().verify_at_open_max(0).open(&store).expect("what is known is not read");
    assert!(damaged.read(&name("a")).iter().any(|event| event.is_err()));
}

#[test]
fn the_tables_of_the_guide_are_found() {
    assert!(30 < rows("scorebook_").len() && 10 < rows("scorebook.").len());
    assert_eq!(rows("scorebook_events")["scorebook_events"], ("gauge".to_owned(), "count".to_owned()));
}

/// With neither feature on, nothing of either crate is built.
#[test]
fn whoever_does_not_ask_for_them_gets_neither_of_the_two_crates() {
    let manifest = include_str!("../../Cargo.toml");
    assert!(manifest.contains("\ndefault = []\n"));
    for watcher in ["metrics", "tracing"] {
        let dependency = manifest.lines().find(|line| line.starts_with(&format!("{watcher} = {{")));
        assert!(dependency.is_some_and(|line| line.contains("optional = true")), "{watcher}");
        assert!(manifest.contains(&format!("\n{watcher} = [\"dep:{watcher}\"]\n")), "{watcher}");
    }
}

#[cfg(feature = "metrics")]
mod metered {
    use super::*;
    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Recorder, SharedString, Unit,
    };
    use std::sync::{Arc, Mutex};

    /// Keeps the last value of every metric by name and labels, and what was said of it.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        said: BTreeMap<String, (&'static str, Unit)>,
        values: BTreeMap<String, Vec<f64>>,
        looked_up: u64,
    }

    struct One(Kept, String);

    impl One {
        fn push(&self, value: impl FnOnce(Option<f64>) -> f64) {
            let mut state = self.0.0.lock().expect("no panic");
            let values = state.values.get_mut(&self.1).expect("it was registered");
            let value = value(values.last().copied());
            values.push(value);
        }
    }

    impl CounterFn for One {
        fn increment(&self, value: u64) {
            self.push(|last| last.unwrap_or(0.0) + value as f64);
        }
        fn absolute(&self, _: u64) {
            panic!("no counter is set");
        }
    }

    impl GaugeFn for One {
        fn increment(&self, _: f64) {
            panic!("every gauge is set");
        }
        fn decrement(&self, _: f64) {
            panic!("every gauge is set");
        }
        fn set(&self, value: f64) {
            self.push(|_| value);
        }
    }

    impl HistogramFn for One {
        fn record(&self, value: f64) {
            self.push(|_| value);
        }
    }

    impl Kept {
        fn describe(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>) {
            self.0.lock().expect("no panic").said.insert(name.as_str().to_owned(), (kind, unit.expect("a unit")));
        }

        fn register(&self, key: &Key) -> Arc<One> {
            let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let id = format!("{}{{{}}}", key.name(), labels.join(","));
            let mut state = self.0.lock().expect("no panic");
            state.looked_up += 1;
            state.values.entry(id.clone()).or_default();
            Arc::new(One(self.clone(), id))
        }

        fn values(&self, name: &str, labels: &str) -> Vec<f64> {
            let state = self.0.lock().expect("no panic");
            state.values.get(&format!("{name}{{{labels}}}")).cloned().unwrap_or_else(|| panic!("no {name}{{{labels}}}"))
        }

        fn last(&self, name: &str, labels: &str) -> f64 {
            self.values(name, labels).last().copied().unwrap_or(0.0)
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
            self.describe(&name, "counter", unit);
        }
        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
            self.describe(&name, "gauge", unit);
        }
        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
            self.describe(&name, "histogram", unit);
        }
        fn register_counter(&self, key: &Key, _: &metrics::Metadata<'_>) -> Counter {
            Counter::from_arc(self.register(key))
        }
        fn register_gauge(&self, key: &Key, _: &metrics::Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.register(key))
        }
        fn register_histogram(&self, key: &Key, _: &metrics::Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.register(key))
        }
    }

    #[test]
    fn every_metric_of_the_guide_is_given_and_says_what_stats_say() {
        let kept = Kept::default();
        let stats = metrics::with_local_recorder(&kept, || story("games").stats().expect("numbers"));
        let activity = stats.activity();

        let said = kept.0.lock().expect("no panic").said.clone();
        let told = said.into_iter().map(|(name, (kind, unit))| {
            let unit = match unit {
                Unit::Count => "count",
                Unit::Bytes => "bytes",
                Unit::Seconds => "seconds",
                unit => panic!("{name} is in {unit:?}"),
            };
            (name, (kind.to_owned(), unit.to_owned()))
        });
        assert_eq!(told.collect::<BTreeMap<_, _>>(), rows("scorebook_"));
        // Each was given a value, and none of another store or with a label that the guide does not know.
        for (id, values) in &kept.0.lock().expect("no panic").values {
            assert!(!values.is_empty(), "{id} says nothing");
            assert!(id.ends_with("{store=games}") || id.ends_with("{store=games,consumer=scores}"), "{id}");
            assert!(!id.contains(SECRET), "{id}");
        }

        let last = |name: &str| kept.last(&format!("scorebook_{name}"), "store=games");
        let compaction = activity.compaction();
        for (name, expected) in [
            ("appends_total", activity.appends()),
            ("events_total", activity.events()),
            ("conflicts_total", 1),
            ("repeats_total", 1),
            ("refusals_total", activity.refusals()),
            ("outcomes_unknown_total", 1),
            ("written_bytes_total", activity.bytes_written()),
            ("groups_total", activity.groups()),
            ("syncs_total", activity.syncs().count()),
            ("seals_total", activity.seals()),
            ("compactions_total", 1),
            ("compaction_freed_bytes_total", compaction.bytes_freed()),
            ("compaction_removed_events_total", compaction.events_removed()),
            ("backups_total", 1),
            ("head_position", stats.head().get()),
            ("events", stats.events()),
            ("streams", stats.streams()),
            ("segments", stats.segments()),
            ("log_bytes", stats.log_bytes()),
            ("live_bytes", stats.live_bytes()),
            ("dead_bytes", stats.dead_bytes()),
            ("disk_bytes", stats.disk_bytes()),
            ("index_bytes", stats.index_bytes()),
            ("snapshots", 0),
            ("snapshot_bytes", 0),
            ("memory_bytes", stats.memory_bytes()),
            ("staged_bytes", 0),
            ("room_bytes", stats.room().expect("it is known")),
            ("writable", 0),
            ("damaged_segments", 0),
        ] {
            assert_eq!(last(name), expected as f64, "{name}");
        }
        assert!(0 < activity.refusals() && 100 < activity.appends() && 1 < activity.seals());
        let seconds = |time: Duration| time.as_secs_f64();
        let nearly = |name: &str, expected: f64| {
            let given = last(name);
            assert!((given - expected).abs() < 1e-6 * expected.max(1.0), "{name}: {given}, not {expected}");
        };
        nearly("sync_seconds_peak", seconds(activity.syncs().longest()));
        nearly("wait_seconds_peak", seconds(activity.waits().longest()));
        let at = |time: Option<scorebook::Timestamp>| time.expect("it was done").nanos() as f64 / 1e9;
        nearly("compaction_timestamp_seconds", at(compaction.last()));
        nearly("backup_timestamp_seconds", at(activity.last_backup()));
        for (name, count, sum) in [
            ("group_appends", activity.groups(), activity.appends() as f64),
            ("wait_seconds", activity.waits().count(), seconds(activity.waits().total())),
            ("sync_seconds", activity.syncs().count(), seconds(activity.syncs().total())),
        ] {
            let values = kept.values(&format!("scorebook_{name}"), "store=games");
            assert_eq!(values.len() as u64, count, "{name}");
            let given: f64 = values.iter().sum();
            assert!((given - sum).abs() < 1e-6 * sum, "{name}: {given}, not {sum}");
        }
        let info = &stats.consumers()[0];
        let of_consumer = |name: &str| kept.last(&format!("scorebook_consumer_{name}"), "store=games,consumer=scores");
        assert_eq!((of_consumer("lag_events"), of_consumer("parked_events")), (info.lag_events() as f64, 0.0));
        assert!(100 < info.lag_events() && 0.0 < of_consumer("lag_seconds"));
    }

    #[test]
    fn whoever_appends_looks_nothing_up() {
        let kept = Kept::default();
        metrics::with_local_recorder(&kept, || {
            let disk = SimulatedDisk::new(7);
            let store = small_segments().open_simulated(&disk).expect("the store opens");
            let looked_up = || kept.0.lock().expect("no panic").looked_up;
            let before = looked_up();
            (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
            store.append(&name("a"), ExpectedVersion::NoStream, [event(0)]).wait().expect_err("it exists");
            assert_eq!(looked_up(), before);
            store.stats().expect("numbers");
            assert!(before < looked_up());
        });
    }

    #[test]
    fn several_stores_of_one_process_are_told_apart_by_their_labels() {
        let kept = Kept::default();
        metrics::with_local_recorder(&kept, || {
            let open = |label: &str| EventStore::options().label(label).open_in_memory().expect("it opens");
            let (games, teams) = (open("games"), open("teams"));
            (0..3).for_each(|number| drop(add(&games, &name("a"), [event(number)])));
            add(&teams, &name("a"), [event(0)]);
            // Whoever asks is told of its own store, on whatever thread that writes.
            std::thread::scope(|scope| drop(scope.spawn(|| add(&teams, &name("b"), [event(1)]))));
            teams.stats().expect("numbers");
        });
        assert_eq!(kept.last("scorebook_appends_total", "store=games"), 3.0);
        assert_eq!(kept.last("scorebook_appends_total", "store=teams"), 2.0);
        assert_eq!(kept.last("scorebook_streams", "store=teams"), 2.0);
        assert!(!kept.0.lock().expect("no panic").values.contains_key("scorebook_streams{store=games}"));
    }
}

#[cfg(feature = "tracing")]
mod traced {
    use super::super::support::Count;
    use super::*;
    use crate::support::{PATIENCE, wherever_threads_are};
    use scorebook::{Concern, Position, Thresholds};
    use std::collections::BTreeSet;
    use std::fmt;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

    /// Keeps what was told, with what was within what.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        /// Name, level and fields of each span and event.
        kinds: BTreeMap<String, (String, BTreeSet<String>)>,
        /// The name and the values of each, in order.
        all: Vec<(String, BTreeMap<String, String>)>,
        entered: Vec<usize>,
        /// The spans that were entered when another began.
        within: BTreeSet<(String, String)>,
    }

    struct Values<'a>(&'a mut BTreeMap<String, String>);

    impl Visit for Values<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
        }
    }

    impl State {
        fn tell(&mut self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Values<'_>)) {
            let fields = metadata.fields().iter().map(|field| format!("`{}`", field.name())).collect();
            let level = metadata.level().as_str().to_lowercase();
            assert_eq!(metadata.target(), "scorebook");
            self.kinds.insert(metadata.name().to_owned(), (level, fields));
            let mut values = BTreeMap::new();
            record(&mut Values(&mut values));
            for outer in &self.entered {
                self.within.insert((metadata.name().to_owned(), self.all[*outer].0.clone()));
            }
            self.all.push((metadata.name().to_owned(), values));
        }
    }

    impl Subscriber for Told {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "scorebook" && *metadata.level() <= Level::DEBUG
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let mut state = self.0.lock().expect("no panic");
            state.tell(span.metadata(), |values| span.record(values));
            Id::from_u64(state.all.len() as u64)
        }
        fn record(&self, span: &Id, values: &Record<'_>) {
            let mut state = self.0.lock().expect("no panic");
            values.record(&mut Values(&mut state.all[span.into_u64() as usize - 1].1));
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.lock().expect("no panic").tell(event.metadata(), |values| event.record(values));
        }
        fn enter(&self, span: &Id) {
            self.0.lock().expect("no panic").entered.push(span.into_u64() as usize - 1);
        }
        fn exit(&self, span: &Id) {
            let left = self.0.lock().expect("no panic").entered.pop();
            assert_eq!(left, Some(span.into_u64() as usize - 1), "what was entered last is left first");
        }
    }

    /// Holds up whoever begins a sync until it is let go.
    struct Holding(Mutex<(Sender<()>, Receiver<()>)>);

    impl Subscriber for Holding {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.name() == "scorebook.sync"
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            let held = self.0.lock().expect("no panic");
            held.0.send(()).expect("somebody waits for it");
            held.1.recv().expect("it is let go");
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn while_a_sync_does_not_end_health_is_answered_and_says_so() {
        wherever_threads_are(|home| {
            let store = home.open_with(&small_segments());
            add(&store, &name("a"), [event(1)]);
            let thresholds = Thresholds::default().room(0).stalled_after(Duration::ZERO);
            let ask = || store.health(&thresholds).expect("an answer").concerns().to_vec();
            assert_eq!(ask(), []);
            let ((begun, has_begun), (let_go, is_let_go)) = (channel(), channel());
            let (holding, _another) =
                (Dispatch::new(Holding(Mutex::new((begun, is_let_go)))), Dispatch::new(Told::default()));
            std::thread::scope(|scope| {
                let append = || tracing::dispatcher::with_default(&holding, || add(&store, &name("a"), [event(2)]));
                let appending = scope.spawn(append);
                has_begun.recv_timeout(PATIENCE).expect("a sync begins");
                let found = ask();
                assert!(matches!(found[..], [Concern::Stalled { .. }]), "{found:?}");
                let_go.send(()).expect("it waits for that");
                appending.join().expect("it is accepted");
            });
            assert_eq!(ask(), []);
        });
    }

    /// A snapshot that is found damaged by the next who looks for it.
    fn with_a_bad_snapshot() {
        let disk = SimulatedDisk::new(7);
        let open = || EventStore::options().open_simulated(&disk).expect("it opens");
        let store = open();
        add(&store, &name("a"), [event(1)]);
        let count = |store: &EventStore| {
            let count = store.projection::<Count>().expect("it begins");
            count.read_at(Position::new(1), |count| assert_eq!(count.0, 1)).expect("it is folded");
        };
        count(&store);
        store.close().expect("it closes");
        let path = disk.contents().into_keys().find(|path| path.starts_with("snapshots/")).expect("a snapshot");
        let last = disk.contents()[&path].len() as u64 - 1;
        disk.flip_bit(&path, last, 0);
        let store = open();
        count(&store);
        store.projection::<Count>().expect("it runs").rebuild().expect("it begins").wait().expect("it is made anew");
    }

    #[test]
    fn every_span_and_event_of_the_guide_is_told_and_nothing_of_what_is_recorded() {
        let told = Told::default();
        let place = tempfile::tempdir().expect("a directory");
        // Of a single one that is not for all threads the others would decide by themselves that nobody listens.
        let (listening, _another) = (Dispatch::new(told.clone()), Dispatch::new(told.clone()));
        tracing::dispatcher::with_default(&listening, || {
            let store = story("games");
            store.reopen().expect("it is opened again");
            store.close().expect("it closes");
            elsewhere(place.path());
            with_a_bad_snapshot();
        });
        let state = told.0.lock().expect("no panic");
        let of_guide = rows("scorebook.").into_iter().map(|(name, (level, fields))| {
            (name, (level, fields.split(", ").map(str::to_owned).collect::<BTreeSet<_>>()))
        });
        assert_eq!(state.kinds, of_guide.collect::<BTreeMap<_, _>>());
        assert!(state.entered.is_empty());
        for (name, values) in &state.all {
            assert!(values.values().all(|value| !value.contains(SECRET)), "{name}: {values:?}");
            assert!(values.contains_key("store"), "{name}: {values:?}");
        }
        for (inner, outer) in
            [("sync", "commit"), ("seal", "commit"), ("sync", "seal"), ("recovered", "open"), ("poisoned", "sync")]
        {
            let pair = (format!("scorebook.{inner}"), format!("scorebook.{outer}"));
            assert!(state.within.contains(&pair), "{inner} is within {outer}");
        }
        let find = |name: &str, field: &str| {
            let mut found = state.all.iter().filter(|(told, _)| told == &format!("scorebook.{name}"));
            found.find_map(|(_, values)| values.get(field).cloned()).unwrap_or_else(|| panic!("no {field} of {name}"))
        };
        assert_eq!(
            (find("open", "mode"), find("open", "events"), find("recovered", "closed")),
            ("writing".into(), "0".into(), "empty".into())
        );
        assert!(1500 <= find("slow_sync", "milliseconds").parse::<u64>().expect("a number"));
        assert!(find("poisoned", "failure").starts_with("syncing 00000000"), "{}", find("poisoned", "failure"));
        assert!(0 < find("compact", "events_removed").parse::<u64>().expect("a number"));
        assert_eq!((find("damaged", "segment"), find("rebuild", "what")), ("1".to_owned(), "index".to_owned()));
        let syncs =
            state.all.iter().filter(|(told, values)| told == "scorebook.sync" && values["store"] == "games").count();
        assert!(100 < syncs, "{syncs}");
    }
}
