//! The one thread that writes.
//!
//! It takes all operations that wait, runs them one after another over the batch so far and the tree (so that each
//! compare-and-set is serial by construction), then: apply the batch, flush, `fdatasync`, acknowledge all. An error in
//! any of the three leaves the disk in a state that nobody knows, so it ends everything and is never tried again.
//!
//! A disk that fills up is no such error, since it is looked at first: with less room than the reserve nothing is
//! written, operations that would write fail, and reads go on.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use ::sled::{Batch, Db, Tree};
use tokio::sync::{RwLock, mpsc, oneshot};

use super::folder::Folder;
use super::{FreeSpace, Sync};
use crate::clock::{Clock, Timestamp};
use crate::store::StoreError;
use crate::store::key_value::Transaction;
use crate::store::key_value::overlay::{Overlay, Writes};
use crate::store::operations::epoch;

/// The most operations in one batch, so that the first of them does not wait for ever.
const BATCH: usize = 1024;

/// After this many batches the folder is told what it must hold, so that no more than these can be lost unseen.
const MARK_EVERY: u64 = 1024;

/// Tells a caller what came of its operation, once the batch is durable or has failed.
type Acknowledgement = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Runs in a transaction of its own; says whether its writes are to be kept.
pub(super) type Operation =
    Box<dyn FnOnce(&mut dyn Transaction, Timestamp) -> (bool, Acknowledgement) + Send>;

/// What the committer is asked to do.
pub(super) enum Message {
    /// Run this.
    Write(Operation),
    /// Mark a clean stop, and stop.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// An operation that runs `change` and answers with its outcome.
pub(super) fn operation<T, F>(change: F, answer: oneshot::Sender<Result<T, StoreError>>) -> Operation
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Transaction, Timestamp) -> Result<T, StoreError> + Send + 'static,
{
    Box::new(move |transaction, now| {
        if answer.is_closed() {
            // The caller was told that the disk is slow, or has gone away: it must be able to come again.
            return (false, Box::new(|_| ()));
        }
        let outcome = change(transaction, now);
        let keep = outcome.is_ok();
        let acknowledge: Acknowledgement = Box::new(move |committed| {
            // A caller that has gone away does not want to know.
            answer.send(committed.and(outcome)).ok();
        });
        (keep, acknowledge)
    })
}

/// See the module documentation.
pub(super) struct Committer {
    pub(super) tree: Tree,
    pub(super) database: Db,
    /// Our own handle of sled's file.
    pub(super) file: File,
    pub(super) sync: Sync,
    pub(super) free_space: FreeSpace,
    pub(super) reserve: u64,
    /// Why nothing can be written at the moment, if so.
    pub(super) full: Option<String>,
    /// Whether this start has been noted. On a full disk that waits for the first write.
    pub(super) epoch_begun: bool,
    /// Counts batches; kept in each of them.
    pub(super) sequence: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) applying: Arc<RwLock<()>>,
    pub(super) failure: Arc<OnceLock<String>>,
    pub(super) folder: Arc<Folder>,
}

