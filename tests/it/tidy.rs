//! The house rules, held over the text of the repository.
//!
//! A rule is a pure function from a file's path and text to complaints. Every rule is first shown samples that it must
//! complain about and samples that it must not, and only then the repository: a rule that cannot fail holds nothing.
//! Comments, the content of strings and test modules are no code here; what stands in them breaks no rule of code.
//!
//! The offsets in `FORMAT.md` are held by a test beside the constants, in `src/format/`.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Complaints about a file: the line, and what is wrong there.
type Complaints = Vec<(usize, String)>;

/// A rule about one file.
type Rule = fn(path: &str, text: &str) -> Complaints;

// The rules, one test each.

#[test]
fn a_file_knows_only_floors_at_or_below_its_own() {
    check_rule(
        looks_down_only,
        &[
            ("src/format/record.rs", "use crate::storage::Storage;"),
            ("src/segment/reader.rs", "use crate::{error::Error, log::Verdict};"),
            ("src/log/mod.rs", "fn f() { super::store::open() }"),
            ("src/log/recovery.rs", "use super::super::index::Streams;"),
            ("src/position.rs", "fn f() -> super::format::Fault {}"),
            ("src/log/recovery.rs", "use crate::Error;"),
            ("src/novelty/mod.rs", "use crate::error::Error;"),
            ("src/log/mod.rs", "use crate::novelty::New;"),
            ("src/inspect/mod.rs", "use crate::cli::output::say;"),
        ],
        &[
            ("src/segment/reader.rs", "use crate::{error::Error, storage::{File, Storage}};"),
            ("src/name.rs", "use crate::error::Error; use super::limits;"),
            ("src/log/recovery.rs", "use super::verdict::Verdict; pub(crate) fn f() {}"),
            ("src/log/mod.rs", "/// [`x`](crate::store::X)\nfn f() { \"crate::store\"; }"),
            ("src/log/mod.rs", "#[cfg(test)]\nmod tests { use crate::store::EventStore; }"),
            ("src/lib.rs", "pub use crate::store::EventStore;"),
            ("src/log/mod.rs", "macro_rules! m { ($a:ty) => { $crate::Error::<$a>::new() } }"),
        ],
    );
}

#[test]
fn the_tool_and_the_game_name_nothing_but_themselves_and_what_is_public() {
    assert_eq!(
        public_names("mod log; pub mod guide;\npub use log::{Verdict, a::Damage};\npub(crate) use b::C;"),
        ["guide", "Verdict", "Damage"]
    );
    check_rule(
        stands_on_public_names,
        &[
            ("src/cli/read.rs", "use crate::EventStore;"),
            ("src/cli/read.rs", "use crate::{cli::Tool, log::Verdict};"),
            ("src/cli/read.rs", "use scorebook::log::Verdict;"),
            ("src/cli/read.rs", "use scorebook::{EventStore, error::fault};"),
            ("src/cli/read.rs", "use super::super::EventStore;"),
            ("src/cli/mod.rs", "fn f() { super::log::open() }"),
            ("src/cli/read.rs", "#[cfg(test)]\nmod tests { use crate::log::Verdict; }"),
            ("src/bin/scorebook/main.rs", "use scorebook::log::Verdict;"),
            ("src/game/game.rs", "use crate::Aggregate;"),
            ("src/game/game.rs", "use crate::cli::Tool;"),
            ("src/game/payload/team.rs", "use super::super::super::time::Timestamp;"),
        ],
        &[
            ("src/cli/read.rs", "use crate::cli::Tool; pub(crate) use super::output::Output;"),
            ("src/cli/read.rs", "use scorebook::{Error, EventStore}; fn f() { scorebook::verify(dir) }"),
            ("src/cli/read.rs", "#[cfg(test)]\nmod tests { use super::*; use scorebook::testing::SimulatedDisk; }"),
            ("src/bin/scorebook/main.rs", "fn main() { scorebook::cli::run() }"),
            ("src/game/payload/team.rs", "use crate::game::{Moment, PlayerId}; use super::super::ids::TeamId;"),
            ("src/game/event.rs", "scorebook::events! {}"),
            ("src/log/mod.rs", "use crate::segment::Segment;"),
        ],
    );
}

#[test]
fn only_one_file_knows_the_file_system_and_the_platform() {
    check_rule(
        keeps_to_the_seam,
        &[
            ("src/log/mod.rs", "use std::fs::File;"),
            ("src/log/mod.rs", "use std::{fs, io};"),
            ("src/storage/map.rs", "use std::os::fd::AsRawFd;"),
            ("src/storage/map.rs", "#[cfg(unix)] fn f() {}"),
            ("src/sync/mod.rs", "#[cfg(any(test, target_os = \"linux\"))] fn f() {}"),
            ("src/store/open.rs", "let slow = cfg!(windows);"),
            ("src/cli/mod.rs", "#[cfg_attr(unix, inline)] fn f() {}"),
        ],
        &[
            ("src/storage/disk/mod.rs", "use std::fs::File; #[cfg(target_os = \"linux\")] fn f() {}"),
            ("src/cli/lines.rs", "use std::fs::File;"),
            ("src/log/mod.rs", "#[cfg(feature = \"unix\")] fn windows() {}"),
            ("src/log/mod.rs", "#[cfg(test)]\nmod tests { use std::fs; }"),
        ],
    );
}

#[test]
fn every_lock_wait_and_atomic_goes_through_sync() {
    check_rule(
        shares_through_sync,
        &[
            ("src/log/commit.rs", "use std::sync::Mutex;"),
            ("src/log/commit.rs", "use std::sync::{Arc, atomic::AtomicU64};"),
            ("src/log/commit.rs", "fn f() { std::thread::yield_now() }"),
            ("src/store/mod.rs", "use parking_lot::Mutex;"),
            ("src/store/mod.rs", "use crossbeam_channel::bounded;"),
            ("src/game/game.rs", "use std::sync::Mutex;"),
        ],
        &[
            ("src/game/bot/schedule.rs", "use std::sync::Mutex;"),
            ("src/name.rs", "use std::sync::Arc; use std::sync::{Arc, Weak};"),
            ("src/sync/mod.rs", "pub(crate) use parking_lot::Mutex; pub(crate) use std::thread::spawn;"),
            ("src/cli/tail.rs", "fn f() { std::thread::sleep(pause) }"),
        ],
    );
}

