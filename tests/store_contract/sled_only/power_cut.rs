//! Power cuts: what reached the disk is recorded, and put together again as a disk may hold it after a cut at any point.
//! Then the store has to open in a new process, and to hold everything that was acknowledged before the cut.
//!
//! A disk keeps what was synced. Of what was not, a cut leaves nothing, everything, the beginning with the last write
//! torn, or any sectors of 512 bytes in any order. Names of files in a folder appear and vanish in the order in which
//! they were changed, as journals keep it, and are certain once the folder was synced. Not covered: a disk that says that
//! it has synced and has not, or that forgets what it held before (a worn-out or lying one), a file system that breaks at
//! the cut, and the few instructions between the operating system and this program.

mod record;
mod verdict;
mod workload;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testbed::disk::Disk;
use testbed::scale;

use self::record::{Cut, Entry, Random};

const STORE: &str = "CLAVIGER_TEST_STORE_OF_THE_POWER_CUT";
const NOTES: &str = "CLAVIGER_TEST_NOTES_OF_THE_POWER_CUT";
const FIRST: &str = "CLAVIGER_TEST_FIRST_NUMBER";
const UNSYNCED: &str = "CLAVIGER_TEST_UNSYNCED";

/// The process whose disk is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "another test starts it"]
async fn victim() {
    let (store, notes) = (path_of(STORE), path_of(NOTES));
    let first = std::env::var(FIRST).unwrap().parse().unwrap();
    workload::run(&store, &notes, first, std::env::var_os(UNSYNCED).is_none()).await;
}

/// The process that opens what a cut has left.
#[tokio::test]
#[ignore = "another test starts it"]
async fn judge() {
    // What sled says about damage.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    for lost in verdict::of(&path_of(STORE), &path_of(NOTES)).await {
        println!("lost: {lost}");
    }
    println!("judged");
}

fn path_of(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap().into()
}

fn this_program(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("sled_only::power_cut::{test}")])
        .args(["--ignored", "--nocapture"])
        .stdin(Stdio::null());
    command
}

/// What a store was made to do, twice over: the first life ends by kill -9 between two calls to the disk.
struct Recording {
    folder: TempDir,
    entries: Vec<Entry>,
}

impl Recording {
    fn make(synced: bool, calls_of_the_first_life: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Names in the record are without links.
        let root = folder.path().canonicalize().unwrap();
        let (store, record) = (root.join("store"), root.join("record"));
        let notes = root.join("notes");
        let disk = Disk::new(&store, &root.join("control"))
            .unwrap()
            .recorded(&record, &notes);
        let live = |first: &str| {
            let mut command = this_program("victim");
            command
                .envs(disk.environment())
                .env(STORE, &store)
                .env(NOTES, &notes)
                .env(FIRST, first);
            if !synced {
                command.env(UNSYNCED, "1");
            }
            command.output().unwrap()
        };
        disk.kill_after(Some(calls_of_the_first_life)).unwrap();
        let first = live("0");
        assert!(!first.status.success(), "the first life ended by itself");
        disk.kill_after(None).unwrap();
        let second = live("1000000");
        let said = String::from_utf8_lossy(&second.stdout);
        assert!(
            second.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&second.stderr)
        );
        let entries = record::read(&record);
        // Replayed to its end the record gives the files as they are: nothing has passed it by.
        record::compare(&record::replay(&entries, &Cut::none(entries.len())), &store);
        Self { folder, entries }
    }

    /// What is lost after this cut, or that the store did not open.
    fn losses_after(&self, cut: &Cut) -> Vec<String> {
        let place = tempfile::tempdir_in(self.folder.path()).unwrap();
        let original = self.folder.path().canonicalize().unwrap().join("store");
        let store = place.path().join("store");
        record::replay(&self.entries, cut).write(&original, &store);
        let notes = place.path().join("notes");
        std::fs::write(&notes, record::notes(&self.entries[..cut.at])).unwrap();
        let output = this_program("judge")
            .env(STORE, &store)
            .env(NOTES, &notes)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let mut lost: Vec<String> = said
            .lines()
            .filter(|line| line.starts_with("lost: "))
            .map(str::to_owned)
            .collect();
        if !said.lines().any(|line| line == "judged") {
            let panic = String::from_utf8_lossy(&output.stderr);
            lost.push(format!(
                "did not open: {}",
                panic.chars().take(2000).collect::<String>()
            ));
        }
        lost
    }
}

