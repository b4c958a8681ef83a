//! A small shell that outlives us by a moment: it knows our process groups and folders from a pipe, and when the pipe
//! closes, because we ended in whatever way, it kills and removes those that are left.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

static KEEPER: Mutex<Option<Child>> = Mutex::new(None);

const SCRIPT: &str = r#"
trap '' INT TERM HUP
declare -A groups folders
while IFS=' ' read -r verb what; do
  case $verb in
    group) groups[$what]=1 ;;
    no-group) unset "groups[$what]" ;;
    folder) folders[$what]=1 ;;
    no-folder) unset "folders[$what]" ;;
  esac
done
for group in "${!groups[@]}"; do kill -KILL -- "-$group"; done
for group in "${!groups[@]}"; do
  for _ in {1..200}; do kill -0 -- "-$group" || break; sleep 0.02; done
done
for folder in "${!folders[@]}"; do
  for _ in {1..50}; do rm -rf -- "$folder" && break; sleep 0.1; done
done
"#;

pub(super) fn hold_group(group: u32) {
    tell(&format!("group {group}"));
}

pub(super) fn release_group(group: u32) {
    tell(&format!("no-group {group}"));
}

pub(crate) fn hold_folder(folder: &Path) {
    tell(&format!("folder {}", folder.display()));
}

pub(crate) fn release_folder(folder: &Path) {
    tell(&format!("no-folder {}", folder.display()));
}

/// Ends the keeper and waits until it has cleaned up; for a program that is about to exit.
pub fn finish() {
    let keeper = KEEPER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    if let Some(mut keeper) = keeper {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

fn tell(line: &str) {
    let mut keeper = KEEPER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if keeper.is_none() {
        *keeper = start();
    }
    if let Some(pipe) = keeper.as_mut().and_then(|keeper| keeper.stdin.as_mut()) {
        // A pipe holds such a line whole. If the keeper is gone, two of the three nets are left.
        let _ = writeln!(pipe, "{line}");
    }
}

/// In a group of its own, so that a Ctrl-C or a `kill` of our group reaches us and not the keeper.
fn start() -> Option<Child> {
    Command::new("bash")
        .args(["-c", SCRIPT, "testbed-keeper"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()
}
