//! Users: registration, claims, passwords, absence, removal.

use crate::clock::Timestamp;
use crate::oidc::identifier::{ClientId, ResourceUid, Subject};
use crate::oidc::password::PasswordHash;
use crate::store::key_value::table::Table;
use crate::store::key_value::tables::{
    GRANTS_OF_USER, RETIRED_SUBJECTS, SESSIONS_OF_USER, SUBJECTS, USERNAMES, USERS,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{clients, expiry, grants, logout_notices, sessions};
use crate::store::records::{Digest, OwnPasswordRecord, PasswordRecord, UserRecord, UserRegistration};
use crate::store::{RegisterUser, StoreError};

pub(in crate::store) fn register(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    registration: UserRegistration,
) -> Result<RegisterUser, StoreError> {
    let uid = registration.user.uid.clone();
    for (claims, claim, held) in [
        (&USERNAMES, registration.user.username.as_str(), Claim::Username),
        (&SUBJECTS, registration.user.subject.as_str(), Claim::Subject),
    ] {
        let Some(holder) = other_holder(transaction, claims, claim, &uid)? else {
            continue;
        };
        if holder.resource != registration.resource {
            return Ok(match held {
                Claim::Username => RegisterUser::UsernameHeld(holder.resource),
                Claim::Subject => RegisterUser::SubjectHeld(holder.resource),
            });
        }
        // The same name with another uid: the holder's resource was deleted, even if nobody has told us yet.
        remove(transaction, now, &holder.user.uid)?;
    }
    let known = by_uid(transaction, &uid)?;
    let has_it = known
        .as_ref()
        .is_some_and(|known| known.user.subject == registration.user.subject);
    if !has_it {
        let as_id = ClientId::new(registration.user.subject.as_str());
        let holder = clients::by_client_id(transaction, &as_id)?.map(|holder| holder.resource);
        let holder = match holder {
            Some(holder) => Some(holder),
            None => clients::retired_id(transaction, now, &as_id)?,
        };
        if let Some(holder) = holder {
            return Ok(RegisterUser::SubjectIsClientId(holder));
        }
    }
    let subject = registration.user.subject.as_str().as_bytes();
    if RETIRED_SUBJECTS.get(transaction, &[subject])?.is_some() {
        if !registration.restores_subject {
            return Ok(RegisterUser::SubjectRetired);
        }
        RETIRED_SUBJECTS.delete(transaction, &[subject]);
    }

    let record = merge(known.as_ref(), registration, now);
    // A restart registers everything again; what has not changed costs no write.
    if known.as_ref() == Some(&record) {
        return Ok(RegisterUser::Registered(Box::new(record)));
    }
    if let Some(known) = &known {
        replace(transaction, now, known, &record)?;
    }
    let claim = record.user.username.as_bytes();
    USERNAMES.put(transaction, &[claim], &uid)?;
    SUBJECTS.put(transaction, &[record.user.subject.as_str().as_bytes()], &uid)?;
    put(transaction, &record)?;
    Ok(RegisterUser::Registered(Box::new(record)))
}

/// Whether the text is the subject of a user, or was that of one who was removed.
pub(in crate::store) fn is_subject(view: &dyn Read, text: &str) -> Result<bool, StoreError> {
    let claim = [text.as_bytes()];
    Ok(SUBJECTS.get(view, &claim)?.is_some() || RETIRED_SUBJECTS.get(view, &claim)?.is_some())
}

enum Claim {
    Username,
    Subject,
}

fn merge(known: Option<&UserRecord>, registration: UserRegistration, now: Timestamp) -> UserRecord {
    let known_password = known.and_then(|known| known.password.as_ref());
    let own_password = known
        .filter(|_| is_same(known_password, registration.password.as_ref()))
        .and_then(|known| known.own_password.clone());
    // A hash of the same source may have been made stronger since; it must not become weak again.
    let password = if source(known_password) == source(registration.password.as_ref()) {
        known_password.cloned()
    } else {
        registration.password
    };
    let unchanged = known.filter(|known| known.user == registration.user);
    UserRecord {
        updated_at: unchanged.map_or(Some(now), |known| known.updated_at),
        user: registration.user,
        resource: registration.resource,
        password,
        own_password,
        absent_since: None,
        done: known.and_then(|known| known.done.clone()),
    }
}

/// Ends what must not outlive a change from `known` to `record`.
fn replace(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    known: &UserRecord,
    record: &UserRecord,
) -> Result<(), StoreError> {
    release_claims(transaction, known);
    let subject_changes = known.user.subject != record.user.subject;
    if subject_changes {
        retire_subject(transaction, known)?;
    }
    let password_changes = !is_same(known.password.as_ref(), record.password.as_ref());
    if record.user.disabled || subject_changes || password_changes {
        end_everything(transaction, now, &record.user.uid)?;
    }
    Ok(())
}

fn source(password: Option<&PasswordRecord>) -> Option<&str> {
    password.map(|password| password.source.as_str())
}

/// Whether the resource gives the same password as before: from the same source, or found to be the same behind another
/// one (the Secret was given a label), which the registration says by repeating the hash.
fn is_same(before: Option<&PasswordRecord>, after: Option<&PasswordRecord>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.source == after.source || before.hash == after.hash,
        (None, None) => true,
        _ => false,
    }
}

