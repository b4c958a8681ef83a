//! The memory back end: for tests and trials. Everything is gone when it is dropped.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::StoreError;
use super::key_value::overlay::Overlay;
use super::key_value::{Engine, Entries, Read, Transaction};
use crate::clock::{Clock, Timestamp};

type Tree = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store in memory.
pub struct MemoryStore {
    tree: Mutex<Tree>,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            tree: Mutex::default(),
            clock,
        }
    }

    // A transaction that panicked wrote nothing to the tree, so a poisoned lock guards a consistent one.
    fn with_tree<T>(&self, run: impl FnOnce(&mut Tree) -> T) -> T {
        run(&mut self.tree.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Engine for MemoryStore {
    async fn read<T, F>(&self, view: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read, Timestamp) -> Result<T, StoreError> + Send + 'static,
    {
        self.with_tree(|tree| view(tree, self.clock.now()))
    }

    async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Transaction, Timestamp) -> Result<T, StoreError> + Send + 'static,
    {
        self.with_tree(|tree| {
            let mut transaction = Overlay::new(tree);
            let outcome = change(&mut transaction, self.clock.now())?;
            for (key, value) in transaction.into_writes() {
                match value {
                    Some(value) => tree.insert(key, value),
                    None => tree.remove(&key),
                };
            }
            Ok(outcome)
        })
    }
}

impl Read for Tree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        Ok(self
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}