#[test]
fn nothing_above_the_seam_asks_for_the_time_or_makes_chance() {
    check_rule(
        asks_the_seam,
        &[
            ("src/log/commit.rs", "let now = SystemTime::now();"),
            ("src/log/commit.rs", "let now = std::time::Instant::now();"),
            ("src/store/open.rs", "let id = uuid::Uuid::new_v4();"),
            ("src/game/bot/asking.rs", "let now = SystemTime::now();"),
        ],
        &[
            ("src/game/bot/setup.rs", "let now = SystemTime::now();"),
            ("src/storage/disk/mod.rs", "let now = SystemTime::now();"),
            ("src/time.rs", "use std::time::SystemTime; fn f(time: SystemTime) -> Timestamp {}"),
            ("src/cli/tail.rs", "let now = Instant::now();"),
            ("src/log/mod.rs", "#[cfg(test)]\nmod tests { fn f() { Instant::now() } }"),
        ],
    );
}

#[test]
fn a_crate_that_has_a_home_is_used_there_only() {
    check_rule(
        uses_crates_at_home,
        &[
            ("src/log/mod.rs", "fn f() { rustix::fs::fdatasync(file) }"),
            ("src/segment/reader.rs", "use memmap2::Mmap;"),
            ("src/store/mod.rs", "use clap::Parser;"),
            ("src/cli/read.rs", "use rustix::fs::fdatasync;"),
            ("src/log/mod.rs", "fn f() { bincode::encode_to_vec(x, y) }"),
            ("src/log/commit.rs", "fn f() { metrics::counter!(x) }"),
            ("src/log/commit.rs", "fn f() { let _span = tracing::info_span!(x); }"),
        ],
        &[
            ("src/storage/disk/mod.rs", "use rustix::fs::fdatasync;"),
            ("src/storage/map.rs", "use memmap2::Mmap; use rustix::io::Errno;"),
            ("src/cli/mod.rs", "use clap::Parser;"),
            ("src/cli/terminal.rs", "use rustix::termios::tcgetwinsize;"),
        ],
    );
}

#[test]
fn only_the_memory_map_is_unsafe_and_says_why_it_may() {
    check_rule(
        is_safe,
        &[
            ("src/log/mod.rs", "fn f() { unsafe { g() } }"),
            ("src/log/mod.rs", "#[cfg(test)]\nmod tests { fn f() { unsafe { g() } } }"),
            ("src/storage/map.rs", "fn f() { unsafe { g() } }"),
            ("tests/it/store.rs", "fn f() { unsafe { g() } }"),
        ],
        &[
            ("src/storage/map.rs", "// SAFETY: nobody writes there.\nunsafe { g() }"),
            ("src/lib.rs", "#![deny(unsafe_code)] // unsafe"),
        ],
    );
}

#[test]
fn nothing_prints_or_is_left_unfinished() {
    check_rule(
        is_quiet_and_finished,
        &[
            ("src/log/mod.rs", "fn f() { println!(\"x\") }"),
            ("src/log/mod.rs", "fn f() { eprint!(\"x\") }"),
            ("src/cli/mod.rs", "fn f() { dbg!(x); }"),
            ("src/log/mod.rs", "fn f() { todo!() }"),
            ("src/log/mod.rs", "fn f() { std::unimplemented!() }"),
            ("src/log/mod.rs", "fn f() { g()\n    .unwrap(); }"),
            ("src/cli/mod.rs", "fn f() { g().unwrap(); }"),
            ("src/log/mod.rs", "#[cfg(test)]\nmod tests { fn f() { dbg!(x); } }"),
        ],
        &[
            ("src/cli/output.rs", "fn f() { println!(\"x\") }"),
            ("src/log/mod.rs", "/// println!() and x.unwrap()\nfn println() { writeln!(f, \"todo!()\") }"),
            ("src/log/mod.rs", "#[cfg(test)]\nmod tests { fn f() { g().unwrap(); } }"),
            ("src/log/mod.rs", "fn f() { g().unwrap_or(0); todo(1); }"),
        ],
    );
}

#[test]
fn an_allow_or_expect_of_a_lint_has_its_reason() {
    check_rule(
        gives_reasons,
        &[
            ("src/lib.rs", "#[allow(dead_code)] fn f() {}"),
            ("src/lib.rs", "#![allow(dead_code, unused)]"),
            ("tests/it/store.rs", "#[expect(\n    dead_code\n)] fn f() {}"),
            ("benches/read.rs", "#[cfg_attr(test, allow(dead_code))] fn f() {}"),
        ],
        &[
            ("src/lib.rs", "#[allow(dead_code, reason = \"used by the next part\")] fn f() {}"),
            ("src/lib.rs", "fn f() { allow(x); y.expect(\"z\"); } // #[allow(dead_code)]"),
        ],
    );
}

#[test]
fn nothing_cuts_a_file() {
    check_rule(
        cuts_nothing,
        &[
            ("src/log/mod.rs", "fn f() { file.set_len(0) }"),
            ("src/storage/disk/mod.rs", "fn f() { rustix::fs::ftruncate(file, 0) }"),
            ("src/storage/disk/mod.rs", "fn f() { OpenOptions::new().truncate(true) }"),
        ],
        &[
            ("src/segment/scan.rs", "fn f() { buffer.truncate(read) }"),
            ("src/log/mod.rs", "// set_len and ftruncate are absent on purpose\nfn f() {}"),
        ],
    );
}

