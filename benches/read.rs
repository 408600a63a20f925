//! How long a read takes: one question each, the parameters in the name. Every record is verified.

#![allow(missing_docs, reason = "a bench has no users")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scorebook::{Durability, EventStore, ExpectedVersion, NewEvent, Position, ReadMode, StreamName, Version};

const EVENTS: u64 = 100_000;
const STREAMS: u64 = 2_000;

fn read(criterion: &mut Criterion) {
    std::fs::create_dir_all("target").expect("the target directory");
    let mut group = criterion.benchmark_group("read");
    for (mode, name) in [(ReadMode::Mapped, "mapped"), (ReadMode::Positioned, "positioned")] {
        let directory = tempfile::tempdir_in("target").expect("a directory");
        let options = EventStore::options().durability(Durability::Written).read_mode(mode);
        let store = options.open(directory.path().join("store")).expect("a store");
        let streams: Vec<StreamName> =
            (0..STREAMS).map(|number| StreamName::new(format!("game-{number}")).expect("a name")).collect();
        for batch in 0..EVENTS / 100 {
            let mut builder = store.batch();
            for index in 0..100 {
                let stream = &streams[((batch * 100 + index) * 7919 % STREAMS) as usize];
                let event = NewEvent::bytes("game_guess_processed", vec![b'x'; 256]).actor(index);
                builder = builder.append(stream, ExpectedVersion::Any, [event]);
            }
            builder.commit().wait().expect("a receipt");
        }
        group.throughput(Throughput::Elements(EVENTS));
        group.bench_function(format!("all/256B/{name}"), |bencher| {
            bencher.iter(|| {
                store.read_all().into_iter().map(|event| event.expect("an event").data().len()).sum::<usize>()
            });
        });
        group.throughput(Throughput::Elements(EVENTS / STREAMS));
        let mut next = 0;
        group.bench_function(format!("stream-of-50/256B/{name}"), |bencher| {
            bencher.iter(|| {
                next = (next + 7) % streams.len();
                store.read(&streams[next]).into_iter().map(|event| event.expect("an event").data().len()).sum::<usize>()
            });
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("one-by-version/256B/{name}"), |bencher| {
            bencher.iter(|| {
                next = (next + 7) % streams.len();
                store.event(&streams[next], Version::new(25)).expect("an event")
            });
        });
        let mut position = 0;
        group.bench_function(format!("one-by-position/256B/{name}"), |bencher| {
            bencher.iter(|| {
                position = (position + 7919) % EVENTS;
                store.event_at(Position::new(position + 1)).expect("an event")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
