//! Opaque values that claviger hands out: authorization codes, refresh tokens, opaque access tokens, session ids,
//! interaction handles, the names of pushed authorization requests and device codes.
//!
//! Each holds 256 random bits after a prefix that names its kind, so that no kind passes for another; stores keep
//! [`TokenHash`] only.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::random::{self, Random};

/// What an opaque value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// RFC 6749 section 1.3.1.
    AuthorizationCode,
    /// RFC 6749 section 1.5.
    RefreshToken,
    /// RFC 6749 section 1.4, for clients that ask for opaque ones.
    AccessToken,
    /// The value of the session cookie.
    Session,
    /// The handle of an interaction after sign-in.
    Interaction,
    /// The value of the cookie that binds an interaction to one browser before sign-in.
    Browser,
    /// What a `request_uri` ends with (RFC 9126 section 2.2).
    PushedRequest,
    /// `device_code` (RFC 8628 section 3.2).
    DeviceCode,
}

impl TokenKind {
    /// The text that every value of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "clv_ac_",
            Self::RefreshToken => "clv_rt_",
            Self::AccessToken => "clv_at_",
            Self::Session => "clv_se_",
            Self::Interaction => "clv_in_",
            Self::Browser => "clv_br_",
            Self::PushedRequest => "clv_pr_",
            Self::DeviceCode => "clv_dc_",
        }
    }
}

/// One opaque value in clear text. It has no `Debug`, `Display` or `Serialize`, and is wiped when dropped.
#[derive(Clone)]
pub struct OpaqueToken {
    kind: TokenKind,
    text: Zeroizing<String>,
}

/// Base64url characters of 32 bytes without padding.
const ENCODED_LENGTH: usize = 43;

impl OpaqueToken {
    /// Draws a new value of 256 bits.
    pub fn generate(kind: TokenKind, random: &dyn Random) -> Self {
        let secret = Zeroizing::new(random::bytes::<32>(random));
        let mut text = Zeroizing::new(String::with_capacity(kind.prefix().len() + ENCODED_LENGTH));
        text.push_str(kind.prefix());
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Self { kind, text }
    }

    /// Reads a value of `kind`. Truncated, padded or differently prefixed text is `None`, and so is text whose last
    /// character carries bits beyond the 256.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(kind.prefix())?;
        if encoded.len() != ENCODED_LENGTH {
            return None;
        }
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        (decoded.len() == 32).then(|| Self {
            kind,
            text: Zeroizing::new(text.to_owned()),
        })
    }

    /// The kind of this value.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The clear text, for the response or cookie that carries it and nothing else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What a store keeps.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.text.as_bytes())
    }
}

/// SHA-256 of an opaque value or client secret, prefix included. Enough for values of 256 random bits; passwords need a
/// password hash instead. Compare secrets with [`TokenHash::matches`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes `text`.
    pub fn of(text: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
        Self(hash)
    }

    /// The bytes, for a store's key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes bytes that a store kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(..)")
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| serde::de::Error::custom("a hash of other than 32 bytes"))?;
        Ok(Self(bytes))
    }
}
