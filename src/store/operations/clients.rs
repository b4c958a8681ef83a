//! Clients: registration, claims, absence, removal.

use crate::clock::{Timestamp, later};
use crate::oidc::client::LONGEST_SIGNED_LIFETIME;
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::{ClientId, ResourceUid};
use crate::store::key_value::table::Table;
use crate::store::key_value::tables::{
    CLIENT_IDS, CLIENTS, CLIENTS_OF_ORIGIN, GRANTS_OF_CLIENT, RESOURCE_IDENTIFIERS, RETIRED_CLIENT_IDS,
    RetiredClientId, SECRET_NAMES,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{
    access_tokens, device_codes, expiry, grants, logout_notices, pushed_requests, spent_jtis,
    token_lifetimes, users,
};
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
        remove(transaction, now, &holder.client.uid)?;
    }
    let secret_name = secret_name_parts(&registration.resource, &registration.secret_name);
    if let Some(holder) = other_holder(transaction, &SECRET_NAMES, &secret_name, &uid)? {
        if holder.resource != registration.resource {
            return Ok(RegisterClient::SecretNameHeld(holder.resource));
        }
        remove(transaction, now, &holder.client.uid)?;
    }
    for identifier in &registration.client.resource_identifiers {
        let claim = [identifier.as_bytes()];
        if let Some(holder) = other_holder(transaction, &RESOURCE_IDENTIFIERS, &claim, &uid)? {
            if holder.resource != registration.resource {
                return Ok(RegisterClient::ResourceIdentifierHeld(
                    identifier.clone(),
                    holder.resource,
                ));
            }
            remove(transaction, now, &holder.client.uid)?;
        }
    }

    let record = merge(known.as_ref(), registration);
    // A restart registers everything again; what has not changed costs no write.
    if known.as_ref() == Some(&record) && holds_its_identifiers(transaction, &record)? {
        return Ok(RegisterClient::Registered(Box::new(record)));
    }
    if let Some(known) = &known {
        release_claims(transaction, known)?;
        token_lifetimes::note_shortened(transaction, now, &known.client, &record.client)?;
        pushed_requests::end_all_of(transaction, &uid)?;
    }
    CLIENT_IDS.put(transaction, &[client_id.as_str().as_bytes()], &uid)?;
    SECRET_NAMES.put(
        transaction,
        &secret_name_parts(&record.resource, &record.secret_name),
        &uid,
    )?;
    for identifier in &record.client.resource_identifiers {
        RESOURCE_IDENTIFIERS.put(transaction, &[identifier.as_bytes()], &uid)?;
    }
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
    // The field and not `Client::may_use`: what its profile does not admit today the next registration may.
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

pub(in crate::store) fn resource_server(
    view: &dyn Read,
    identifier: &str,
) -> Result<Option<ClientRecord>, StoreError> {
    match RESOURCE_IDENTIFIERS.get(view, &[identifier.as_bytes()])? {
        Some(uid) => by_uid(view, &uid),
        None => Ok(None),
    }
}

/// The first version did not keep these claims, so that a record may be there without them.
fn holds_its_identifiers(view: &dyn Read, record: &ClientRecord) -> Result<bool, StoreError> {
    for identifier in &record.client.resource_identifiers {
        if RESOURCE_IDENTIFIERS.get(view, &[identifier.as_bytes()])?.as_ref() != Some(&record.client.uid) {
            return Ok(false);
        }
    }
    Ok(true)
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
    now: Timestamp,
    uid: &ResourceUid,
) -> Result<(), StoreError> {
    let Some(record) = by_uid(transaction, uid)? else {
        return Ok(());
    };
    retire_id(transaction, now, &record)?;
    release_claims(transaction, &record)?;
    grants::end_all(transaction, &GRANTS_OF_CLIENT, uid.as_str().as_bytes())?;
    grants::forget_consents_of(transaction, uid)?;
    spent_jtis::forget_all(transaction, uid)?;
    access_tokens::forget_client(transaction, uid)?;
    pushed_requests::end_all_of(transaction, uid)?;
    device_codes::end_all_of(transaction, uid)?;
    logout_notices::end_all_of_client(transaction, uid)?;
    CLIENTS.delete(transaction, &[uid.as_str().as_bytes()]);
    Ok(())
}

/// Tokens of a client that acted for itself carry its id as `sub` until they expire, and resource servers accept them so long:
/// nobody else may be called so meanwhile.
fn retire_id(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    record: &ClientRecord,
) -> Result<(), StoreError> {
    let id = &record.client.client_id;
    let retired = RetiredClientId {
        resource: record.resource.clone(),
        until: later(now, LONGEST_SIGNED_LIFETIME),
    };
    expiry::Subject::RetiredClientId(id.clone()).look_at(transaction, retired.until);
    RETIRED_CLIENT_IDS.put(transaction, &[id.as_str().as_bytes()], &retired)
}

