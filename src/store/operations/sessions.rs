//! Sessions: sign-in, use, end.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::{Timestamp, earlier, later};
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::document::CompactSession;
use crate::store::key_value::tables::{
    GRANTS_OF_SESSION, INTERACTIONS_OF_SESSION, SESSIONS, SESSIONS_OF_USER,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{expiry, grants, interactions, participants, users};
use crate::store::records::{InteractionRecord, SessionRecord, UserRecord};
use crate::store::{SignIn, StoreError};

/// One person holds at most this many: each sign-in makes one, and whoever ends or lists them reads them all at once.
const MOST_OF_USER: usize = 100;
/// A use is noted when the last one that was noted is older than this.
const NOTE_USE_AFTER: Duration = Duration::from_mins(1);

pub(in crate::store) fn sign_in(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    session: SessionRecord,
    replaces: Option<TokenHash>,
    interaction: Option<&InteractionRecord>,
) -> Result<SignIn, StoreError> {
    if users::live(transaction, &session.user_uid)?.is_none() {
        return Ok(SignIn::UserRefused);
    }
    begin(transaction, now, session, replaces)?;
    if let Some(interaction) = interaction {
        interactions::begin(transaction, interaction)?;
    }
    Ok(SignIn::SignedIn)
}

/// Stores a session in the place of another.
pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    session: SessionRecord,
    replaces: Option<TokenHash>,
) -> Result<(), StoreError> {
    let hash = session.hash;
    if let Some(replaced) = replaces {
        // A session that is over has ended its grants, swept or not: they do not come back with the next sign-in.
        let before = live(transaction, now, &replaced)?;
        if before.is_some_and(|before| before.user_uid == session.user_uid) {
            grants::move_all(transaction, &replaced, &hash)?;
            participants::move_all(transaction, &replaced, &hash)?;
        }
        log_out(transaction, now, replaced.as_bytes())?;
    }
    make_room(transaction, &session)?;
    SESSIONS_OF_USER.put(transaction, session.user_uid.as_str().as_bytes(), hash.as_bytes());
    expiry::Subject::Session(hash).look_at(transaction, ends_at(&session));
    put(transaction, session)
}

/// Ends the sessions of the person that were used longest ago, where there are too many for another one. That is no sign-out:
/// their apps are not told, as with sessions that idle out.
fn make_room(transaction: &mut dyn Transaction, session: &SessionRecord) -> Result<(), StoreError> {
    let hashes = SESSIONS_OF_USER.of(transaction, session.user_uid.as_str().as_bytes())?;
    let excess = (hashes.len() + 1).saturating_sub(MOST_OF_USER);
    if excess == 0 {
        return Ok(());
    }
    let mut sessions = Vec::with_capacity(hashes.len());
    for hash in hashes {
        sessions.extend(by_key(transaction, &hash)?);
    }
    sessions.sort_by_key(|session| session.last_used_at);
    for oldest in sessions.iter().take(excess) {
        end(transaction, &oldest.hash)?;
    }
    Ok(())
}

/// When the session ends if it is not used again.
pub(in crate::store) fn ends_at(session: &SessionRecord) -> Timestamp {
    later(session.last_used_at, Duration::from_secs(session.idle_seconds)).min(session.expires_at)
}

pub(in crate::store) fn by_key(view: &dyn Read, hash: &[u8]) -> Result<Option<SessionRecord>, StoreError> {
    Ok(SESSIONS.get(view, &[hash])?.map(|session| session.0))
}

/// The session, if neither idle for too long nor too old.
pub(in crate::store) fn live(
    view: &dyn Read,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<SessionRecord>, StoreError> {
    Ok(by_key(view, hash.as_bytes())?.filter(|session| now < ends_at(session)))
}

pub(in crate::store) fn with_user(
    view: &dyn Read,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
    let Some(session) = live(view, now, hash)? else {
        return Ok(None);
    };
    Ok(users::live(view, &session.user_uid)?.map(|user| (session, user)))
}

pub(in crate::store) fn use_is_due(session: &SessionRecord, now: Timestamp) -> bool {
    session.last_used_at <= earlier(now, NOTE_USE_AFTER)
}

/// Notes a use now; the expiry entry stays where it is until the sweeper meets it.
pub(in crate::store) fn note_use(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
    let Some((mut session, user)) = with_user(transaction, now, hash)? else {
        return Ok(None);
    };
    if use_is_due(&session, now) {
        session.last_used_at = now;
        put(transaction, session.clone())?;
    }
    Ok(Some((session, user)))
}

pub(in crate::store) fn end(transaction: &mut dyn Transaction, hash: &TokenHash) -> Result<(), StoreError> {
    end_by_key(transaction, hash.as_bytes())
}

/// As [`end_by_key`], because somebody wants it: clients that took part are told.
pub(in crate::store) fn log_out(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &[u8],
) -> Result<(), StoreError> {
    participants::notify(transaction, now, hash, &BTreeSet::new())?;
    end_by_key(transaction, hash)
}

/// Ends a session with its interactions and the grants that end with it.
pub(in crate::store) fn end_by_key(transaction: &mut dyn Transaction, hash: &[u8]) -> Result<(), StoreError> {
    for interaction in INTERACTIONS_OF_SESSION.of(transaction, hash)? {
        interactions::end_by_key(transaction, &interaction)?;
    }
    grants::end_all(transaction, &GRANTS_OF_SESSION, hash)?;
    participants::forget_all(transaction, hash)?;
    if let Some(session) = by_key(transaction, hash)? {
        SESSIONS_OF_USER.delete(transaction, session.user_uid.as_str().as_bytes(), hash);
        SESSIONS.delete(transaction, &[hash]);
    }
    Ok(())
}

fn put(transaction: &mut dyn Transaction, session: SessionRecord) -> Result<(), StoreError> {
    let hash = session.hash;
    SESSIONS.put(transaction, &[hash.as_bytes()], &CompactSession(session))
}
