//! DPoP proofs (RFC 9449 section 4): that whoever sends a request has the private part of a key.
//!
//! Decisions where the specification leaves the choice:
//! - a proof is fresh by its `iat`, at most a minute old, or by a `nonce` that the server gave, whatever `iat` says then. So
//!   an app whose clock is right needs no second request, and one whose clock is wrong is told to `use_dpop_nonce` (section
//!   8) rather than turned away;
//! - `htu` is compared after the normalisation of section 4.3, without query and fragment, with the endpoint's URL below the
//!   configured issuer: no header says where a request came to;
//! - the algorithms are those of everything else that clients sign, so there is nothing symmetric;
//! - `exp` and `nbf` are no claims of a proof, and hold where a library sends them.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use url::Url;

use super::jwk::{Jwk, SignatureAlgorithm};
use super::jws::{Jws, MAX_AHEAD, Rejected, Times};
use super::thumbprint::Thumbprint;

/// `typ` (section 4.2).
const TYPE: &str = "dpop+jwt";
/// How old a proof without a nonce may be, in seconds.
const MAX_AGE: i64 = 60;
/// A nonce can be used for so many seconds.
pub const NONCE_LIFETIME: i64 = 5 * 60;

/// What came as header `DPoP`.
#[derive(Clone, Copy)]
pub enum ProofHeader<'a> {
    /// Nothing.
    Absent,
    /// One value.
    One(&'a [u8]),
    /// Several, which section 4.3 forbids.
    Repeated,
}

/// The request that a proof must be for.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL of the endpoint.
    pub url: &'a str,
    /// The access token that comes with it, at a resource.
    pub access_token: Option<&'a str>,
}

/// A proof with nothing wrong in itself. Whether it is fresh, and whether it was presented before, is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    /// The key that it proves.
    pub jkt: Thumbprint,
    /// By which algorithm it is signed.
    pub algorithm: SignatureAlgorithm,
    /// Names the proof among those of its key.
    pub jti: String,
    /// What the server gave, if the proof has it.
    pub nonce: Option<String>,
    iat: i64,
}

impl Proof {
    /// The second from which on nobody accepts it for its `iat`, whose clock is as far off as we bear with; `None` where nobody
    /// should now.
    pub fn recent_until(&self, now: i64) -> Option<i64> {
        let age = now.saturating_sub(self.iat);
        (-MAX_AHEAD..=MAX_AGE)
            .contains(&age)
            .then(|| self.iat.saturating_add(MAX_AGE + MAX_AHEAD))
    }
}

/// The second from which on nobody accepts a nonce that was made then; `None` where nobody should now.
pub fn nonce_good_until(made_at: i64, now: i64) -> Option<i64> {
    let age = now.saturating_sub(made_at);
    (-MAX_AHEAD..NONCE_LIFETIME)
        .contains(&age)
        .then(|| made_at.saturating_add(NONCE_LIFETIME + MAX_AHEAD))
}

#[derive(Deserialize)]
struct HeaderMembers {
    jwk: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Claims {
    jti: Option<String>,
    htm: Option<String>,
    htu: Option<String>,
    ath: Option<String>,
    nonce: Option<String>,
    #[serde(flatten)]
    times: Times,
}

/// The nonce that a proof says it has. Only to know what its sender understands: nothing is verified.
pub fn claimed_nonce(header: ProofHeader<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        nonce: Option<String>,
    }
    let ProofHeader::One(proof) = header else {
        return None;
    };
    let proof = std::str::from_utf8(proof).ok()?;
    Jws::parse(proof).ok()?.claims::<Claims>().ok()?.nonce
}

/// Checks everything about a proof for `target` that can be seen in it (section 4.3), its freshness apart. `now` is in
/// seconds.
pub fn verify(proof: &str, target: &Target<'_>, now: i64) -> Result<Proof, Rejected> {
    let jws = Jws::parse(proof)?;
    if !jws.header.is_type(TYPE) {
        return Err(Rejected("its typ is not dpop+jwt"));
    }
    // `none` and the symmetric algorithms are not among them.
    let algorithm = SignatureAlgorithm::parse(&jws.header.alg)
        .ok_or(Rejected("its alg is none of those that are accepted"))?;
    let HeaderMembers { jwk } = jws.header_as()?;
    let jwk = jwk.ok_or(Rejected("its header has no jwk"))?;
    let key = Jwk::from_members(jwk)
        .map_err(|_| Rejected("its jwk is not a public key, without private members, that is accepted"))?;
    if !key.verifies(algorithm, jws.input.as_bytes(), &jws.signature) {
        return Err(Rejected("the key in its header has not made its signature"));
    }
    let claims: Claims = jws.claims()?;
    check_target(&claims, target)?;
    let iat = claims.times.iat.ok_or(Rejected("it has no iat"))?;
    Times {
        iat: None,
        ..claims.times
    }
    .check_present(now)?;
    match claims.jti {
        Some(jti) if !jti.is_empty() => Ok(Proof {
            jkt: Thumbprint::of(&key.members),
            algorithm,
            jti,
            nonce: claims.nonce,
            iat,
        }),
        _ => Err(Rejected("it has no jti")),
    }
}