#[test]
fn only_the_log_removes_files_and_whoever_derives_some() {
    check_rule(
        removes_only_in_the_log,
        &[
            ("src/store/open.rs", "fn f() { storage.remove(path) }"),
            ("src/inspect/salvage.rs", "fn f() { self.storage\n    .remove(path) }"),
            ("src/log/mod.rs", "fn f() { std::fs::remove_file(path) }"),
            ("src/cli/mod.rs", "fn f() { fs::remove_dir_all(path) }"),
        ],
        &[
            ("src/log/copy.rs", "fn f() { storage.remove(path) }"),
            ("src/log/swap.rs", "fn f() { storage.remove(path) }"),
            ("src/index/terms_file.rs", "fn f() { storage.remove(path) }"),
            ("src/storage/disk/mod.rs", "fn f() { fs::remove_file(path) }"),
            ("src/index/streams.rs", "fn f() { names.remove(name) }"),
        ],
    );
}

#[test]
fn a_file_begins_by_saying_what_it_is() {
    check_rule(
        says_what_it_is,
        &[("src/log/mod.rs", "use std::fmt;"), ("benches/read.rs", "// A bench.\n"), ("src/log/mod.rs", "")],
        &[("src/log/mod.rs", "//! The log.\n"), ("src/log/tests.rs", "use super::*;"), ("README.md", "# Scorebook")],
    );
}

#[test]
fn no_file_speaks_of_a_machine_or_a_registry() {
    let work = format!("see {}shared/notes.md", ["/wo", "rk/"].concat());
    let home = format!("fine\n\"{}someone/x\"", ["/ho", "me/"].concat());
    let host = format!("https://{}/scorebook", ["index.crates", ".io"].concat());
    let usual = format!("source = \"{}\"", USUAL_SOURCE.concat());
    check_rule(
        names_no_machine,
        &[
            ("src/lib.rs", &work),
            ("tests/data/history.ndjson", &home),
            ("README.md", &host),
            (".cargo/config.toml", "replace-with = \"mirror\""),
            ("Cargo.lock", "source = \"registry+https://elsewhere.example/index\""),
        ],
        &[("Cargo.lock", &usual), ("README.md", "a working home, at home/work")],
    );
}

