//! The keys as a list for people: ids and times, never a key.

use super::sealing_key::SealingKey;
use super::signing_key::SigningKey;
use super::{Keyring, SigningAlgorithm};
use crate::clock::Timestamp;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Client secrets and generated passwords are derived from it.
    Master,
    /// Signs tokens.
    Signing(SigningAlgorithm),
    /// Seals what a browser carries.
    Sealing,
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, does not sign yet.
    Published,
    /// What is new is derived, signed or sealed with it.
    InUse,
    /// What it made before is still good.
    Kept,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// What it is for.
    pub kind: KeyKind,
    /// Its id; the `kid` of a signing key.
    pub id: String,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Signing keys: since when it is in the JWK Set.
    pub published_at: Option<Timestamp>,
    /// Signing keys: since when, or from when on, it signs.
    pub signs_from: Option<Timestamp>,
    /// Signing keys: when it leaves the JWK Set, once that is known.
    pub kept_until: Option<Timestamp>,
}

impl Keyring {
    /// All keys, those in use first within each kind.
    pub fn list(&self, now: Timestamp) -> Vec<KeyFacts> {
        let mut list = Vec::new();
        for (newest_first, key) in self.master_keys.iter().rev().enumerate() {
            list.push(symmetric(
                KeyKind::Master,
                key.id().to_owned(),
                key.created_at(),
                newest_first,
            ));
        }
        for algorithm in SigningAlgorithm::ALL {
            let signer = self.key_that_signs(algorithm, now).map(SigningKey::kid);
            let keys = self.signing_keys.iter().rev();
            let mut of_algorithm: Vec<_> = keys
                .filter(|key| key.algorithm() == algorithm)
                .map(|key| KeyFacts {
                    kind: KeyKind::Signing(algorithm),
                    id: key.kid().to_owned(),
                    state: if Some(key.kid()) == signer {
                        KeyState::InUse
                    } else if key.may_sign(now) {
                        KeyState::Kept
                    } else {
                        KeyState::Published
                    },
                    created_at: key.created_at(),
                    published_at: Some(key.published_at()),
                    signs_from: Some(key.signs_from()),
                    kept_until: key.kept_until(),
                })
                .collect();
            of_algorithm.sort_by_key(|key| key.state != KeyState::InUse);
            list.extend(of_algorithm);
        }
        for (newest_first, key) in self.sealing_keys.iter().rev().enumerate() {
            list.push(symmetric(
                KeyKind::Sealing,
                key.name(),
                SealingKey::created_at(key),
                newest_first,
            ));
        }
        list
    }
}

fn symmetric(kind: KeyKind, id: String, created_at: Timestamp, newest_first: usize) -> KeyFacts {
    KeyFacts {
        kind,
        id,
        state: if newest_first == 0 {
            KeyState::InUse
        } else {
            KeyState::Kept
        },
        created_at,
        published_at: None,
        signs_from: None,
        kept_until: None,
    }
}
