//! The keyring in use: everybody reads the same one, and a change reaches all of them at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Keyring;
use super::signing_key::SigningKey;
use crate::clock::Timestamp;

/// The keyring in use. Clones share it.
#[derive(Clone)]
pub struct LiveKeyring(Arc<Shared>);

struct Shared {
    current: watch::Sender<Arc<Keyring>>,
    /// Since when this process shows each key in its JWK Set.
    shown_since: Mutex<BTreeMap<String, Timestamp>>,
}

impl LiveKeyring {
    /// Puts a keyring to use.
    pub fn new(keyring: impl Into<Arc<Keyring>>, now: Timestamp) -> Self {
        let keyring = keyring.into();
        let shared = Shared {
            shown_since: Mutex::new(shown(&keyring, &BTreeMap::new(), now)),
            current: watch::Sender::new(keyring),
        };
        Self(Arc::new(shared))
    }

    /// The keyring as it is now. Whoever signs and seals in several steps takes it once.
    pub fn current(&self) -> Arc<Keyring> {
        self.0.current.borrow().clone()
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Keyring>> {
        self.0.current.subscribe()
    }

    /// Puts another one to use.
    pub(super) fn switch(&self, keyring: Keyring, now: Timestamp) {
        let mut since = self.shown_since();
        let shown = shown(&keyring, &since, now);
        *since = shown;
        // Within the lock, so that two switches cannot end with the times of one and the keys of the other.
        self.0.current.send_replace(Arc::new(keyring));
    }

    /// Since when this process has shown each key in its JWK Set.
    pub(super) fn shown_since(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.shown_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(
    keyring: &Keyring,
    before: &BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> BTreeMap<String, Timestamp> {
    let kids = keyring.signing_keys.iter().map(SigningKey::kid);
    kids.map(|kid| (kid.to_owned(), before.get(kid).copied().unwrap_or(now)))
        .collect()
}