impl Committer {
    /// Notes the start, durably, and what the folder must hold from now on; as soon as there is room for it.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        self.look_for_room();
        if !self.epoch_begun && self.full.is_none() {
            self.commit_alone(|transaction| epoch::begin(transaction).map(drop))?;
            self.epoch_begun = true;
        }
        Ok(())
    }

    /// Finds out whether there is room, and says so when that changes.
    fn look_for_room(&mut self) {
        let full = match (self.free_space)(&self.file) {
            Ok(free) if free >= self.reserve => None,
            Ok(free) => Some(format!(
                "its disk is full ({} MiB are free and {} MiB must stay so)",
                free >> 20,
                self.reserve >> 20
            )),
            Err(error) => Some(format!("unable to find out the room on its disk: {error}")),
        };
        match (&self.full, &full) {
            (None, Some(reason)) => {
                tracing::error!(%reason, "the store takes no writes until there is room: make its disk larger, or free some");
            }
            (Some(_), None) => tracing::info!("the store has room again and takes writes"),
            _ => {}
        }
        self.full = full;
    }

    /// Marks a clean stop.
    fn end_epoch(&mut self) -> Result<(), String> {
        self.commit_alone(epoch::end)
    }

    fn commit_alone(
        &mut self,
        change: impl FnOnce(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), String> {
        let mut batch = Overlay::new(&self.tree);
        change(&mut batch).map_err(|error| error.to_string())?;
        let writes = batch.into_writes();
        self.commit(writes)?;
        self.mark()
    }

    fn mark(&self) -> Result<(), String> {
        self.folder
            .mark_ready(self.sequence)
            .map_err(|error| format!("failed to write its state: {error}"))
    }

    /// Works until closed, dropped or failed.
    pub(super) fn run(
        mut self,
        mut waiting: mpsc::Receiver<Message>,
        on_failure: Box<dyn FnOnce(&str) + Send>,
    ) {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            while let Some(first) = waiting.blocking_recv() {
                if self.round(first, &mut waiting)?.is_break() {
                    break;
                }
            }
            Ok(())
        }));
        let failed = match worked {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(_) => "an operation panicked".to_owned(),
        };
        let reason = self.failure.get_or_init(|| failed).clone();
        // Dropped, sled would flush and sync once more, and panic where it cannot: what the disk holds stays as it is.
        std::mem::forget(self.database.clone());
        // Senders see the queue closed, and what waits in it is answered by being dropped.
        drop(waiting);
        on_failure(&reason);
    }

    /// One batch.
    fn round(
        &mut self,
        first: Message,
        waiting: &mut mpsc::Receiver<Message>,
    ) -> Result<std::ops::ControlFlow<()>, String> {
        self.begin().inspect_err(|reason| {
            self.failure.get_or_init(|| reason.clone());
        })?;
        let mut acknowledgements = Vec::new();
        let mut close = None;
        let tree = self.tree.clone();
        let mut batch = Overlay::new(&tree);
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Write(operation) => {
                    let mut transaction = Overlay::new(&batch);
                    let (keep, acknowledge) = operation(&mut transaction, self.clock.now());
                    let writes = transaction.into_writes();
                    if keep {
                        batch.merge(writes);
                    }
                    acknowledgements.push(acknowledge);
                }
                Message::Close(done) => {
                    close = Some(done);
                    break;
                }
            }
            next = (acknowledgements.len() < BATCH)
                .then(|| waiting.try_recv().ok())
                .flatten();
        }
        let writes = batch.into_writes();
        let refusal = self.full.clone().filter(|_| !writes.is_empty());
        let committed = match &refusal {
            Some(_) => Ok(()),
            None => self.settle(writes),
        };
        let told = refusal.map_or_else(|| committed.clone(), Err);
        for acknowledge in acknowledgements {
            acknowledge(told.clone().map_err(StoreError::Unavailable));
        }
        committed?;
        let Some(done) = close else {
            return Ok(std::ops::ControlFlow::Continue(()));
        };
        waiting.close();
        // On a full disk the end is that of a crash, which costs the codes of the last minute.
        let ended = match self.full {
            Some(_) => Ok(()),
            None => self.end_epoch(),
        };
        done.send(ended.clone().map_err(StoreError::Unavailable)).ok();
        ended?;
        Ok(std::ops::ControlFlow::Break(()))
    }

    /// Commits, and on failure makes that known before anybody hears of it.
    fn settle(&mut self, writes: Writes) -> Result<(), String> {
        if writes.is_empty() {
            return Ok(());
        }
        let committed = self.commit(writes).and_then(|()| {
            if self.sequence.is_multiple_of(MARK_EVERY) {
                self.mark()?;
            }
            Ok(())
        });
        committed.inspect_err(|reason| {
            self.failure.get_or_init(|| reason.clone());
        })
    }

    /// Applies, flushes and syncs.
    fn commit(&mut self, writes: Writes) -> Result<(), String> {
        self.sequence = self.sequence.saturating_add(1);
        let mut numbered = Overlay::new(&self.tree);
        numbered.merge(writes);
        epoch::put_sequence(&mut numbered, self.sequence).map_err(|error| error.to_string())?;
        let mut batch = Batch::default();
        for (key, value) in numbered.into_writes() {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        {
            // At the start nobody reads yet, and whoever opens the store may not be allowed to wait.
            let _alone = match self.applying.try_write() {
                Ok(alone) => alone,
                Err(_) => self.applying.blocking_write(),
            };
            self.tree
                .apply_batch(batch)
                .map_err(|error| format!("failed to apply a batch to the database: {error}"))?;
        }
        self.database
            .flush()
            .map_err(|error| format!("failed to flush the database: {error}"))?;
        (self.sync)(&self.file).map_err(|error| format!("failed to sync the database file: {error}"))
    }
}
