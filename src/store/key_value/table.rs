//! Typed keys: one prefix for each kind of record and of index, so that no kind can be read as another.

use super::document::Document;
use super::memo::Memo;
use super::{Entries, Read, Transaction};
use crate::store::StoreError;

/// A key of `parts` under `prefix`. Each part carries its length, so that no two lists of parts give one key and a list
/// is a prefix of exactly the keys that begin with it.
fn key(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![prefix];
    for part in parts {
        // Kubernetes bounds every name and uid far below this; a longer part would be cut, never mixed up with others
        // of another length.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        key.extend(length.to_be_bytes());
        key.extend_from_slice(part);
    }
    key
}

/// The first key after every key that begins with `prefix`.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; 64]
}

/// One kind of record.
pub(in crate::store) struct Table<T: 'static> {
    prefix: u8,
    name: &'static str,
    memo: Option<&'static Memo<T>>,
}

impl<T: Document> Table<T> {
    /// Records under `prefix`; `name` is for messages.
    pub(in crate::store) const fn new(prefix: u8, name: &'static str) -> Self {
        Self {
            prefix,
            name,
            memo: None,
        }
    }

    /// The same, for records that are read far more often than written.
    pub(in crate::store) const fn remembering(self, memo: &'static Memo<T>) -> Self {
        Self {
            memo: Some(memo),
            ..self
        }
    }

    /// The record under `parts`.
    pub(in crate::store) fn get(&self, view: &dyn Read, parts: &[&[u8]]) -> Result<Option<T>, StoreError> {
        let key = key(self.prefix, parts);
        let Some(bytes) = view.get(&key)? else {
            return Ok(None);
        };
        let decode = |key: &[u8], bytes: &[u8]| self.decode(key, bytes);
        match self.memo {
            Some(memo) => memo.decoded(key, bytes, decode),
            None => decode(&key, &bytes),
        }
        .map(Some)
    }

    /// Stores the record under `parts`.
    pub(in crate::store) fn put(
        &self,
        transaction: &mut dyn Transaction,
        parts: &[&[u8]],
        record: &T,
    ) -> Result<(), StoreError> {
        let bytes = record.encode().map_err(|reason| self.error(reason))?;
        transaction.put(key(self.prefix, parts), bytes);
        Ok(())
    }

    /// Removes the record under `parts`.
    pub(in crate::store) fn delete(&self, transaction: &mut dyn Transaction, parts: &[&[u8]]) {
        transaction.delete(key(self.prefix, parts));
    }

    /// Every record.
    pub(in crate::store) fn all(&self, view: &dyn Read) -> Result<Vec<T>, StoreError> {
        let from = [self.prefix];
        view.range(&from, &after(&from), usize::MAX)?
            .iter()
            .map(|(key, bytes)| self.decode(key, bytes))
            .collect()
    }

    fn decode(&self, key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
        T::decode(key, bytes).map_err(|reason| self.error(reason))
    }

    // The key is not named: for half of the kinds it is a hash of a secret.
    fn error(&self, reason: String) -> StoreError {
        StoreError::Record {
            key: self.name.to_owned(),
            reason,
        }
    }
}

/// An owner, and one of its items.
type Entry = (Vec<u8>, Vec<u8>);

/// One kind of index: an owner and, in order, its items.
pub(in crate::store) struct Index {
    prefix: u8,
}

impl Index {
    /// Entries under `prefix`.
    pub(in crate::store) const fn new(prefix: u8) -> Self {
        Self { prefix }
    }

    /// Notes that `owner` has `item`.
    pub(in crate::store) fn put(&self, transaction: &mut dyn Transaction, owner: &[u8], item: &[u8]) {
        transaction.put(key(self.prefix, &[owner, item]), Vec::new());
    }

    /// Forgets it.
    pub(in crate::store) fn delete(&self, transaction: &mut dyn Transaction, owner: &[u8], item: &[u8]) {
        transaction.delete(key(self.prefix, &[owner, item]));
    }

    /// Whether `owner` has `item`.
    pub(in crate::store) fn has(
        &self,
        view: &dyn Read,
        owner: &[u8],
        item: &[u8],
    ) -> Result<bool, StoreError> {
        Ok(view.get(&key(self.prefix, &[owner, item]))?.is_some())
    }

    /// What `owner` has.
    pub(in crate::store) fn of(&self, view: &dyn Read, owner: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.first(view, owner, usize::MAX)
    }

    /// Up to `limit` of what `owner` has, in order if the items are of one length.
    pub(in crate::store) fn first(
        &self,
        view: &dyn Read,
        owner: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let from = key(self.prefix, &[owner]);
        let skip = from.len() + size_of::<u16>();
        let entries = view.range(&from, &after(&from), limit)?;
        Ok(entries
            .into_iter()
            .map(|(key, _)| key.get(skip..).unwrap_or_default().to_vec())
            .collect())
    }

    /// The first owner after `owner`, or the first of all, with its first item; owners are ordered by length and then by their
    /// bytes.
    pub(in crate::store) fn next_owner(
        &self,
        view: &dyn Read,
        owner: Option<&[u8]>,
    ) -> Result<Option<Entry>, StoreError> {
        let from = owner.map_or_else(|| vec![self.prefix], |owner| after(&key(self.prefix, &[owner])));
        let found = view.range(&from, &after(&[self.prefix]), 1)?;
        Ok(found.first().and_then(|(key, _)| {
            let (length, rest) = key.get(1..)?.split_first_chunk::<2>()?;
            let (owner, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            Some((owner.to_vec(), rest.get(size_of::<u16>()..)?.to_vec()))
        }))
    }

    /// Up to `limit` entries, of owners before `end` in order. Owners must be of one length.
    pub(in crate::store) fn before(
        &self,
        view: &dyn Read,
        end: &[u8],
        limit: usize,
    ) -> Result<Entries, StoreError> {
        let entries = view.range(&[self.prefix], &key(self.prefix, &[end]), limit)?;
        let start = 1 + size_of::<u16>();
        let middle = start + end.len();
        Ok(entries
            .into_iter()
            .map(|(key, _)| {
                let owner = key.get(start..middle).unwrap_or_default().to_vec();
                let item = key.get(middle + size_of::<u16>()..).unwrap_or_default().to_vec();
                (owner, item)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_parts_differ() {
        assert_ne!(key(b'x', &[b"a", b"bc"]), key(b'x', &[b"ab", b"c"]));
        assert_ne!(key(b'x', &[b"a"]), key(b'x', &[b"a", b""]));
        assert!(key(b'x', &[b"a", b"b"]).starts_with(&key(b'x', &[b"a"])));
        assert!(!key(b'x', &[b"ab", b"b"]).starts_with(&key(b'x', &[b"a"])));
    }

    #[test]
    fn the_end_of_a_prefix_is_after_all_its_keys() {
        assert_eq!(after(&[1, 2]), [1, 3]);
        assert_eq!(after(&[1, u8::MAX]), [2]);
        assert!(after(&[u8::MAX]) > vec![u8::MAX, u8::MAX]);
    }
}
