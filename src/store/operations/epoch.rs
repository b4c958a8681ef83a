//! Epochs: each start of a durable back end begins one.
//!
//! After a stop that was not clean, codes of earlier epochs are dead. They live for a minute anyway, and this way no
//! doubt about the last moments before a crash can make a code work twice. A back end that loses everything at its end
//! stays in epoch 0.

use crate::store::StoreError;
use crate::store::key_value::tables::NUMBERS;
use crate::store::key_value::{Read, Transaction};

const EPOCH: &[&[u8]] = &[b"epoch"];
const OLDEST_LIVE: &[&[u8]] = &[b"oldest live epoch"];
const CLEANLY_ENDED: &[&[u8]] = &[b"cleanly ended epoch"];

/// Begins an epoch; gives its number.
pub(in crate::store) fn begin(transaction: &mut dyn Transaction) -> Result<u64, StoreError> {
    let last = current(transaction)?;
    let epoch = last.saturating_add(1);
    if NUMBERS.get(transaction, CLEANLY_ENDED)? != Some(last) {
        NUMBERS.put(transaction, OLDEST_LIVE, &epoch)?;
    }
    NUMBERS.put(transaction, EPOCH, &epoch)?;
    Ok(epoch)
}

/// Marks a clean stop.
pub(in crate::store) fn end(transaction: &mut dyn Transaction) -> Result<(), StoreError> {
    let epoch = current(transaction)?;
    NUMBERS.put(transaction, CLEANLY_ENDED, &epoch)
}

/// The epoch that a code issued now belongs to.
pub(in crate::store) fn current(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(NUMBERS.get(view, EPOCH)?.unwrap_or(0))
}

/// Codes of earlier epochs are dead.
pub(in crate::store) fn oldest_live(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(NUMBERS.get(view, OLDEST_LIVE)?.unwrap_or(0))
}

const SEQUENCE: &[&[u8]] = &[b"sequence"];

/// The number of the last batch that a durable back end committed.
pub(in crate::store) fn sequence(view: &dyn Read) -> Result<u64, StoreError> {
    Ok(NUMBERS.get(view, SEQUENCE)?.unwrap_or(0))
}

/// Numbers the batch that this transaction belongs to.
pub(in crate::store) fn put_sequence(
    transaction: &mut dyn Transaction,
    sequence: u64,
) -> Result<(), StoreError> {
    NUMBERS.put(transaction, SEQUENCE, &sequence)
}
