//! The logout token (OpenID Connect Back-Channel Logout section 2.4).

use std::time::Duration;

use serde::Serialize;

/// `typ` of its header, which no other token of ours has, so that none is taken for another (sections 2.4 and 4).
pub const TYP: &str = "logout+jwt";

/// It is good for this long; section 4 recommends two minutes at most.
pub const LIFETIME: Duration = Duration::from_mins(2);

/// The claims. `nonce` is forbidden, so that nobody takes one for an ID token.
#[derive(Debug, Serialize)]
pub struct LogoutTokenClaims<'a> {
    /// The issuer, byte for byte as in discovery.
    pub iss: &'a str,
    /// The End-User, as the client knows them.
    pub sub: &'a str,
    /// The client.
    pub aud: &'a str,
    /// Seconds.
    pub iat: i64,
    /// Seconds.
    pub exp: i64,
    /// Of this token alone; an attempt that is made again brings a token of its own.
    pub jti: &'a str,
    /// That a session ended.
    pub events: Events,
    /// The session as the client's ID tokens call it; without it all of the End-User's are meant (section 2.7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<&'a str>,
}

/// `events`: the one of section 2.4, with nothing to say about it.
#[derive(Debug, Default, Serialize)]
pub struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    logout: Nothing,
}

/// An empty object.
#[derive(Debug, Default, Serialize)]
struct Nothing {}
