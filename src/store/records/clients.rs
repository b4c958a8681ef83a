//! Clients, with the versions of their secrets.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Digest, ResourceRef};
use crate::oidc::client::{ANY_NAMESPACE, Client};
use crate::oidc::opaque_token::TokenHash;

/// A client as registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    /// The metadata.
    pub client: Client,
    /// The resource.
    pub resource: ResourceRef,
    /// The name of the Secret that the resource claims in its namespace.
    pub secret_name: String,
    /// Live versions of the client secret, the newest last.
    pub secret_versions: Vec<SecretVersion>,
    /// Since when the resource is missing; refused while this is set.
    pub absent_since: Option<Timestamp>,
    /// What is done, see [`crate::store::Store::complete_client`].
    pub done: Option<Digest>,
    /// Which requests to rotate the secret were carried out.
    #[serde(default)]
    pub observed_rotation: ObservedRotation,
}

impl ClientRecord {
    /// Whether the client may take part in anything now.
    pub fn is_live(&self) -> bool {
        !self.client.suspended && self.absent_since.is_none()
    }

    /// Whether clients of `namespace` may ask for tokens for what it holds of `resource_identifiers`.
    pub fn serves(&self, namespace: &str) -> bool {
        let allowed = &self.client.resource_namespaces;
        self.resource.namespace == namespace
            || allowed
                .iter()
                .any(|allowed| allowed == namespace || allowed == ANY_NAMESPACE)
    }
}

/// How many versions of a client secret are valid at once at most: every check of a secret costs this many comparisons,
/// however many there are.
pub const MAX_SECRET_VERSIONS: usize = 4;

/// How many `jti`s of one client are remembered at once, each for as long as what it names could be presented again.
pub const MAX_SPENT_JTIS: u64 = 10_000;

/// Which requests to rotate a client secret were carried out: the values of the annotations that asked for it. A value
/// that was carried out does nothing when it is seen again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedRotation {
    /// `claviger.dev/rotate`: the old versions stay valid for the overlap.
    #[serde(default)]
    pub rotate: Option<String>,
    /// `claviger.dev/rotate-now`: the old versions ended at once.
    #[serde(default)]
    pub rotate_now: Option<String>,
}

/// A rotation of a client secret.
#[derive(Debug, Clone)]
pub struct SecretRotation {
    /// The newest version as the caller knows it; another one means that somebody was quicker.
    pub current: String,
    /// The version that becomes the newest.
    pub next: SecretVersion,
    /// Which requests this carries out.
    pub observed: ObservedRotation,
    /// Ends all older versions with this operation. Otherwise they stay valid until [`crate::store::Store::retire_client_secrets`]
    /// says when they end.
    pub ends_others: bool,
}

/// One version of a client secret. The secret itself is derived from the keyring; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// `1` for the first, random for later ones.
    pub id: String,
    /// The master key that it is derived from.
    pub master_key_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being accepted.
    pub retires_at: Option<Timestamp>,
    /// SHA-256 of the secret.
    pub hash: TokenHash,
}

/// A registration of a client.
#[derive(Debug, Clone)]
pub struct ClientRegistration {
    /// The metadata.
    pub client: Client,
    /// The resource.
    pub resource: ResourceRef,
    /// The claimed name of the Secret.
    pub secret_name: String,
    /// The versions to begin with, for a client that the store does not know (or knows without any).
    pub initial_secret_versions: Vec<SecretVersion>,
    /// The requests to rotate that need not be carried out any more, for a client that the store does not know.
    pub initial_rotation: ObservedRotation,
}
