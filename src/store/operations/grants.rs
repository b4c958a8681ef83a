//! Grants, and the consents that outlive them.

use crate::clock::Timestamp;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::{GrantId, ResourceUid};
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::table::Index;
use crate::store::key_value::tables::{
    ACCESS_TOKENS_OF_GRANT, CODES, CODES_OF_GRANT, CONSENTS, CONSENTS_OF_CLIENT, CONSENTS_OF_USER, GRANTS,
    GRANTS_OF_CLIENT, GRANTS_OF_SESSION, GRANTS_OF_USER,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{
    access_tokens, clients, expiry, redeemed_grants, refresh_tokens, sessions, users,
};
use crate::store::records::{ClientRecord, GrantRecord};
use crate::store::{Redeemed, StoreError};

/// Stores a grant, which ends with its session; see [`outlive_session`].
pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    grant: &GrantRecord,
) -> Result<(), StoreError> {
    let id = grant.id.as_str().as_bytes();
    GRANTS_OF_CLIENT.put(transaction, grant.client_uid.as_str().as_bytes(), id);
    GRANTS_OF_USER.put(transaction, grant.user_uid.as_str().as_bytes(), id);
    GRANTS_OF_SESSION.put(transaction, grant.session.as_bytes(), id);
    expiry::Subject::Grant(grant.id.clone()).look_at(transaction, grant.expires_at);
    GRANTS.put(transaction, &[id], grant)
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
    let in_session = !grant.offline;
    if_alive(view, now, grant, in_session)
}

/// As [`if_allowed`], with its session also where it is offline.
pub(in crate::store) fn if_allowed_in_session(
    view: &dyn Read,
    now: Timestamp,
    grant: GrantRecord,
) -> Result<Option<Redeemed>, StoreError> {
    if_alive(view, now, grant, true)
}

fn if_alive(
    view: &dyn Read,
    now: Timestamp,
    grant: GrantRecord,
    in_session: bool,
) -> Result<Option<Redeemed>, StoreError> {
    if grant.revoked_at.is_some() || grant.expires_at <= now {
        return Ok(None);
    }
    let client = clients::by_uid(view, &grant.client_uid)?;
    let Some(client) = client.filter(ClientRecord::is_live) else {
        return Ok(None);
    };
    if in_session {
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

/// An offline grant outlives its session from now on.
pub(in crate::store) fn outlive_session(transaction: &mut dyn Transaction, grant: &GrantRecord) {
    if grant.offline {
        GRANTS_OF_SESSION.delete(
            transaction,
            grant.session.as_bytes(),
            grant.id.as_str().as_bytes(),
        );
    }
}

/// Whether the end of its session would end the grant.
pub(in crate::store) fn ends_with_session(view: &dyn Read, grant: &GrantRecord) -> Result<bool, StoreError> {
    GRANTS_OF_SESSION.has(view, grant.session.as_bytes(), grant.id.as_str().as_bytes())
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
            redeemed_grants::move_to(transaction, &grant, to)?;
            grant.session = *to;
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
    refresh_tokens::end_all(transaction, id)?;
    access_tokens::end_all(transaction, &ACCESS_TOKENS_OF_GRANT, id)?;
    GRANTS_OF_CLIENT.delete(transaction, grant.client_uid.as_str().as_bytes(), id);
    GRANTS_OF_USER.delete(transaction, grant.user_uid.as_str().as_bytes(), id);
    GRANTS_OF_SESSION.delete(transaction, grant.session.as_bytes(), id);
    redeemed_grants::forget(transaction, &grant)?;
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