fn check_target(claims: &Claims, target: &Target<'_>) -> Result<(), Rejected> {
    if claims.htm.as_deref() != Some(target.method) {
        return Err(Rejected("its htm is not the method of the request"));
    }
    let endpoint = normalised(target.url);
    if endpoint.is_none() || claims.htu.as_deref().and_then(normalised) != endpoint {
        return Err(Rejected("its htu is not the URL of the endpoint"));
    }
    let Some(access_token) = target.access_token else {
        return Ok(());
    };
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, access_token.as_bytes()));
    let is_its = claims
        .ath
        .as_deref()
        .is_some_and(|ath| ath.as_bytes().ct_eq(hash.as_bytes()).into());
    if is_its {
        Ok(())
    } else {
        Err(Rejected("its ath is not the hash of the access token"))
    }
}

/// An absolute URL without query and fragment, normalised by RFC 3986 sections 6.2.2 and 6.2.3.
fn normalised(text: &str) -> Option<String> {
    // What browsers forgive in a URL is no URL of RFC 3986.
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return None;
    }
    // Scheme and host in lower case, the default port and dot segments gone.
    let mut url = Url::parse(text).ok().filter(Url::has_host)?;
    url.set_query(None);
    url.set_fragment(None);
    Some(with_normal_escapes(url.as_str()))
}

/// Section 6.2.2: escapes in upper case, and none of an unreserved character.
fn with_normal_escapes(url: &str) -> String {
    let mut normal = String::with_capacity(url.len());
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let escaped = after
            .get(..2)
            .and_then(|digits| Some((u8::from_str_radix(digits, 16).ok()?, digits)));
        rest = match escaped {
            None => {
                normal.push('%');
                after
            }
            Some((byte, _)) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                normal.push(char::from(byte));
                &after[2..]
            }
            Some((_, digits)) => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
                &after[2..]
            }
        };
    }
    normal.push_str(rest);
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `htu` is compared as RFC 3986 compares, and nothing beyond that is forgiven.
    #[test]
    fn rule_45_what_is_the_same_url() {
        let endpoint = normalised("https://id.example.org/t~1/api/token");
        assert!(endpoint.is_some());
        for same in [
            "https://id.example.org/t~1/api/token?query",
            "https://id.example.org/t~1/api/token#fragment",
            "HTTPS://ID.example.ORG:443/t%7e1/api/%74oken",
            "https://id.example.org/t~1/x/../api/./token",
        ] {
            assert_eq!(normalised(same), endpoint, "{same}");
        }
        for other in [
            "http://id.example.org/t~1/api/token",
            "https://id.example.org:8443/t~1/api/token",
            "https://id.example.org/t~1/api/token/",
            "https://id.example.org/T~1/api/token",
            "https://id.example.org/t~1/api%2Ftoken",
            "https://id.example.org.evil.example/t~1/api/token",
            "https://ada@id.example.org/t~1/api/token",
            "https://id.example.org\\t~1\\api\\token",
            "https://id.example.org/t~1/api/token ",
            "https://id.example.org/t~1/api/to\nken",
            "//id.example.org/t~1/api/token",
            "/t~1/api/token",
            "data:,x",
            "",
        ] {
            assert_ne!(normalised(other), endpoint, "{other}");
        }
        assert_eq!(normalised("https://x/%c3%A4%"), normalised("https://x/%C3%a4%"));
    }

    #[test]
    fn rule_45_a_proof_is_recent_for_a_minute() {
        let proof = |iat| Proof {
            jkt: Thumbprint::of(&super::super::jwk::PublicMembers::Ed25519 { x: String::new() }),
            algorithm: SignatureAlgorithm::EdDsa,
            jti: "1".to_owned(),
            nonce: None,
            iat,
        };
        assert_eq!(proof(1000).recent_until(1060), Some(1090));
        assert_eq!(proof(1000).recent_until(970), Some(1090));
        for (iat, now) in [(1000, 1061), (1000, 969), (i64::MIN, 0), (i64::MAX, 0)] {
            assert_eq!(proof(iat).recent_until(now), None);
        }
        assert_eq!(nonce_good_until(1000, 1299), Some(1330));
        assert_eq!(nonce_good_until(1000, 1300), None);
        assert_eq!(nonce_good_until(1000, 969), None);
    }
}
