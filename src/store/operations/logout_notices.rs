//! What clients are to be told of sessions that ended (OpenID Connect Back-Channel Logout).
//!
//! A notice is written by the transaction that ends the session, so that neither a crash nor an app that is away loses it.
//! Who tells the client claims it first: from then on it is due again after a pause, whatever becomes of the teller, and it
//! goes only when the client was told or nobody tries any more. So a client may be told twice, and a claim needs no end.
//!
//! A session that idles out, or comes to its absolute end, makes none. The specification leaves that open. The person did
//! not sign out: somebody who has worked in one app all day would lose their work there since they did not come by here.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::{Timestamp, later};
use crate::oidc::identifier::{ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::scope::OPENID;
use crate::store::key_value::tables::{
    GRANTS_OF_USER, LOGOUT_NOTICES, LOGOUT_NOTICES_OF_CLIENT, SESSIONS_OF_USER,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry::{ceiling, ordered};
use crate::store::operations::{clients, counts, expiry, grants, participants};
use crate::store::records::{ClientRecord, GrantRecord, LogoutNoticeRecord};
use crate::store::{ClaimedLogoutNotice, StoreError};

/// What could not be told for this long is not told any more: as long as a session lives at most, so an outage of a day.
const LIFETIME: Duration = Duration::from_hours(24);
/// So many wait for one client at most; what would be tried first goes.
const MOST_OF_CLIENT: u64 = 1_000;

/// Writes a notice, if the client wants any. Without `sid` it is about everything of the person, which clients that need a
/// `sid` do not understand.
pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    client: &ResourceUid,
    sub: &Subject,
    sid: Option<String>,
) -> Result<(), StoreError> {
    let known = clients::by_uid(transaction, client)?;
    if !known.is_some_and(|record| is_wanted(&record, sid.is_some())) {
        return Ok(());
    }
    let notice = LogoutNoticeRecord {
        client_uid: client.clone(),
        sub: sub.clone(),
        sid,
        attempts: 0,
        due_at: now,
        expires_at: later(now, LIFETIME),
    };
    if let Some(before) = by_key(transaction, client, &notice.id())? {
        remove(transaction, &before)?;
    }
    make_room(transaction, client)?;
    counts::LOGOUT_NOTICES.one_more(transaction, client.as_str().as_bytes())?;
    subject(&notice).look_at(transaction, notice.expires_at);
    put(transaction, &notice)
}

/// Has every client told that holds something of a user which is about to end: of each session that it takes part in, or of
/// the person as a whole where it may stay signed in without a session here. With `only`, that client alone.
pub(in crate::store) fn begin_all_of_user(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    user: &ResourceUid,
    only: Option<&ResourceUid>,
) -> Result<(), StoreError> {
    let user = user.as_str().as_bytes();
    let mut told = BTreeSet::new();
    for id in GRANTS_OF_USER.of(transaction, user)? {
        let grant = grants::by_key(transaction, &id)?.filter(|grant| {
            outlives_sessions(grant, now) && only.is_none_or(|only| grant.client_uid == *only)
        });
        let Some(grant) = grant else { continue };
        // The app was given a code so far, which it cannot redeem any more.
        if grants::ends_with_session(transaction, &grant)? {
            continue;
        }
        let client = clients::by_uid(transaction, &grant.client_uid)?;
        if client.is_some_and(|record| is_wanted(&record, false)) {
            begin(transaction, now, &grant.client_uid, grant.sub(), None)?;
            told.insert(grant.client_uid);
        }
    }
    for session in SESSIONS_OF_USER.of(transaction, user)? {
        match only {
            None => participants::notify(transaction, now, &session, &told)?,
            Some(client) => participants::notify_client(transaction, now, &session, client, &told)?,
        }
    }
    Ok(())
}

fn outlives_sessions(grant: &GrantRecord, now: Timestamp) -> bool {
    grant.offline && grant.revoked_at.is_none() && now < grant.expires_at && grant.scope.contains(OPENID)
}

/// Whether the client is to be told. One that is suspended is: it gets nothing, and it may still hold sessions.
fn is_wanted(record: &ClientRecord, has_sid: bool) -> bool {
    record.absent_since.is_none()
        && record.client.backchannel_logout_uri.is_some()
        && (has_sid || !record.client.backchannel_logout_session_required)
}

fn make_room(transaction: &mut dyn Transaction, client: &ResourceUid) -> Result<(), StoreError> {
    let owner = client.as_str().as_bytes();
    if counts::LOGOUT_NOTICES.of(transaction, owner)? >= MOST_OF_CLIENT
        && let Some(item) = LOGOUT_NOTICES_OF_CLIENT.first(transaction, owner, 1)?.first()
    {
        remove_item(transaction, client, item)?;
    }
    Ok(())
}

/// Whether anything is due; only looks.
pub(in crate::store) fn is_due(
    view: &dyn Read,
    now: Timestamp,
    busy: &[ResourceUid],
) -> Result<bool, StoreError> {
    Ok(next_due(view, now, None, busy)?.is_some())
}

/// Claims the next notice that is due, of the first client after `after` that is not `busy`, or of the first of all. It is
/// due again after the pause that belongs to the attempt, the last one if there were more.
pub(in crate::store) fn claim(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    after: Option<&ResourceUid>,
    busy: &[ResourceUid],
    pauses: &[Duration],
) -> Result<Option<ClaimedLogoutNotice>, StoreError> {
    while let Some((client, item)) = next_due(transaction, now, after, busy)? {
        let notice = by_key(transaction, &client, &id_of(&item))?;
        let record = clients::by_uid(transaction, &client)?;
        let (Some(notice), Some(record)) = (notice, record) else {
            remove_item(transaction, &client, &item)?;
            continue;
        };
        if notice.expires_at <= now || !is_wanted(&record, notice.sid.is_some()) {
            remove(transaction, &notice)?;
            continue;
        }
        let attempt = usize::try_from(notice.attempts).unwrap_or(usize::MAX);
        let pause = pauses.get(attempt).or(pauses.last()).copied().unwrap_or_default();
        let claimed = LogoutNoticeRecord {
            attempts: notice.attempts.saturating_add(1),
            due_at: later(now, pause),
            ..notice.clone()
        };
        LOGOUT_NOTICES_OF_CLIENT.delete(transaction, client.as_str().as_bytes(), &item_of(&notice));
        put(transaction, &claimed)?;
        return Ok(Some(ClaimedLogoutNotice {
            notice: claimed,
            client: record,
        }));
    }
    Ok(None)
}

/// By skipping from client to client: one for whom many wait costs no more than another.
fn next_due(
    view: &dyn Read,
    now: Timestamp,
    after: Option<&ResourceUid>,
    busy: &[ResourceUid],
) -> Result<Option<(ResourceUid, Vec<u8>)>, StoreError> {
    let now = ordered(now.as_millisecond());
    let begins = [after.map(|after| after.as_str().as_bytes().to_vec()), None];
    for mut owner in begins.into_iter().skip(usize::from(after.is_none())) {
        while let Some((client, item)) = LOGOUT_NOTICES_OF_CLIENT.next_owner(view, owner.as_deref())? {
            let is_due = item.get(..now.len()).is_some_and(|due_at| *due_at <= now[..]);
            let is_busy = busy.iter().any(|busy| busy.as_str().as_bytes() == client);
            // Uids come from Kubernetes as text.
            if is_due
                && !is_busy
                && let Ok(uid) = std::str::from_utf8(&client)
            {
                return Ok(Some((ResourceUid::new(uid), item)));
            }
            owner = Some(client);
        }
    }
    Ok(None)
}

/// How many wait, of all clients together.
pub(in crate::store) fn waiting(view: &dyn Read) -> Result<u64, StoreError> {
    let mut waiting = 0;
    let mut owner = None;
    while let Some((client, _)) = LOGOUT_NOTICES_OF_CLIENT.next_owner(view, owner.as_deref())? {
        waiting += counts::LOGOUT_NOTICES.of(view, &client)?;
        owner = Some(client);
    }
    Ok(waiting)
}

/// Removes a notice that stands as it was claimed; one that was written anew since then stays.
pub(in crate::store) fn end(
    transaction: &mut dyn Transaction,
    claimed: &LogoutNoticeRecord,
) -> Result<(), StoreError> {
    if by_key(transaction, &claimed.client_uid, &claimed.id())?.as_ref() == Some(claimed) {
        remove(transaction, claimed)?;
    }
    Ok(())
}

/// Removes what waits for a client.
pub(in crate::store) fn end_all_of_client(
    transaction: &mut dyn Transaction,
    client: &ResourceUid,
) -> Result<(), StoreError> {
    for item in LOGOUT_NOTICES_OF_CLIENT.of(transaction, client.as_str().as_bytes())? {
        remove_item(transaction, client, &item)?;
    }
    Ok(())
}

pub(in crate::store) fn by_key(
    view: &dyn Read,
    client: &ResourceUid,
    id: &TokenHash,
) -> Result<Option<LogoutNoticeRecord>, StoreError> {
    LOGOUT_NOTICES.get(view, &[client.as_str().as_bytes(), id.as_bytes()])
}

fn remove_item(
    transaction: &mut dyn Transaction,
    client: &ResourceUid,
    item: &[u8],
) -> Result<(), StoreError> {
    match by_key(transaction, client, &id_of(item))? {
        Some(notice) => remove(transaction, &notice)?,
        None => LOGOUT_NOTICES_OF_CLIENT.delete(transaction, client.as_str().as_bytes(), item),
    }
    Ok(())
}

/// Removes a notice as it stands.
pub(in crate::store) fn remove(
    transaction: &mut dyn Transaction,
    notice: &LogoutNoticeRecord,
) -> Result<(), StoreError> {
    let client = notice.client_uid.as_str().as_bytes();
    LOGOUT_NOTICES_OF_CLIENT.delete(transaction, client, &item_of(notice));
    subject(notice).forget(transaction, notice.expires_at);
    LOGOUT_NOTICES.delete(transaction, &[client, notice.id().as_bytes()]);
    counts::LOGOUT_NOTICES.one_less(transaction, client)
}

fn put(transaction: &mut dyn Transaction, notice: &LogoutNoticeRecord) -> Result<(), StoreError> {
    let client = notice.client_uid.as_str().as_bytes();
    LOGOUT_NOTICES_OF_CLIENT.put(transaction, client, &item_of(notice));
    LOGOUT_NOTICES.put(transaction, &[client, notice.id().as_bytes()], notice)
}

fn subject(notice: &LogoutNoticeRecord) -> expiry::Subject {
    expiry::Subject::LogoutNotice(notice.client_uid.clone(), notice.id())
}

/// When it is due, then its id.
fn item_of(notice: &LogoutNoticeRecord) -> Vec<u8> {
    let mut item = ordered(ceiling(notice.due_at)).to_vec();
    item.extend_from_slice(notice.id().as_bytes());
    item
}

fn id_of(item: &[u8]) -> TokenHash {
    TokenHash::from_bytes(item.last_chunk::<32>().copied().unwrap_or_default())
}
