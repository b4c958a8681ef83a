//! What only the embedded back end promises: durability, and a way in that never begins anew by silence.

mod damage;
mod disk;
mod durability;
mod power_cut;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use claviger::store::Store;
use claviger::store::sled::{OpenError, SledSettings, SledStore};

use crate::clock::TestClock;

/// Opens the folder as a new process does. In this one, sled's threads and a child between `fork` and `exec` may hold a
/// lock for a moment after a store was dropped, so a folder in use is tried again.
fn open(path: &Path) -> Result<SledStore, OpenError> {
    let mut outcome = open_once(path);
    for _ in 0..500 {
        if !matches!(outcome, Err(OpenError::InUse { .. })) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        outcome = open_once(path);
    }
    outcome
}

/// Opens the folder; the store may fail only if the test says so.
fn open_once(path: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(
        SledSettings::at(path),
        Arc::new(TestClock::new()),
        Box::new(|reason| panic!("the store failed: {reason}")),
    )
}

/// As [`open`], with what replaces `fdatasync` and a receiver of the failure.
fn open_with_sync(
    path: &Path,
    sync: impl Fn(&std::fs::File) -> std::io::Result<()> + Send + 'static,
) -> (SledStore, Receiver<String>) {
    let (failed, failure) = channel();
    let settings = SledSettings {
        sync: Box::new(sync),
        ..SledSettings::at(path)
    };
    let on_failure = Box::new(move |reason: &str| failed.send(reason.to_owned()).unwrap());
    let store = SledStore::open(settings, Arc::new(TestClock::new()), on_failure).unwrap();
    (store, failure)
}

/// Everything that can be listed.
async fn contents(store: &dyn Store) -> String {
    let clients = store.clients().await.unwrap();
    let users = store.users().await.unwrap();
    format!("{clients:?} {users:?}")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
