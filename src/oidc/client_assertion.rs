//! `private_key_jwt`: an assertion that a client signs in place of a secret (RFC 7523 section 3, OpenID Connect Core
//! section 9).
//!
//! Decisions where the specifications leave the choice:
//! - `aud` is the issuer, as one string. The URL of the token endpoint, which RFC 7523 allows too, is refused, and so is a
//!   list: what was made for somebody else as well could be used here by them (FAPI 2.0 Security Profile section 5.3.2.1);
//! - `exp` is at most five minutes ahead, and `jti` is required: for that long, who keeps it keeps it;
//! - times are whole seconds; `nbf` and `iat` may be half a minute ahead, for clocks that differ. `exp` has no such grace.

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::issuer::Issuer;
use super::jws::{self, Jws, MAX_AHEAD, Rejected, Times};

/// `client_assertion_type` (RFC 7523 section 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// `typ` of draft-ietf-oauth-rfc7523bis, and the general one that libraries send.
const TYPES: [&str; 2] = ["client-authentication+jwt", "JWT"];
/// The longest life from now on, in seconds.
const MAX_LIFETIME: i64 = 5 * 60;

/// What is read of an assertion.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    // Any value: one that is no string is told apart from none, and a list is refused.
    aud: Option<Value>,
    #[serde(flatten)]
    times: Times,
    jti: Option<String>,
}

/// An assertion with nothing wrong in itself; whether it was presented before is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Valid {
    /// Names the assertion among those of its client.
    pub jti: String,
    /// From this second on nobody accepts it any more, whose clock is as far off as we bear with.
    pub forget_at: i64,
}

/// What an assertion says before anything is verified: only to look up who could have signed it.
#[derive(Deserialize, Default)]
pub struct Claimed {
    /// Who signed it.
    pub iss: Option<String>,
    /// The client, for a request without `client_id` (RFC 7521 section 4.2).
    pub sub: Option<String>,
}

impl Claimed {
    /// Reads it.
    pub fn read(assertion: &str) -> Result<Self, Rejected> {
        Jws::parse(assertion).and_then(|jws| jws.claims())
    }

    /// The same; nothing where it cannot be read.
    pub fn by(assertion: &str) -> Self {
        Self::read(assertion).unwrap_or_default()
    }
}

/// Checks everything about an assertion of `client` that can be seen in it. `now` is in seconds.
pub fn verify(assertion: &str, client: &Client, issuer: &Issuer, now: i64) -> Result<Valid, Rejected> {
    if client.jwks.is_empty() {
        return Err(Rejected("the client has no registered keys (jwks)"));
    }
    let claims: Claims = jws::verify(assertion, client, &TYPES)?;
    let client_id = Some(client.client_id.as_str());
    if claims.iss.as_deref() != client_id {
        return Err(Rejected("its iss is not the client_id"));
    }
    if claims.sub.as_deref() != client_id {
        return Err(Rejected("its sub is not the client_id"));
    }
    check_audience(claims.aud.as_ref(), issuer)?;
    let too_long = Rejected("its exp is more than five minutes ahead");
    let exp = claims.times.check(now, MAX_LIFETIME, too_long)?;
    match claims.jti {
        Some(jti) if !jti.is_empty() => Ok(Valid {
            jti,
            forget_at: exp.saturating_add(MAX_AHEAD),
        }),
        _ => Err(Rejected("it has no jti")),
    }
}

fn check_audience(aud: Option<&Value>, issuer: &Issuer) -> Result<(), Rejected> {
    match aud {
        None => Err(Rejected("it has no aud")),
        Some(Value::String(aud)) if aud == issuer.as_str() => Ok(()),
        Some(Value::String(_)) => Err(Rejected(
            "its aud is not the issuer (the URL of an endpoint is not accepted)",
        )),
        Some(_) => Err(Rejected("its aud is not a single string, the issuer")),
    }
}
