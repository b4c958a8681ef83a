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

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    /// The base of a test: a map.
    struct Base(BTreeMap<Vec<u8>, Vec<u8>>);

    impl Read for Base {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.get(key).cloned())
        }

        fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
            let inside = |(key, _): &(&Vec<u8>, &Vec<u8>)| from <= key.as_slice() && key.as_slice() < to;
            let entries = self.0.iter().filter(inside).take(limit);
            Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
    }

    proptest! {
        /// What is read through any writes is what a map would hold after them, and so it is through two layers.
        #[test]
        fn an_overlay_reads_as_if_it_were_committed(
            base in btree_map(0..20_u8, any::<u8>(), 0..20),
            writes in vec((0..20_u8, any::<Option<u8>>()), 0..20),
            split in 0..20_usize,
            (from, to, limit) in (0..20_u8, 0..25_u8, 0..25_usize),
        ) {
            let base = Base(base.into_iter().map(|(key, value)| (vec![key], vec![value])).collect());
            let mut expected = Base(base.0.clone());
            let mut lower = Overlay::new(&base);
            for (key, value) in writes.iter().take(split) {
                write(&mut lower, &mut expected, *key, *value);
            }
            let mut upper = Overlay::new(&lower);
            for (key, value) in writes.iter().skip(split) {
                write(&mut upper, &mut expected, *key, *value);
            }
            for key in 0..20 {
                prop_assert_eq!(upper.get(&[key]).unwrap(), expected.get(&[key]).unwrap());
            }
            let (from, to) = (from.min(to), from.max(to));
            let wanted = expected.range(&[from], &[to], limit).unwrap();
            prop_assert_eq!(upper.range(&[from], &[to], limit).unwrap(), wanted.clone());
            let written = upper.into_writes();
            lower.merge(written);
            prop_assert_eq!(lower.range(&[from], &[to], limit).unwrap(), wanted);
        }
    }

    fn write(overlay: &mut Overlay<'_>, expected: &mut Base, key: u8, value: Option<u8>) {
        if let Some(value) = value {
            overlay.put(vec![key], vec![value]);
            expected.0.insert(vec![key], vec![value]);
        } else {
            overlay.delete(vec![key]);
            expected.0.remove([key].as_slice());
        }
    }
}