#[test]
fn the_top_level_holds_what_it_may_and_nothing_else() {
    let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(strangers(&names("src tests .ci Cargo.toml README.md notes.txt examples")), ["notes.txt", "examples"]);
    assert_eq!(strangers(&names("Cargo.lock LICENSE-MIT .gitignore benches fuzz target")), Vec::<String>::new());

    let entries = fs::read_dir(root()).expect("the repository can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    assert_eq!(strangers(&names.collect::<Vec<_>>()), Vec::<String>::new());
}

#[test]
fn readme_names_exactly_two_commands_to_try() {
    let readme =
        |body: &str| format!("# X\n\n## Try it\n\n```console\n{body}\n```\n\n## Tool\n\n```sh\ncargo install x\n```\n");
    assert_eq!(commands_to_try(&readme("cargo a\ncargo b --all")), ["cargo a", "cargo b --all"]);
    assert_eq!(
        commands_to_try(&readme("cargo a\n```\n\n```sh\n$ cargo b\n```\n\n```text\ncargo c")),
        ["cargo a", "cargo b"]
    );
    assert_eq!(commands_to_try("# X\n\n## Tool\n\n```console\ncargo a\n```\n"), Vec::<String>::new());

    assert_eq!(commands_to_try(&text_of("README.md")), ["cargo scorebook demo", "cargo test --all-features"]);
}

#[test]
fn every_example_bench_and_fuzz_target_is_declared() {
    let manifest = "[[bench]]\nname = \"a\"\n\n[[example]]\nname = \"b\"\npath = \"tests/examples/b.rs\"\n";
    assert_eq!(undeclared(manifest, "bench", &["benches/a.rs"]), Vec::<String>::new());
    assert_eq!(undeclared(manifest, "example", &["tests/examples/b.rs"]), Vec::<String>::new());
    assert_eq!(undeclared(manifest, "example", &["tests/examples/a.rs"]), ["tests/examples/a.rs"]);
    assert_eq!(undeclared(manifest, "bench", &["benches/b.rs"]), ["benches/b.rs"]);

    for (manifest, kind, folder) in [
        ("Cargo.toml", "example", "tests/examples/"),
        ("Cargo.toml", "bench", "benches/"),
        ("fuzz/Cargo.toml", "bin", "fuzz/fuzz_targets/"),
    ] {
        let files = files().into_iter().map(|(path, _)| path);
        let files = files.filter(|path| is_directly_in(path, folder) && path.ends_with(".rs")).collect::<Vec<_>>();
        let files = files.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(undeclared(&text_of(manifest), kind, &files), Vec::<String>::new(), "{manifest} lacks some");
    }
}

#[test]
fn the_guide_names_every_kind_of_error_and_every_option() {
    let code = "pub enum E {\n    /// A.\n    One,\n    Two,\n}\nimpl O {\n    pub fn three(mut self) {}\n    pub fn four(&self) {}\n}";
    assert_eq!(variants(code, "E"), ["One", "Two"]);
    assert_eq!(setters(code), ["three"]);
    assert_eq!(unnamed("| `One` | x |\n# `three`", &["One", "Two", "three"]), ["Two"]);

    let kinds = variants(&text_of("src/error.rs"), "ErrorKind");
    assert!(10 < kinds.len(), "{kinds:?}");
    assert_eq!(unnamed(&text_of("src/guide/errors.md"), &kinds), Vec::<&str>::new());
    let options = setters(&text_of("src/options.rs"));
    assert!(3 < options.len(), "{options:?}");
    assert_eq!(unnamed(&text_of("src/guide/options.md"), &options), Vec::<&str>::new());
}

#[test]
fn the_guide_names_every_metric_and_span_and_nothing_else() {
    let rows = "see `scorebook_x`\n| `scorebook_a` | counter |\n| `scorebook.b` | info |\n| `store` | x |\n| `scorebook_c > 0` | why |";
    assert_eq!(rows_named(rows, "scorebook_"), ["scorebook_a"]);
    assert_eq!(rows_named(rows, "scorebook."), ["scorebook.b"]);
    assert_eq!(quoted("f(\"scorebook_a\"); // \"scorebook_b c\"\ng(\"scorebook\")", "scorebook_"), ["scorebook_a"]);

    let guide = text_of("src/guide/operating.md");
    let metrics = quoted(&text_of("src/observe/meters.rs"), "scorebook_");
    assert!(30 < metrics.len(), "{metrics:?}");
    assert_eq!(rows_named(&guide, "scorebook_"), metrics);
    let spans = quoted(&text_of("src/observe/spans.rs"), "scorebook.");
    assert!(10 < spans.len(), "{spans:?}");
    assert_eq!(rows_named(&guide, "scorebook."), spans);
}

/// The names that begin like this and stand in quotes, sorted.
fn quoted(text: &str, prefix: &str) -> Vec<String> {
    let pieces = text.split('"').filter(|piece| piece.starts_with(prefix) && !piece.contains(' '));
    sorted(pieces.map(str::to_owned).collect())
}

/// The names that begin like this and that a row of a table is about, sorted.
fn rows_named(page: &str, prefix: &str) -> Vec<String> {
    let firsts = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let is_name = |first: &str| first.starts_with(prefix) && !first.contains(' ');
    sorted(firsts.map(|(first, _)| first).filter(|first| is_name(first)).map(str::to_owned).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// Shows the rule its samples, then the repository.
#[track_caller]
#[test]
fn every_promise_names_tests_that_exist() {
    let named = |page: &str| promised_tests(page).len();
    assert_eq!(named("//! | P1 | x | `crash::a` and `damage::b_c` |"), 2);
    assert_eq!(named("//! nothing `crash::a`"), 0);
    let promised = promised_tests(&text_of("src/lib.rs"));
    assert!(9 <= promised.len(), "a promise names no test");
    for (module, test) in promised {
        assert!(text_of(&format!("tests/it/{module}.rs")).contains(&format!("fn {test}()")), "{module}::{test}");
    }
}

#[test]
fn the_guide_says_what_the_recorded_runs_have_done() {
    let runs = "{\"lane\":\"a\",\"count\":999001,\"violations\":0}\n{\"lane\":\"b\",\"count\":7,\"violations\":1}\n\
        {\"lane\":\"a\",\"count\":1000,\"violations\":0}\n";
    let page = "| `a` | 1,000,001 states | 3 min | 0 |\n| `b` | 7 x | 1 min | 0 |";
    assert_eq!(unsaid(page, runs), ["`b`: 7, violations: 1"]);

    let page = text_of("src/guide/reliability.md");
    assert_eq!(unsaid(&page, &text_of("tests/proof/runs.ndjson")), Vec::<String>::new(), "see `proof -- report`");
}

/// What the page does not say of the runs: how much each lane has counted in all of them, and how much was violated.
fn unsaid(page: &str, runs: &str) -> Vec<String> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for run in runs.lines() {
        let run: serde_json::Value = serde_json::from_str(run).expect("a run is JSON");
        let number = |key: &str| run[key].as_u64().expect("a run has counted");
        let sum = sums.entry(run["lane"].as_str().expect("a run has a lane").to_owned()).or_default();
        *sum = (sum.0 + number("count"), sum.1 + number("violations"));
    }
    let is_said = |lane: &str, count: u64, violations: u64| {
        let mut digits = count.to_string();
        for at in (1..digits.len()).rev().filter(|at| (count.to_string().len() - at).is_multiple_of(3)) {
            digits.insert(at, ',');
        }
        let row = page.lines().find(|line| line.starts_with(&format!("| `{lane}` | {digits} ")));
        row.is_some_and(|row| row.split('|').nth(4).map(str::trim) == Some(&*violations.to_string()))
    };
    let unsaid = sums.iter().filter(|(lane, (count, violations))| !is_said(lane, *count, *violations));
    unsaid.map(|(lane, (count, violations))| format!("`{lane}`: {count}, violations: {violations}")).collect()
}

/// The tests that the table of promises names: module and function.
fn promised_tests(page: &str) -> Vec<(String, String)> {
    let rows = page.lines().filter(|line| line.starts_with("//! | P"));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    names.filter_map(|name| name.split_once("::")).map(|(module, test)| (module.to_owned(), test.to_owned())).collect()
}

fn check_rule(rule: Rule, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    for (path, text) in bad {
        assert!(!rule(path, text).is_empty(), "the rule takes this for good, in {path}:\n{text}");
    }
    for (path, text) in good {
        assert_eq!(rule(path, text), [], "the rule takes this for bad, in {path}:\n{text}");
    }
    let mut found = Vec::new();
    for (path, text) in files() {
        found.extend(rule(&path, &text).into_iter().map(|(line, complaint)| format!("{path}:{line}: {complaint}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

// The rules, as functions.

/// The floors, from the bottom up. Modules of one floor may know each other.
const FLOORS: [&[&str]; 13] = [
    &[
        "position",
        "time",
        "name",
        "event",
        "error",
        "receipt",
        "retention",
        "quota",
        "options",
        "limits",
        "query",
        "mutant",
        "observe",
        "sync",
    ],
    &["format"],
    &["storage"],
    &["segment"],
    &["log"],
    &["index", "snapshot"],
    &["store"],
    &["inspect", "backup", "compaction", "subscription", "consumer", "health"],
    &["modelling"],
    &["projection", "bus"],
    &["testing"],
    &["game"],
    &["cli"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn looks_down_only(path: &str, text: &str) -> Complaints {
    let Some(inside) = library_path(path).filter(|inside| *inside != "lib.rs" && !inside.starts_with("guide/")) else {
        return Vec::new();
    };
    let module = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    let Some(own) = floor(module) else {
        return vec![(1, format!("`{module}` has no floor: give it one in tests/it/tidy.rs"))];
    };
    // How many times `super` it takes from here to the root.
    let depth = inside.trim_end_matches("/mod.rs").split('/').count();
    let mut complaints = Vec::new();
    let code = Code::without_tests(path, text);
    for (line, segments) in code.paths() {
        let ups = segments.iter().take_while(|segment| **segment == "super").count();
        let target = match segments[..] {
            ["crate", target, ..] => target,
            _ if 0 < ups && depth <= ups => segments.get(ups).copied().unwrap_or("super"),
            _ => continue,
        };
        match floor(target) {
            Some(floor) if floor <= own => {}
            Some(floor) => complaints.push((line, format!("floor {own} looks up to `{target}` on floor {floor}"))),
            None => complaints.push((line, format!("`{target}` is on no floor: name the module it comes from"))),
        }
    }
    complaints
}

/// That the names are right is all this can see; `tests/it/main.rs` builds the tool once more, where private methods
/// are out of its reach too.
fn stands_on_public_names(path: &str, text: &str) -> Complaints {
    let Some(inside) = path.strip_prefix("src/").filter(|inside| is_tool(path) || inside.starts_with("game/")) else {
        return Vec::new();
    };
    let own = if is_tool(path) { "cli" } else { "game" };
    let public = public_names(&text_of("src/lib.rs"));
    let depth = inside.trim_end_matches("/mod.rs").split('/').count();
    let mut complaints = Vec::new();
    // Tests too: what they show must be what a stranger can do.
    for (line, segments) in Code::new(text).paths() {
        let ups = segments.iter().take_while(|segment| **segment == "super").count();
        let is_good = match segments[..] {
            // `pub(crate)` is no path.
            ["crate"] => true,
            ["crate", name, ..] => name == own,
            // A macro that leaves the crate stands at its root wherever it is written.
            ["scorebook", "events"] => true,
            ["scorebook", name, ..] => public.iter().any(|public| public == name),
            _ => ups < depth,
        };
        if !is_good {
            complaints.push((line, format!("`{}` is no public name", segments.join("::"))));
        }
    }
    complaints
}

/// The names that the root of the crate gives away.
fn public_names(root: &str) -> Vec<String> {
    let code = Code::new(root);
    let is_public = |at: usize, what: &str| code.is(at, "pub") && code.is(at + 1, what);
    let modules = (0..code.tokens.len()).filter(|at| is_public(*at, "mod")).map(|at| &*code.tokens[at + 2].text);
    let mut names = modules.collect::<Vec<_>>();
    for at in (0..code.tokens.len()).filter(|at| is_public(*at, "use")) {
        let mut paths = Vec::new();
        code.path(at + 2, &[], &mut paths);
        names.extend(paths.iter().filter_map(|(_, segments)| segments.last().copied()));
    }
    names.into_iter().map(str::to_owned).collect()
}

fn keeps_to_the_seam(path: &str, text: &str) -> Complaints {
    const PLATFORM: [&str; 5] = ["unix", "windows", "target_os", "target_family", "target_env"];
    if !path.starts_with("src/") || path.starts_with("src/storage/disk/") {
        return Vec::new();
    }
    let code = Code::without_tests(path, text);
    let mut complaints = Vec::new();
    for (line, segments) in code.paths() {
        let is_file_system = matches!(segments[..], ["std", "fs", ..]) && !is_tool(path);
        if is_file_system || matches!(segments[..], ["std", "os", ..]) {
            complaints.push((line, format!("`{}` is for src/storage/disk", segments.join("::"))));
        }
    }
    for (at, token) in code.tokens.iter().enumerate() {
        if token.text == "cfg" || token.text == "cfg_attr" {
            let group = code.group(at + 1 + usize::from(code.is(at + 1, "!")));
            if let Some(platform) = code.tokens[group].iter().find(|token| PLATFORM.contains(&&*token.text)) {
                complaints.push((token.line, format!("`cfg({}` is for src/storage/disk", platform.text)));
            }
        }
    }
    complaints
}

fn shares_through_sync(path: &str, text: &str) -> Complaints {
    // The bot stands on public names only, and what it shares is not for a model checker.
    let is_free = |inside: &str| inside.starts_with("sync/") || inside.starts_with("game/bot/");
    if library_path(path).is_none_or(is_free) {
        return Vec::new();
    }
    let code = Code::without_tests(path, text);
    let shared = code.paths().into_iter().filter(|(_, segments)| match segments[..] {
        ["std" | "core", "sync", what, ..] => !["Arc", "Weak"].contains(&what),
        ["std", "thread", ..] => true,
        ["parking_lot" | "event_listener" | "crossbeam_channel", _, ..] => true,
        _ => false,
    });
    shared.map(|(line, segments)| (line, format!("`{}` goes through `crate::sync`", segments.join("::")))).collect()
}

fn asks_the_seam(path: &str, text: &str) -> Complaints {
    // Who plays is told the time and chance by whoever sets the bot up; what it takes where nothing is said is in one file.
    let is_free = |inside: &str| inside.starts_with("storage/") || inside == "game/bot/setup.rs";
    if library_path(path).is_none_or(is_free) {
        return Vec::new();
    }
    let code = Code::without_tests(path, text);
    let asks = code.paths().into_iter().filter(|(_, segments)| match segments[..] {
        [.., "SystemTime" | "Instant", "now"] => true,
        [.., "Uuid", make] => make.starts_with("new_v") || make.starts_with("now_v"),
        _ => false,
    });
    asks.map(|(line, segments)| (line, format!("`{}`: ask `crate::storage`", segments.join("::")))).collect()
}

fn uses_crates_at_home(path: &str, text: &str) -> Complaints {
    const HOMES: [(&str, &[&str]); 14] = [
        ("bincode", &["src/index/columns.rs", "src/modelling/payload.rs"]),
        ("rustix", &["src/storage/"]),
        ("memmap2", &["src/storage/map.rs"]),
        ("metrics", &["src/observe/meters.rs"]),
        ("tracing", &["src/observe/spans.rs"]),
        ("anstream", &["src/cli/"]),
        ("base64", &["src/cli/"]),
        ("clap", &["src/cli/"]),
        ("diceware_wordlists", &["src/game/words.rs"]),
        ("snowball_stemmers_rs", &["src/game/judge.rs"]),
        ("comfy_table", &["src/cli/"]),
        ("futures_core", &["src/subscription/stream.rs"]),
        ("indicatif", &["src/cli/"]),
        ("jiff", &["src/cli/"]),
    ];
    if !path.starts_with("src/") {
        return Vec::new();
    }
    let code = Code::without_tests(path, text);
    let mut complaints = Vec::new();
    for (line, segments) in code.paths().into_iter().filter(|(_, segments)| 1 < segments.len()) {
        for (name, home) in HOMES {
            // The tool asks the system about the terminal it writes to; the library has no business with that.
            let is_terminal = (name, path) == ("rustix", "src/cli/terminal.rs");
            if segments[0] == name && !home.iter().any(|home| path.starts_with(home)) && !is_terminal {
                complaints.push((line, format!("`{name}` is for {}", home.join(" and "))));
            }
        }
    }
    complaints
}

fn is_safe(path: &str, text: &str) -> Complaints {
    const LINES_ABOVE: usize = 6;
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let lines = text.lines().collect::<Vec<_>>();
    let code = Code::new(text);
    let mut complaints = Vec::new();
    for token in code.tokens.iter().filter(|token| token.text == "unsafe") {
        let above = &lines[token.line.saturating_sub(1 + LINES_ABOVE)..token.line];
        if path != "src/storage/map.rs" {
            complaints.push((token.line, "`unsafe` is for src/storage/map.rs".to_owned()));
        } else if !above.iter().any(|line| line.contains("SAFETY:")) {
            complaints.push((token.line, "`unsafe` without a `SAFETY:` note above it".to_owned()));
        }
    }
    complaints
}

fn is_quiet_and_finished(path: &str, text: &str) -> Complaints {
    const PRINTS: [&str; 4] = ["print", "println", "eprint", "eprintln"];
    const LEFTOVERS: [&str; 3] = ["dbg", "todo", "unimplemented"];
    if !path.starts_with("src/") || !path.ends_with(".rs") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let code = Code::new(text);
    for (_, token) in code.tokens.iter().enumerate().filter(|(at, _)| code.is(at + 1, "!")) {
        let is_print = PRINTS.contains(&&*token.text) && !is_tool(path);
        if is_print || LEFTOVERS.contains(&&*token.text) {
            complaints.push((token.line, format!("`{}!`", token.text)));
        }
    }
    let code = Code::without_tests(path, text);
    for (at, token) in code.tokens.iter().enumerate() {
        if token.text == "." && code.is(at + 1, "unwrap") && code.is(at + 2, "(") {
            complaints.push((token.line, "`.unwrap()`: say with `expect` why it cannot fail, or return it".to_owned()));
        }
    }
    complaints
}

fn gives_reasons(path: &str, text: &str) -> Complaints {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let code = Code::new(text);
    let mut complaints = Vec::new();
    for at in 0..code.tokens.len() {
        let attribute = if code.is(at, "#") { code.group(at + 1 + usize::from(code.is(at + 1, "!"))) } else { 0..0 };
        for inner in attribute {
            let is_lint = code.is(inner, "allow") || code.is(inner, "expect");
            if is_lint && code.is(inner + 1, "(") && !code.group(inner + 1).any(|at| code.is(at, "reason")) {
                complaints.push((code.tokens[inner].line, format!("`{}` without a reason", code.tokens[inner].text)));
            }
        }
    }
    complaints
}

fn cuts_nothing(path: &str, text: &str) -> Complaints {
    if !path.starts_with("src/") || !path.ends_with(".rs") {
        return Vec::new();
    }
    let code = Code::without_tests(path, text);
    let cuts = |name: &str| {
        let is_disk = path.starts_with("src/storage/disk/");
        ["set_len", "ftruncate"].contains(&name) || is_disk && name == "truncate"
    };
    let cuts = code.tokens.iter().filter(|token| cuts(&token.text));
    cuts.map(|token| (token.line, format!("`{}`: no file is ever cut", token.text))).collect()
}

fn removes_only_in_the_log(path: &str, text: &str) -> Complaints {
    const CALLS: [&str; 5] = ["remove_file", "remove_dir", "remove_dir_all", "unlink", "unlinkat"];
    if !path.starts_with("src/") || !path.ends_with(".rs") {
        return Vec::new();
    }
    let is_log = path.starts_with("src/log/") || path.starts_with("src/segment/");
    // Derived files, and what a backup does not need any more.
    let others = [
        "src/index/terms_file.rs",
        "src/index/check.rs",
        "src/snapshot/catalog.rs",
        "src/snapshot/file.rs",
        "src/backup/manifest.rs",
    ];
    let may_remove = is_log || others.contains(&path);
    let code = Code::without_tests(path, text);
    let mut complaints = Vec::new();
    for (at, token) in code.tokens.iter().enumerate() {
        let is_seam = token.text == "storage" && code.is(at + 1, ".") && code.is(at + 2, "remove");
        if is_seam && !may_remove {
            complaints.push((
                token.line,
                "removing files is for src/log/, src/segment/, derived files and backups".to_owned(),
            ));
        }
        if CALLS.contains(&&*token.text) && !path.starts_with("src/storage/") {
            complaints.push((token.line, format!("`{}` is for src/storage/", token.text)));
        }
    }
    complaints
}

fn says_what_it_is(path: &str, text: &str) -> Complaints {
    // A test module in a file of its own belongs to the file it tests.
    if !path.ends_with(".rs") || path.ends_with("/tests.rs") || text.starts_with("//! ") {
        return Vec::new();
    }
    vec![(1, "begins without a `//!` comment".to_owned())]
}

/// What a lock file says of a package from the usual registry.
const USUAL_SOURCE: [&str; 2] = ["registry+https://github.com/rust-lang/crates", ".io-index"];

fn names_no_machine(path: &str, text: &str) -> Complaints {
    // Put together here, so that this file does not hold them.
    let places = ["work", "home", "root", "Users"].map(|folder| format!("/{folder}/"));
    let hosts = ["index", "static"].map(|host| [host, ".crates", ".io"].concat());
    let settings = ["registry+", "sparse+", "replace-with", "[source", "[registries"].map(str::to_owned);
    let is_settings = path.ends_with(".toml") || path.ends_with(".lock");
    let mut complaints = Vec::new();
    let settings = if is_settings { &settings[..] } else { &[] };
    let needles = places.iter().chain(&hosts).chain(settings).collect::<Vec<_>>();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.replace(&USUAL_SOURCE.concat(), "");
        for needle in needles.iter().filter(|needle| content.contains(needle.as_str())) {
            complaints.push((line, format!("speaks of `{needle}`")));
        }
    }
    complaints
}

/// The names on the top level that may not be there.
fn strangers(names: &[String]) -> Vec<String> {
    const WELCOME: [&str; 9] =
        ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "src", "tests", "benches", "fuzz"];
    let is_welcome =
        |name: &String| WELCOME.contains(&name.as_str()) || name.starts_with('.') || UNTRACKED.contains(&name.as_str());
    names.iter().filter(|name| !is_welcome(name)).cloned().collect()
}

/// The commands that a reader of README is asked to try: what runs `cargo` in the blocks of the section "Try it".
fn commands_to_try(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_section = false;
    let mut block = None;
    for line in readme.lines() {
        match (block, line.strip_prefix("```")) {
            (None, Some(language)) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, None) if line.starts_with("## ") => is_section = line == "## Try it",
            (Some("console" | "sh"), None) if is_section => {
                let command = line.trim().trim_start_matches("$ ");
                commands.extend(command.starts_with("cargo ").then(|| command.to_owned()));
            }
            _ => {}
        }
    }
    commands
}

/// The files that no `[[kind]]` of the manifest is about.
fn undeclared(manifest: &str, kind: &str, files: &[&str]) -> Vec<String> {
    let manifest = format!("\n{manifest}");
    let header = format!("[{kind}]]\n");
    let sections = manifest.split("\n[").filter(|section| section.starts_with(&header)).collect::<Vec<_>>();
    let is_declared = |file: &str| {
        let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".rs");
        sections.iter().any(|section| section.contains(&format!("name = \"{stem}\"")))
    };
    files.iter().filter(|file| !is_declared(file)).map(|file| (*file).to_owned()).collect()
}

/// The variants of an enum without fields.
fn variants(text: &str, name: &str) -> Vec<String> {
    let code = Code::new(text);
    let Some(at) = (0..code.tokens.len()).find(|at| code.is(*at, "enum") && code.is(at + 1, name)) else {
        return Vec::new();
    };
    let variants = code.group(at + 2).filter(|at| code.is(at + 1, ",") && code.tokens[*at].is_name());
    variants.map(|at| code.tokens[at].text.clone()).collect()
}

/// The public methods that take `self` and change it.
fn setters(text: &str) -> Vec<String> {
    let code = Code::new(text);
    let takes_self = |at: usize| code.is(at + 1, "(") && code.is(at + 2, "mut") && code.is(at + 3, "self");
    let setters = (1..code.tokens.len()).filter(|at| code.is(at - 1, "fn") && takes_self(*at));
    setters.map(|at| code.tokens[at].text.clone()).collect()
}

/// The names that do not stand in the page as code.
fn unnamed<'a, N: AsRef<str>>(page: &str, names: &'a [N]) -> Vec<&'a str> {
    let names = names.iter().map(AsRef::as_ref);
    names.filter(|name| !page.contains(&format!("`{name}`"))).collect()
}

// Code, as far as the rules need to understand it.

/// The tokens of a file, without comments and with empty strings.
struct Code {
    tokens: Vec<Token>,
}

/// A name, a number, `::`, an empty string or character, or a single other character.
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

impl Code {
    fn new(text: &str) -> Code {
        let chars = text.chars().collect::<Vec<_>>();
        let mut tokens = Vec::new();
        let (mut at, mut line) = (0, 1);
        while at < chars.len() {
            let end = token_end(&chars, at);
            let token = chars[at..end].iter().collect::<String>();
            let lines = token.matches('\n').count();
            let is_nothing = token.trim().is_empty() || token.starts_with("//") || token.starts_with("/*");
            if !is_nothing {
                let text = if token.ends_with(['"', '#']) && token.contains('"') { "\"\"".to_owned() } else { token };
                tokens.push(Token { text, line });
            }
            line += lines;
            at = end;
        }
        Code { tokens }
    }

    /// The code of a file without what stands behind `#[cfg(test)]`; nothing of a file that holds tests only.
    fn without_tests(path: &str, text: &str) -> Code {
        if path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/") {
            return Code { tokens: Vec::new() };
        }
        let mut code = Code::new(text);
        let mut at = 0;
        while at < code.tokens.len() {
            if code.is(at, "#") && code.is(at + 2, "cfg") && code.is(at + 4, "test") && code.is(at + 5, ")") {
                let is_end = |at: &usize| code.is(*at, ";") || code.is(*at, "{");
                let last = code.tokens.len() - 1;
                let behind = code.group(at + 1).end + 1;
                let end = (behind..last).find(is_end).unwrap_or(last);
                let end = if code.is(end, "{") { code.group(end).end } else { end };
                code.tokens.drain(at..=end.min(last));
            } else {
                at += 1;
            }
        }
        code
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.text == text)
    }

    /// What lies between the bracket at `open` and the one that closes it; nothing where no bracket opens.
    fn group(&self, open: usize) -> Range<usize> {
        let is_any = |at: usize, brackets: [&str; 3]| brackets.iter().any(|bracket| self.is(at, bracket));
        if !is_any(open, ["(", "[", "{"]) {
            return open..open;
        }
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            depth += usize::from(is_any(at, ["(", "[", "{"]));
            depth -= usize::from(is_any(at, [")", "]", "}"]));
            if depth == 0 {
                return open + 1..at;
            }
        }
        open + 1..self.tokens.len()
    }

    /// Every path in the code with its line, `a::{b, c::d}` taken apart.
    fn paths(&self) -> Vec<(usize, Vec<&str>)> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            at = if self.tokens[at].is_name() { self.path(at, &[], &mut paths) } else { at + 1 };
        }
        paths
    }

    /// Takes the path that begins at `at`; where it ends.
    fn path<'a>(&'a self, mut at: usize, before: &[&'a str], paths: &mut Vec<(usize, Vec<&'a str>)>) -> usize {
        let line = self.tokens[at].line;
        let mut segments = before.to_vec();
        loop {
            segments.push(&self.tokens[at].text);
            at += 1;
            if !self.is(at, "::") {
                break;
            }
            at += 1;
            if self.is(at, "{") {
                let group = self.group(at);
                let mut inner = group.start;
                while inner < group.end {
                    let is_name = self.tokens[inner].is_name();
                    inner = if is_name { self.path(inner, &segments, paths) } else { inner + 1 };
                }
                return group.end + 1;
            }
            if !self.tokens.get(at).is_some_and(Token::is_name) {
                break;
            }
        }
        paths.push((line, segments));
        at
    }
}

