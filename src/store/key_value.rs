//! A small transactional key-value abstraction: what the operations are written over, once for memory and sled alike.
//!
//! It owns how records become bytes under typed keys and how writes stay apart until a transaction commits. It knows no
//! rule about clients, grants or tokens; those are in [`super::operations`].

pub(super) mod document;
mod memo;
pub(super) mod overlay;
pub(super) mod table;
pub(super) mod tables;

use std::future::Future;

use super::StoreError;
use crate::clock::Timestamp;

/// Keys with their values, in the order of the keys.
pub(super) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A consistent view of the records.
pub(super) trait Read {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` entries with `from <= key < to`, in order.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError>;
}

/// A view that can be written. What is written is seen by later reads of the same transaction, and by nobody else until
/// the transaction commits as a whole.
pub(super) trait Transaction: Read {
    /// Stores `value` under `key`.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>);

    /// Removes `key`.
    fn delete(&mut self, key: Vec<u8>);
}

/// What runs transactions one after another. Whatever is an engine is a [`super::Store`].
pub(super) trait Engine: Send + Sync + 'static {
    /// Runs `view` on what is committed.
    fn read<T, F>(&self, view: F) -> impl Future<Output = Result<T, StoreError>> + Send
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read, Timestamp) -> Result<T, StoreError> + Send + 'static;

    /// Runs `change` alone and commits what it wrote, durably, if it succeeds; otherwise nothing is written.
    fn write<T, F>(&self, change: F) -> impl Future<Output = Result<T, StoreError>> + Send
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Transaction, Timestamp) -> Result<T, StoreError> + Send + 'static;
}
