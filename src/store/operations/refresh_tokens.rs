//! Refresh tokens: rotation and detection of reuse (RFC 9700 section 4.14.2).
//!
//! Spent tokens are kept until their grant's end, or their reuse could not be told from nonsense. A client that refreshes in
//! a loop would fill the store with them, so of those that were spent right after they were issued only the first one and the
//! last ones are kept; a forgotten one is refused like any other that is unknown. Whoever stole a token before the loop holds
//! the first one, or one that was not spent in haste.

use std::time::Duration;

use crate::clock::{Timestamp, later};
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::thumbprint::Thumbprint;
use crate::store::key_value::tables::{HASTY_TOKENS_OF_GRANT, REFRESH_TOKENS, REFRESH_TOKENS_OF_GRANT};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry::ordered;
use crate::store::operations::{counts, expiry, grants, participants, sessions};
use crate::store::records::{GrantRecord, NewRefreshToken, RefreshTokenRecord};
use crate::store::{Redeemed, RotateRefreshToken, StoreError};

/// Whoever spends a token this soon after it was issued refreshes in a loop.
const HASTY: Duration = Duration::from_mins(1);

/// So many of them are kept.
const MOST_HASTY: u64 = 100;

pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    grant: &GrantRecord,
    token: &NewRefreshToken,
) -> Result<(), StoreError> {
    let record = RefreshTokenRecord {
        hash: token.hash,
        grant_id: grant.id.clone(),
        expires_at: token.expires_at.min(grant.expires_at),
        spent_at: None,
        issued_at: Some(now),
        dpop_jkt: token.dpop_jkt.clone(),
    };
    let id = grant.id.as_str().as_bytes();
    REFRESH_TOKENS_OF_GRANT.put(transaction, id, record.hash.as_bytes());
    expiry::Subject::RefreshToken(record.hash).look_at(transaction, record.expires_at);
    put(transaction, &record)
}

