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
    Access, AccessTokenFormat, Binding, Consent, EffectiveRedirectUri, GrantType, Jwk, JwkSet, OidcClient,
    OidcClientSpec, OidcClientStatus, Pkce, Profile, ResourceAccess, Rotation, Scope, SecretReference,
    SecretSettings, SecretVersionStatus, ServiceAccountReference, SigningAlgorithm, SubjectType,
    TokenEndpointAuthMethod, Tokens,
};
pub use oidc_user::{
    Address, OidcUser, OidcUserSpec, OidcUserStatus, PasswordSettings, PasswordVersionStatus,
    SecretKeySelector,
};

/// The annotation that asks for a new client secret, by any new value; the old versions stay valid for the overlap.
pub const ROTATE: &str = "claviger.dev/rotate";
/// The annotation that asks for a new client secret, by any new value, and ends the old versions at once.
pub const ROTATE_NOW: &str = "claviger.dev/rotate-now";
/// The annotation that asks to write the Secret again, by any new value.
pub const HEAL: &str = "claviger.dev/heal";
/// The annotation of an `OidcUser` that asks for another generated password, by any value that it has not had before. It
/// ends all sessions and grants of the person, and the password that they chose.
pub const RESET_PASSWORD: &str = "claviger.dev/reset-password";
/// Annotation of an `OidcUser`, its value being the subject: this is the person who had it and was deleted. The value, so
/// that a copied annotation gives nobody another's subject.
pub const RESTORE_SUBJECT: &str = "claviger.dev/restore-subject";

/// The longest `metadata.name` of either kind: it becomes the value of a label.
pub const MAX_NAME_LENGTH: usize = 63;
