//! The ID token (OpenID Connect Core section 2).
//!
//! `azp` is left out, which only several audiences need, and so is `c_hash`, which only tokens of the front channel need.
//! `at_hash`, `acr` and `amr` are always there: they are optional in the code flow, cost little, and an app that checks them
//! need not ask.

use aws_lc_rs::digest::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::signing_algorithm::SigningAlgorithm;

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
    /// How the person signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// The same in parts (RFC 8176).
    pub amr: Vec<&'a str>,
    /// Binds the access token that comes with it; see [`at_hash`].
    pub at_hash: String,
    /// Claims about the End-User; see [`super::claims`].
    #[serde(flatten)]
    pub person: Map<String, Value>,
}

/// `at_hash` of an access token: the left half of its hash, by the hash function of the `alg` that signs the ID token
/// (OpenID Connect Core section 3.1.3.6).
pub fn at_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let hash = digest(algorithm.hash(), access_token.as_bytes());
    let hash = hash.as_ref();
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}
