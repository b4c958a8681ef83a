//! Grants, and the consents that outlive them.

use crate::clock::Timestamp;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::{GrantId, ResourceUid};
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::table::Index;
use crate::store::key_value::tables::{
    ACCESS_TOKENS_OF_GRANT, CODES, CODES_OF_GRANT, CONSENTS, CONSENTS_OF_CLIENT, CONSENTS_OF_USER, GRANTS,
    GRANTS_OF_CLIENT, GRANTS_OF_SESSION, GRANTS_OF_USER, HASTY_TOKENS_OF_GRANT, REDEEMED_GRANTS,
    REDEEMED_GRANTS_OF_SESSION, REFRESH_TOKENS, REFRESH_TOKENS_OF_GRANT,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry::ordered;
use crate::store::operations::{access_tokens, clients, counts, expiry, sessions, users};
use crate::store::records::{ClientRecord, GrantRecord};
use crate::store::{Redeemed, StoreError};

/// One client holds at most this many of one person: each sign-in makes one.
const MOST_OF_USER_AT_CLIENT: usize = 100;

pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
) -> Result<(), StoreError> {
    let id = grant.id.as_str().as_bytes();
    GRANTS_OF_CLIENT.put(transaction, grant.client_uid.as_str().as_bytes(), id);
    GRANTS_OF_USER.put(transaction, grant.user_uid.as_str().as_bytes(), id);
    if !grant.offline {
        GRANTS_OF_SESSION.put(transaction, grant.session.as_bytes(), id);
    }
    expiry::Subject::Grant(grant.id.clone()).look_at(transaction, grant.expires_at);
    GRANTS.put(transaction, &[id], grant)
}

/// Notes that the code of a grant was redeemed, and ends the oldest ones of the person at this client where there are too
/// many for another one; gives which. Those of the same session come first: what makes a browser sign in again and again,
/// silently, must not sign the person out elsewhere. Before, it is not counted: a code that nobody redeems takes its grant
/// along within a minute, and whoever only makes a browser ask for codes must not end what the client holds.
pub(in crate::store) fn note_redeemed(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
) -> Result<Vec<GrantId>, StoreError> {
    let owner = user_at_client(grant);
    let excess = (held(transaction, &owner)? + 1).saturating_sub(MOST_OF_USER_AT_CLIENT);
    let mut ended = Vec::new();
    if excess > 0 {
        for item in first_to_end(transaction, grant, excess)? {
            let id = item.get(size_of::<u64>()..).unwrap_or_default();
            if let Some(oldest) = by_key(transaction, id)? {
                end(transaction, id)?;
                ended.push(oldest.id);
            }
        }
    }
    let item = by_age(grant);
    counts::REDEEMED_GRANTS.one_more(transaction, &owner)?;
    REDEEMED_GRANTS.put(transaction, &owner, &item);
    REDEEMED_GRANTS_OF_SESSION.put(transaction, &user_at_client_in(grant), &item);
    Ok(ended)
}

/// How many there are. They are counted one by one where the first version left some, which kept no count.
fn held(transaction: &mut dyn Transaction, owner: &[u8]) -> Result<usize, StoreError> {
    let counted = counts::REDEEMED_GRANTS.of(transaction, owner)?;
    if counted > 0 {
        return Ok(usize::try_from(counted).unwrap_or(usize::MAX));
    }
    let uncounted = REDEEMED_GRANTS.of(transaction, owner)?.len();
    if uncounted > 0 {
        counts::REDEEMED_GRANTS.begin_at(transaction, owner, uncounted as u64)?;
    }
    Ok(uncounted)
}

/// Which `excess` of those that the person has at the client make room: the oldest of the session of `grant`, then the oldest of
/// others. Grant ids are of one length, so each index is in the order of age, and only what makes room is read.
fn first_to_end(view: &dyn Read, grant: &GrantRecord, excess: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut first = REDEEMED_GRANTS_OF_SESSION.first(view, &user_at_client_in(grant), excess)?;
    if first.len() < excess {
        let oldest = REDEEMED_GRANTS.first(view, &user_at_client(grant), excess)?;
        let others: Vec<_> = oldest.into_iter().filter(|item| !first.contains(item)).collect();
        first.extend(others);
        first.truncate(excess);
    }
    Ok(first)
}

/// Forgets that the code of a grant was redeemed, which may not have been.
fn forget_redeemed(transaction: &mut dyn Transaction, grant: &GrantRecord) -> Result<(), StoreError> {
    let (owner, item) = (user_at_client(grant), by_age(grant));
    if REDEEMED_GRANTS.has(transaction, &owner, &item)? {
        REDEEMED_GRANTS.delete(transaction, &owner, &item);
        REDEEMED_GRANTS_OF_SESSION.delete(transaction, &user_at_client_in(grant), &item);
        counts::REDEEMED_GRANTS.one_less(transaction, &owner)?;
    }
    Ok(())
}