/// Where the token, the comment or the white space that begins at `at` ends.
fn token_end(chars: &[char], at: usize) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let run = |from: usize, is: &dyn Fn(char) -> bool| {
        from + chars[from.min(chars.len())..].iter().take_while(|c| is(**c)).count()
    };
    match (peek(at), peek(at + 1)) {
        (c, _) if c.is_whitespace() => run(at, &char::is_whitespace),
        ('/', '/') => run(at, &|c| c != '\n'),
        ('/', '*') => comment_end(chars, at),
        (':', ':') => at + 2,
        // What a macro writes elsewhere, `$crate::X`, is no path of the file that holds the macro.
        ('$', c) if is_word(c) => run(at + 1, &is_word),
        ('"', _) => string_end(chars, at + 1, '"'),
        ('\'', '\\') => string_end(chars, at + 1, '\''),
        ('\'', _) if peek(at + 2) == '\'' => at + 3,
        ('\'', _) => run(at + 1, &is_word),
        (c, _) if is_word(c) => {
            let end = run(at, &is_word);
            let prefix = chars[at..end].iter().collect::<String>();
            let hashes = run(end, &|c| c == '#') - end;
            match (prefix.as_str(), peek(end), peek(end + hashes)) {
                ("r" | "br" | "cr", _, '"') => raw_string_end(chars, end + hashes + 1, hashes),
                ("b" | "c", '"', _) => string_end(chars, end + 1, '"'),
                _ => end,
            }
        }
        _ => at + 1,
    }
}

