//! Clients: registration, claims, absence, removal.

use crate::clock::Timestamp;
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::{ClientId, ResourceUid};
use crate::store::key_value::table::Table;
use crate::store::key_value::tables::{
    CLIENT_IDS, CLIENTS, CLIENTS_OF_ORIGIN, GRANTS_OF_CLIENT, SECRET_NAMES,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{expiry, grants, logout_notices, spent_jtis, token_lifetimes, users};
use crate::store::records::{ClientRecord, ClientRegistration, Digest, ResourceRef};
use crate::store::{RegisterClient, StoreError};

pub(in crate::store) fn register(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    registration: ClientRegistration,
) -> Result<RegisterClient, StoreError> {
    let uid = registration.client.uid.clone();
    let client_id = registration.client.client_id.clone();

    let known = by_uid(transaction, &uid)?;
    if takes_a_subject(transaction, known.as_ref(), &registration)? {
        return Ok(RegisterClient::ClientIdIsSubject);
    }
    // A holder of the same name with another uid is a resource that was deleted, even if nobody has told us yet.
    if let Some(holder) = other_holder(transaction, &CLIENT_IDS, &[client_id.as_str().as_bytes()], &uid)? {
        if holder.resource != registration.resource {
            return Ok(RegisterClient::ClientIdHeld(holder.resource));
        }
        remove(transaction, &holder.client.uid)?;
    }
    let secret_name = secret_name_parts(&registration.resource, &registration.secret_name);
    if let Some(holder) = other_holder(transaction, &SECRET_NAMES, &secret_name, &uid)? {
        if holder.resource != registration.resource {
            return Ok(RegisterClient::SecretNameHeld(holder.resource));
        }
        remove(transaction, &holder.client.uid)?;
    }

    let record = merge(known.as_ref(), registration);
    // A restart registers everything again; what has not changed costs no write.
    if known.as_ref() == Some(&record) {
        return Ok(RegisterClient::Registered(Box::new(record)));
    }
    if let Some(known) = &known {
        release_claims(transaction, known);
        token_lifetimes::note_shortened(transaction, now, &known.client, &record.client)?;
    }
    CLIENT_IDS.put(transaction, &[client_id.as_str().as_bytes()], &uid)?;
    SECRET_NAMES.put(
        transaction,
        &secret_name_parts(&record.resource, &record.secret_name),
        &uid,
    )?;
    for origin in &record.client.allowed_origins {
        CLIENTS_OF_ORIGIN.put(transaction, origin.as_bytes(), uid.as_str().as_bytes());
    }
    put(transaction, &record)?;
    Ok(RegisterClient::Registered(Box::new(record)))
}

/// Whether the client's id is, or was, the subject of a person, and this registration is what makes that matter. A client
/// that had its id before anybody looked keeps it for as long as it does not act for itself.
fn takes_a_subject(
    view: &dyn Read,
    known: Option<&ClientRecord>,
    registration: &ClientRegistration,
) -> Result<bool, StoreError> {
    let client = &registration.client;
    let has_it = known.is_some_and(|known| known.client.client_id == client.client_id);
    if has_it && !client.grant_types.contains(&GrantType::ClientCredentials) {
        return Ok(false);
    }
    users::is_subject(view, client.client_id.as_str())
}

fn merge(known: Option<&ClientRecord>, registration: ClientRegistration) -> ClientRecord {
    let secret_versions = match known {
        Some(known) if !known.secret_versions.is_empty() => known.secret_versions.clone(),
        _ => registration.initial_secret_versions,
    };
    let observed_rotation = known.map_or(registration.initial_rotation, |known| {
        known.observed_rotation.clone()
    });
    ClientRecord {
        client: registration.client,
        resource: registration.resource,
        secret_name: registration.secret_name,
        secret_versions,
        absent_since: None,
        done: known.and_then(|known| known.done.clone()),
        observed_rotation,
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

pub(in crate::store) fn by_client_id(
    view: &dyn Read,
    client_id: &ClientId,
) -> Result<Option<ClientRecord>, StoreError> {
    match CLIENT_IDS.get(view, &[client_id.as_str().as_bytes()])? {
        Some(uid) => by_uid(view, &uid),
        None => Ok(None),
    }
}

pub(in crate::store) fn by_uid(
    view: &dyn Read,
    uid: &ResourceUid,
) -> Result<Option<ClientRecord>, StoreError> {
    CLIENTS.get(view, &[uid.as_str().as_bytes()])
}

pub(in crate::store) fn all(view: &dyn Read) -> Result<Vec<ClientRecord>, StoreError> {
    CLIENTS.all(view)
}

/// By an index: anybody may ask, and what a stranger asks must not cost a look at every client.
pub(in crate::store) fn origin_is_registered(view: &dyn Read, origin: &str) -> Result<bool, StoreError> {
    for uid in CLIENTS_OF_ORIGIN.of(view, origin.as_bytes())? {
        let client = CLIENTS.get(view, &[&uid])?;
        if client.is_some_and(|record| record.is_live() && record.client.allows_origin(origin)) {
            return Ok(true);
        }
    }
    Ok(false)
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
            expiry::Subject::Client(uid.clone()).look_at(transaction, expiry::purge_at(now));
        }
    }
    Ok(())
}

pub(in crate::store) fn remove(
    transaction: &mut dyn Transaction,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    let Some(record) = by_uid(transaction, uid)? else {
        return Ok(());
    };
    release_claims(transaction, &record);
    grants::end_all(transaction, &GRANTS_OF_CLIENT, uid.as_str().as_bytes())?;
    grants::forget_consents_of(transaction, uid)?;
    spent_jtis::forget_all(transaction, uid)?;
    logout_notices::end_all_of_client(transaction, uid)?;
    CLIENTS.delete(transaction, &[uid.as_str().as_bytes()]);
    Ok(())
}

pub(super) fn put(transaction: &mut dyn Transaction, record: &ClientRecord) -> Result<(), StoreError> {
    CLIENTS.put(transaction, &[record.client.uid.as_str().as_bytes()], record)
}

fn secret_name_parts<'a>(resource: &'a ResourceRef, secret_name: &'a str) -> [&'a [u8]; 2] {
    [resource.namespace.as_bytes(), secret_name.as_bytes()]
}

fn release_claims(transaction: &mut dyn Transaction, record: &ClientRecord) {
    CLIENT_IDS.delete(transaction, &[record.client.client_id.as_str().as_bytes()]);
    SECRET_NAMES.delete(
        transaction,
        &secret_name_parts(&record.resource, &record.secret_name),
    );
    for origin in &record.client.allowed_origins {
        let uid = record.client.uid.as_str().as_bytes();
        CLIENTS_OF_ORIGIN.delete(transaction, origin.as_bytes(), uid);
    }
}

/// The client that holds a claim, unless that is `uid` itself.
fn other_holder(
    view: &dyn Read,
    claims: &Table<ResourceUid>,
    claim: &[&[u8]],
    uid: &ResourceUid,
) -> Result<Option<ClientRecord>, StoreError> {
    match claims.get(view, claim)? {
        Some(holder) if holder != *uid => by_uid(view, &holder),
        _ => Ok(None),
    }
}
