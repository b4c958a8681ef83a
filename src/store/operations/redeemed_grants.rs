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
    let held = match counted(transaction, &owner)? {
        Some(count) => count,
        None => list_anew(transaction, &owner)?,
    };
    let excess = (held + 1).saturating_sub(MOST_OF_USER_AT_CLIENT);
    let mut ended = Vec::new();
    for item in first_to_end(transaction, grant, usize::try_from(excess).unwrap_or(usize::MAX))? {
        if let Some(oldest) = grants::by_key(transaction, id_in(&item))? {
            grants::end(transaction, id_in(&item))?;
            ended.push(oldest.id);
        }
    }
    // None is counted where there is none left.
    let left = counted(transaction, &owner)?.unwrap_or(0);
    put_count(transaction, &owner, left.saturating_add(1))?;
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
        // A count of an earlier start is worth nothing, and the next grant that is noted lists all of them anew.
        let count = counted(transaction, &owner)?.unwrap_or(0);
        put_count(transaction, &owner, count.saturating_sub(1))?;
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

/// How many there are, if that was counted in this start of the process: before, a version may have been at work that keeps no
/// count.
fn counted(view: &dyn Read, owner: &[u8]) -> Result<Option<u64>, StoreError> {
    let Some((counted_in, count)) = REDEEMED_GRANT_COUNTS.get(view, &[owner])? else {
        return Ok(None);
    };
    Ok((counted_in == epoch::current(view)?).then_some(count))
}

