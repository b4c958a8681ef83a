//! Master, signing and sealing keys: what is derived from them, signed and sealed with them.
//!
//! The keyring is one document (JSON, versioned) that holds several keys of each kind with their times, kept in a Secret
//! of claviger's own namespace or in a directory behind [`KeyringStorage`]. Private keys never leave this module.

use async_trait::async_trait;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why the storage failed.
#[derive(Debug, Error)]
pub enum KeyringStorageError {
    /// It cannot be reached; try again.
    #[error("unable to reach the keyring at {place}: {reason}")]
    Unavailable {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// It answered with a refusal; trying again will not help.
    #[error("unable to use the keyring at {place}: {reason}")]
    Refused {
        /// Where.
        place: String,
        /// Why, with what to do.
        reason: String,
    },
}

/// Where the keyring document is kept.
#[async_trait]
pub trait KeyringStorage: Send + Sync + 'static {
    /// A name for messages, like `Secret claviger/claviger-keyring`.
    fn place(&self) -> String;

    /// The document, or `None` where there is none.
    async fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringStorageError>;

    /// Writes the document where there is none; `false` when somebody else was quicker.
    async fn create(&self, document: &[u8]) -> Result<bool, KeyringStorageError>;
}

// ------- the shape that callers build against; the bodies are being written -------

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::oidc::identifier::ResourceUid;
use crate::random::Random;

/// `alg` of what we sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// ID tokens.
    Rs256,
    /// Access tokens.
    Es256,
}

/// Why a keyring cannot be used.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The document is not one of ours.
    #[error("failed to read the keyring document: {0}")]
    Malformed(String),
    /// The cryptographic library refused.
    #[error("failed to {0}")]
    Crypto(&'static str),
}

/// A token that is not one of ours for this use: the reason, for the log only.
#[derive(Debug, Error)]
#[error("token rejected: {0}")]
pub struct TokenRejected(pub &'static str);

/// All keys.
pub struct Keyring {}

#[expect(
    unused_variables,
    clippy::unused_self,
    clippy::todo,
    clippy::unimplemented,
    reason = "signatures first"
)]
impl Keyring {
    /// New keys of each kind.
    pub fn generate(now: Timestamp, random: &dyn Random) -> Result<Self, KeyringError> {
        unimplemented!()
    }

    /// Reads the document.
    pub fn from_document(document: &[u8]) -> Result<Self, KeyringError> {
        unimplemented!()
    }

    /// Writes the document.
    pub fn to_document(&self) -> Zeroizing<Vec<u8>> {
        unimplemented!()
    }

    /// A random id that a store remembers, so that a store and a keyring of different origin never meet.
    pub fn id(&self) -> &str {
        unimplemented!()
    }

    /// The master key that new secret versions are derived from.
    pub fn current_master_key_id(&self) -> &str {
        unimplemented!()
    }

    /// `clv_…` as `design.md` defines it; `None` when there is no such master key.
    pub fn client_secret(
        &self,
        master_key_id: &str,
        uid: &ResourceUid,
        version: &str,
    ) -> Option<Zeroizing<String>> {
        unimplemented!()
    }

    /// A generated password of an `OidcUser`, under a label of its own.
    pub fn user_password(
        &self,
        master_key_id: &str,
        uid: &ResourceUid,
        version: &str,
    ) -> Option<Zeroizing<String>> {
        unimplemented!()
    }

    /// A JWS in compact form.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        typ: &'static str,
        claims: &impl Serialize,
        now: Timestamp,
    ) -> Result<String, KeyringError> {
        unimplemented!()
    }

    /// The claims of a token that this keyring signed and whose header says `typ`. Says nothing about `iss`, `aud` and
    /// times, which are the caller's to check.
    pub fn verify<C: DeserializeOwned>(&self, token: &str, typ: &str) -> Result<C, TokenRejected> {
        unimplemented!()
    }

    /// The public keys, as the JSON of a JWK Set (RFC 7517).
    pub fn jwks(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Seals `plain` for one purpose: unreadable and unalterable for whoever carries it. Base64url text.
    pub fn seal(
        &self,
        purpose: &'static str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Result<String, KeyringError> {
        unimplemented!()
    }

    /// Opens what [`Keyring::seal`] sealed for the same purpose.
    pub fn open(&self, purpose: &'static str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        unimplemented!()
    }
}
