//! The ID token (OpenID Connect Core section 2).
//!
//! `at_hash` is optional in the code flow (section 3.1.3.6) and left out, as is `azp`, which only several audiences need.

use serde::Serialize;

/// `typ` of its header: the general one, since OpenID Connect defines none, and never that of an access token.
pub const TYP: &str = "JWT";

/// The claims, in the order of the specification.
#[derive(Debug, Serialize)]
pub struct IdTokenClaims<'a> {
    /// The issuer, byte for byte as in discovery.
    pub iss: &'a str,
    /// The End-User.
    pub sub: &'a str,
    /// The client.
    pub aud: &'a str,
    /// Seconds.
    pub exp: i64,
    /// Seconds.
    pub iat: i64,
    /// Seconds; present when the request had `max_age` or the registration asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// As it came with the request; absent after a refresh (section 12.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
    /// The session at this client; see [`super::session_id`].
    pub sid: &'a str,
    /// With the scope `groups`; see [`super::claims`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<&'a [String]>,
}