/// Lists by session what such a version left, and forgets what it ended; gives how many there are.
fn list_anew(transaction: &mut dyn Transaction, owner: &[u8]) -> Result<u64, StoreError> {
    let mut count = 0;
    for item in REDEEMED_GRANTS.of(transaction, owner)? {
        match grants::by_key(transaction, id_in(&item))? {
            Some(grant) => {
                let session = user_at_client_in(&grant, &grant.session);
                REDEEMED_GRANTS_OF_SESSION.put(transaction, &session, &item);
                count += 1;
            }
            None => REDEEMED_GRANTS.delete(transaction, owner, &item),
        }
    }
    put_count(transaction, owner, count)?;
    Ok(count)
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
fn first_to_end(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
    excess: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    if excess == 0 {
        return Ok(Vec::new());
    }
    let owner = user_at_client(grant);
    let mut first = own_first(transaction, grant, &owner, excess)?;
    if first.len() < excess {
        let oldest = REDEEMED_GRANTS.first(transaction, &owner, excess)?;
        let others: Vec<_> = oldest.into_iter().filter(|item| !first.contains(item)).collect();
        first.extend(others);
        first.truncate(excess);
    }
    Ok(first)
}

/// The oldest of the session. What is listed there alone was ended by a version that does not know that list, and is forgotten.
fn own_first(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
    owner: &[u8],
    excess: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let session = user_at_client_in(grant, &grant.session);
    loop {
        let first = REDEEMED_GRANTS_OF_SESSION.first(transaction, &session, excess)?;
        let mut stale = 0;
        for item in &first {
            if !REDEEMED_GRANTS.has(transaction, owner, item)? {
                REDEEMED_GRANTS_OF_SESSION.delete(transaction, &session, item);
                stale += 1;
            }
        }
        if stale == 0 {
            return Ok(first);
        }
    }
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

/// The id in what [`by_age`] gives.
fn id_in(item: &[u8]) -> &[u8] {
    item.get(size_of::<u64>()..).unwrap_or_default()
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

    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::key_value::Engine;
    use crate::store::key_value::tables::GRANTS;
    use crate::store::memory::MemoryStore;

    const OLD: TokenHash = TokenHash::from_bytes([1; 32]);
    const NEW: TokenHash = TokenHash::from_bytes([2; 32]);

    fn grant(number: i64, session: &TokenHash) -> GrantRecord {
        let at = crate::clock::Timestamp::from_second(1_800_000_000 + number).unwrap();
        serde_json::from_value(json!({
            "id": format!("{number:022}"), "client_uid": "client", "client_id": "team-a.shop", "user_uid": "user",
            "subject": "user", "scope": ["openid"], "session": session, "offline": true,
            "authentication": { "at": at, "methods": ["pwd"] },
            "auth_time_requested": false, "nonce": null,
            "created_at": at, "expires_at": "2100-01-01T00:00:00Z", "revoked_at": null,
        }))
        .unwrap()
    }

    /// As the first version does it.
    fn note_without_count(
        transaction: &mut dyn Transaction,
        number: i64,
        session: &TokenHash,
    ) -> Result<(), StoreError> {
        let grant = grant(number, session);
        grants::begin(transaction, &grant)?;
        REDEEMED_GRANTS.put(transaction, &user_at_client(&grant), &by_age(&grant));
        Ok(())
    }

    /// As that version does it.
    fn end_without_count(transaction: &mut dyn Transaction, grant: &GrantRecord) {
        REDEEMED_GRANTS.delete(transaction, &user_at_client(grant), &by_age(grant));
        GRANTS.delete(transaction, &[grant.id.as_str().as_bytes()]);
    }

    fn ended(transaction: &mut dyn Transaction, number: i64) -> Result<Vec<String>, StoreError> {
        let grant = grant(number, &NEW);
        grants::begin(transaction, &grant)?;
        let ended = note(transaction, &grant)?;
        Ok(ended
            .iter()
            .map(|id| id.as_str().trim_start_matches('0').to_owned())
            .collect())
    }

    /// What a version without count and list left, before this one or after it, counts from the next start on, and where it is.
    #[tokio::test]
    async fn rule_88_grants_of_another_version_count_where_they_are() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let work = store.write(|transaction, _| {
            note_without_count(transaction, 1, &OLD)?;
            for number in 2..=100 {
                note_without_count(transaction, number, &NEW)?;
            }
            // One that ends before any is noted does not pass for a count of all.
            note_without_count(transaction, 0, &OLD)?;
            grants::end(transaction, grant(0, &OLD).id.as_str().as_bytes())?;

            // The oldest of the session, again and again, and never what was begun just before.
            assert_eq!(ended(transaction, 101)?, ["2"]);
            assert_eq!(ended(transaction, 102)?, ["3"]);

            // The other version ends some without a word, and fills them up.
            for number in [4, 5, 6, 50] {
                end_without_count(transaction, &grant(number, &NEW));
            }
            GRANTS.delete(transaction, &[grant(7, &NEW).id.as_str().as_bytes()]);
            for number in 103..=106 {
                note_without_count(transaction, number, &NEW)?;
            }
            epoch::begin(transaction)?;
            grants::end(transaction, grant(106, &NEW).id.as_str().as_bytes())?;
            note_without_count(transaction, 106, &NEW)?;
            assert!(ended(transaction, 107)?.is_empty(), "7 had gone");
            assert_eq!(ended(transaction, 108)?, ["8"]);
            for number in 109..=206 {
                assert_eq!(ended(transaction, number)?.len(), 1, "{number}");
            }
            assert_eq!(counted(transaction, &user_at_client(&grant(1, &OLD)))?, Some(100));
            let oldest = grants::by_key(transaction, grant(1, &OLD).id.as_str().as_bytes())?;
            assert!(oldest.is_some(), "elsewhere the person stays signed in");
            Ok(())
        });
        work.await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_left_of_who_has_no_grants() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let work = store.write(|transaction, _| {
            ended(transaction, 1)?;
            ended(transaction, 2)?;
            grants::end(transaction, grant(1, &NEW).id.as_str().as_bytes())?;
            epoch::begin(transaction)?;
            grants::end(transaction, grant(2, &NEW).id.as_str().as_bytes())?;
            let numbers = [b"#".as_slice(), b"$".as_slice()];
            let before = transaction.range(&[0], numbers[0], usize::MAX)?;
            let after = transaction.range(numbers[1], &[u8::MAX], usize::MAX)?;
            Ok([before, after])
        });
        assert_eq!(work.await.unwrap(), [vec![], vec![]], "but for the epoch");
    }
}
