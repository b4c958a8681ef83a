//! Master, signing and sealing keys: what is derived from them, signed and sealed with them.
//!
//! The keyring is one document (JSON, versioned) that holds several keys of each kind with their times, kept in a Secret
//! of claviger's own namespace or in a directory behind [`KeyringStorage`]. Private keys never leave this module.

pub mod directory;
mod document;
pub mod listing;
pub mod live;
mod master_key;
mod opening;
pub mod rotation;
mod sealing_key;
mod signing_key;
mod verification;
mod verified;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::oidc::identifier::{ResourceUid, Subject};
pub use crate::oidc::signing_algorithm::SigningAlgorithm;
use crate::random::{self, Random};

use document::Document;
use master_key::MasterKey;
pub use opening::OpenKeyringError;
use sealing_key::SealingKey;
use signing_key::{PublicJwk, SigningKey};

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

/// A document as the storage gave it.
pub struct StoredDocument {
    /// The document.
    pub document: Zeroizing<Vec<u8>>,
    /// Names this very state of the storage, for [`KeyringStorage::replace`].
    pub version: String,
}

/// Where the keyring document is kept.
#[async_trait]
pub trait KeyringStorage: Send + Sync + 'static {
    /// A name for messages, like `Secret claviger/claviger-keyring`.
    fn place(&self) -> String;

    /// The document, or `None` where there is none.
    async fn load(&self) -> Result<Option<StoredDocument>, KeyringStorageError>;

    /// Writes the document where there is none; `false` when somebody else was quicker.
    async fn create(&self, document: &[u8]) -> Result<bool, KeyringStorageError>;

    /// Writes the document in place of the one that was loaded as `version`, atomically; `false`, with nothing changed,
    /// when another is there by now.
    async fn replace(&self, version: &str, document: &[u8]) -> Result<bool, KeyringStorageError>;
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

/// All keys. No `Debug`, no `Serialize`; what leaves is derived, signed, sealed or public.
pub struct Keyring {
    id: String,
    document: Zeroizing<Vec<u8>>,
    /// Oldest first; never empty.
    master_keys: Vec<MasterKey>,
    /// Those that sign first, first; one that signs by RS256 and one by ES256 at least.
    signing_keys: Vec<SigningKey>,
    /// Oldest first; never empty.
    sealing_keys: Vec<SealingKey>,
    /// The JWK Set, made once.
    jwks: Bytes,
}

impl Keyring {
    /// New keys of each kind.
    pub fn generate(now: Timestamp, random: &dyn Random) -> Result<Self, KeyringError> {
        let signing_keys = SigningAlgorithm::ALL
            .into_iter()
            .map(|algorithm| SigningKey::generate(algorithm, now))
            .collect::<Result<Vec<_>, _>>()?;
        let document = Document::new(
            URL_SAFE_NO_PAD.encode(random::bytes::<16>(random)),
            vec![MasterKey::generate(now, random)],
            signing_keys,
            vec![SealingKey::generate(now, random)],
        );
        Self::from_document(&document.write()?)
    }

    /// Reads the document.
    pub fn from_document(document: &[u8]) -> Result<Self, KeyringError> {
        let read = Document::read(document)?;
        let mut master_keys = read
            .master_keys
            .into_iter()
            .map(MasterKey::from_entry)
            .collect::<Result<Vec<_>, _>>()?;
        master_keys.sort_by_key(MasterKey::created_at);
        let mut signing_keys = read
            .signing_keys
            .into_iter()
            .map(SigningKey::from_entry)
            .collect::<Result<Vec<_>, _>>()?;
        signing_keys.sort_by_key(SigningKey::signs_from);
        let mut sealing_keys = read
            .sealing_keys
            .iter()
            .map(SealingKey::from_entry)
            .collect::<Result<Vec<_>, _>>()?;
        sealing_keys.sort_by_key(SealingKey::created_at);
        let jwks = jwk_set(&signing_keys);
        let keyring = Self {
            id: read.id,
            document: Zeroizing::new(document.to_vec()),
            master_keys,
            signing_keys,
            sealing_keys,
            jwks,
        };
        keyring.check_complete()?;
        Ok(keyring)
    }

    /// A document can be well formed and still lack what every request needs, or name two keys alike.
    fn check_complete(&self) -> Result<(), KeyringError> {
        let malformed = |what: &str| Err(KeyringError::Malformed(what.to_owned()));
        if self.master_keys.is_empty() {
            return malformed("it has no master key");
        }
        if self.sealing_keys.is_empty() {
            return malformed("it has no sealing key");
        }
        // Keys of the other algorithms may be missing, or wait: earlier versions did not know them.
        if !self.can_sign(SigningAlgorithm::Rs256) || !self.can_sign(SigningAlgorithm::Es256) {
            return malformed("it lacks a signing key for RS256 or ES256");
        }
        if repeats(self.master_keys.iter().map(MasterKey::id))
            || repeats(self.signing_keys.iter().map(SigningKey::kid))
            || repeats(self.sealing_keys.iter().map(SealingKey::id))
        {
            return malformed("two of its keys have the same id");
        }
        Ok(())
    }

    /// The document.
    pub fn to_document(&self) -> Zeroizing<Vec<u8>> {
        self.document.clone()
    }