pub(in crate::store) fn complete(
    transaction: &mut dyn Transaction,
    uid: &ResourceUid,
    done: Digest,
) -> Result<(), StoreError> {
    let Some(mut record) = by_uid(transaction, uid)? else {
        return Ok(());
    };
    record.done = Some(done);
    put(transaction, &record)
}

pub(in crate::store) fn upgrade_password(
    transaction: &mut dyn Transaction,
    uid: &ResourceUid,
    old: &PasswordHash,
    new: PasswordHash,
) -> Result<(), StoreError> {
    let Some(mut record) = by_uid(transaction, uid)? else {
        return Ok(());
    };
    if record.upgrade_hash(old, new) {
        put(transaction, &record)?;
    }
    Ok(())
}

pub(in crate::store) fn set_own_password(
    transaction: &mut dyn Transaction,
    mut record: UserRecord,
    password: OwnPasswordRecord,
) -> Result<(), StoreError> {
    record.own_password = Some(password);
    put(transaction, &record)
}

pub(in crate::store) fn by_username(
    view: &dyn Read,
    username: &str,
) -> Result<Option<UserRecord>, StoreError> {
    by_claim(view, &USERNAMES, username)
}

pub(in crate::store) fn by_subject(
    view: &dyn Read,
    subject: &Subject,
) -> Result<Option<UserRecord>, StoreError> {
    by_claim(view, &SUBJECTS, subject.as_str())
}

pub(in crate::store) fn by_uid(view: &dyn Read, uid: &ResourceUid) -> Result<Option<UserRecord>, StoreError> {
    USERS.get(view, &[uid.as_str().as_bytes()])
}

/// The user, if enabled and present.
pub(in crate::store) fn live(view: &dyn Read, uid: &ResourceUid) -> Result<Option<UserRecord>, StoreError> {
    Ok(by_uid(view, uid)?.filter(UserRecord::is_live))
}

pub(in crate::store) fn all(view: &dyn Read) -> Result<Vec<UserRecord>, StoreError> {
    USERS.all(view)
}

pub(in crate::store) fn mark_absent(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    uids: &[ResourceUid],
) -> Result<(), StoreError> {
    for uid in uids {
        if let Some(mut record) = by_uid(transaction, uid)?
            && record.absent_since.is_none()
        {
            record.absent_since = Some(now);
            put(transaction, &record)?;
            end_everything(transaction, now, uid)?;
            expiry::Subject::User(uid.clone()).look_at(transaction, expiry::purge_at(now));
        }
    }
    Ok(())
}

pub(in crate::store) fn remove(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    let Some(record) = by_uid(transaction, uid)? else {
        return Ok(());
    };
    release_claims(transaction, &record);
    retire_subject(transaction, &record)?;
    end_everything(transaction, now, uid)?;
    grants::forget_consents_of(transaction, uid)?;
    USERS.delete(transaction, &[uid.as_str().as_bytes()]);
    Ok(())
}

/// Ends all sessions and grants of a user, and has the clients that hold them told.
fn end_everything(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    logout_notices::begin_all_of_user(transaction, now, uid, None)?;
    let uid = uid.as_str().as_bytes();
    for hash in SESSIONS_OF_USER.of(transaction, uid)? {
        sessions::end_by_key(transaction, &hash)?;
    }
    grants::end_all(transaction, &GRANTS_OF_USER, uid)
}

fn put(transaction: &mut dyn Transaction, record: &UserRecord) -> Result<(), StoreError> {
    USERS.put(transaction, &[record.user.uid.as_str().as_bytes()], record)
}

fn release_claims(transaction: &mut dyn Transaction, record: &UserRecord) {
    USERNAMES.delete(transaction, &[record.user.username.as_bytes()]);
    SUBJECTS.delete(transaction, &[record.user.subject.as_str().as_bytes()]);
}

fn retire_subject(transaction: &mut dyn Transaction, record: &UserRecord) -> Result<(), StoreError> {
    let subject = record.user.subject.as_str().as_bytes();
    RETIRED_SUBJECTS.put(transaction, &[subject], &record.user.uid)
}

fn by_claim(
    view: &dyn Read,
    claims: &Table<ResourceUid>,
    claim: &str,
) -> Result<Option<UserRecord>, StoreError> {
    match claims.get(view, &[claim.as_bytes()])? {
        Some(uid) => by_uid(view, &uid),
        None => Ok(None),
    }
}

/// The user who holds a claim, unless that is `uid` itself.
fn other_holder(
    view: &dyn Read,
    claims: &Table<ResourceUid>,
    claim: &str,
    uid: &ResourceUid,
) -> Result<Option<UserRecord>, StoreError> {
    Ok(by_claim(view, claims, claim)?.filter(|holder| holder.user.uid != *uid))
}
