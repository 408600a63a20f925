//! How long an append takes: one question each, the parameters in the name.

#![allow(missing_docs, reason = "a bench has no users")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use scorebook::{Durability, EventStore, ExpectedVersion, NewEvent, StreamName};

fn event() -> NewEvent {
    NewEvent::bytes("game_guess_processed", vec![b'x'; 256]).correlation("c".repeat(40)).actor("a".repeat(28))
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for (durability, name) in [(Durability::Synced, "synced"), (Durability::Written, "written")] {
        for events in [1, 100] {
            std::fs::create_dir_all("target").expect("the target directory");
            let directory = tempfile::tempdir_in("target").expect("a directory");
            let store =
                EventStore::options().durability(durability).open(directory.path().join("store")).expect("a store");
            let stream = StreamName::new("game-1").expect("a name");
            group.throughput(Throughput::Elements(events));
            group.bench_function(format!("256B/batch-{events}/{name}"), |bencher| {
                bencher.iter_batched(
                    || (0..events).map(|_| event()).collect::<Vec<_>>(),
                    |batch| store.append(&stream, ExpectedVersion::Any, batch).wait().expect("a receipt"),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    let store = EventStore::open_in_memory().expect("a store");
    let stream = StreamName::new("game-1").expect("a name");
    store.append(&stream, ExpectedVersion::NoStream, [event()]).wait().expect("a receipt");
    group.throughput(Throughput::Elements(1));
    group.bench_function("256B/batch-1/refused", |bencher| {
        bencher.iter_batched(
            || [event()],
            |batch| store.append(&stream, ExpectedVersion::NoStream, batch).wait().expect_err("a conflict"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
