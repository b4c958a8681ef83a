//! What a user refers to: the record in the store, and the Secret with the password, which is in claviger's own
//! namespace, the only one where Secrets may be read.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use zeroize::Zeroizing;

use crate::controller::ControllerContext;
use crate::controller::queue::uid_of;
use crate::crd::v1alpha1::OidcUser;
use crate::store::StoreError;
use crate::store::records::UserRecord;

/// What was found in the Secret of a `secretRef`. No `Debug`: it holds a password.
pub(super) enum SecretValue {
    /// There is no `secretRef`.
    NotAskedFor,
    /// There is no such Secret, or it lacks the key; what to do.
    Missing(String),
    /// The value of the key.
    Found {
        /// The bytes.
        value: Zeroizing<Vec<u8>>,
        /// Changes whenever the value may have changed.
        source: String,
    },
}

/// What the store holds of `resource`.
pub(super) async fn record(
    context: &ControllerContext,
    resource: &OidcUser,
) -> Result<Option<UserRecord>, StoreError> {
    match uid_of(resource) {
        Some(uid) => context.store.user_by_uid(&uid).await,
        None => Ok(None),
    }
}

/// Reads one key of a Secret.
pub(super) async fn secret_value(
    context: &ControllerContext,
    name: &str,
    key: &str,
) -> Result<SecretValue, kube::Error> {
    let namespace = &context.settings.namespace;
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let Some(secret) = api.get_opt(name).await? else {
        return Ok(SecretValue::Missing(format!(
            "the Secret {name} does not exist in the namespace {namespace}; make it, claviger looks once a minute"
        )));
    };
    let mut value = None;
    for (found, bytes) in secret.data.into_iter().flatten() {
        let bytes = Zeroizing::new(bytes.0);
        if found == key {
            value = Some(bytes);
        }
    }
    let uid = secret.metadata.uid.unwrap_or_default();
    let version = secret.metadata.resource_version.unwrap_or_default();
    Ok(match value {
        Some(value) => SecretValue::Found {
            value,
            source: format!("secret/{uid}/{version}/{key}"),
        },
        None => SecretValue::Missing(format!(
            "the Secret {name} has no key {key}; add it, claviger looks once a minute"
        )),
    })
}
