//! The Secret of a client, and the digest over everything that decides Secret and status. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;

use super::validate::ValidClient;
use crate::clock::Timestamp;
use crate::controller::{ControllerSettings, MANAGER, digest};
use crate::crd::v1alpha1::GROUP;
use crate::oidc::client::Client;
use crate::oidc::discovery;
use crate::store::records::{ClientRecord, Digest, ResourceRef};

/// The type of every Secret for an app (Service Binding specification 1.1.0, "Reconciler Implementation"). A Secret's type
/// cannot be changed later.
const SECRET_TYPE: &str = "servicebinding.io/oidc";

/// The Secret; without `client_secret` for a public client.
pub(super) fn secret(
    valid: &ValidClient,
    client_secret: Option<&str>,
    settings: &ControllerSettings,
) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(valid.secret_name.clone()),
            namespace: Some(valid.resource.namespace.clone()),
            labels: Some(BTreeMap::from([
                ("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned()),
                ("claviger.dev/client".to_owned(), valid.resource.name.clone()),
            ])),
            // Never `blockOwnerDeletion`: deletion waits for nobody, and setting it would need rights on finalizers.
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{GROUP}/v1alpha1"),
                kind: "OidcClient".to_owned(),
                name: valid.resource.name.clone(),
                uid: valid.client.uid.as_str().to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
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
    put("OIDC_SCOPES", &valid.scopes.join(" "));
    if let Some(first) = valid.client.redirect_uris.first() {
        put("OIDC_REDIRECT_URI", first);
    }
    if let Some(client_secret) = client_secret {
        put("OIDC_CLIENT_SECRET", client_secret);
        put("client-secret", client_secret);
    }
    if let Some(certificate) = &settings.ca_certificate {
        put("ca.crt", certificate);
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
    ca_certificate: Option<&'a str>,
    secret_versions: Vec<(&'a str, &'a str, Option<Timestamp>)>,
}

/// The digest of what is done when Secret and status of this are written.
pub(super) fn digest(
    valid: &ValidClient,
    record: &ClientRecord,
    settings: &ControllerSettings,
) -> Option<Digest> {
    // Destructured without `..`, so that a new field does not compile until it is part of the digest.
    let ValidClient {
        resource,
        generation,
        client,
        secret_name,
        scopes,
    } = valid;
    digest::of(&Decisive {
        client,
        resource,
        generation: *generation,
        secret_name,
        scopes,
        issuer: settings.issuer.as_str(),
        ca_certificate: settings.ca_certificate.as_deref(),
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
    })
}

#[cfg(test)]
mod tests;