pub(in crate::store) fn known(
    view: &dyn Read,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<(RefreshTokenRecord, GrantRecord)>, StoreError> {
    let Some(token) = by_key(view, hash.as_bytes())? else {
        return Ok(None);
    };
    // A spent token outlives its own expiry, or its reuse could not be told from nonsense.
    if token.spent_at.is_none() && token.expires_at <= now {
        return Ok(None);
    }
    let grant = grants::unexpired(view, now, &token.grant_id)?;
    Ok(grant.map(|grant| (token, grant)))
}

pub(in crate::store) fn rotate(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
    presented_by: (&ResourceUid, Option<&Thumbprint>),
    mut successor: NewRefreshToken,
) -> Result<RotateRefreshToken, StoreError> {
    let (mut token, redeemed) = match good(transaction, now, hash, presented_by)? {
        Ok(good) => good,
        Err(refusal) => return Ok(refusal),
    };
    let grant = &redeemed.grant;
    token.spent_at = Some(now);
    // It goes with its grant from now on.
    expiry::Subject::RefreshToken(*hash).forget(transaction, token.expires_at);
    put(transaction, &token)?;
    if token
        .issued_at
        .is_some_and(|issued_at| now < later(issued_at, HASTY))
    {
        forget_oldest(transaction, now, &token)?;
    }
    // A client that has become confidential since keeps its key.
    if token.dpop_jkt.is_some() {
        successor.dpop_jkt = token.dpop_jkt;
    }
    begin(transaction, now, grant, &successor)?;
    if !grant.offline {
        sessions::note_use(transaction, now, &grant.session)?;
    }
    // Its ID token may name another session than the one before: grants move on when the person signs in again.
    participants::note(transaction, now, &redeemed.grant)?;
    Ok(RotateRefreshToken::Rotated(Box::new(redeemed)))
}

/// Uses a token that has no successor.
pub(in crate::store) fn keep(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
    presented_by: (&ResourceUid, Option<&Thumbprint>),
    idle_until: Timestamp,
) -> Result<RotateRefreshToken, StoreError> {
    let (mut token, redeemed) = match good(transaction, now, hash, presented_by)? {
        Ok(good) => good,
        Err(refusal) => return Ok(refusal),
    };
    let grant = &redeemed.grant;
    expiry::Subject::RefreshToken(*hash).forget(transaction, token.expires_at);
    token.expires_at = idle_until.min(grant.expires_at);
    expiry::Subject::RefreshToken(*hash).look_at(transaction, token.expires_at);
    put(transaction, &token)?;
    if !grant.offline {
        sessions::note_use(transaction, now, &grant.session)?;
    }
    participants::note(transaction, now, grant)?;
    Ok(RotateRefreshToken::Rotated(Box::new(redeemed)))
}

/// A token that whoever presents it may use now, with what hangs on its grant; else the answer.
fn good(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
    (client, proven): (&ResourceUid, Option<&Thumbprint>),
) -> Result<Result<(RefreshTokenRecord, Redeemed), RotateRefreshToken>, StoreError> {
    let Some((token, grant)) = known(transaction, now, hash)? else {
        return Ok(Err(RotateRefreshToken::Unknown));
    };
    if grant.client_uid != *client || !token.is_for_key(proven) {
        return Ok(Err(RotateRefreshToken::Mismatch));
    }
    // RFC 9700 section 4.14.2: one of the two who hold it is a thief, and nobody can say which.
    if token.spent_at.is_some() {
        grants::revoke(transaction, now, &grant.id)?;
        return Ok(Err(RotateRefreshToken::Reused(grant.id)));
    }
    let redeemed = grants::if_allowed(transaction, now, grant)?;
    Ok(match redeemed {
        Some(redeemed) => Ok((token, redeemed)),
        None => Err(RotateRefreshToken::Refused),
    })
}

/// Notes a token that was spent at once, and forgets the oldest of those when there are too many.
fn forget_oldest(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    token: &RefreshTokenRecord,
) -> Result<(), StoreError> {
    let grant = token.grant_id.as_str().as_bytes();
    let mut item = ordered(now.as_millisecond()).to_vec();
    item.extend_from_slice(token.hash.as_bytes());
    HASTY_TOKENS_OF_GRANT.put(transaction, grant, &item);
    counts::HASTY_TOKENS.one_more(transaction, grant)?;
    if counts::HASTY_TOKENS.of(transaction, grant)? <= MOST_HASTY {
        return Ok(());
    }
    let first_two = HASTY_TOKENS_OF_GRANT.first(transaction, grant, 2)?;
    if let Some(item) = first_two.get(1) {
        HASTY_TOKENS_OF_GRANT.delete(transaction, grant, item);
        counts::HASTY_TOKENS.one_less(transaction, grant)?;
        end(
            transaction,
            grant,
            item.get(size_of::<u64>()..).unwrap_or_default(),
        )?;
    }
    Ok(())
}

/// Ends every token of a grant, which ends itself.
pub(in crate::store) fn end_all(transaction: &mut dyn Transaction, grant: &[u8]) -> Result<(), StoreError> {
    for hash in REFRESH_TOKENS_OF_GRANT.of(transaction, grant)? {
        end(transaction, grant, &hash)?;
    }
    let hasty = HASTY_TOKENS_OF_GRANT.of(transaction, grant)?;
    for item in &hasty {
        HASTY_TOKENS_OF_GRANT.delete(transaction, grant, item);
    }
    if !hasty.is_empty() {
        counts::HASTY_TOKENS.forget(transaction, grant);
    }
    Ok(())
}

/// Nothing is left to look at when it would have expired, which may be in months.
fn end(transaction: &mut dyn Transaction, grant: &[u8], hash: &[u8]) -> Result<(), StoreError> {
    match by_key(transaction, hash) {
        Ok(Some(token)) if token.spent_at.is_none() => {
            expiry::Subject::RefreshToken(token.hash).forget(transaction, token.expires_at);
        }
        // What cannot be read ends all the same.
        Ok(_) | Err(StoreError::Record { .. }) => {}
        Err(error) => return Err(error),
    }
    REFRESH_TOKENS_OF_GRANT.delete(transaction, grant, hash);
    REFRESH_TOKENS.delete(transaction, &[hash]);
    Ok(())
}

pub(in crate::store) fn by_key(
    view: &dyn Read,
    hash: &[u8],
) -> Result<Option<RefreshTokenRecord>, StoreError> {
    REFRESH_TOKENS.get(view, &[hash])
}

fn put(transaction: &mut dyn Transaction, token: &RefreshTokenRecord) -> Result<(), StoreError> {
    REFRESH_TOKENS.put(transaction, &[token.hash.as_bytes()], token)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::oidc::identifier::GrantId;
    use crate::store::key_value::{Engine, Entries};
    use crate::store::memory::MemoryStore;

    /// Whatever hung on a grant is gone with it: a count, and a token that nobody can read.
    #[tokio::test]
    async fn a_grant_takes_its_tokens_along() {
        const GRANT: &[u8] = b"grant";
        let store = MemoryStore::new(Arc::new(SystemClock));
        let left: Entries = store
            .write(|transaction, now| {
                let hash = TokenHash::from_bytes([7; 32]);
                let token = RefreshTokenRecord {
                    hash,
                    grant_id: GrantId::new("grant"),
                    expires_at: now,
                    spent_at: Some(now),
                    issued_at: Some(now),
                    dpop_jkt: None,
                };
                REFRESH_TOKENS_OF_GRANT.put(transaction, GRANT, hash.as_bytes());
                forget_oldest(transaction, now, &token)?;
                REFRESH_TOKENS.put(transaction, &[hash.as_bytes()], &token)?;
                for (key, _) in transaction.range(b"R", b"S", usize::MAX)? {
                    transaction.put(key, b"damaged".to_vec());
                }
                by_key(transaction, hash.as_bytes()).unwrap_err();
                end_all(transaction, GRANT)?;
                transaction.range(&[0], &[u8::MAX], usize::MAX)
            })
            .await
            .unwrap();
        assert_eq!(left, []);
    }
}
