//! JWT access tokens (RFC 9068).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::identifier::GrantId;

/// `typ` of its header (RFC 9068 section 2.1): what keeps an ID token from passing for an access token.
pub const TYP: &str = "at+jwt";

/// The claims (RFC 9068 section 2.2). Times are integers: anything else does not deserialise.
#[derive(Debug, Serialize, Deserialize)]
pub struct AccessTokenClaims<'a> {
    /// The issuer, byte for byte as in discovery.
    pub iss: Cow<'a, str>,
    /// The End-User.
    pub sub: Cow<'a, str>,
    /// The issuer: its userinfo endpoint is the resource, as long as no other was asked for.
    pub aud: Cow<'a, str>,
    /// Seconds.
    pub exp: i64,
    /// Seconds.
    pub iat: i64,
    /// `<grant>.<random>`: unique, and it names the grant without which the token is dead at our own endpoints.
    pub jti: Cow<'a, str>,
    /// The client that it was issued to.
    pub client_id: Cow<'a, str>,
    /// Space separated.
    pub scope: Cow<'a, str>,
}

/// Makes a `jti`.
pub fn jti(grant: &GrantId, unique: &str) -> String {
    format!("{grant}.{unique}")
}

/// The grant that a `jti` names.
pub fn grant_of(jti: &str) -> Option<GrantId> {
    jti.rsplit_once('.').map(|(grant, _)| GrantId::new(grant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jti_names_its_grant() {
        let grant = GrantId::new("grant");
        assert_eq!(grant_of(&jti(&grant, "unique")), Some(grant));
        assert_eq!(grant_of("no-grant"), None);
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
