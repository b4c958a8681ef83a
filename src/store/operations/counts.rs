//! How many of something an owner has, kept beside it. To count the keys would cost the more the more there are, and all
//! changes of everybody wait behind one another.

use crate::store::StoreError;
use crate::store::key_value::tables::NUMBERS;
use crate::store::key_value::{Read, Transaction};

/// What is counted, by owner.
pub(in crate::store) struct Count(&'static str);

/// Client uid or key: what was spent.
pub(in crate::store) const SPENT_JTIS: Count = Count("spent jtis");
/// Client uid: pushed authorization requests that wait.
pub(in crate::store) const PUSHED_REQUESTS: Count = Count("pushed requests");
/// Client uid: device codes.
pub(in crate::store) const DEVICE_CODES: Count = Count("device codes");
/// Grant id: refresh tokens that were spent in haste. The first version did not count them: of its grants up to twice as many
/// are kept.
pub(in crate::store) const HASTY_TOKENS: Count = Count("hasty tokens");
/// Client uid: logout notices.
pub(in crate::store) const LOGOUT_NOTICES: Count = Count("logout notices");

impl Count {
    pub(in crate::store) fn of(&self, view: &dyn Read, owner: &[u8]) -> Result<u64, StoreError> {
        Ok(NUMBERS.get(view, &[&self.key(owner)])?.unwrap_or(0))
    }

    pub(in crate::store) fn one_more(
        &self,
        transaction: &mut dyn Transaction,
        owner: &[u8],
    ) -> Result<(), StoreError> {
        let count = self.of(transaction, owner)?.saturating_add(1);
        NUMBERS.put(transaction, &[&self.key(owner)], &count)
    }

    /// An owner without any leaves nothing behind.
    pub(in crate::store) fn one_less(
        &self,
        transaction: &mut dyn Transaction,
        owner: &[u8],
    ) -> Result<(), StoreError> {
        match self.of(transaction, owner)?.saturating_sub(1) {
            0 => NUMBERS.delete(transaction, &[&self.key(owner)]),
            count => NUMBERS.put(transaction, &[&self.key(owner)], &count)?,
        }
        Ok(())
    }

    /// The owner ends, with all that it has.
    pub(in crate::store) fn forget(&self, transaction: &mut dyn Transaction, owner: &[u8]) {
        NUMBERS.delete(transaction, &[&self.key(owner)]);
    }

    fn key(&self, owner: &[u8]) -> Vec<u8> {
        [self.0.as_bytes(), owner].join(&b' ')
    }
}
