//! What hangs on a person's account, for the person: what is there, how they end it, and the password that they choose.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::password::PasswordHash;
use crate::store::key_value::tables::{CONSENTS_OF_USER, GRANTS_OF_USER, SESSIONS_OF_USER};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{clients, grants, logout_notices, sessions, users};
use crate::store::records::{GrantRecord, OwnPasswordRecord, SessionRecord};
use crate::store::{Account, AccountApp, ChangePassword, StoreError};

pub(in crate::store) fn account(
    view: &dyn Read,
    now: Timestamp,
    user: &ResourceUid,
) -> Result<Account, StoreError> {
    let mut sessions = Vec::new();
    for hash in SESSIONS_OF_USER.of(view, user.as_str().as_bytes())? {
        let session = sessions::by_key(view, &hash)?;
        sessions.extend(session.filter(|session| now < sessions::ends_at(session)));
    }
    sessions.sort_by_key(|session: &SessionRecord| std::cmp::Reverse(session.last_used_at));
    Ok(Account {
        sessions,
        apps: apps(view, now, user)?,
    })
}

fn apps(view: &dyn Read, now: Timestamp, user: &ResourceUid) -> Result<Vec<AccountApp>, StoreError> {
    let mut held: BTreeMap<ResourceUid, (Consent, Vec<GrantRecord>)> = BTreeMap::new();
    for client in CONSENTS_OF_USER.of(view, user.as_str().as_bytes())? {
        // Uids come from Kubernetes as text; what is none belongs to nobody.
        if let Ok(client) = String::from_utf8(client) {
            let client = ResourceUid::new(client);
            let consented = grants::consent(view, user, &client)?;
            held.entry(client).or_default().0 = consented;
        }
    }
    for id in GRANTS_OF_USER.of(view, user.as_str().as_bytes())? {
        if let Some(grant) = grants::by_key(view, &id)?
            && is_held(view, now, &grant)?
        {
            held.entry(grant.client_uid.clone()).or_default().1.push(grant);
        }
    }
    let mut apps = Vec::with_capacity(held.len());
    for (client, (consented, mut grants)) in held {
        grants.sort_by_key(|grant| std::cmp::Reverse(grant.created_at));
        let client = clients::by_uid(view, &client)?;
        apps.extend(client.map(|client| AccountApp {
            client,
            consented,
            grants,
        }));
    }
    apps.sort_by(|one, other| {
        one.client
            .client
            .client_name
            .cmp(&other.client.client.client_name)
    });
    Ok(apps)
}

/// A suspended client keeps what it holds, so that is not asked here.
fn is_held(view: &dyn Read, now: Timestamp, grant: &GrantRecord) -> Result<bool, StoreError> {
    let alive = grant.revoked_at.is_none() && now < grant.expires_at;
    Ok(alive && (grant.offline || sessions::live(view, now, &grant.session)?.is_some()))
}

pub(in crate::store) fn end_session(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    user: &ResourceUid,
    hash: &TokenHash,
) -> Result<bool, StoreError> {
    let session = sessions::by_key(transaction, hash.as_bytes())?;
    if session.is_none_or(|session| session.user_uid != *user) {
        return Ok(false);
    }
    sessions::log_out(transaction, now, hash.as_bytes())?;
    Ok(true)
}

pub(in crate::store) fn end_other_sessions(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    user: &ResourceUid,
    keep: &TokenHash,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for hash in SESSIONS_OF_USER.of(transaction, user.as_str().as_bytes())? {
        if hash == keep.as_bytes() {
            continue;
        }
        let session = sessions::by_key(transaction, &hash)?;
        if session.is_some_and(|session| now < sessions::ends_at(&session)) {
            ended += 1;
        }
        sessions::log_out(transaction, now, &hash)?;
    }
    Ok(ended)
}

pub(in crate::store) fn end_app(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    user: &ResourceUid,
    client: &ResourceUid,
) -> Result<bool, StoreError> {
    let mut ended = grants::forget_consent(transaction, user, client)?;
    logout_notices::begin_all_of_user(transaction, now, user, Some(client))?;
    for id in GRANTS_OF_USER.of(transaction, user.as_str().as_bytes())? {
        if grants::by_key(transaction, &id)?.is_some_and(|grant| grant.client_uid == *client) {
            grants::end(transaction, &id)?;
            ended = true;
        }
    }
    Ok(ended)
}

pub(in crate::store) fn change_password(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    replaces: &TokenHash,
    session: SessionRecord,
    current: &PasswordHash,
    new: OwnPasswordRecord,
) -> Result<ChangePassword, StoreError> {
    let Some((before, user)) = sessions::with_user(transaction, now, replaces)? else {
        return Ok(ChangePassword::SessionGone);
    };
    if before.user_uid != session.user_uid {
        return Ok(ChangePassword::SessionGone);
    }
    if user.password_hash() != Some(current) {
        return Ok(ChangePassword::NotCurrent);
    }
    users::set_own_password(transaction, user, new)?;
    let (uid, keep) = (session.user_uid.clone(), session.hash);
    // Before the new session begins, to which they would move.
    logout_notices::begin_all_of_user(transaction, now, &uid, None)?;
    grants::end_all(transaction, &GRANTS_OF_USER, uid.as_str().as_bytes())?;
    sessions::begin(transaction, now, session, Some(*replaces))?;
    end_other_sessions(transaction, now, &uid, &keep)?;
    Ok(ChangePassword::Changed)
}