/// Names person and client in one. A uid of Kubernetes holds no NUL.
fn user_at_client(grant: &GrantRecord) -> Vec<u8> {
    [grant.user_uid.as_str(), grant.client_uid.as_str()]
        .join("\0")
        .into_bytes()
}

/// And the session.
fn user_at_client_in(grant: &GrantRecord) -> Vec<u8> {
    let mut owner = user_at_client(grant);
    owner.extend_from_slice(grant.session.as_bytes());
    owner
}

/// When it began, then its id.
fn by_age(grant: &GrantRecord) -> Vec<u8> {
    let mut item = ordered(grant.created_at.as_millisecond()).to_vec();
    item.extend_from_slice(grant.id.as_str().as_bytes());
    item
}

pub(in crate::store) fn by_key(view: &dyn Read, id: &[u8]) -> Result<Option<GrantRecord>, StoreError> {
    GRANTS.get(view, &[id])
}

/// The grant, revoked or not, if it has not expired.
pub(in crate::store) fn unexpired(
    view: &dyn Read,
    now: Timestamp,
    id: &GrantId,
) -> Result<Option<GrantRecord>, StoreError> {
    Ok(by_key(view, id.as_str().as_bytes())?.filter(|grant| now < grant.expires_at))
}

/// A grant with its client and user, if everything that it stands on is alive: the grant itself, its client, its user and,
/// unless it is offline, its session.
pub(in crate::store) fn if_allowed(
    view: &dyn Read,
    now: Timestamp,
    grant: GrantRecord,
) -> Result<Option<Redeemed>, StoreError> {
    if grant.revoked_at.is_some() || grant.expires_at <= now {
        return Ok(None);
    }
    let client = clients::by_uid(view, &grant.client_uid)?;
    let Some(client) = client.filter(ClientRecord::is_live) else {
        return Ok(None);
    };
    if !grant.offline {
        let session = sessions::live(view, now, &grant.session)?;
        if session.is_none_or(|session| session.user_uid != grant.user_uid) {
            return Ok(None);
        }
    }
    let user = users::live(view, &grant.user_uid)?;
    Ok(user.map(|user| Redeemed { grant, user, client }))
}

pub(in crate::store) fn live(
    view: &dyn Read,
    now: Timestamp,
    id: &GrantId,
) -> Result<Option<Redeemed>, StoreError> {
    let Some(grant) = unexpired(view, now, id)? else {
        return Ok(None);
    };
    if_allowed(view, now, grant)
}

/// Marks the grant. It stays with its spent codes and tokens until its end, so that a replay is still told from nonsense.
pub(in crate::store) fn revoke(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    id: &GrantId,
) -> Result<(), StoreError> {
    let id = id.as_str().as_bytes();
    match by_key(transaction, id)? {
        Some(mut grant) if grant.revoked_at.is_none() => {
            grant.revoked_at = Some(now);
            GRANTS.put(transaction, &[id], &grant)
        }
        _ => Ok(()),
    }
}

/// Hangs the grants of one session on another: the same person has signed in again, which must not sign their other apps
/// out.
pub(in crate::store) fn move_all(
    transaction: &mut dyn Transaction,
    from: &TokenHash,
    to: &TokenHash,
) -> Result<(), StoreError> {
    for id in GRANTS_OF_SESSION.of(transaction, from.as_bytes())? {
        GRANTS_OF_SESSION.delete(transaction, from.as_bytes(), &id);
        if let Some(mut grant) = by_key(transaction, &id)? {
            let item = by_age(&grant);
            let redeemed = REDEEMED_GRANTS_OF_SESSION.has(transaction, &user_at_client_in(&grant), &item)?;
            REDEEMED_GRANTS_OF_SESSION.delete(transaction, &user_at_client_in(&grant), &item);
            grant.session = *to;
            if redeemed {
                REDEEMED_GRANTS_OF_SESSION.put(transaction, &user_at_client_in(&grant), &item);
            }
            GRANTS_OF_SESSION.put(transaction, to.as_bytes(), &id);
            GRANTS.put(transaction, &[&id], &grant)?;
        }
    }
    Ok(())
}

/// Ends every grant that `index` holds for `owner`.
pub(in crate::store) fn end_all(
    transaction: &mut dyn Transaction,
    index: &Index,
    owner: &[u8],
) -> Result<(), StoreError> {
    for id in index.of(transaction, owner)? {
        end(transaction, &id)?;
    }
    Ok(())
}

