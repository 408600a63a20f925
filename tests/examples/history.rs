//! Prints the history of a git repository as NDJSON that `scorebook import` takes: its commits, and the files they
//! touched. `tests/data/history.ndjson`, which the demo takes in, is made so:
//!
//! ```console
//! cargo run --example history > tests/data/history.ndjson
//! ```
//!
//! Every commit is an event of the stream `history`, every file it touched one of a stream of the file's own; the hash
//! of the commit holds them together as their correlation. Nobody is named.

use scorebook::{StreamName, Version};
use serde_json::json;
use std::collections::HashMap;
use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let repository = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let commits = parse(&git_log(Path::new(&repository))?)?;
    let mut versions = HashMap::new();
    let mut out = stdout().lock();
    for commit in &commits {
        for line in commit.lines(&mut versions)? {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

struct Commit {
    hash: String,
    /// RFC 3339, UTC.
    time: String,
    subject: String,
    files: Vec<File>,
}

struct File {
    path: String,
    event_type: &'static str,
    /// Lines; nothing where the file is not text.
    added: Option<u64>,
    removed: Option<u64>,
}

impl Commit {
    /// The events of the commit, in the words of the tool.
    fn lines(&self, versions: &mut HashMap<StreamName, Version>) -> Result<Vec<String>, Box<dyn Error>> {
        let made = json!({ "subject": self.subject }).to_string();
        let mut lines = vec![self.line("history", "commit_made", &made, None, versions)?];
        for file in &self.files {
            let stream = format!("file-{}", file.path.replace('/', ":"));
            let [path, added, removed] = [json!(file.path), json!(file.added), json!(file.removed)];
            let data = format!("{{\"path\":{path},\"added\":{added},\"removed\":{removed}}}");
            let extension = Path::new(&file.path).extension().map(|extension| extension.to_string_lossy().into_owned());
            lines.push(self.line(&stream, file.event_type, &data, extension.as_deref(), versions)?);
        }
        Ok(lines)
    }

    fn line(
        &self,
        stream: &str,
        event_type: &str,
        data: &str,
        extension: Option<&str>,
        versions: &mut HashMap<StreamName, Version>,
    ) -> Result<String, Box<dyn Error>> {
        let version = versions.entry(StreamName::new(stream)?).or_insert(Version::NONE);
        *version = version.next().ok_or("too many events")?;
        let tags =
            extension.map_or(String::new(), |extension| format!(",\"tags\":{}", json!([format!("ext:{extension}")])));
        Ok(format!(
            "{{\"stream\":{},\"version\":{version},\"type\":{},\"occurred\":{},\"data\":{data},\"metadata\":{}{tags}}}",
            json!(stream),
            json!(event_type),
            json!(self.time),
            json!({ "correlation": self.hash }),
        ))
    }
}

/// Begins the line of a commit in git's output; no path and no number begins with it.
const COMMIT: char = '\u{1}';

/// Commits, oldest first, each with the kind of every change and the lines it added and removed.
fn git_log(repository: &Path) -> Result<String, Box<dyn Error>> {
    let output = Command::new("git")
        .env("TZ", "UTC")
        .arg("-C")
        .arg(repository)
        .args(["-c", "core.quotePath=false", "log", "--reverse", "--no-renames", "--raw", "--numstat"])
        .args(["--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%x01%H%x09%cd%x09%s"])
        .output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
    }
}

/// Reads what `git_log` gives: for each commit its own line, then a raw line for each file, then a line of numbers
/// for each file.
fn parse(log: &str) -> Result<Vec<Commit>, Box<dyn Error>> {
    let mut commits: Vec<Commit> = Vec::new();
    for line in log.lines().filter(|line| !line.is_empty()) {
        if let Some(header) = line.strip_prefix(COMMIT) {
            let [hash, time, subject] = three(header)?;
            commits.push(Commit { hash, time, subject, files: Vec::new() });
            continue;
        }
        let commit = commits.last_mut().ok_or("git did not begin with a commit")?;
        if let Some(raw) = line.strip_prefix(':') {
            let (modes, path) = raw.split_once('\t').ok_or("a raw line without a path")?;
            let event_type = match modes.chars().last() {
                Some('A') => "file_added",
                Some('D') => "file_removed",
                _ => "file_changed",
            };
            commit.files.push(File { path: path.to_owned(), event_type, added: None, removed: None });
        } else {
            let [added, removed, path] = three(line)?;
            let file = commit.files.iter_mut().find(|file| file.path == path).ok_or("numbers for an unknown file")?;
            (file.added, file.removed) = (added.parse().ok(), removed.parse().ok());
        }
    }
    Ok(commits)
}

/// The three parts of a line between tabs; the last one may hold more of them.
fn three(line: &str) -> Result<[String; 3], Box<dyn Error>> {
    let parts: Vec<String> = line.splitn(3, '\t').map(str::to_owned).collect();
    parts.try_into().map_err(|_| format!("unexpected line from git: {line:?}").into())
}
