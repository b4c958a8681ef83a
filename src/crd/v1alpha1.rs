//! Version `v1alpha1` of group `claviger.dev`.
//!
//! A field is here only when it does something. Enum values keep the spelling of their specification.

pub mod condition;
mod duration;
mod oidc_client;
mod oidc_user;
mod schema;

pub use duration::DurationText;
pub use oidc_client::{
    Access, Binding, Consent, EffectiveRedirectUri, GrantType, OidcClient, OidcClientSpec, OidcClientStatus,
    Scope, SecretReference, SecretSettings, SecretVersionStatus, TokenEndpointAuthMethod, Tokens,
};
pub use oidc_user::{OidcUser, OidcUserSpec, OidcUserStatus, PasswordSettings, SecretKeySelector};

/// The longest `metadata.name` of either kind: it becomes the value of a label.
pub const MAX_NAME_LENGTH: usize = 63;
