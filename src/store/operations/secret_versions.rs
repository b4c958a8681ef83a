//! Versions of a client secret: rotation as a compare-and-set on the newest version, ends, and what is over.

use crate::clock::Timestamp;
use crate::oidc::identifier::ResourceUid;
use crate::store::key_value::Transaction;
use crate::store::operations::clients;
use crate::store::records::{ClientRecord, MAX_SECRET_VERSIONS, SecretRotation, SecretVersion};
use crate::store::{RotateClientSecret, StoreError};

pub(in crate::store) fn rotate(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    uid: &ResourceUid,
    rotation: SecretRotation,
) -> Result<RotateClientSecret, StoreError> {
    let Some(mut record) = with_newest(transaction, uid, &rotation.current)? else {
        return Ok(RotateClientSecret::Changed);
    };
    if rotation.ends_others {
        record.secret_versions.clear();
    } else {
        record.secret_versions.retain(|version| is_live(version, now));
    }
    if record.secret_versions.len() >= MAX_SECRET_VERSIONS {
        return Ok(RotateClientSecret::Full);
    }
    record.secret_versions.push(rotation.next);
    record.observed_rotation = rotation.observed;
    clients::put(transaction, &record)?;
    Ok(RotateClientSecret::Rotated(Box::new(record)))
}

pub(in crate::store) fn retire(
    transaction: &mut dyn Transaction,
    uid: &ResourceUid,
    current: &str,
    retires_at: Timestamp,
) -> Result<Option<ClientRecord>, StoreError> {
    let Some(mut record) = with_newest(transaction, uid, current)? else {
        return Ok(None);
    };
    if let Some((_, older)) = record.secret_versions.split_last_mut() {
        for version in older {
            // An end that was told once is not moved.
            version.retires_at.get_or_insert(retires_at);
        }
    }
    clients::put(transaction, &record)?;
    Ok(Some(record))
}

pub(in crate::store) fn forget_retired(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    uid: &ResourceUid,
) -> Result<Option<ClientRecord>, StoreError> {
    let Some(mut record) = clients::by_uid(transaction, uid)? else {
        return Ok(None);
    };
    let before = record.secret_versions.len();
    record.secret_versions.retain(|version| is_live(version, now));
    if record.secret_versions.len() != before {
        clients::put(transaction, &record)?;
    }
    Ok(Some(record))
}

fn is_live(version: &SecretVersion, now: Timestamp) -> bool {
    version.retires_at.is_none_or(|retires_at| now < retires_at)
}

/// The client, if this version of its secret is the newest.
fn with_newest(
    transaction: &dyn Transaction,
    uid: &ResourceUid,
    current: &str,
) -> Result<Option<ClientRecord>, StoreError> {
    let record = clients::by_uid(transaction, uid)?;
    Ok(record.filter(|record| {
        record
            .secret_versions
            .last()
            .is_some_and(|newest| newest.id == current)
    }))
}
