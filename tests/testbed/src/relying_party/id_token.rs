//! The verification of an ID token.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use sha2::{Digest, Sha256};

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
    let header = decode_header(token).context("the ID token is not a JWT")?;
    let kid = header.kid.as_deref().context("the ID token names no key")?;
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
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    validation.leeway = 5;
    let key = DecodingKey::from_jwk(key).with_context(|| format!("failed to read the key `{kid}`"))?;
    let claims = decode::<Value>(token, &key, &validation)
        .context("the ID token does not verify")?
        .claims;
    anyhow::ensure!(
        claims["iat"].is_i64(),
        "the ID token does not say when it was issued"
    );
    if let Some(nonce) = expected.nonce {
        anyhow::ensure!(claims["nonce"] == nonce, "the ID token has another nonce");
    }
    // Of the algorithms of OpenID Connect those ending in 256 hash with SHA-256, and no others are offered here.
    if let Some(hash) = claims["at_hash"].as_str() {
        let digest = Sha256::digest(expected.access_token);
        anyhow::ensure!(
            hash == URL_SAFE_NO_PAD.encode(&digest[..16]),
            "the ID token is for another access token"
        );
    }
    Ok(claims)
}
