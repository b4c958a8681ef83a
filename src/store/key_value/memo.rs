//! Records as they were last decoded, for the kinds that nearly every request reads.
//!
//! Decoding depends on nothing but the bytes, and those are read from the store and compared each time: what is remembered is
//! never old, whichever store and transaction they come from. It only spares parsing the same JSON again, which takes
//! several times as long as copying what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::store::StoreError;

/// So many records are remembered; then it begins anew.
const MOST: usize = 512;

/// A longer one is not remembered: who may make resources must not fill the memory.
const LONGEST: usize = 8 * 1024;

struct Remembered<T> {
    bytes: Vec<u8>,
    record: Arc<T>,
}

/// What is remembered of one kind of record, by key.
pub(in crate::store) struct Memo<T> {
    remembered: RwLock<BTreeMap<Vec<u8>, Remembered<T>>>,
    copy: fn(&T) -> T,
}

impl<T> Memo<T> {
    /// Nothing yet.
    pub(in crate::store) const fn new() -> Self
    where
        T: Clone,
    {
        Self {
            remembered: RwLock::new(BTreeMap::new()),
            copy: T::clone,
        }
    }

    /// What `decode` makes of `bytes`, which stand under `key`.
    pub(super) fn decoded(
        &self,
        key: Vec<u8>,
        bytes: Vec<u8>,
        decode: impl FnOnce(&[u8], &[u8]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(record) = self.recall(&key, &bytes) {
            return Ok((self.copy)(&record));
        }
        let record = decode(&key, &bytes)?;
        if bytes.len() <= LONGEST {
            let copy = Arc::new((self.copy)(&record));
            self.remember(key, Remembered { bytes, record: copy });
        }
        Ok(record)
    }

    fn remember(&self, key: Vec<u8>, record: Remembered<T>) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST && !remembered.contains_key(&key) {
            remembered.clear();
        }
        remembered.insert(key, record);
    }

    /// The caller copies it, once the lock is released.
    fn recall(&self, key: &[u8], bytes: &[u8]) -> Option<Arc<T>> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let known = remembered.get(key).filter(|known| known.bytes == bytes)?;
        Some(Arc::clone(&known.record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(memo: &Memo<String>, key: usize, bytes: &str) -> (String, bool) {
        let mut decoded = false;
        let decode = |_: &[u8], bytes: &[u8]| {
            decoded = true;
            Ok(String::from_utf8(bytes.to_vec()).unwrap())
        };
        let key = key.to_be_bytes().to_vec();
        let record = memo.decoded(key, bytes.into(), decode).unwrap();
        (record, decoded)
    }

    #[test]
    fn the_same_bytes_are_decoded_once_and_others_again() {
        let memo = Memo::new();
        assert_eq!(decoded(&memo, 1, "a"), ("a".to_owned(), true));
        assert_eq!(decoded(&memo, 1, "a"), ("a".to_owned(), false));
        assert_eq!(decoded(&memo, 2, "a"), ("a".to_owned(), true), "another key");
        assert_eq!(decoded(&memo, 1, "b"), ("b".to_owned(), true), "a change");
        assert_eq!(decoded(&memo, 1, "a"), ("a".to_owned(), true), "and back");
    }

    #[test]
    fn rule_88_it_does_not_grow() {
        let memo = Memo::new();
        for key in 0..=MOST {
            decoded(&memo, key, "a");
        }
        let kept = || memo.remembered.read().unwrap().len();
        assert_eq!(kept(), 1);
        for key in 0..MOST - 1 {
            decoded(&memo, key, "a");
        }
        assert_eq!(decoded(&memo, 0, "b"), ("b".to_owned(), true), "a change");
        assert_eq!(kept(), MOST);
        let long = "a".repeat(LONGEST + 1);
        for _ in 0..2 {
            assert_eq!(decoded(&memo, 0, &long), (long.clone(), true));
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_not_remembered() {
        let memo: Memo<String> = Memo::new();
        for _ in 0..2 {
            let error = || StoreError::Unavailable("damaged".to_owned());
            memo.decoded(vec![1], vec![2], |_, _| Err(error())).unwrap_err();
        }
    }
}
