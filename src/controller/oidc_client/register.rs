//! Registers a client in the store, with its first secret version where the store does not know it.

use std::time::Duration;

use super::resources;
use super::validate::ValidClient;
use crate::clock::Timestamp;
use crate::controller::ControllerContext;
use crate::controller::audit;
use crate::controller::condition::Verdict;
use crate::controller::fail_point::{FailPoint, reach};
use crate::controller::reconciler::{CLAIM_PAUSE, Next};
use crate::crd::v1alpha1::condition::reason;
use crate::crd::v1alpha1::{OidcClient, OidcClientStatus};
use crate::keyring::Keyring;
use crate::oidc::client::{Client, ConsentPolicy, ServiceAccount, TokenSigning};
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::records::{ClientRecord, ClientRegistration, ObservedRotation, SecretVersion};
use crate::store::{RegisterClient, StoreError};

/// The id of every client's first secret version: a constant, so that a reconcile that was cut off before anything was
/// stored makes the same secret again.
const FIRST_VERSION: &str = "1";

/// How long a client waits whose signing key is not ready. That takes a day, so minutes are soon enough.
const KEY_PAUSE: Duration = Duration::from_mins(5);

/// What registering came to.
pub(super) enum Registered {
    /// The record as it now stands.
    Record(Box<ClientRecord>),
    /// Why it is not registered.
    Refused(Verdict, Next),
}

/// Registers `valid`, unless the store holds exactly that already.
pub(super) async fn register(
    context: &ControllerContext,
    resource: &OidcClient,
    valid: &ValidClient,
    known: Option<ClientRecord>,
) -> Result<Registered, StoreError> {
    if let Some(verdict) = resources::refused(context, valid).await? {
        return Ok(Registered::Refused(verdict, Next::Waiting(CLAIM_PAUSE)));
    }
    let known = match known {
        Some(record) if is_current(&record, valid) && resources::holds_all(context, valid).await? => {
            return Ok(Registered::Record(Box::new(record)));
        }
        known => known,
    };
    if let Some(verdict) = signing_key_not_ready(&context.keyring.current(), valid.client.token_signing()) {
        return Ok(Registered::Refused(verdict, Next::Waiting(KEY_PAUSE)));
    }
    let event = if known.is_some() {
        "client_changed"
    } else {
        "client_registered"
    };
    let has_versions = known.is_some_and(|record| !record.secret_versions.is_empty());
    let initial = if !valid.client.has_secret() || has_versions {
        Some(Vec::new())
    } else {
        initial_versions(
            &context.keyring.current(),
            &valid.client.uid,
            resource.status.as_ref(),
            context.clock.now(),
        )
    };
    let Some(initial_secret_versions) = initial else {
        return Ok(Registered::Refused(
            Verdict::no(
                reason::MASTER_KEY_MISSING,
                "status.secretVersions names a master key that the keyring does not hold; restore the keyring from a backup",
            ),
            Next::Change,
        ));
    };
    let registration = ClientRegistration {
        client: valid.client.clone(),
        resource: valid.resource.clone(),
        secret_name: valid.secret_name.clone(),
        initial_secret_versions,
        initial_rotation: initial_rotation(valid, resource.status.as_ref()),
    };
    reach(FailPoint::BeforeRegister);
    Ok(match context.store.register_client(registration).await? {
        RegisterClient::Registered(record) => {
            audit::client(event, &record.client.client_id, &record.client.uid);
            Registered::Record(record)
        }
        RegisterClient::ClientIdHeld(holder) => Registered::Refused(
            Verdict::no(
                reason::CLIENT_ID_CONFLICT,
                format!(
                    "the client id {} is held by the OidcClient {holder}",
                    valid.client.client_id
                ),
            ),
            Next::Waiting(CLAIM_PAUSE),
        ),
        RegisterClient::ResourceIdentifierHeld(identifier, holder) => {
            Registered::Refused(resources::held(&identifier, &holder), Next::Waiting(CLAIM_PAUSE))
        }
        RegisterClient::ClientIdIsSubject => Registered::Refused(
            Verdict::no(
                reason::CLIENT_ID_CONFLICT,
                format!(
                    "the client id {} is, or was, the subject of a person, and apps could take one for the other; give \
                     the OidcClient another name or spec.clientId",
                    valid.client.client_id
                ),
            ),
            Next::Waiting(CLAIM_PAUSE),
        ),
        RegisterClient::SecretNameHeld(holder) => Registered::Refused(
            Verdict::no(
                reason::SECRET_NAME_CONFLICT,
                format!(
                    "the Secret name {} is held by the OidcClient {holder}; set another spec.secret.name",
                    valid.secret_name
                ),
            ),
            Next::Waiting(CLAIM_PAUSE),
        ),
    })
}

