//! Argon2id with small parameters that counts what it computes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::oidc::password::{HasherError, Password, PasswordHash, PasswordHasher, Verification};
use tokio::sync::Notify;

/// The hasher.
#[derive(Default)]
pub(crate) struct CountingHasher {
    computed: AtomicUsize,
    full: AtomicBool,
    outdated: AtomicBool,
    pause: Mutex<Option<Arc<Pause>>>,
}

/// Where the next verification stops, after it has computed.
#[derive(Default)]
pub(crate) struct Pause {
    reached: Notify,
    goes_on: Notify,
}

impl Pause {
    /// Waits until a verification stops here.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.goes_on.notify_one();
    }
}

impl CountingHasher {
    /// How many hashes were computed.
    pub(crate) fn computed(&self) -> usize {
        self.computed.load(Ordering::SeqCst)
    }

    /// Whether the queue is full.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Whether every hash was made with weaker parameters than today's.
    pub(crate) fn set_outdated(&self, outdated: bool) {
        self.outdated.store(outdated, Ordering::SeqCst);
    }

    /// Stops the next verification.
    pub(crate) fn pause(&self) -> Arc<Pause> {
        let pause = Arc::<Pause>::default();
        *self.pause.lock().unwrap() = Some(pause.clone());
        pause
    }

    fn compute(&self, password: &Password) -> String {
        self.computed.fetch_add(1, Ordering::SeqCst);
        let parameters = Params::new(64, 1, 1, None).unwrap();
        let mut output = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(password.expose().as_bytes(), b"the salt of tests", &mut output)
            .unwrap();
        URL_SAFE_NO_PAD.encode(output)
    }
}

#[async_trait]
impl PasswordHasher for CountingHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HasherError> {
        Ok(PasswordHash::from_phc(self.compute(password)))
    }

    async fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verification, HasherError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(HasherError::QueueFull);
        }
        let computed = self.compute(password);
        let pause = self.pause.lock().unwrap().take();
        if let Some(pause) = pause {
            pause.reached.notify_one();
            pause.goes_on.notified().await;
        }
        Ok(Verification {
            matches: hash.is_some_and(|hash| hash.as_phc() == computed),
            outdated: self.outdated.load(Ordering::SeqCst),
        })
    }
}
