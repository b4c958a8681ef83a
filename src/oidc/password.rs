//! Passwords: the types, and the port behind which they are hashed.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// A password as typed. No `Debug`, `Display` or `Serialize`; wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The most bytes that are ever hashed, whoever sends them.
    pub const MAX_BYTES: usize = 512;

    /// Takes the text as it is: no trimming, no Unicode normalisation. `None` when it is longer than
    /// [`Password::MAX_BYTES`].
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = Zeroizing::new(text.into());
        (text.len() <= Self::MAX_BYTES).then_some(Self(text))
    }

    /// The clear text, for the hasher and for the Secret of a generated password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A PHC string (Argon2id). Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string as it is; whether it can be used is found when it is verified.
    pub fn from_phc(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PasswordHash(..)")
    }
}

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// The password is right.
    pub matches: bool,
    /// The hash was made with weaker parameters than today's; hash again now that the clear text is at hand.
    pub outdated: bool,
}

/// Why nothing was hashed.
#[derive(Debug, Error)]
pub enum HasherError {
    /// As many hashes wait as may wait; try again later (503).
    #[error("unable to hash a password: the queue is full")]
    QueueFull,
    /// The hasher is shutting down or failed inside.
    #[error("failed to hash a password: {0}")]
    Hash(String),
}

/// The port behind which passwords are hashed, bounded and off the async threads. Implemented by `login`, wired by
/// `app`, used by provider and controller alike.
#[async_trait]
pub trait PasswordHasher: Send + Sync + 'static {
    /// Makes a hash with today's parameters.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HasherError>;

    /// Verifies. `None` (no such user, or a user without password) costs the same one hash and never matches.
    async fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verification, HasherError>;
}