/// A keyring of an earlier version has no keys of the algorithms that came later; it is given them at the start, and they are
/// published for a while before they sign.
fn signing_key_not_ready(keyring: &Keyring, signing: TokenSigning) -> Option<Verdict> {
    let wanted = [
        ("idTokenSignedResponseAlg", signing.id_token),
        ("accessTokenSigningAlg", signing.access_token),
    ];
    let (field, algorithm) = wanted
        .into_iter()
        .find(|(_, algorithm)| !keyring.can_sign(*algorithm))?;
    Some(Verdict::no(
        reason::SIGNING_KEY_NOT_READY,
        format!(
            "spec.tokens.{field} {}: the key of this algorithm is published first and signs a day later; this is accepted by \
             itself then, and what was accepted before goes on working",
            algorithm.name()
        ),
    ))
}

/// What holds whatever else the spec says: a spec that is refused keeps the last good registration, and must not keep
/// going what `spec.suspend` stops, skip consents where that is no longer allowed, or be an API that is another's.
pub(super) async fn restrict_at_once(
    context: &ControllerContext,
    resource: &OidcClient,
    known: Option<ClientRecord>,
) -> Result<Option<ClientRecord>, StoreError> {
    let Some(record) = known else { return Ok(None) };
    let may_skip = context.settings.allow_consent_skip;
    let resource_identifiers = resources::not_of_others(context, &record.client).await?;
    let is_named = |account: &ServiceAccount| {
        let mut named = resource.spec.service_accounts.iter();
        named.any(|reference| reference.name == account.name)
    };
    let mut service_accounts = record.client.service_accounts.clone();
    service_accounts.retain(is_named);
    let restricted = Client {
        suspended: record.client.suspended || resource.spec.suspend,
        consent: match record.client.consent {
            ConsentPolicy::Skip if !may_skip => ConsentPolicy::Remember,
            consent => consent,
        },
        resource_identifiers,
        service_accounts,
        ..record.client.clone()
    };
    with_client(context, record, restricted).await
}

/// Registers `client` in place of the one of `record`, and nothing else of it.
pub(super) async fn with_client(
    context: &ControllerContext,
    record: ClientRecord,
    client: Client,
) -> Result<Option<ClientRecord>, StoreError> {
    if client == record.client {
        return Ok(Some(record));
    }
    let registration = ClientRegistration {
        client,
        resource: record.resource,
        secret_name: record.secret_name,
        initial_secret_versions: record.secret_versions,
        initial_rotation: record.observed_rotation,
    };
    Ok(match context.store.register_client(registration).await? {
        RegisterClient::Registered(record) => Some(*record),
        // It holds its claims; somebody else can hold them only if it was removed meanwhile.
        RegisterClient::ClientIdHeld(_)
        | RegisterClient::SecretNameHeld(_)
        | RegisterClient::ResourceIdentifierHeld(..)
        | RegisterClient::ClientIdIsSubject => None,
    })
}

fn is_current(record: &ClientRecord, valid: &ValidClient) -> bool {
    record.client == valid.client
        && record.resource == valid.resource
        && record.secret_name == valid.secret_name
        && record.absent_since.is_none()
        && (!valid.client.has_secret() || !record.secret_versions.is_empty())
}

/// The requests to rotate that are carried out when a client begins: those that its status tells of, when the store was
/// lost; all there are, when its secret is new.
fn initial_rotation(valid: &ValidClient, status: Option<&OidcClientStatus>) -> ObservedRotation {
    match status {
        Some(status) if !status.secret_versions.is_empty() => ObservedRotation {
            rotate: status.observed_rotate.clone(),
            rotate_now: status.observed_rotate_now.clone(),
        },
        _ => valid.requests.carried_out(&ObservedRotation::default()),
    }
}

/// The versions that a client begins with: those that its status tells of, when the store was lost, or the first one.
/// `None` when the keyring lacks a master key.
fn initial_versions(
    keyring: &Keyring,
    uid: &ResourceUid,
    status: Option<&OidcClientStatus>,
    now: Timestamp,
) -> Option<Vec<SecretVersion>> {
    let version = |id: &str, master_key_id: &str, created_at, retires_at| {
        let secret = keyring.client_secret(master_key_id, uid, id)?;
        Some(SecretVersion {
            id: id.to_owned(),
            master_key_id: master_key_id.to_owned(),
            created_at,
            retires_at,
            hash: TokenHash::of(secret.as_bytes()),
        })
    };
    let recovered: Option<Vec<SecretVersion>> = status
        .map(|status| status.secret_versions.as_slice())
        .unwrap_or_default()
        .iter()
        .filter(|told| told.retires_at.as_ref().is_none_or(|at| at.0 > now))
        .map(|told| {
            let retires_at = told.retires_at.as_ref().map(|at| at.0);
            version(&told.id, &told.master_key_id, told.created_at.0, retires_at)
        })
        .collect();
    let recovered = recovered?;
    if !recovered.is_empty() {
        return Some(recovered);
    }
    let master_key_id = keyring.current_master_key_id().to_owned();
    Some(vec![version(FIRST_VERSION, &master_key_id, now, None)?])
}

#[cfg(test)]
mod tests;