/// Removes a grant with its codes, refresh tokens and opaque access tokens.
pub(in crate::store) fn end(transaction: &mut dyn Transaction, id: &[u8]) -> Result<(), StoreError> {
    let Some(grant) = by_key(transaction, id)? else {
        return Ok(());
    };
    for hash in CODES_OF_GRANT.of(transaction, id)? {
        CODES.delete(transaction, &[&hash]);
        CODES_OF_GRANT.delete(transaction, id, &hash);
    }
    for hash in REFRESH_TOKENS_OF_GRANT.of(transaction, id)? {
        REFRESH_TOKENS.delete(transaction, &[&hash]);
        REFRESH_TOKENS_OF_GRANT.delete(transaction, id, &hash);
    }
    access_tokens::end_all(transaction, &ACCESS_TOKENS_OF_GRANT, id)?;
    for item in HASTY_TOKENS_OF_GRANT.of(transaction, id)? {
        HASTY_TOKENS_OF_GRANT.delete(transaction, id, &item);
    }
    GRANTS_OF_CLIENT.delete(transaction, grant.client_uid.as_str().as_bytes(), id);
    GRANTS_OF_USER.delete(transaction, grant.user_uid.as_str().as_bytes(), id);
    GRANTS_OF_SESSION.delete(transaction, grant.session.as_bytes(), id);
    forget_redeemed(transaction, &grant)?;
    expiry::Subject::Grant(grant.id).forget(transaction, grant.expires_at);
    GRANTS.delete(transaction, &[id]);
    Ok(())
}

pub(in crate::store) fn consent(
    view: &dyn Read,
    user: &ResourceUid,
    client: &ResourceUid,
) -> Result<Consent, StoreError> {
    let parts = [user.as_str().as_bytes(), client.as_str().as_bytes()];
    Ok(CONSENTS.get(view, &parts)?.unwrap_or_default())
}

/// Adds to what the user has allowed the client.
pub(in crate::store) fn remember_consent(
    transaction: &mut dyn Transaction,
    user: &ResourceUid,
    client: &ResourceUid,
    allowed: &Consent,
) -> Result<(), StoreError> {
    let allowed = consent(transaction, user, client)?.union(allowed);
    let (user, client) = (user.as_str().as_bytes(), client.as_str().as_bytes());
    CONSENTS_OF_USER.put(transaction, user, client);
    CONSENTS_OF_CLIENT.put(transaction, client, user);
    CONSENTS.put(transaction, &[user, client], &allowed)
}

/// Forgets what the user has allowed the client; false when that was nothing.
pub(in crate::store) fn forget_consent(
    transaction: &mut dyn Transaction,
    user: &ResourceUid,
    client: &ResourceUid,
) -> Result<bool, StoreError> {
    let (user, client) = (user.as_str().as_bytes(), client.as_str().as_bytes());
    let known = CONSENTS.get(transaction, &[user, client])?.is_some();
    delete_consent(transaction, user, client);
    Ok(known)
}

/// Forgets whatever a user or a client, of this uid, has to do with consents.
pub(in crate::store) fn forget_consents_of(
    transaction: &mut dyn Transaction,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    let uid = uid.as_str().as_bytes();
    for client in CONSENTS_OF_USER.of(transaction, uid)? {
        delete_consent(transaction, uid, &client);
    }
    for user in CONSENTS_OF_CLIENT.of(transaction, uid)? {
        delete_consent(transaction, &user, uid);
    }
    Ok(())
}

fn delete_consent(transaction: &mut dyn Transaction, user: &[u8], client: &[u8]) {
    CONSENTS_OF_USER.delete(transaction, user, client);
    CONSENTS_OF_CLIENT.delete(transaction, client, user);
    CONSENTS.delete(transaction, &[user, client]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::key_value::Engine;
    use crate::store::memory::MemoryStore;
    use std::sync::Arc;

    /// What the first version left is counted when the next one is added, and what of it ends is not.
    #[tokio::test]
    async fn rule_88_grants_of_an_earlier_version_count() {
        const OWNER: &[u8] = b"user\0client";
        let store = MemoryStore::new(Arc::new(SystemClock));
        let counts = store.write(|transaction, _| {
            for item in 0..3_u8 {
                REDEEMED_GRANTS.put(transaction, OWNER, &[item]);
            }
            REDEEMED_GRANTS.delete(transaction, OWNER, &[0]);
            counts::REDEEMED_GRANTS.one_less(transaction, OWNER)?;
            let counted = held(transaction, OWNER)?;
            counts::REDEEMED_GRANTS.one_more(transaction, OWNER)?;
            Ok((counted, held(transaction, OWNER)?))
        });
        assert_eq!(counts.await.unwrap(), (2, 3));
    }
}
