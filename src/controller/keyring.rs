//! Keeps the keyring in a Secret of claviger's own namespace.

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use zeroize::Zeroizing;

use super::MANAGER;
use super::kube_error::{describe, is_unreachable};
use super::secret;
use crate::keyring::{KeyringStorage, KeyringStorageError, StoredDocument};

/// The type of the Secret, by which the admission policy knows it.
const SECRET_TYPE: &str = "claviger.dev/keyring";
/// The key that holds the document.
const KEY: &str = "keyring.json";

/// A Secret as place of the keyring.
#[derive(Clone)]
pub struct SecretKeyring {
    client: Client,
    namespace: String,
    name: String,
}

impl SecretKeyring {
    /// The Secret `name` in `namespace`.
    pub fn new(client: Client, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn error(&self, error: &kube::Error) -> KeyringStorageError {
        let (place, reason) = (self.place(), describe(error));
        if is_unreachable(error) {
            KeyringStorageError::Unavailable { place, reason }
        } else {
            let reason = format!(
                "{reason}; install claviger's chart, which brings the namespace and the role, or name another keyring \
                 with --keyring"
            );
            KeyringStorageError::Refused { place, reason }
        }
    }

    /// The Secret as a whole. Whoever else writes labels to it loses them at the next write: the admission policy would
    /// refuse those that it does not know.
    fn secret(&self, document: &[u8], resource_version: Option<String>) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(secret::labels()),
                resource_version,
                ..ObjectMeta::default()
            },
            type_: Some(SECRET_TYPE.to_owned()),
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(document.to_vec()))])),
            ..Secret::default()
        }
    }

    fn refused(&self, reason: String) -> KeyringStorageError {
        KeyringStorageError::Refused {
            place: self.place(),
            reason,
        }
    }
}

#[async_trait]
impl KeyringStorage for SecretKeyring {
    fn place(&self) -> String {
        format!("Secret {}/{}", self.namespace, self.name)
    }

    async fn load(&self) -> Result<Option<StoredDocument>, KeyringStorageError> {
        let found = self
            .api()
            .get_opt(&self.name)
            .await
            .map_err(|error| self.error(&error))?;
        let Some(secret) = found else { return Ok(None) };
        let type_ = secret.type_.unwrap_or_default();
        if type_ != SECRET_TYPE {
            return Err(self.refused(format!(
                "it has the type `{type_}` instead of `{SECRET_TYPE}`; it is not claviger's, choose another name for the \
                 keyring"
            )));
        }
        match secret.data.and_then(|mut data| data.remove(KEY)) {
            Some(document) => Ok(Some(StoredDocument {
                document: Zeroizing::new(document.0),
                version: secret.metadata.resource_version.unwrap_or_default(),
            })),
            None => Err(self.refused(format!("it has no key `{KEY}`; restore it from a backup"))),
        }
    }

    async fn create(&self, document: &[u8]) -> Result<bool, KeyringStorageError> {
        let secret = self.secret(document, None);
        match self.api().create(&params(), &secret).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
            Err(error) => Err(self.error(&error)),
        }
    }

    async fn replace(&self, version: &str, document: &[u8]) -> Result<bool, KeyringStorageError> {
        let secret = self.secret(document, Some(version.to_owned()));
        match self.api().replace(&self.name, &params(), &secret).await {
            Ok(_) => Ok(true),
            // Changed, or gone, since it was loaded: the API server compares the resourceVersion.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(false),
            Err(error) => Err(self.error(&error)),
        }
    }
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}