/// Who had a client id until it was removed, if a token may still carry it.
pub(in crate::store) fn retired_id(
    view: &dyn Read,
    now: Timestamp,
    id: &ClientId,
) -> Result<Option<ResourceRef>, StoreError> {
    let retired = RETIRED_CLIENT_IDS.get(view, &[id.as_str().as_bytes()])?;
    Ok(retired
        .filter(|retired| now < retired.until)
        .map(|retired| retired.resource))
}

pub(super) fn put(transaction: &mut dyn Transaction, record: &ClientRecord) -> Result<(), StoreError> {
    CLIENTS.put(transaction, &[record.client.uid.as_str().as_bytes()], record)
}

fn secret_name_parts<'a>(resource: &'a ResourceRef, secret_name: &'a str) -> [&'a [u8]; 2] {
    [resource.namespace.as_bytes(), secret_name.as_bytes()]
}

/// What the client holds. A record may name an identifier that is another's: see [`holds_its_identifiers`].
fn release_claims(transaction: &mut dyn Transaction, record: &ClientRecord) -> Result<(), StoreError> {
    let uid = &record.client.uid;
    for identifier in &record.client.resource_identifiers {
        let claim = [identifier.as_bytes()];
        if RESOURCE_IDENTIFIERS.get(transaction, &claim)?.as_ref() == Some(uid) {
            RESOURCE_IDENTIFIERS.delete(transaction, &claim);
        }
    }
    CLIENT_IDS.delete(transaction, &[record.client.client_id.as_str().as_bytes()]);
    SECRET_NAMES.delete(
        transaction,
        &secret_name_parts(&record.resource, &record.secret_name),
    );
    for origin in &record.client.allowed_origins {
        CLIENTS_OF_ORIGIN.delete(transaction, origin.as_bytes(), uid.as_str().as_bytes());
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::Store;
    use crate::store::key_value::Engine;
    use crate::store::memory::MemoryStore;

    fn api(name: &str) -> ClientRegistration {
        let client = serde_json::json!({
            "uid": name, "client_id": name, "client_name": name, "description": null, "redirect_uris": [],
            "allowed_origins": [], "grant_types": ["client_credentials"], "scopes": ["openid"],
            "token_endpoint_auth_methods": ["client_secret_basic"], "consent": "Remember", "default_max_age": null,
            "lifetimes": {
                "access_token": {"secs": 600, "nanos": 0}, "id_token": {"secs": 600, "nanos": 0},
                "refresh_token_idle": {"secs": 60, "nanos": 0}, "refresh_token": {"secs": 90, "nanos": 0},
            },
            "resource_identifiers": ["urn:api"],
            "access": {"allowed_groups": [], "allowed_users": []}, "suspended": false,
        });
        ClientRegistration {
            client: serde_json::from_value(client).unwrap(),
            resource: ResourceRef {
                namespace: "team-a".to_owned(),
                name: name.to_owned(),
            },
            secret_name: name.to_owned(),
            initial_secret_versions: Vec::new(),
            initial_rotation: crate::store::records::ObservedRotation::default(),
        }
    }

    /// Two clients may have the same identifier in a store that did not keep claims yet: it is whose registration comes
    /// first, although nothing of that has changed, and the end of the other one does not take it away.
    #[tokio::test]
    async fn rule_41_a_claim_begins_in_a_store_that_kept_none() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let forget = async || {
            let claim: &[&[u8]] = &[b"urn:api"];
            let forgotten = store.write(move |transaction, _| {
                RESOURCE_IDENTIFIERS.delete(transaction, claim);
                Ok(())
            });
            forgotten.await.unwrap();
        };
        let register = async |name: &str| store.register_client(api(name)).await.unwrap();
        for name in ["first", "second"] {
            forget().await;
            assert!(matches!(register(name).await, RegisterClient::Registered(_)));
        }
        forget().await;
        assert!(matches!(register("first").await, RegisterClient::Registered(_)));
        assert!(matches!(
            register("second").await,
            RegisterClient::ResourceIdentifierHeld(..)
        ));
        store.remove_client(&ResourceUid::new("second")).await.unwrap();
        let holder = store.resource_server("urn:api").await.unwrap().unwrap();
        assert_eq!(holder.client.uid, ResourceUid::new("first"));
    }
}
