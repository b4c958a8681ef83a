//! Grants whose code was redeemed, of which a person has only so many at a client: each sign-in makes one.
//!
//! A grant whose code was not redeemed does not count: such a code takes its grant along within a minute, and whoever only makes
//! a browser ask for codes must not end what the client holds.

use crate::oidc::identifier::GrantId;
use crate::oidc::opaque_token::TokenHash;
use crate::store::StoreError;
use crate::store::key_value::tables::{REDEEMED_GRANT_COUNTS, REDEEMED_GRANTS, REDEEMED_GRANTS_OF_SESSION};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry::ordered;
use crate::store::operations::{epoch, grants};
use crate::store::records::GrantRecord;

/// One client holds at most this many of one person.
const MOST_OF_USER_AT_CLIENT: u64 = 100;

/// Notes that the code of a grant was redeemed, and ends the oldest ones of the person at this client where there are too
/// many for another one; gives which. Those of the same session come first: what makes a browser sign in again and again,
/// silently, must not sign the person out elsewhere.
pub(in crate::store) fn note(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
) -> Result<Vec<GrantId>, StoreError> {
    let (owner, item) = (user_at_client(grant), by_age(grant));
    let excess = (count(transaction, &owner)? + 1).saturating_sub(MOST_OF_USER_AT_CLIENT);
    let mut ended = Vec::new();
    for item in first_to_end(transaction, grant, usize::try_from(excess).unwrap_or(usize::MAX))? {
        let id = item.get(size_of::<u64>()..).unwrap_or_default();
        match grants::by_key(transaction, id)? {
            Some(oldest) => {
                grants::end(transaction, id)?;
                ended.push(oldest.id);
            }
            // A version that did not list grants by session ended it.
            None => REDEEMED_GRANTS_OF_SESSION.delete(
                transaction,
                &user_at_client_in(grant, &grant.session),
                &item,
            ),
        }
    }
    let count = count(transaction, &owner)?.saturating_add(1);
    put_count(transaction, &owner, count)?;
    REDEEMED_GRANTS.put(transaction, &owner, &item);
    REDEEMED_GRANTS_OF_SESSION.put(transaction, &user_at_client_in(grant, &grant.session), &item);
    Ok(ended)
}

/// The grant ends, whether it was noted or not.
pub(in crate::store) fn forget(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
) -> Result<(), StoreError> {
    let (owner, item) = (user_at_client(grant), by_age(grant));
    if REDEEMED_GRANTS.has(transaction, &owner, &item)? {
        let count = count(transaction, &owner)?.saturating_sub(1);
        put_count(transaction, &owner, count)?;
        REDEEMED_GRANTS.delete(transaction, &owner, &item);
        REDEEMED_GRANTS_OF_SESSION.delete(transaction, &user_at_client_in(grant, &grant.session), &item);
    }
    Ok(())
}

/// The grant hangs on the session `to` from now on.
pub(in crate::store) fn move_to(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
    to: &TokenHash,
) -> Result<(), StoreError> {
    let (from, item) = (user_at_client_in(grant, &grant.session), by_age(grant));
    if REDEEMED_GRANTS_OF_SESSION.has(transaction, &from, &item)? {
        REDEEMED_GRANTS_OF_SESSION.delete(transaction, &from, &item);
        REDEEMED_GRANTS_OF_SESSION.put(transaction, &user_at_client_in(grant, to), &item);
    }
    Ok(())
}

/// How many there are. What was counted in this start of the process holds; before, a version that keeps no count may have been
/// at work, so then they are counted one by one.
fn count(view: &dyn Read, owner: &[u8]) -> Result<u64, StoreError> {
    match REDEEMED_GRANT_COUNTS.get(view, &[owner])? {
        Some((counted_in, count)) if counted_in == epoch::current(view)? => Ok(count),
        _ => Ok(REDEEMED_GRANTS.of(view, owner)?.len() as u64),
    }
}

/// An owner without any leaves nothing behind.
fn put_count(transaction: &mut dyn Transaction, owner: &[u8], count: u64) -> Result<(), StoreError> {
    if count == 0 {
        REDEEMED_GRANT_COUNTS.delete(transaction, &[owner]);
        return Ok(());
    }
    let epoch = epoch::current(transaction)?;
    REDEEMED_GRANT_COUNTS.put(transaction, &[owner], &(epoch, count))
}

/// Which `excess` of those that the person has at the client make room: the oldest of the session of `grant`, then the oldest of
/// others. Grant ids are of one length, so each index is in the order of age, and only what makes room is read.
fn first_to_end(view: &dyn Read, grant: &GrantRecord, excess: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    if excess == 0 {
        return Ok(Vec::new());
    }
    let mut first =
        REDEEMED_GRANTS_OF_SESSION.first(view, &user_at_client_in(grant, &grant.session), excess)?;
    if first.len() < excess {
        let oldest = REDEEMED_GRANTS.first(view, &user_at_client(grant), excess)?;
        let others: Vec<_> = oldest.into_iter().filter(|item| !first.contains(item)).collect();
        first.extend(others);
        first.truncate(excess);
    }
    Ok(first)
}

/// Names person and client in one. A uid of Kubernetes holds no NUL.
fn user_at_client(grant: &GrantRecord) -> Vec<u8> {
    [grant.user_uid.as_str(), grant.client_uid.as_str()]
        .join("\0")
        .into_bytes()
}

/// And the session.
fn user_at_client_in(grant: &GrantRecord, session: &TokenHash) -> Vec<u8> {
    let mut owner = user_at_client(grant);
    owner.extend_from_slice(session.as_bytes());
    owner
}

/// When it began, then its id.
fn by_age(grant: &GrantRecord) -> Vec<u8> {
    let mut item = ordered(grant.created_at.as_millisecond()).to_vec();
    item.extend_from_slice(grant.id.as_str().as_bytes());
    item
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::key_value::Engine;
    use crate::store::memory::MemoryStore;

    /// What a version without a count left or changed, before or after this one, is counted at the next start.
    #[tokio::test]
    async fn rule_88_grants_of_another_version_count() {
        const OWNER: &[u8] = b"user\0client";
        let store = MemoryStore::new(Arc::new(SystemClock));
        let counts = store.write(|transaction, _| {
            for item in 0..3_u8 {
                REDEEMED_GRANTS.put(transaction, OWNER, &[item]);
            }
            let found = count(transaction, OWNER)?;
            put_count(transaction, OWNER, found)?;
            REDEEMED_GRANTS.delete(transaction, OWNER, &[0]);
            let counted = count(transaction, OWNER)?;
            epoch::begin(transaction)?;
            Ok([found, counted, count(transaction, OWNER)?])
        });
        assert_eq!(counts.await.unwrap(), [3, 3, 2]);
    }
}
