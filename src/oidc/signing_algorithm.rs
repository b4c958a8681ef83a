//! `alg` of what we sign (RFC 7518 section 3.1, RFC 8037 section 3.1).

use aws_lc_rs::digest::{self, SHA256, SHA512};
use serde::{Deserialize, Serialize};

/// `alg` of what we sign. Every algorithm has keys of its own, RS256 and PS256 too, although both are RSA: each key is used
/// with exactly one algorithm (RFC 8725 section 3.1), and a JWK names one `alg` (RFC 7517 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; what OpenID Connect takes for granted, so the default for ID tokens.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256: the default for access tokens.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them, in the order in which discovery lists them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Es256, Self::Ps256, Self::EdDsa];

    /// The value on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The hash function inside, which `at_hash` uses as well. Matched without a default, so that a new algorithm does not
    /// compile until somebody says which it is.
    pub fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::Rs256 | Self::Es256 | Self::Ps256 => &SHA256,
            // RFC 8032 section 5.1.
            Self::EdDsa => &SHA512,
        }
    }
}