    /// Stops publishing and accepting the keys whose time is over, one of each algorithm excepted.
    fn forget_past(&mut self, now: Timestamp) {
        let newest = SigningAlgorithm::ALL.map(|algorithm| {
            self.key_that_signs(algorithm, now)
                .map(|key| key.kid().to_owned())
        });
        self.signing_keys
            .retain(|key| !key.is_past(now) || newest.iter().flatten().any(|kid| kid == key.kid()));
        self.jwks = jwk_set(&self.signing_keys);
    }

    /// A random id that a store remembers, so that a store and a keyring of different origin never meet.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The master key that new secret versions are derived from: the newest.
    pub fn current_master_key_id(&self) -> &str {
        self.master_keys.last().map_or("", MasterKey::id)
    }

    /// Whether secrets that were derived from this master key can be derived again.
    pub fn has_master_key(&self, id: &str) -> bool {
        self.master_key(id).is_some()
    }

    fn master_key(&self, id: &str) -> Option<&MasterKey> {
        self.master_keys.iter().find(|key| key.id() == id)
    }

    /// The secret of one version of a client: `clv_` and the base64url of HKDF-SHA256 over the master key, with the info
    /// `claviger/client-secret/v1`, uid and version, each parted by a NUL. `None` when there is no such master key.
    pub fn client_secret(
        &self,
        master_key_id: &str,
        uid: &ResourceUid,
        version: &str,
    ) -> Option<Zeroizing<String>> {
        self.master_key(master_key_id)?.client_secret(uid, version)
    }

    /// A generated password of an `OidcUser`, under a label of its own: easy to type, without a prefix.
    pub fn user_password(
        &self,
        master_key_id: &str,
        uid: &ResourceUid,
        version: &str,
    ) -> Option<Zeroizing<String>> {
        self.master_key(master_key_id)?.user_password(uid, version)
    }

    /// `sub` of a person for the clients of one sector (OpenID Connect Core section 8.1): HKDF-SHA256 over the *oldest* master
    /// key, with the info `claviger/pairwise-subject/v1`, sector and subject, each parted by a NUL. Adding a master key
    /// leaves it as it is, since apps know people by it for years; so the oldest master key is never to be removed.
    pub fn pairwise_subject(&self, sector: &str, subject: &Subject) -> Result<Subject, KeyringError> {
        self.master_keys
            .first()
            .and_then(|key| key.pairwise_subject(sector, subject))
            .ok_or(KeyringError::Crypto("derive a pairwise subject"))
    }

    /// Stands for a text in the log: equal texts can be recognised, and nobody without the keyring can find out by trying
    /// what was typed.
    pub fn pseudonym(&self, text: &str) -> String {
        self.master_keys
            .last()
            .and_then(|key| key.pseudonym(text))
            .unwrap_or_default()
    }

    /// The newest key whose time to sign has come. A clock that was set back finds none; then the oldest signs, which
    /// every relying party knows by now.
    fn key_that_signs(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<&SigningKey> {
        let oldest = self.signers(algorithm).next();
        self.signers(algorithm).rfind(|key| key.may_sign(now)).or(oldest)
    }

    /// The keys of an algorithm that are not published ahead of their time, oldest first.
    fn signers(&self, algorithm: SigningAlgorithm) -> impl DoubleEndedIterator<Item = &SigningKey> {
        self.signing_keys
            .iter()
            .filter(move |key| key.algorithm() == algorithm && !key.is_waiting())
    }

    /// Whether there is a key to sign with by this algorithm, one that is published long enough.
    pub fn can_sign(&self, algorithm: SigningAlgorithm) -> bool {
        self.signers(algorithm).next().is_some()
    }

    /// A JWS in compact form.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        typ: &'static str,
        claims: &impl Serialize,
        now: Timestamp,
    ) -> Result<String, KeyringError> {
        self.key_that_signs(algorithm, now)
            .ok_or(KeyringError::Crypto("find a key to sign with"))?
            .sign(typ, claims)
    }

    /// The claims of a token that this keyring signed and whose header says `typ`. Says nothing about `iss`, `aud` and
    /// times, which are the caller's to check.
    pub fn verify<C: DeserializeOwned>(&self, token: &str, typ: &str) -> Result<C, TokenRejected> {
        verification::verify(&self.signing_keys, token, typ)
    }

    /// The public keys, as the JSON of a JWK Set (RFC 7517 section 5).
    pub fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// Seals `plain` for one purpose: unreadable and unalterable for whoever carries it. Base64url text.
    pub fn seal(
        &self,
        purpose: &'static str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Result<String, KeyringError> {
        self.sealing_keys
            .last()
            .ok_or(KeyringError::Crypto("find a key to seal with"))?
            .seal(purpose, plain, random)
    }

    /// Opens what [`Keyring::seal`] sealed for the same purpose.
    pub fn open(&self, purpose: &'static str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        sealing_key::open(&self.sealing_keys, purpose, sealed)
    }
}

fn jwk_set(signing_keys: &[SigningKey]) -> Bytes {
    #[derive(Serialize)]
    struct JwkSet<'a> {
        keys: Vec<PublicJwk<'a>>,
    }
    let keys = signing_keys.iter().map(SigningKey::public_jwk).collect();
    // Strings only: there is nothing in it that JSON cannot say.
    serde_json::to_vec(&JwkSet { keys }).unwrap_or_default().into()
}

fn repeats<T: Ord>(ids: impl Iterator<Item = T>) -> bool {
    let mut ids: Vec<T> = ids.collect();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1])
}
