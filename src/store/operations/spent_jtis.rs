//! What clients signed that counts once, by its `jti`, for as long as it could be presented again.
//!
//! How many are remembered of a client, or of a key that came with what it signed, is counted and capped. At the cap the
//! next one is refused: to forget one would let it count a second time.

use crate::clock::Timestamp;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::tables::{SPENT_JTIS, SPENT_JTIS_OF_CLIENT, SpentJti};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::counts;
use crate::store::operations::expiry::{self, ordered};
use crate::store::{SpendJti, StoreError};

/// How many whose time is over make room when one comes: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: usize = 4;

pub(in crate::store) fn spend(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    jti: &TokenHash,
    spent: &SpentJti,
    capacity: u64,
) -> Result<SpendJti, StoreError> {
    let uid = &spent.client_uid;
    forget_some(transaction, now, uid)?;
    if let Some(known) = by_key(transaction, jti)? {
        if now < known.forget_at {
            return Ok(SpendJti::Replayed);
        }
        forget(transaction, jti, &known)?;
    }
    if counts::SPENT_JTIS.of(transaction, owner(uid))? >= capacity {
        let first = first(transaction, uid, 1)?.pop();
        return Ok(SpendJti::Full(first.map_or(now, |(_, spent)| spent.forget_at)));
    }
    counts::SPENT_JTIS.one_more(transaction, owner(uid))?;
    SPENT_JTIS_OF_CLIENT.put(transaction, owner(uid), &item(jti, spent.forget_at));
    expiry::Subject::SpentJti(*jti).look_at(transaction, spent.forget_at);
    SPENT_JTIS.put(transaction, &[jti.as_bytes()], spent)?;
    Ok(SpendJti::Fresh)
}

pub(in crate::store) fn by_key(view: &dyn Read, jti: &TokenHash) -> Result<Option<SpentJti>, StoreError> {
    SPENT_JTIS.get(view, &[jti.as_bytes()])
}

pub(in crate::store) fn forget(
    transaction: &mut dyn Transaction,
    jti: &TokenHash,
    spent: &SpentJti,
) -> Result<(), StoreError> {
    let uid = &spent.client_uid;
    SPENT_JTIS.delete(transaction, &[jti.as_bytes()]);
    SPENT_JTIS_OF_CLIENT.delete(transaction, owner(uid), &item(jti, spent.forget_at));
    expiry::Subject::SpentJti(*jti).forget(transaction, spent.forget_at);
    counts::SPENT_JTIS.one_less(transaction, owner(uid))
}

/// What a client that is removed has signed.
pub(in crate::store) fn forget_all(
    transaction: &mut dyn Transaction,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    for (jti, spent) in first(transaction, uid, usize::MAX)? {
        forget(transaction, &jti, &spent)?;
    }
    Ok(())
}

fn forget_some(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    for (jti, spent) in first(transaction, uid, FORGOTTEN_AT_ONCE)? {
        if now < spent.forget_at {
            break;
        }
        forget(transaction, &jti, &spent)?;
    }
    Ok(())
}

/// The first of a client to be forgotten.
fn first(view: &dyn Read, uid: &ResourceUid, limit: usize) -> Result<Vec<(TokenHash, SpentJti)>, StoreError> {
    let mut found = Vec::new();
    for item in SPENT_JTIS_OF_CLIENT.first(view, owner(uid), limit)? {
        if let Some(jti) = item.last_chunk().copied().map(TokenHash::from_bytes)
            && let Some(spent) = by_key(view, &jti)?
        {
            found.push((jti, spent));
        }
    }
    Ok(found)
}

fn owner(uid: &ResourceUid) -> &[u8] {
    uid.as_str().as_bytes()
}

/// When it is forgotten, then what.
fn item(jti: &TokenHash, forget_at: Timestamp) -> Vec<u8> {
    let mut item = ordered(forget_at.as_millisecond()).to_vec();
    item.extend_from_slice(jti.as_bytes());
    item
}