/// Behind the comment that begins at `at`; comments may hold comments.
fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut at, mut depth) = (at + 2, 1);
    while at < chars.len() && 0 < depth {
        match chars[at..chars.len().min(at + 2)] {
            ['/', '*'] => (at, depth) = (at + 2, depth + 1),
            ['*', '/'] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

/// Behind the quote that closes a string or character whose content begins at `at`.
fn string_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    chars.len().min(at + 1)
}

fn raw_string_end(chars: &[char], at: usize, hashes: usize) -> usize {
    let is_end =
        |at: &usize| chars[*at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (at..chars.len()).find(is_end).map_or(chars.len(), |at| at + 1 + hashes)
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let names = |code: Code| code.tokens.into_iter().map(|token| token.text).collect::<Vec<_>>().join(" ");
    let check = |text: &str, expected: &str| assert_eq!(names(Code::new(text)), expected, "{text}");
    check("a // b\nc /* d /* e */ f */ g", "a c g");
    check("a(\"b\\\"c\", r#\"d\"e\"#, b\"f\", 'g', '\\'', 'h: i)", "a ( \"\" , \"\" , \"\" , 'g' , '\\'' , 'h : i )");
    check("r#type a::b 1_000u32", "r # type a :: b 1_000u32");

    let check =
        |text: &str, expected: &str| assert_eq!(names(Code::without_tests("src/a.rs", text)), expected, "{text}");
    check("a #[cfg(test)] mod tests { b { c } } d", "a d");
    check("a #[cfg(test)] mod tests; d", "a d");
    check("a #[cfg(test)] #[ignore] fn f() { b } d", "a d");
    check("#[cfg(feature)] a", "# [ cfg ( feature ) ] a");
    assert_eq!(names(Code::without_tests("src/log/tests.rs", "a")), "");
}

#[test]
fn paths_are_taken_apart() {
    let code = Code::new("use a::{b, c::{self, D}, e::*};\nfn f() { g::h::<i::J>() }");
    let paths = code.paths().into_iter().map(|(line, segments)| format!("{line} {}", segments.join("::")));
    let paths = paths.filter(|path| path.contains("::")).collect::<Vec<_>>();
    assert_eq!(paths, ["1 a::b", "1 a::c::self", "1 a::c::D", "1 a::e", "2 g::h", "2 i::J"]);
}

// The repository.

/// What a build or a run leaves on the top level, and what is not part of the repository.
const UNTRACKED: [&str; 2] = ["target", "bot.scorebook"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path inside `src/`, of the library's files only. The tool stands above it, though it is built with it.
fn library_path(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    (inside.ends_with(".rs") && !is_tool(path)).then_some(inside)
}

fn is_tool(path: &str) -> bool {
    path.starts_with("src/cli/") || path.starts_with("src/bin/")
}

fn is_directly_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|name| !name.contains('/'))
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of the repository, path and text.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(root(), "", &mut files);
    assert!(files.iter().any(|(path, _)| path == "src/lib.rs"), "the repository is where it was built");
    files
}

fn collect(folder: &Path, inside: &str, files: &mut Vec<(String, String)>) {
    const GENERATED: [&str; 4] = ["target", "artifacts", "corpus", "coverage"];
    for entry in fs::read_dir(folder).expect("a folder of the repository can be listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{inside}{name}");
        if name == ".git" || GENERATED.contains(&name.as_str()) || UNTRACKED.contains(&path.as_str()) {
            continue;
        }
        if entry.file_type().expect("its type").is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else {
            let bytes = fs::read(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}
