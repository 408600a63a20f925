//! Recorders of the crate `metrics` and subscribers of the crate `tracing` that panic or append themselves: no append loses its
//! answer by that.

#[cfg(feature = "metrics")]
mod metered {
    use crate::support::{add, event, everywhere, kilobyte, name, small_segments};
    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Recorder, SharedString, Unit,
    };
    use scorebook::{EventStore, ExpectedVersion, Status};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Panics whenever it is told something, and counts how often.
    #[derive(Clone, Default)]
    struct Panicking(Arc<AtomicU64>);

    impl Panicking {
        fn told(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            assert!(std::thread::panicking(), "a recorder of no use");
        }
    }

    impl CounterFn for Panicking {
        fn increment(&self, _: u64) {
            self.told();
        }
        fn absolute(&self, _: u64) {
            self.told();
        }
    }

    impl GaugeFn for Panicking {
        fn increment(&self, _: f64) {
            self.told();
        }
        fn decrement(&self, _: f64) {
            self.told();
        }
        fn set(&self, _: f64) {
            self.told();
        }
    }

    impl HistogramFn for Panicking {
        fn record(&self, _: f64) {
            self.told();
        }
    }

    impl Recorder for Panicking {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &metrics::Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(self.clone()))
        }
        fn register_gauge(&self, _: &Key, _: &metrics::Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(self.clone()))
        }
        fn register_histogram(&self, _: &Key, _: &metrics::Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(self.clone()))
        }
    }

    /// Appends to the store itself when it is told of the first append.
    #[derive(Clone, Default)]
    struct Appending(Arc<Mutex<Option<EventStore>>>, Arc<AtomicU64>);

    impl CounterFn for Appending {
        fn increment(&self, _: u64) {
            let store = self.0.lock().expect("no panic").take();
            if let Some(store) = store {
                let pending = store.append(&name("b"), ExpectedVersion::Any, [event(0)]);
                let is_in = pending.wait_timeout(Duration::from_secs(2)).is_ok_and(|outcome| outcome.is_ok());
                self.1.fetch_add(if is_in { 1 } else { 1_000 }, Ordering::Relaxed);
            }
        }
        fn absolute(&self, _: u64) {}
    }

    impl Recorder for Appending {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &metrics::Metadata<'_>) -> Counter {
            match key.name() {
                "scorebook_appends_total" => Counter::from_arc(Arc::new(self.clone())),
                _ => Counter::noop(),
            }
        }
        fn register_gauge(&self, _: &Key, _: &metrics::Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &metrics::Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn a_recorder_may_append_itself() {
        let appending = Appending::default();
        let store = metrics::with_local_recorder(&appending, EventStore::open_in_memory).expect("it opens");
        *appending.0.lock().expect("no panic") = Some(store.clone());
        add(&store, &name("a"), [event(0)]);
        assert_eq!(appending.1.load(Ordering::Relaxed), 1, "nobody leads who tells of it");
        assert_eq!(store.read_all().into_iter().filter(Result::is_ok).count(), 2);
    }

    #[test]
    fn a_recorder_that_panics_takes_no_answer_with_it() {
        everywhere(|home| {
            let panicking = Panicking::default();
            let options = small_segments();
            let store = metrics::with_local_recorder(&panicking, || home.open_with(&options));
            let appends = store.stats().expect("numbers").activity().appends();
            (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
            store.append(&name("a"), ExpectedVersion::NoStream, [event(0)]).wait().expect_err("it exists");
            assert_eq!(store.status(), Status::Writing);
            let activity = store.stats().expect("numbers").activity().clone();
            assert_eq!((activity.appends() - appends, activity.outcomes_unknown()), (100, 0));
            store.tombstone(&name("a"), ExpectedVersion::Any, "over").wait().expect("it is finished");
            store.compaction().plan().expect("a plan").apply().expect("it is compacted");
            store.close().expect("it closes");
            assert!(100 < panicking.0.load(Ordering::Relaxed));
        });
    }
}

#[cfg(feature = "tracing")]
mod traced {
    use crate::support::{add, everywhere, kilobyte, name, small_segments};
    use scorebook::{ExpectedVersion, Status};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Dispatch, Event, Metadata, Subscriber};

    /// Panics at whatever it is told.
    #[derive(Default)]
    struct Panicking(Arc<AtomicU64>);

    impl Panicking {
        fn told(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a subscriber of no use");
        }
    }

    impl Subscriber for Panicking {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "scorebook"
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            // Of some nothing is made, and others are entered, left and closed.
            if span.metadata().name() == "scorebook.append" {
                self.told();
            }
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {
            self.told();
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.told();
        }
        fn enter(&self, _: &Id) {
            self.told();
        }
        fn exit(&self, _: &Id) {
            self.told();
        }
        fn try_close(&self, _: Id) -> bool {
            self.told();
            true
        }
    }

    #[test]
    fn a_subscriber_that_panics_takes_no_answer_with_it() {
        everywhere(|home| {
            let panicking = Panicking::default();
            let told = panicking.0.clone();
            let (listening, _another) = (Dispatch::new(panicking), Dispatch::new(Panicking::default()));
            tracing::dispatcher::with_default(&listening, || {
                let store = home.open_with(&small_segments());
                (0..100).for_each(|number| drop(add(&store, &name("a"), [kilobyte(number)])));
                assert_eq!(store.status(), Status::Writing);
                assert_eq!(store.stats().expect("numbers").activity().outcomes_unknown(), 0);
                store.tombstone(&name("a"), ExpectedVersion::Any, "over").wait().expect("it is finished");
                store.compaction().plan().expect("a plan").apply().expect("it is compacted");
                store.close().expect("it closes");
            });
            assert!(100 < told.load(Ordering::Relaxed));
        });
    }
}
