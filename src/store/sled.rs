//! The embedded back end: sled 0.34, made durable by a committer of our own.
//!
//! sled's `flush` is not durable on Linux: it ends in `sync_file_range`, which commits neither the file system's metadata
//! nor the disk's cache, and a power cut then loses acknowledged writes or the whole database. So all writes go through
//! one [`committer`], which after each flush calls `fdatasync` on a handle of its own, and nobody else flushes. sled also
//! panics on damage and would begin an empty database where files are missing, so [`folder`] and [`opening`] guard the
//! way in. One process at a time.

mod committer;
mod folder;
mod opening;

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use ::sled::Tree;
use tokio::sync::{RwLock, mpsc, oneshot};
use tokio::time::timeout;

use self::committer::{Committer, Message};
use self::folder::Folder;
pub use self::opening::OpenError;
use super::StoreError;
use super::key_value::{Engine, Entries, Read, Transaction};
use crate::clock::{Clock, Timestamp};

/// How many operations may wait for the committer; more callers wait for a place.
const QUEUE: usize = 1024;

/// How long an operation waits for the disk before its caller is told to come again.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Makes the database file durable.
pub type Sync = Box<dyn Fn(&File) -> io::Result<()> + Send>;

/// How many bytes are free on the disk of the database file.
pub type FreeSpace = Box<dyn Fn(&File) -> io::Result<u64> + Send>;

/// Where and how.
pub struct SledSettings {
    /// The folder. It is created if it does not exist.
    pub path: PathBuf,
    /// The most bytes of pages that sled keeps in memory. Below twice the live data it thrashes and grows.
    pub cache_capacity: u64,
    /// How the database file is made durable. Tests count the calls or let one fail.
    pub sync: Sync,
    /// How the room on its disk is found out.
    pub free_space: FreeSpace,
    /// With less room than this nothing is written: sled must never meet a full disk in the middle of a batch.
    pub reserve: u64,
}

impl SledSettings {
    /// The defaults: up to 256 MiB of cache, `fdatasync`, and 64 MiB that stay free.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_capacity: 256 * 1024 * 1024,
            sync: Box::new(File::sync_data),
            free_space: Box::new(free_space),
            reserve: 64 * 1024 * 1024,
        }
    }
}

/// A store in a folder.
pub struct SledStore {
    tree: Tree,
    clock: Arc<dyn Clock>,
    /// Held while a batch is applied, so that no reader sees half of one.
    applying: Arc<RwLock<()>>,
    /// Set when a commit failed; from then on nothing is answered.
    failure: Arc<OnceLock<String>>,
    /// `None` only while dropping.
    queue: Option<mpsc::Sender<Message>>,
    committer: Option<JoinHandle<()>>,
    /// Holds the lock; dropped last.
    _folder: Arc<Folder>,
}

impl SledStore {
    /// Opens or creates the store. Blocks for as long as sled recovers. `on_failure` is called once, from the committer's
    /// thread, when a commit fails: the process must then exit, since what the disk holds is unknown and only a new
    /// start finds out.
    pub fn open(
        settings: SledSettings,
        clock: Arc<dyn Clock>,
        on_failure: Box<dyn FnOnce(&str) + Send>,
    ) -> Result<Self, OpenError> {
        let opened = opening::open(&settings)?;
        let folder = Arc::new(opened.folder);
        let applying = Arc::new(RwLock::const_new(()));
        let failure = Arc::new(OnceLock::new());
        let (queue, waiting) = mpsc::channel(QUEUE);
        let mut committer = Committer {
            tree: opened.tree.clone(),
            database: opened.database,
            file: opened.file,
            sync: settings.sync,
            free_space: settings.free_space,
            reserve: settings.reserve,
            full: None,
            epoch_begun: false,
            sequence: opened.sequence,
            clock: Arc::clone(&clock),
            applying: Arc::clone(&applying),
            failure: Arc::clone(&failure),
            folder: Arc::clone(&folder),
        };
        committer.begin().map_err(|reason| OpenError::Unusable {
            path: settings.path.clone(),
            reason,
        })?;
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || committer.run(waiting, on_failure))
            .map_err(|error| OpenError::unusable(&settings.path, &error))?;
        Ok(Self {
            tree: opened.tree,
            clock,
            applying,
            failure,
            queue: Some(queue),
            committer: Some(thread),
            _folder: folder,
        })
    }

    /// Moves a damaged store aside, into a folder within its own that is named by the time, so that the next opening begins
    /// an empty one. Gives where it is now.
    pub fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, OpenError> {
        opening::move_aside(path, now)
    }

    /// Commits what waits, marks a clean stop and takes no more writes. Without it, the next start takes this one's end
    /// for a crash.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (done, closed) = oneshot::channel();
        self.send(Message::Close(done)).await?;
        closed.await.map_err(|_| self.stopped())?
    }

    /// Whether a commit failed. Nothing is answered from then on, and only a new start finds out what the disk holds.
    pub fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        let Some(queue) = &self.queue else {
            return Err(self.stopped());
        };
        queue.send(message).await.map_err(|_| self.stopped())
    }

    fn slow(&self) -> StoreError {
        match self.failure.get() {
            Some(_) => self.stopped(),
            None => StoreError::Unavailable(format!(
                "its disk has not answered for {} s",
                PATIENCE.as_secs_f32()
            )),
        }
    }

    fn stopped(&self) -> StoreError {
        let reason = self.failure.get().map_or("it is closed", String::as_str);
        StoreError::Unavailable(reason.to_owned())
    }
}

fn free_space(file: &File) -> io::Result<u64> {
    let disk = rustix::fs::fstatvfs(file)?;
    // To the superuser the disk may give more; that is left to others.
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl Drop for SledStore {
    // Waits for the committer, so that the folder can be opened again afterwards.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the store's committer panicked");
        }
    }
}

impl Engine for SledStore {
    async fn read<T, F>(&self, view: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read, Timestamp) -> Result<T, StoreError> + Send + 'static,
    {
        if self.failure.get().is_some() {
            return Err(self.stopped());
        }
        let _whole_batches = timeout(PATIENCE, self.applying.read())
            .await
            .map_err(|_| self.slow())?;
        view(&self.tree, self.clock.now())
    }

    async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Transaction, Timestamp) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let operation = committer::operation(change, answer);
        let committed = async {
            self.send(Message::Write(operation)).await?;
            answered.await.map_err(|_| self.stopped())?
        };
        // Nobody runs an operation whose caller has gone unless it had begun, and then the caller cannot know.
        timeout(PATIENCE, committed).await.map_err(|_| self.slow())?
    }
}

impl Read for Tree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = Tree::get(self, key).map_err(|error| unreadable(&error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        Tree::range::<&[u8], _>(self, (Bound::Included(from), Bound::Excluded(to)))
            .take(limit)
            .map(|entry| match entry {
                Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
                Err(error) => Err(unreadable(&error)),
            })
            .collect()
    }
}

fn unreadable(error: &::sled::Error) -> StoreError {
    StoreError::Unavailable(format!("failed to read from the database: {error}"))
}
