//! Which clients took part in a session, so that they, and nobody else, hear of its end.
//!
//! A client takes part once it was given an ID token in the session. It is noted beside the grants and not told by them: a
//! grant may be revoked, make room for others, or outlive the session, while the app's own session goes on.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::scope::OPENID;
use crate::oidc::session_id::sid;
use crate::store::StoreError;
use crate::store::key_value::tables::{PARTICIPANTS, PARTICIPANTS_OF_SESSION};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{logout_notices, sessions};
use crate::store::records::{GrantRecord, MAX_SIDS, ParticipantRecord};

/// Notes that the client of `grant` is given an ID token now. A grant that outlived its session notes nothing: that session's
/// end was told already.
pub(in crate::store) fn note(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    grant: &GrantRecord,
) -> Result<(), StoreError> {
    if !grant.scope.contains(OPENID) || sessions::live(transaction, now, &grant.session)?.is_none() {
        return Ok(());
    }
    let known = by_key(transaction, grant.session.as_bytes(), &grant.client_uid)?;
    let sid = sid(&grant.session, &grant.client_uid);
    let is_noted = |known: &ParticipantRecord| known.sids.last() == Some(&sid) && known.sub == *grant.sub();
    if known.as_ref().is_some_and(is_noted) {
        return Ok(());
    }
    let mut sids = known.map(|known| known.sids).unwrap_or_default();
    sids.push(sid);
    let participant = ParticipantRecord {
        client_uid: grant.client_uid.clone(),
        sub: grant.sub().clone(),
        sids,
    };
    put(transaction, grant.session.as_bytes(), participant)
}

/// Has those of one session take part in another: the same person has signed in again. They keep what they call the session.
pub(in crate::store) fn move_all(
    transaction: &mut dyn Transaction,
    from: &TokenHash,
    to: &TokenHash,
) -> Result<(), StoreError> {
    for participant in take_all(transaction, from.as_bytes())? {
        put(transaction, to.as_bytes(), participant)?;
    }
    Ok(())
}

/// Has the clients of a session told that it ends, but for those in `told`, who hear more. Of a session that was over before
/// nobody hears: nobody ended it, see [`logout_notices`].
pub(in crate::store) fn notify(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    session: &[u8],
    told: &BTreeSet<ResourceUid>,
) -> Result<(), StoreError> {
    let was_live =
        sessions::by_key(transaction, session)?.is_some_and(|session| now < sessions::ends_at(&session));
    for participant in take_all(transaction, session)? {
        if was_live && !told.contains(&participant.client_uid) {
            notify_one(transaction, now, participant)?;
        }
    }
    Ok(())
}

/// As [`notify`], of one client alone, which takes part no more.
pub(in crate::store) fn notify_client(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    session: &[u8],
    client: &ResourceUid,
    told: &BTreeSet<ResourceUid>,
) -> Result<(), StoreError> {
    let Some(participant) = by_key(transaction, session, client)? else {
        return Ok(());
    };
    delete(transaction, session, client);
    if told.contains(client) {
        return Ok(());
    }
    notify_one(transaction, now, participant)
}

fn notify_one(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    participant: ParticipantRecord,
) -> Result<(), StoreError> {
    let ParticipantRecord {
        client_uid,
        sub,
        sids,
    } = participant;
    for sid in sids {
        logout_notices::begin(transaction, now, &client_uid, &sub, Some(sid))?;
    }
    Ok(())
}

/// Forgets who took part in a session.
pub(in crate::store) fn forget_all(
    transaction: &mut dyn Transaction,
    session: &[u8],
) -> Result<(), StoreError> {
    take_all(transaction, session).map(drop)
}

fn take_all(transaction: &mut dyn Transaction, session: &[u8]) -> Result<Vec<ParticipantRecord>, StoreError> {
    let mut participants = Vec::new();
    for client in PARTICIPANTS_OF_SESSION.of(transaction, session)? {
        participants.extend(PARTICIPANTS.get(transaction, &[session, &client])?);
        PARTICIPANTS_OF_SESSION.delete(transaction, session, &client);
        PARTICIPANTS.delete(transaction, &[session, &client]);
    }
    Ok(participants)
}

fn by_key(
    view: &dyn Read,
    session: &[u8],
    client: &ResourceUid,
) -> Result<Option<ParticipantRecord>, StoreError> {
    PARTICIPANTS.get(view, &[session, client.as_str().as_bytes()])
}

fn delete(transaction: &mut dyn Transaction, session: &[u8], client: &ResourceUid) {
    let client = client.as_str().as_bytes();
    PARTICIPANTS_OF_SESSION.delete(transaction, session, client);
    PARTICIPANTS.delete(transaction, &[session, client]);
}

fn put(
    transaction: &mut dyn Transaction,
    session: &[u8],
    mut participant: ParticipantRecord,
) -> Result<(), StoreError> {
    let excess = participant.sids.len().saturating_sub(MAX_SIDS);
    participant.sids.drain(..excess);
    let client = participant.client_uid.as_str().as_bytes();
    PARTICIPANTS_OF_SESSION.put(transaction, session, client);
    PARTICIPANTS.put(transaction, &[session, client], &participant)
}
