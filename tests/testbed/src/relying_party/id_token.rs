//! The verification of an ID token.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

/// What an ID token has to say.
pub struct Expected<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `aud`
    pub client_id: &'a str,
    /// `nonce`, where one was sent.
    pub nonce: Option<&'a str>,
    /// The access token that came with it.
    pub access_token: &'a str,
}

/// Verifies signature, issuer, audience, expiry, nonce and `at_hash`, and gives the claims.
pub fn verify(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Value> {
    let (algorithm, claims) = signed(token, keys, expected.issuer, expected.client_id)?;
    anyhow::ensure!(
        claims["iat"].is_i64(),
        "the ID token does not say when it was issued"
    );
    if let Some(nonce) = expected.nonce {
        anyhow::ensure!(claims["nonce"] == nonce, "the ID token has another nonce");
    }
    if let Some(hash) = claims["at_hash"].as_str() {
        anyhow::ensure!(
            hash == at_hash(algorithm, expected.access_token)?,
            "the ID token is for another access token"
        );
    }
    Ok(claims)
}

/// Verifies a logout token (OpenID Connect Back-Channel Logout section 2.6), and gives the claims.
pub fn verify_logout_token(token: &str, keys: &JwkSet, issuer: &str, client_id: &str) -> Result<Value> {
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
    let header = decode_header(token).context("the logout token is not a JWT")?;
    anyhow::ensure!(
        header.typ.as_deref() == Some("logout+jwt"),
        "it is typed {:?}",
        header.typ
    );
    let (_, claims) = signed(token, keys, issuer, client_id)?;
    anyhow::ensure!(claims["events"][EVENT].is_object(), "it does not say what ended");
    anyhow::ensure!(claims.get("nonce").is_none(), "it has a nonce");
    anyhow::ensure!(
        claims["jti"].is_string() && claims["iat"].is_i64(),
        "it is incomplete"
    );
    Ok(claims)
}

/// Verifies signature, issuer, audience and expiry.
fn signed(token: &str, keys: &JwkSet, issuer: &str, client_id: &str) -> Result<(Algorithm, Value)> {
    let header = decode_header(token).context("the token is not a JWT")?;
    let kid = header.kid.as_deref().context("the token names no key")?;
    let key = keys
        .find(kid)
        .with_context(|| format!("the JWKS has no key `{kid}`"))?;
    // The key says which algorithm it is for; the header is the sender's word (RFC 8725 §3.1).
    let algorithm: Algorithm = key
        .common
        .key_algorithm
        .with_context(|| format!("the key `{kid}` names no algorithm"))?
        .to_string()
        .parse()
        .with_context(|| format!("the key `{kid}` is not for signatures"))?;
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[client_id]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    validation.leeway = 5;
    let key = DecodingKey::from_jwk(key).with_context(|| format!("failed to read the key `{kid}`"))?;
    let claims = decode::<Value>(token, &key, &validation)
        .context("the token does not verify")?
        .claims;
    Ok((algorithm, claims))
}

/// The left half of the token's hash, by the hash of the signature (OpenID Connect Core section 3.1.3.6).
fn at_hash(algorithm: Algorithm, access_token: &str) -> Result<String> {
    let left_half = |hash: &[u8]| URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]);
    match algorithm {
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::PS256 => {
            Ok(left_half(&Sha256::digest(access_token)))
        }
        Algorithm::EdDSA => Ok(left_half(&Sha512::digest(access_token))),
        other => anyhow::bail!("no provider of ours signs by {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::{Jwk, JwkSet};
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
    use serde_json::{Value, json};

    use super::{Expected, verify};

    const EXPECTED: Expected<'_> = Expected {
        issuer: "https://id.example.org",
        client_id: "shop",
        nonce: Some("n"),
        access_token: "token",
    };

    fn key() -> (EncodingKey, JwkSet) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("one".to_owned());
        (key, JwkSet { keys: vec![public] })
    }

    fn sign(key: &EncodingKey, claims: &Value) -> String {
        encode(
            &Header {
                kid: Some("one".to_owned()),
                ..Header::new(Algorithm::ES256)
            },
            claims,
            key,
        )
        .unwrap()
    }

    fn good() -> Value {
        let now = get_current_timestamp();
        json!({ "iss": EXPECTED.issuer, "sub": "ada", "aud": "shop", "nonce": "n", "iat": now, "exp": now + 60,
                "at_hash": "PEaenWxYddN6Q_NT1PiOYQ" })
    }

    #[test]
    fn a_good_token_holds() {
        let (key, keys) = key();
        assert_eq!(
            verify(&sign(&key, &good()), &keys, &EXPECTED).unwrap()["sub"],
            "ada"
        );
    }

    #[test]
    fn each_wrong_claim_alone_is_refused() {
        let (key, keys) = key();
        let wrong = [
            ("iss", json!("https://id.example.org/")),
            ("aud", json!("shop2")),
            ("nonce", json!("m")),
            ("exp", json!(get_current_timestamp() - 60)),
            ("exp", json!("never")),
            ("iat", Value::Null),
            ("sub", Value::Null),
            ("at_hash", json!("PEaenWxYddN6Q_NT1PiOYA")),
        ];
        for (claim, value) in wrong {
            let mut claims = good();
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
                value => claims[claim] = value,
            }
            assert!(
                verify(&sign(&key, &claims), &keys, &EXPECTED).is_err(),
                "{claim}: {claims}"
            );
        }
    }

    #[test]
    fn another_key_under_the_same_name_is_refused() {
        let ((_, keys), (other, _)) = (key(), key());
        assert!(verify(&sign(&other, &good()), &keys, &EXPECTED).is_err());
    }
}