/// 25 cuts, or 5 where there is little time: the store opens after each, and nothing that was acknowledged is lost.
#[test]
fn a_power_cut_forgets_nothing_acknowledged() {
    let seed = scale::seed().unwrap();
    let cuts = scale::count(5, 25);
    let mut random = Random::new(seed);
    let recording = Recording::make(true, 60 + random.below(80));
    let (mut lost, mut acknowledged, mut unopened) = (Vec::new(), 0, 0);
    for number in 0..cuts {
        let cut = Cut::draw(number, &recording.entries, &mut random);
        acknowledged += record::acknowledged(&recording.entries[..cut.at]);
        let losses = recording.losses_after(&cut);
        unopened += losses
            .iter()
            .filter(|loss| loss.starts_with("did not open"))
            .count();
        lost.extend(losses.into_iter().map(|loss| format!("{cut:?}: {loss}")));
    }
    println!(
        "power cuts (TEST_SEED={seed}): {cuts} cuts in a record of {} calls; {acknowledged} acknowledged operations looked \
         for, {} lost; {unopened} stores did not open",
        recording.entries.len(),
        lost.len() - unopened,
    );
    assert!(acknowledged > 0, "no cut was after an acknowledgement");
    assert!(lost.is_empty(), "TEST_SEED={seed}: {lost:#?}");
}

/// The same cuts find what is wrong with a store that does not sync its database file: without this, the other test
/// would prove nothing.
#[test]
fn a_store_that_does_not_sync_is_found_out() {
    let seed = scale::seed().unwrap();
    let mut random = Random::new(seed);
    let recording = Recording::make(false, 60 + random.below(80));
    let (mut cuts, mut unopened, mut lost) = (0, 0, Vec::new());
    while cuts < 24 && lost.is_empty() {
        let mut cut = Cut::draw(cuts, &recording.entries, &mut random);
        // sled itself syncs when it opens, so early in a life there is little to lose.
        cut.at = cut.at.max(recording.entries.len() * 3 / 4);
        cuts += 1;
        let (not_open, forgotten): (Vec<_>, Vec<_>) = recording
            .losses_after(&cut)
            .into_iter()
            .partition(|loss| loss.starts_with("did not open"));
        unopened += not_open.len();
        lost.extend(forgotten);
    }
    println!(
        "power cuts without syncs (TEST_SEED={seed}): after {cuts} cuts {} acknowledged operations were lost, and {unopened} \
         stores did not open",
        lost.len()
    );
    assert!(!lost.is_empty(), "TEST_SEED={seed}: nothing was lost");
}

/// A cut that takes everything unsynced of one file and keeps it of another is made from the record as it says.
#[test]
fn a_cut_leaves_what_was_synced() {
    let folder = Path::new("/x");
    let entry = |kind, path: &str, place, data: &[u8]| Entry {
        kind,
        path: folder.join(path),
        place,
        data: data.to_vec(),
    };
    let entries = [
        entry(b'f', "", 0, b""),
        entry(b'c', "a", 0, b""),
        entry(b'w', "a", 0, b"synced"),
        entry(b's', "a", 0, b""),
        entry(b's', "", 0, b""),
        entry(b'w', "a", 6, b" and not"),
        entry(b'c', "b", 0, b""),
        entry(b'r', "a", 0, b"/x/c"),
    ];
    let left = |at, mode| record::replay(&entries, &Cut { at, mode, seed: 1 }).names();
    assert_eq!(left(8, 0), ["a=synced"]);
    assert_eq!(left(8, 1), ["b=", "c=synced and not"]);
    assert_eq!(left(4, 0), Vec::<String>::new());
    assert_eq!(left(4, 1), ["a=synced"]);
    assert_eq!(left(5, 0), ["a=synced"]);
    assert_eq!(left(6, 1), ["a=synced and not"]);
}
