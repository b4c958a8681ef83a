//! A key of an app, and what it signs.

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A P-256 key.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
}

impl Key {
    /// A new one.
    pub(crate) fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| anyhow::anyhow!("failed to make a key"))?;
        Ok(Self { pair })
    }

    /// Its public half as a JWK.
    pub(crate) fn public(&self) -> Value {
        let point = &self.pair.public_key().as_ref()[1..];
        json!({
            "kty": "EC", "crv": "P-256", "kid": "app", "alg": "ES256",
            "x": encode(&point[..32]), "y": encode(&point[32..]),
        })
    }

    /// A JWS by ES256 whose header says `header` beside that.
    pub(crate) fn sign(&self, mut header: Value, claims: &Value) -> Result<String> {
        header["alg"] = json!("ES256");
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self
            .pair
            .sign_digest(&digest(&SHA256, input.as_bytes()))
            .map_err(|_| anyhow::anyhow!("failed to sign"))?;
        Ok(format!("{input}.{}", encode(signature.as_ref())))
    }
}

/// What nobody has signed, as a JWS of `alg: none` has it.
pub(crate) fn unsigned(claims: &Value) -> String {
    format!(
        "{}.{}.",
        encode(json!({ "alg": "none" }).to_string()),
        encode(claims.to_string())
    )
}

/// The header (0) or the claims (1) of a JWS, read without a look at its signature.
pub(crate) fn part(jws: &str, index: usize) -> Result<Value> {
    let part = jws.split('.').nth(index).context("not a JWS")?;
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .context("a part of a JWS is not base64url without padding")?;
    serde_json::from_slice(&bytes).context("a part of a JWS is not JSON")
}

/// base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
