//! The Secret of a client, and the digest over everything that decides Secret and status. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;

use super::rotation::{Plan, Requests};
use super::validate::ValidClient;
use crate::clock::Timestamp;
use crate::controller::{ControllerSettings, digest, secret};
use crate::crd::v1alpha1::OidcClient;
use crate::oidc::client::Client;
use crate::oidc::discovery;
use crate::store::records::{ClientRecord, Digest, ObservedRotation, ResourceRef};

/// The label that names the client.
const CLIENT_LABEL: &str = "claviger.dev/client";

/// The Secret; without `client_secret` for a client that has none.
pub(super) fn secret(
    valid: &ValidClient,
    client_secret: Option<&str>,
    settings: &ControllerSettings,
) -> Secret {
    let mut metadata =
        secret::owned_by::<OidcClient>(&valid.resource, &valid.client.uid, valid.secret_name.clone());
    metadata
        .labels
        .get_or_insert_default()
        .insert(CLIENT_LABEL.to_owned(), valid.resource.name.clone());
    Secret {
        metadata,
        type_: Some(secret::APP_SECRET_TYPE.to_owned()),
        data: Some(data(valid, client_secret, settings)),
        ..Secret::default()
    }
}

fn data(
    valid: &ValidClient,
    client_secret: Option<&str>,
    settings: &ControllerSettings,
) -> BTreeMap<String, ByteString> {
    let issuer = &settings.issuer;
    let client_id = valid.client.client_id.as_str();
    let mut data = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    };
    // Service Binding specification 1.1.0, "Well-known Secret Entries".
    put("type", "oidc");
    put("provider", "claviger");
    put("OIDC_CLIENT_ID", client_id);
    put("client-id", client_id);
    put("OIDC_ISSUER", issuer.as_str());
    put("OIDC_ISSUER_URL", issuer.as_str());
    put("issuer-url", issuer.as_str());
    for (key, path) in [
        ("OIDC_DISCOVERY_URL", discovery::CONFIGURATION_PATH),
        ("OIDC_AUTHORIZATION_ENDPOINT", discovery::AUTHORIZATION_PATH),
        ("OIDC_TOKEN_ENDPOINT", discovery::TOKEN_PATH),
        ("OIDC_USERINFO_ENDPOINT", discovery::USERINFO_PATH),
        ("OIDC_JWKS_URI", discovery::JWKS_PATH),
        ("OIDC_END_SESSION_ENDPOINT", discovery::END_SESSION_PATH),
    ] {
        put(key, &issuer.endpoint(path));
    }
    // Where no person is ever asked, a scope would be refused. The field and not `Client::may_use`: the spec was refused if its
    // profile does not admit one of them.
    let mut grant_types = valid.client.grant_types.iter();
    if grant_types.any(|grant_type| grant_type.begins_with_a_person()) {
        put("OIDC_SCOPES", &valid.scopes.join(" "));
    }
    if let Some(first) = valid.client.redirect_uris.first() {
        put("OIDC_REDIRECT_URI", first);
    }
    if let Some(client_secret) = client_secret {
        put("OIDC_CLIENT_SECRET", client_secret);
        put("client-secret", client_secret);
    }
    data
}

/// Everything that decides Secret and status.
#[derive(Serialize)]
struct Decisive<'a> {
    client: &'a Client,
    resource: &'a ResourceRef,
    generation: Option<i64>,
    secret_name: &'a str,
    scopes: &'a [&'static str],
    issuer: &'a str,
    secret_versions: Vec<(&'a str, &'a str, Option<Timestamp>)>,
    rotation: &'a Plan,
    requests: &'a Requests,
    observed_rotation: &'a ObservedRotation,
    postponed: Option<Timestamp>,
}

/// The digest of what is done when Secret and status of this are written.
pub(super) fn digest(
    valid: &ValidClient,
    record: &ClientRecord,
    postponed: Option<Timestamp>,
    settings: &ControllerSettings,
) -> Option<Digest> {
    // Destructured without `..`, so that a new field does not compile until it is part of the digest.
    let ValidClient {
        resource,
        generation,
        client,
        secret_name,
        scopes,
        rotation,
        requests,
    } = valid;
    digest::of(&Decisive {
        client,
        resource,
        generation: *generation,
        secret_name,
        scopes,
        issuer: settings.issuer.as_str(),
        secret_versions: record
            .secret_versions
            .iter()
            .map(|version| {
                (
                    version.id.as_str(),
                    version.master_key_id.as_str(),
                    version.retires_at,
                )
            })
            .collect(),
        rotation,
        requests,
        observed_rotation: &record.observed_rotation,
        postponed,
    })
}

#[cfg(test)]
mod tests;
