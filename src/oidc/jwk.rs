//! Public keys of clients (RFC 7517, RFC 7518 section 6, RFC 8037 section 2): which may be registered, and what they verify.
//!
//! A key says by its type which algorithms it is for, and by `alg` which one alone; what is signed only chooses among those
//! (RFC 8725 section 3.1). There is no symmetric key and no `none`.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// `alg` of what clients sign (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SignatureAlgorithm {
    /// All of them, in the order in which discovery lists them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// 65537, the one that everybody uses; a long one costs more than the modulus.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Names the key among those of its client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm that the key is for; without it, those of its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<SignatureAlgorithm>,
    /// The key itself.
    #[serde(flatten)]
    pub members: PublicMembers,
}

/// The members that are the public key, base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicMembers {
    /// RSA, of 2048 to 4096 bits, with the exponent 65537.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// A point on P-256.
    #[serde(rename = "EC")]
    P256 {
        /// Its first coordinate.
        x: String,
        /// Its second coordinate.
        y: String,
    },
    /// A key of Ed25519.
    #[serde(rename = "OKP")]
    Ed25519 {
        /// The key.
        x: String,
    },
}

/// Why a key cannot be registered. Each message goes on after the name of the key's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwkError {
    /// Not base64url, or not what the key's type has there.
    #[error("is not the public key that its kty and crv say")]
    Malformed,
    /// Too small, or larger than anybody needs: whoever sends something has us verify it, which costs the square of the size.
    #[error("must have an RSA modulus of 2048 to 4096 bits and the exponent 65537 (AQAB)")]
    RsaSize,
    /// It holds what only its owner may have.
    #[error("must be a public key, without private members")]
    Private,
    /// `alg` is of another type of key.
    #[error("has an alg that its kty cannot have")]
    Algorithm,
}

/// What makes a key a private one, or a symmetric one (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Jwk {
    /// A public key as it came from somebody who proves to have its private part, which must not be among it.
    pub fn from_members(members: Map<String, Value>) -> Result<Self, JwkError> {
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        let is_curve = |wanted: &str| members.get("crv").and_then(Value::as_str) == Some(wanted);
        let has_its_curve = match members.get("kty").and_then(Value::as_str) {
            Some("RSA") => true,
            Some("EC") => is_curve("P-256"),
            Some("OKP") => is_curve("Ed25519"),
            _ => false,
        };
        if !has_its_curve {
            return Err(JwkError::Malformed);
        }
        let key: Self = serde_json::from_value(members.into()).map_err(|_| JwkError::Malformed)?;
        key.check()?;
        Ok(key)
    }

    /// Whether the key may be registered.
    pub fn check(&self) -> Result<(), JwkError> {
        let mut fitting = SignatureAlgorithm::ALL
            .into_iter()
            .filter(|algorithm| self.members.fit(*algorithm));
        let algorithm = match self.alg {
            None => fitting.next(),
            Some(wanted) => fitting.find(|algorithm| *algorithm == wanted),
        }
        .ok_or(JwkError::Algorithm)?;
        self.parsed(algorithm).map(|_| ())
    }

    /// Whether `signature` over `input` is this key's by `algorithm`, which the key must be for.
    pub fn verifies(&self, algorithm: SignatureAlgorithm, input: &[u8], signature: &[u8]) -> bool {
        self.members.fit(algorithm)
            && self.alg.is_none_or(|only| only == algorithm)
            && self
                .parsed(algorithm)
                .is_ok_and(|key| key.verify_sig(input, signature).is_ok())
    }

    fn parsed(&self, algorithm: SignatureAlgorithm) -> Result<ParsedPublicKey, JwkError> {
        let malformed = |_| JwkError::Malformed;
        match &self.members {
            PublicMembers::Rsa { n, e } => {
                let components = RsaPublicKeyComponents {
                    n: decode(n)?,
                    e: decode(e)?,
                };
                // Here and not where keys are registered alone: an earlier version has taken larger ones.
                let leading = components
                    .n
                    .first()
                    .map_or(0, |first| first.leading_zeros() as usize);
                let bits = components.n.len() * 8 - leading;
                if !(2048..=4096).contains(&bits) || components.e != EXPONENT {
                    return Err(JwkError::RsaSize);
                }
                let parameters = if algorithm == SignatureAlgorithm::Ps256 {
                    &RSA_PSS_2048_8192_SHA256
                } else {
                    &RSA_PKCS1_2048_8192_SHA256
                };
                components.to_parsed_public_key(parameters).map_err(malformed)
            }
            PublicMembers::P256 { x, y } => {
                // Uncompressed, SEC 1 section 2.3.3.
                let point = [&[0x04][..], &coordinate(x)?, &coordinate(y)?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(malformed)
            }
            PublicMembers::Ed25519 { x } => ParsedPublicKey::new(&ED25519, coordinate(x)?).map_err(malformed),
        }
    }
}

impl PublicMembers {
    fn fit(&self, algorithm: SignatureAlgorithm) -> bool {
        match algorithm {
            SignatureAlgorithm::Rs256 | SignatureAlgorithm::Ps256 => matches!(self, Self::Rsa { .. }),
            SignatureAlgorithm::Es256 => matches!(self, Self::P256 { .. }),
            SignatureAlgorithm::EdDsa => matches!(self, Self::Ed25519 { .. }),
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, JwkError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwkError::Malformed)
}

/// 32 bytes: a raw point of another length could be read in another form.
fn coordinate(text: &str) -> Result<Vec<u8>, JwkError> {
    let bytes = decode(text)?;
    if bytes.len() == 32 {
        Ok(bytes)
    } else {
        Err(JwkError::Malformed)
    }
}

#[cfg(test)]
mod tests;
