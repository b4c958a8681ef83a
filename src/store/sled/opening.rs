//! The way in: sled panics on damage, and its own errors say little; here each becomes one line.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use ::sled::{Db, Tree};
use thiserror::Error;

use super::SledSettings;
use super::folder::Folder;
use crate::clock::Timestamp;
use crate::store::operations::epoch;

/// Why a store was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "unable to open the store `{path}`: another process uses it; stop that one, or give this one a folder of its own"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Something else's folder.
    #[error(
        "unable to open the store `{path}`: the folder holds `{found}` and is not a store of claviger; give an empty folder or one that does not exist yet"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A store that this version does not know.
    #[error(
        "unable to open the store `{path}`: it has version {found} and this claviger reads version {known}; use the claviger that wrote it"
    )]
    Version {
        /// The folder.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// What was written is not there.
    #[error(
        "unable to open the store `{path}`: it is damaged ({reason}); restore a backup, or start with --recover-store: what is there is moved aside, clients and users are registered again from the cluster, and everybody signs in again"
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file system refuses.
    #[error(
        "unable to open the store `{path}`: {reason}; it must be a folder on a writable disk that belongs to the user claviger runs as"
    )]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl OpenError {
    pub(super) fn unusable(path: &Path, error: &io::Error) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: one_line(&error.to_string()),
        }
    }

    pub(super) fn damaged(path: &Path, reason: &str) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: one_line(reason),
        }
    }
}

/// What was opened.
pub(super) struct Opened {
    pub(super) folder: Folder,
    pub(super) database: Db,
    pub(super) tree: Tree,
    /// Our own handle of sled's file, for `fdatasync`.
    pub(super) file: File,
    /// The number of the last batch.
    pub(super) sequence: u64,
}

/// Opens the folder, and everything in it once, so that damage shows now.
pub(super) fn open(settings: &SledSettings) -> Result<Opened, OpenError> {
    let path = &settings.path;
    let folder = Folder::lock(path)?;
    let expected = folder.prepare()?;
    let (database, sequence) = without_panic_message(|| open_database(&folder, settings))
        .unwrap_or_else(|panic| Err(OpenError::damaged(path, &panic)))?;
    if sequence < expected.unwrap_or(0) {
        return Err(OpenError::damaged(path, "its latest records are missing"));
    }
    let file = File::open(folder.database_file()).map_err(|error| OpenError::unusable(path, &error))?;
    Ok(Opened {
        folder,
        tree: (*database).clone(),
        database,
        file,
        sequence,
    })
}

/// Moves what makes `path` a store aside, within it, so that the next opening begins an empty one. Gives where it is now.
pub(super) fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, OpenError> {
    Folder::lock(path)?
        .move_aside(now)
        .map_err(|error| OpenError::unusable(path, &error))
}

fn open_database(folder: &Folder, settings: &SledSettings) -> Result<(Db, u64), OpenError> {
    let refusal = |error: ::sled::Error| refusal(&settings.path, error);
    let database = ::sled::Config::new()
        .path(folder.sled())
        .cache_capacity(settings.cache_capacity)
        .flush_every_ms(None)
        .open()
        .map_err(refusal)?;
    // Reads every page, which sled checks against its checksum, and fills the cache.
    for entry in database.iter() {
        entry.map_err(refusal)?;
    }
    let tree: &Tree = &database;
    let sequence =
        epoch::sequence(tree).map_err(|error| OpenError::damaged(&settings.path, &error.to_string()))?;
    Ok((database, sequence))
}

fn refusal(path: &Path, error: ::sled::Error) -> OpenError {
    match error {
        // sled gives its lock failure as text only.
        ::sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            OpenError::InUse {
                path: path.to_owned(),
            }
        }
        ::sled::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            OpenError::damaged(path, &error.to_string())
        }
        ::sled::Error::Io(error) => OpenError::unusable(path, &error),
        other => OpenError::damaged(path, &other.to_string()),
    }
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `open`; a panic in it is its message, which is not printed.
fn without_panic_message<T>(open: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !SILENT.get() {
                usual(panic);
            }
        }));
    });
    SILENT.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(open));
    SILENT.set(false);
    outcome.map_err(|panic| panic_message(panic.as_ref()))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("sled panicked").to_owned()
}

/// sled's messages may hold line breaks and whole structures.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
