//! Access tokens: what they say, which a JWT (RFC 9068) carries and an opaque one is looked up for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::identifier::{GrantId, ResourceUid};
use super::thumbprint::Thumbprint;

/// `typ` of its header (RFC 9068 section 2.1): what keeps an ID token from passing for an access token.
pub const TYP: &str = "at+jwt";

/// The claims (RFC 9068 section 2.2). Times are integers: anything else does not deserialise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims<'a> {
    /// The issuer, byte for byte as in discovery.
    pub iss: Cow<'a, str>,
    /// The End-User, or the client itself: then it equals `client_id`, which no End-User's ever does.
    pub sub: Cow<'a, str>,
    /// The resources that were asked for (RFC 8707), or the issuer, whose userinfo endpoint is a resource too.
    pub aud: Audience,
    /// Seconds.
    pub exp: i64,
    /// Seconds.
    pub iat: i64,
    /// Unique, and it names the [`Basis`] without which the token is dead at our own endpoints.
    pub jti: Cow<'a, str>,
    /// The client that it was issued to.
    pub client_id: Cow<'a, str>,
    /// Space separated; left out when there is none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub scope: Cow<'a, str>,
    /// When the person signed in (section 2.2.1), in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// With the scope `groups` (section 2.2.3.1): names, as in the ID token, where they [have room](have_room). Only in JWTs; an
    /// opaque token is looked up, and with it the groups of then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Cow<'a, [String]>>,
    /// The key that whoever shows the token has to prove (RFC 7800 section 3.1); without one it is a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// `cnf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The key's thumbprint (RFC 9449 section 6.1).
    pub jkt: Thumbprint,
}

/// `token_type` (RFC 6749 section 7.1, RFC 9449 section 5): by which scheme a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// Whoever has it may use it.
    Bearer,
    /// With a proof of the key that it is bound to.
    Dpop,
}

impl TokenType {
    /// That of a token with this `cnf`.
    pub const fn of(cnf: Option<&Confirmation>) -> Self {
        match cnf {
            None => Self::Bearer,
            Some(_) => Self::Dpop,
        }
    }

    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// The most that `groups` may take of a token, in bytes of JSON. With [`super::audience::MAX_AUDIENCES_BYTES`] and all else a
/// token stays below [`super::jws::MAX_BYTES`], and can be read again by whoever is to end it.
const MAX_GROUPS_BYTES: usize = 8 * 1024;

/// Whether a person's groups have room in a token.
pub fn have_room(groups: &[String]) -> bool {
    serde_json::to_string(groups).is_ok_and(|text| text.len() <= MAX_GROUPS_BYTES)
}

/// What an access token hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// What a person allowed.
    Grant(GrantId),
    /// A client that acts for itself. By the resource behind it: one that is made again under the same name is another.
    Client(ResourceUid),
}

/// Grants have ids of the base64url alphabet, which lacks the colon.
const CLIENT_PREFIX: &str = "client:";

/// Makes a `jti`: `<grant>.<unique>` or `client:<uid>.<unique>`.
pub fn jti(basis: &Basis, unique: &str) -> String {
    match basis {
        Basis::Grant(grant) => format!("{grant}.{unique}"),
        Basis::Client(uid) => format!("{CLIENT_PREFIX}{uid}.{unique}"),
    }
}

/// What a `jti` names.
pub fn basis_of(jti: &str) -> Option<Basis> {
    let (basis, _) = jti.rsplit_once('.')?;
    Some(match basis.strip_prefix(CLIENT_PREFIX) {
        Some(uid) => Basis::Client(ResourceUid::new(uid)),
        None => Basis::Grant(GrantId::new(basis)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jti_names_what_the_token_hangs_on() {
        for basis in [
            Basis::Grant(GrantId::new("grant")),
            Basis::Client(ResourceUid::new("0d8e3c4e-7b1f-4a57-9c3a-6f5d2b1e8a90")),
            Basis::Client(ResourceUid::new("with.dots")),
        ] {
            assert_eq!(basis_of(&jti(&basis, "unique")), Some(basis));
        }
        assert_eq!(basis_of("nothing"), None);
    }

    #[test]
    fn rule_60_groups_take_a_part_of_a_token() {
        let groups = |bytes: usize| vec!["x".repeat(bytes - 4 - 8), "groups".to_owned()];
        assert_eq!(serde_json::to_string(&groups(100)).unwrap().len(), 101);
        assert!(have_room(&groups(MAX_GROUPS_BYTES - 1)));
        assert!(!have_room(&groups(MAX_GROUPS_BYTES)));
        // As they are written: each of these takes six bytes.
        assert!(!have_room(&["\u{1}".repeat(MAX_GROUPS_BYTES / 6)]));
        assert!(have_room(&[]));
    }

    /// Wrongly typed times fail; they are never skipped (rule 50).
    #[test]
    fn rule_50_a_wrongly_typed_time_is_no_claim_set() {
        let claims = |exp: &str, iat: &str| {
            let json = format!(
                r#"{{"iss":"i","sub":"s","aud":"i","exp":{exp},"iat":{iat},"jti":"g.u","client_id":"c","scope":""}}"#
            );
            serde_json::from_str::<AccessTokenClaims<'_>>(&json).is_ok()
        };
        assert!(claims("1", "1"));
        for wrong in [r#""1""#, "1.5", "null", "[1]", "true", "{}", "1e400"] {
            assert!(!claims(wrong, "1"), "exp {wrong}");
            assert!(!claims("1", wrong), "iat {wrong}");
        }
    }
}
