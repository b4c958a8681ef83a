//! Rotation of keys: publish, wait, sign, keep, forget.
//!
//! [`Rotator`] plans against the document as it is kept, writes the next one in its place unless somebody else did so
//! meanwhile, and only then puts it to use. Every step can be tried again: whoever lost the answer to a write finds its
//! result at the next try. Only one process of an installation may run it, the one whose controller leads.

mod plan;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::document::{Document, SigningKeyEntry};
use super::listing::{KeyFacts, KeyState};
use super::live::LiveKeyring;
use super::master_key::MasterKey;
use super::sealing_key::SealingKey;
use super::signing_key::SigningKey;
use super::{Keyring, KeyringError, KeyringStorage, KeyringStorageError};
use crate::clock::{Clock, Timestamp, later};
use crate::oidc::audit::TARGET;
use crate::random::Random;
use plan::{Facts, Step, plan};

/// For this long the JWK Set may be kept by whoever fetched it.
pub const JWKS_MAX_AGE: Duration = Duration::from_hours(1);
/// A signing key is published for this long before it signs (OpenID Connect Core section 10.1.1): longer than any cache
/// that heeds [`JWKS_MAX_AGE`], and than most that do not.
pub const PUBLISH_LEAD: Duration = Duration::from_hours(24);
/// The shortest time between two rotations: a key is to sign for a while after its successor was published.
pub const SHORTEST_INTERVAL: Duration = Duration::from_hours(48);
/// A signing key is kept for this long after the last token that it signed has expired: clocks differ.
const RETIREMENT_MARGIN: Duration = Duration::from_mins(10);
/// Nothing that a browser carries sealed is good for longer, hence a sealing key is kept for this long after its successor took
/// over. At the [`SHORTEST_INTERVAL`] that makes 46 small keys.
pub const SEALED_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// Tries until somebody else who writes at the same time is a reason to give up.
const TRIES: usize = 5;

/// Why keys were not rotated. What was in use before still is.
#[derive(Debug, Error)]
pub enum RotationError {
    /// The storage failed.
    #[error(transparent)]
    Storage(KeyringStorageError),
    /// It is gone.
    #[error("unable to find the keyring {place}, which was there at the start: restore it from a backup")]
    Missing {
        /// Where it should be.
        place: String,
    },
    /// What is kept there is not a keyring.
    #[error("unable to use the keyring {place}: {reason}; restore it from a backup")]
    Malformed {
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: KeyringError,
    },
    /// It was replaced by another keyring.
    #[error(
        "the keyring {place} is another than the one in use; restore it from a backup, or restart claviger to use it"
    )]
    Replaced {
        /// Where.
        place: String,
    },
    /// No new key could be made.
    #[error("unable to make a key: {0}")]
    Generate(KeyringError),
    /// Somebody else writes all the time.
    #[error("unable to write the keyring {place}: somebody else changes it at the same time; try again")]
    Contested {
        /// Where.
        place: String,
    },
}

/// Rotates the keys of the keyring in use. Made once a process.
pub struct Rotator {
    storage: Arc<dyn KeyringStorage>,
    live: LiveKeyring,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    interval: Duration,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
    /// Of the last try.
    last_failure: Mutex<Option<String>>,
}

/// What somebody asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// What the schedule says.
    Schedule,
    SigningKeys,
    MasterKey,
}

impl Rotator {
    /// A rotator of the keyring `live`, kept in `storage`, whose signing keys sign for `interval`.
    pub fn new(
        storage: Arc<dyn KeyringStorage>,
        live: LiveKeyring,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        interval: Duration,
    ) -> Self {
        Self {
            storage,
            live,
            clock,
            random,
            interval,
            turn: tokio::sync::Mutex::default(),
            last_failure: Mutex::default(),
        }
    }

    /// The keyring that is rotated.
    pub fn live(&self) -> &LiveKeyring {
        &self.live
    }

    /// Where the keyring is kept, for messages.
    pub fn place(&self) -> String {
        self.storage.place()
    }

    /// What went wrong at the last try, if anything.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How long a key signs.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether the schedule asks for anything at all. Cheap; nothing is read or written.
    pub fn is_due(&self) -> bool {
        let now = self.clock.now();
        Document::read(&self.live.current().to_document())
            .is_ok_and(|document| !self.steps(&document, Wish::Schedule, Some(now), now).is_empty())
    }

    /// Does what the schedule asks for now. No token that was signed until now is valid after `tokens_valid_until`; while
    /// that is not known no key takes over. Says how many steps were taken.
    pub async fn keep_up(&self, tokens_valid_until: Option<Timestamp>) -> Result<usize, RotationError> {
        self.change(Wish::Schedule, tokens_valid_until).await
    }

    /// Publishes a new signing key for each algorithm that has none waiting; gives all that wait now.
    pub async fn rotate_signing_keys(&self) -> Result<Vec<KeyFacts>, RotationError> {
        self.change(Wish::SigningKeys, None).await?;
        let mut keys = self.live.current().list(self.clock.now());
        keys.retain(|key| key.state == KeyState::Published);
        Ok(keys)
    }

    /// Adds a master key, from which every new secret is derived from now on; gives its id. Old ones stay: secrets that
    /// were derived from them are good until they are replaced.
    pub async fn rotate_master_key(&self) -> Result<String, RotationError> {
        self.change(Wish::MasterKey, None).await?;
        Ok(self.live.current().current_master_key_id().to_owned())
    }

