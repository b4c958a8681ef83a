//! Proves that the store takes writes.

use crate::store::StoreError;
use crate::store::key_value::Transaction;
use crate::store::key_value::tables::NUMBERS;

const PROOFS: &[&[u8]] = &[b"proofs of being writable"];

/// A write that means nothing, as durable as any other.
pub(in crate::store) fn prove(transaction: &mut dyn Transaction) -> Result<(), StoreError> {
    let proofs = NUMBERS.get(transaction, PROOFS)?.unwrap_or(0);
    NUMBERS.put(transaction, PROOFS, &proofs.wrapping_add(1))
}
