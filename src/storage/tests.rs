//! What both sides of the seam do alike: the same bodies run on the real disk and on the simulated one.

use super::*;
use std::io::ErrorKind;

fn on_both(check: impl Fn(&dyn Storage)) {
    let temporary = tempfile::tempdir().unwrap();
    check(&RealDisk::new(&temporary.path().join("store")));
    check(&SimulatedDisk::new(1));
    check(&SimulatedDisk::volatile());
}

fn read(file: &dyn File, len: usize, offset: u64) -> Vec<u8> {
    let mut buffer = vec![0xEE; len];
    let read = file.read_at(&mut buffer, offset).unwrap();
    buffer.truncate(read);
    buffer
}

fn failure<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("it should fail").kind()
}

#[test]
fn a_directory_is_there_once_created_and_creating_it_again_is_fine() {
    on_both(|storage| {
        assert!(!storage.exists().unwrap());
        assert_eq!(failure(storage.list("")), ErrorKind::NotFound);
        assert_eq!(failure(storage.create("1")), ErrorKind::NotFound);
        storage.create_dir("log/deep").unwrap();
        storage.create_dir("log/deep").unwrap();
        storage.create_dir("").unwrap();
        assert!(storage.exists().unwrap());
        assert_eq!(storage.list("").unwrap(), [Entry { name: "log".into(), len: 0, is_file: false }]);
        storage.sync_dir("log").unwrap();
        assert_eq!(failure(storage.sync_dir("other")), ErrorKind::NotFound);
    });
}

#[test]
fn names_are_listed_in_order_with_their_lengths() {
    on_both(|storage| {
        storage.create_dir("log").unwrap();
        for name in ["b", "a", "a.x"] {
            storage.create(&format!("log/{name}")).unwrap().write_at(name.as_bytes(), 2).unwrap();
        }
        let entry = |name: &str, len| Entry { name: name.into(), len, is_file: true };
        assert_eq!(storage.list("log").unwrap(), [entry("a", 3), entry("a.x", 5), entry("b", 3)]);
        assert_eq!(storage.list("").unwrap().len(), 1);
    });
}

#[test]
fn a_file_is_created_once_opened_when_there_and_refused_when_it_is_none() {
    on_both(|storage| {
        storage.create_dir("log").unwrap();
        storage.create("log/1").unwrap();
        assert_eq!(failure(storage.create("log/1")), ErrorKind::AlreadyExists);
        assert_eq!(failure(storage.open("log/2", Access::Read)), ErrorKind::NotFound);
        assert_eq!(failure(storage.open("log", Access::Read)), ErrorKind::InvalidInput);
        assert_eq!(failure(storage.open("log", Access::ReadWrite)), ErrorKind::InvalidInput);
        storage.open("log/1", Access::ReadWrite).unwrap().write_at(b"x", 0).unwrap();
        assert!(storage.open("log/1", Access::Read).unwrap().write_at(b"y", 0).is_err());
    });
}

#[test]
fn what_was_written_is_read_up_to_the_end_and_gaps_are_zeros() {
    on_both(|storage| {
        storage.create_dir("").unwrap();
        let file = storage.create("1").unwrap();
        file.write_at(b"abcdef", 1_000).unwrap();
        file.write_at(b"XY", 1_002).unwrap();
        file.sync().unwrap();
        assert_eq!(file.len().unwrap(), 1_006);
        assert_eq!(read(&*file, 100, 998), b"\0\0abXYef");
        assert_eq!(read(&*file, 100, 1_006), b"");
        assert_eq!(read(&*file, 100, 9_999), b"");
        let other = storage.open("1", Access::Read).unwrap();
        assert_eq!(read(&*other, 2, 1_002), b"XY");
        if let Some(map) = file.map().unwrap() {
            assert_eq!(&(*map).as_ref()[1_000..], b"abXYef");
        }
    });
}

#[test]
fn a_removed_file_stays_readable_for_whoever_has_it_open() {
    on_both(|storage| {
        storage.create_dir("").unwrap();
        let file = storage.create("1").unwrap();
        file.write_at(b"abc", 0).unwrap();
        storage.remove("1").unwrap();
        assert_eq!(failure(storage.remove("1")), ErrorKind::NotFound);
        assert_eq!(failure(storage.open("1", Access::Read)), ErrorKind::NotFound);
        assert_eq!(read(&*file, 3, 0), b"abc");
        assert!(storage.create("1").is_ok());
    });
}

#[test]
fn there_is_one_writer_at_a_time() {
    on_both(|storage| {
        storage.create_dir("").unwrap();
        assert!(!storage.is_locked().unwrap());
        let lock = storage.try_lock().unwrap().expect("nobody has it");
        assert!(storage.is_locked().unwrap());
        assert!(storage.try_lock().unwrap().is_none());
        assert!(storage.owner().is_some());
        drop(lock);
        assert!(!storage.is_locked().unwrap());
        assert!(storage.try_lock().unwrap().is_some());
    });
}

#[test]
fn time_rises_and_random_bytes_differ() {
    on_both(|storage| {
        assert!(storage.elapsed() <= storage.elapsed());
        assert!(Timestamp::EPOCH < storage.now());
        let mut bytes = [[0; 33]; 2];
        let [first, second] = &mut bytes;
        storage.random(first).unwrap();
        storage.random(second).unwrap();
        assert!(first != second && first[16..] != [0; 17] && first[..16] != first[16..32]);
    });
}
