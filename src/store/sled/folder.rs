//! The folder around sled's own: who uses it, and what it must hold.
//!
//! ```text
//! lock         locked while a process uses the store
//! store.json   that this is a store, whether it was ever complete, and the number of a batch that it must hold
//! sled/        sled's files
//! damaged-…/   what a recovery has moved aside: a `store.json` and a `sled/` that nobody opens any more
//! ```
//!
//! Without `store.json` sled would take a folder whose files were lost or cut short for a new one: never an empty
//! database by silence.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::opening::OpenError;
use crate::clock::Timestamp;

const VERSION: u64 = 1;
const LOCK: &str = "lock";
const STATE: &str = "store.json";
const STATE_BEING_WRITTEN: &str = "store.json.new";
const SLED: &str = "sled";
/// Begins the name of what was moved aside.
const ASIDE: &str = "damaged-";
/// Ends the name of a snapshot that sled has not finished.
const HALF_SNAPSHOT: &str = ".generating";
/// What a new file system may hold at its root.
const LOST_AND_FOUND: &str = "lost+found";

/// What `store.json` says.
#[derive(Serialize, Deserialize)]
struct State {
    v: u64,
    /// The number of a batch that the database must hold; none while it is being made and holds nothing yet.
    sequence: Option<u64>,
}

/// A folder that this process has locked.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder if need be, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let unusable = |error: &io::Error| OpenError::unusable(path, error);
        create(path).map_err(|error| unusable(&error))?;
        refuse_foreign(path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(|error| unusable(&error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse {
                path: path.to_owned(),
            },
            TryLockError::Error(error) => unusable(&error),
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Prepares the folder for sled. Gives the number of a batch that the database must hold, if it holds anything.
    pub(super) fn prepare(&self) -> Result<Option<u64>, OpenError> {
        let sequence = self.state()?.and_then(|state| state.sequence);
        if sequence.is_none() {
            self.begin_anew()
                .map_err(|error| OpenError::unusable(&self.path, &error))?;
        } else if !self.database_file().exists() {
            return Err(OpenError::damaged(&self.path, "its file `sled/db` is missing"));
        }
        self.remove_half_snapshots()
            .map_err(|error| OpenError::unusable(&self.path, &error))?;
        Ok(sequence)
    }

    /// Moves everything that makes this a store into a folder in it, named by the time, so that the next opening finds
    /// none. It stays on its file system, of which the folder may be the root. `store.json` goes last: an interruption
    /// leaves a store without a database, which is refused, and never an empty one.
    pub(super) fn move_aside(&self, now: Timestamp) -> io::Result<PathBuf> {
        let name = format!("{ASIDE}{}", now.strftime("%Y%m%dT%H%M%SZ"));
        let mut aside = self.path.join(&name);
        let mut number = 1;
        while aside.exists() {
            number += 1;
            aside = self.path.join(format!("{name}-{number}"));
        }
        DirBuilder::new().mode(0o700).create(&aside)?;
        sync_directory(&self.path)?;
        for part in [SLED, STATE] {
            match fs::rename(self.path.join(part), aside.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            sync_directory(&aside)?;
            sync_directory(&self.path)?;
        }
        Ok(aside)
    }

    /// Where sled keeps its files.
    pub(super) fn sled(&self) -> PathBuf {
        self.path.join(SLED)
    }

    /// sled's one file that matters.
    pub(super) fn database_file(&self) -> PathBuf {
        self.sled().join("db")
    }

    /// Notes that the database holds the batch of this number, and makes the names in the folders durable.
    pub(super) fn mark_ready(&self, sequence: u64) -> io::Result<()> {
        // sled never syncs its settings, and does not open a database whose settings a power cut has taken.
        File::open(self.sled().join("conf"))?.sync_all()?;
        sync_directory(&self.sled())?;
        self.write_state(Some(sequence))
    }

    /// Removes what an interrupted creation has left, of which nothing was ever acknowledged.
    fn begin_anew(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.sled()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.write_state(None)
    }

    /// A snapshot that sled was writing when it ended has not got its name yet, and the one before is still there; but
    /// sled would take the half one for its latest, and for damage.
    fn remove_half_snapshots(&self) -> io::Result<()> {
        let entries = match fs::read_dir(self.sled()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(HALF_SNAPSHOT) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<Option<State>, OpenError> {
        let text = match fs::read(self.path.join(STATE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::unusable(&self.path, &error)),
        };
        let state: State = serde_json::from_slice(&text)
            .map_err(|_| OpenError::damaged(&self.path, "its file `store.json` is malformed"))?;
        if state.v != VERSION {
            return Err(OpenError::Version {
                path: self.path.clone(),
                found: state.v,
                known: VERSION,
            });
        }
        Ok(Some(state))
    }

    fn write_state(&self, sequence: Option<u64>) -> io::Result<()> {
        let text = serde_json::to_vec(&State { v: VERSION, sequence })?;
        let new = self.path.join(STATE_BEING_WRITTEN);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(STATE))?;
        sync_directory(&self.path)
    }
}

/// Creates the folder, for nobody else to read, and makes its name durable.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

/// A folder that holds anything at all must be a store.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    let unusable = |error: io::Error| OpenError::unusable(path, &error);
    if path.join(STATE).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        let name = name.to_string_lossy();
        let known = [LOCK, STATE_BEING_WRITTEN, LOST_AND_FOUND];
        if !known.contains(&name.as_ref()) && !name.starts_with(ASIDE) {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
