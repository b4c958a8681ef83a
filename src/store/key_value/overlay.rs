//! Writes that are not committed yet, over the view that they will be committed to.

use std::collections::BTreeMap;

use super::{Entries, Read, Transaction};
use crate::store::StoreError;

/// What a transaction wrote: `None` removes the key.
pub(in crate::store) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A view with changes on top.
pub(in crate::store) struct Overlay<'base> {
    base: &'base dyn Read,
    writes: Writes,
}

impl<'base> Overlay<'base> {
    /// Nothing changed yet.
    pub(in crate::store) fn new(base: &'base dyn Read) -> Self {
        Self {
            base,
            writes: Writes::new(),
        }
    }

    /// What was written.
    pub(in crate::store) fn into_writes(self) -> Writes {
        self.writes
    }

    /// Takes over what a transaction on top of this one wrote.
    pub(in crate::store) fn merge(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }
}

impl Read for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.base.get(key),
        }
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        let written: Vec<_> = self
            .writes
            .range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)))
            .collect();
        if written.is_empty() {
            return self.base.range(from, to, limit);
        }
        // Each key written here hides at most one entry below, so this many entries are enough.
        let below = self.base.range(from, to, limit.saturating_add(written.len()))?;
        let mut merged: BTreeMap<_, _> = below.into_iter().collect();
        for (key, value) in written {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

impl Transaction for Overlay<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }
}
