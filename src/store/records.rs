//! What a store keeps. Back ends write these as versioned JSON documents beside a few key columns, and read what earlier
//! versions wrote: a field that comes later is an `Option` or has `#[serde(default)]`.

use serde::{Deserialize, Serialize};

use crate::oidc::identifier::ResourceUid;

mod clients;
mod grants;
mod sessions;
mod users;

pub use clients::{
    ClientRecord, ClientRegistration, MAX_SECRET_VERSIONS, MAX_SPENT_JTIS, ObservedRotation, SecretRotation,
    SecretVersion,
};
pub use grants::{
    AccessTokenRecord, AuthorizationCodeRecord, CodeBinding, DeviceAnswer, DeviceCodeRecord, GrantRecord,
    InteractionRecord, NewRefreshToken, PushedRequestRecord, RefreshTokenRecord,
};
pub use sessions::{LogoutNoticeRecord, MAX_SIDS, ParticipantRecord, SessionRecord};
pub use users::{OwnPasswordRecord, PasswordRecord, UserRecord, UserRegistration};

/// Which cluster a store belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// `metadata.uid` of the namespace `kube-system`.
    pub uid: ResourceUid,
    /// The watched namespaces, sorted; empty means all.
    pub watched_namespaces: Vec<String>,
}

/// Names a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceRef {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl std::fmt::Display for ResourceRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// SHA-256 over everything that decided an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

#[cfg(test)]
mod tests;