    fn steps(
        &self,
        document: &Document,
        wish: Wish,
        tokens_valid_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<Step> {
        let facts = Facts {
            now,
            interval: self.interval,
            shown_since: &self.live.shown_since(),
            tokens_valid_until,
            requested: wish == Wish::SigningKeys,
        };
        plan(document, &facts)
    }

    async fn change(
        &self,
        wish: Wish,
        tokens_valid_until: Option<Timestamp>,
    ) -> Result<usize, RotationError> {
        let outcome = self.try_change(wish, tokens_valid_until).await;
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) =
            outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    async fn try_change(
        &self,
        wish: Wish,
        tokens_valid_until: Option<Timestamp>,
    ) -> Result<usize, RotationError> {
        let _turn = self.turn.lock().await;
        let place = self.storage.place();
        for _ in 0..TRIES {
            let stored = self.storage.load().await.map_err(RotationError::Storage)?;
            let Some(stored) = stored else {
                return Err(RotationError::Missing { place });
            };
            let malformed = |reason| RotationError::Malformed {
                place: place.clone(),
                reason,
            };
            let document = Document::read(&stored.document).map_err(malformed)?;
            if document.id != self.live.current().id() {
                return Err(RotationError::Replaced { place });
            }
            let now = self.clock.now();
            let steps = self.steps(&document, wish, tokens_valid_until, now);
            if steps.is_empty() && wish != Wish::MasterKey {
                // What an earlier try wrote without hearing so.
                if *stored.document != *self.live.current().to_document() {
                    self.use_document(&stored.document, now).map_err(malformed)?;
                }
                return Ok(0);
            }
            let count = steps.len() + usize::from(wish == Wish::MasterKey);
            let random = Arc::clone(&self.random);
            let next = move || changed(document, &steps, wish, now, random.as_ref());
            // An RSA key takes a while to make.
            let next = match tokio::task::spawn_blocking(next).await {
                Ok(next) => next.map_err(RotationError::Generate)?,
                Err(_) => return Err(RotationError::Generate(KeyringError::Crypto("make a key"))),
            };
            // Read before it is written: what we could not use ourselves must not be kept.
            let document = next.document.write().map_err(RotationError::Generate)?;
            Keyring::from_document(&document).map_err(RotationError::Generate)?;
            let written = self.storage.replace(&stored.version, &document).await;
            if written.map_err(RotationError::Storage)? {
                self.use_document(&document, now).map_err(malformed)?;
                next.tell();
                return Ok(count);
            }
        }
        Err(RotationError::Contested { place })
    }

    fn use_document(&self, document: &[u8], now: Timestamp) -> Result<(), KeyringError> {
        let mut keyring = Keyring::from_document(document)?;
        keyring.forget_past(now);
        self.live.switch(keyring, now);
        Ok(())
    }
}

/// The next document, and what became of which key.
struct Changed {
    document: Document,
    events: Vec<(&'static str, String)>,
}

impl Changed {
    fn tell(&self) {
        for (event, key) in &self.events {
            tracing::info!(target: TARGET, event, key);
        }
    }
}

/// The document after `steps`.
fn changed(
    mut document: Document,
    steps: &[Step],
    wish: Wish,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Changed, KeyringError> {
    let mut events = Vec::new();
    for step in steps {
        match step {
            Step::Publish(algorithm) => {
                let mut key = SigningKey::generate(*algorithm, now)?;
                key.waiting = true;
                key.signs_from = later(now, PUBLISH_LEAD);
                events.push(("signing_key_published", key.kid.clone()));
                document.signing_keys.push(key);
            }
            Step::Activate { kid } => {
                if let Some(key) = entry(&mut document, kid) {
                    key.waiting = false;
                    key.signs_from = now;
                }
                events.push(("signing_key_activated", kid.clone()));
            }
            Step::Retire { kid, kept_until } => {
                if let Some(key) = entry(&mut document, kid) {
                    key.kept_until = Some(*kept_until);
                }
                events.push(("signing_key_retired", kid.clone()));
            }
            Step::Forget { kid } => {
                document.signing_keys.retain(|key| key.kid != *kid);
                events.push(("signing_key_forgotten", kid.clone()));
            }
            Step::AddSealingKey => {
                let key = SealingKey::generate(now, random);
                events.push(("sealing_key_added", key.id.clone()));
                document.sealing_keys.push(key);
            }
            Step::ForgetSealingKey { id } => {
                document.sealing_keys.retain(|key| key.id != *id);
                events.push(("sealing_key_forgotten", id.clone()));
            }
        }
    }
    if wish == Wish::MasterKey {
        let newest = document.master_keys.iter().map(|key| key.created_at).max();
        // The newest is the current one, whatever the clock says.
        let created_at = newest.map_or(now, |newest| now.max(later(newest, Duration::from_millis(1))));
        let key = MasterKey::generate(created_at, random);
        events.push(("master_key_added", key.id.clone()));
        document.master_keys.push(key);
    }
    Ok(Changed { document, events })
}

fn entry<'a>(document: &'a mut Document, kid: &str) -> Option<&'a mut SigningKeyEntry> {
    document.signing_keys.iter_mut().find(|key| key.kid == kid)
}
