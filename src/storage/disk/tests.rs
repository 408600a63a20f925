//! What the real disk does besides what every disk does.

use super::*;
use std::os::unix::fs::symlink;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_and_directories_are_for_the_owner_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("above/store");
    let disk = RealDisk::new(&path);
    assert!(!disk.exists().unwrap());
    disk.create_dir("log").unwrap();
    disk.create("log/1").unwrap();
    assert!(disk.exists().unwrap());
    assert_eq!((mode(&path), mode(&path.join("log")), mode(&path.join("log/1"))), (0o700, 0o700, 0o600));
}

#[test]
fn links_and_whatever_is_no_regular_file_are_refused_by_name() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(temporary.path());
    disk.create_dir("log").unwrap();
    disk.create("log/1").unwrap();
    let at = |name: &str| temporary.path().join(name);
    symlink(at("log/1"), at("link")).unwrap();
    symlink(at("log"), at("other")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), FILE_MODE).unwrap();
    for (path, what) in [("link", "a symbolic link"), ("log", "a directory"), ("pipe", "a pipe")] {
        for access in [Access::Read, Access::ReadWrite] {
            let error = disk.open(path, access).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("`{path}` is {what}, not a regular file"));
        }
    }
    assert!(disk.open("other/1", Access::Read).is_err());
    assert!(disk.create("other/2").is_err());
    assert!(disk.create_dir("other").is_err());
    let is_file: Vec<bool> = disk.list("").unwrap().iter().map(|entry| entry.is_file).collect();
    assert_eq!(is_file, [false; 4]);
}

#[test]
fn a_linked_store_directory_is_resolved_once() {
    let temporary = tempfile::tempdir().unwrap();
    let real = temporary.path().join("real");
    RealDisk::new(&real).create_dir("").unwrap();
    symlink(&real, temporary.path().join("link")).unwrap();
    let disk = RealDisk::new(&temporary.path().join("link"));
    fs::remove_file(temporary.path().join("link")).unwrap();
    disk.create("1").unwrap();
    assert!(real.join("1").exists());
}

#[test]
fn a_moved_store_directory_stays_the_same_store() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(&temporary.path().join("before"));
    disk.create_dir("").unwrap();
    fs::rename(temporary.path().join("before"), temporary.path().join("after")).unwrap();
    disk.create("1").unwrap();
    assert!(temporary.path().join("after/1").exists());
}

#[test]
fn a_directory_whose_name_cannot_be_made_durable_is_taken_away_again() {
    let temporary = tempfile::tempdir().unwrap();
    // Whoever may not read a directory cannot sync it, but for the superuser.
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o300)).unwrap();
    let path = temporary.path().join("above/store");
    let created = RealDisk::new(&path).create_dir("log");
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(created.is_ok(), path.join("log").exists());
    assert_eq!(created.is_ok(), temporary.path().join("above").exists());
}

#[test]
fn asking_for_the_lock_creates_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(temporary.path());
    assert!(!disk.is_locked().unwrap());
    assert_eq!((disk.owner(), disk.list("").unwrap().len()), (None, 0));
    let _lock = disk.try_lock().unwrap().unwrap();
    assert_eq!(disk.owner(), Some(std::process::id().to_string()));
    assert_eq!(mode(&temporary.path().join(LOCK_FILE)), 0o600);
}

#[test]
fn an_odd_lock_file_names_no_owner() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(temporary.path());
    fs::write(temporary.path().join(LOCK_FILE), "\x1b\0\n").unwrap();
    assert_eq!(disk.owner(), None);
}

#[test]
fn a_write_beyond_the_size_limit_is_an_error_and_not_the_end() {
    let file = tempfile::tempfile().unwrap();
    let write = |bytes: &[u8], offset| write_within_limit(&file, Some(1_024), bytes, offset);
    write(&[1; 1_024], 0).unwrap();
    assert_eq!(write(&[1], 1_024).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(write(&[1], u64::MAX).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(file.metadata().unwrap().len(), 1_024);
}

#[test]
fn a_map_shows_what_is_written_later() {
    let temporary = tempfile::tempdir().unwrap();
    let file = RealDisk::new(temporary.path()).create("1").unwrap();
    file.write_at(&[0; 4_096], 0).unwrap();
    let map = file.map().unwrap().unwrap();
    file.write_at(b"later", 100).unwrap();
    assert_eq!((*map).as_ref().len(), 4_096);
    assert_eq!(&(*map).as_ref()[100..105], b"later");
}

#[test]
fn any_number_of_files_is_read_with_few_of_them_open() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(temporary.path());
    let count = 3 * READ_FILES_MAX;
    let files: Vec<_> = (0..count)
        .map(|number| {
            let file = disk.create(&number.to_string()).unwrap();
            file.write_at(&number.to_le_bytes(), 0).unwrap();
            file.retire();
            file
        })
        .collect();
    for round in 0..2 {
        for (number, file) in files.iter().enumerate() {
            let mut bytes = [0; 8];
            assert_eq!((file.read_at(&mut bytes, 0).unwrap(), usize::from_le_bytes(bytes)), (8, number), "{round}");
        }
    }
    let numbers = 0..count as u64;
    assert_eq!(numbers.clone().filter(|number| disk.shelf.get(*number).is_some()).count(), READ_FILES_MAX);
    drop(files);
    assert_eq!(disk.shelf.clear(), 0, "what nobody uses any more is closed");
}

#[test]
fn a_file_that_is_written_stays_open_until_it_is_retired() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(temporary.path());
    disk.create("1").unwrap();
    let file = disk.open("1", Access::ReadWrite).unwrap();
    file.write_at(b"a", 0).unwrap();
    disk.create("2").unwrap();
    // Only a file that is open can still be written when its name is gone.
    fs::remove_file(temporary.path().join("1")).unwrap();
    disk.shelf.clear();
    file.write_at(b"b", 1).unwrap();
    file.sync().unwrap();
    assert_eq!(file.len().unwrap(), 2);
    file.retire();
    assert_eq!(file.len().unwrap(), 2);
    disk.shelf.clear();
    assert_eq!(file.len().unwrap_err().kind(), io::ErrorKind::NotFound);
    fs::rename(temporary.path().join("2"), temporary.path().join("1")).unwrap();
    assert_eq!(file.len().unwrap_err().to_string(), "`1` is another file by now");
}

#[test]
fn this_run_of_the_machine_has_one_name() {
    let disk = RealDisk::new(Path::new("nowhere"));
    assert_eq!(disk.boot_id(), disk.boot_id());
    assert!(!cfg!(target_os = "linux") || disk.boot_id() != [0; 16]);
}
