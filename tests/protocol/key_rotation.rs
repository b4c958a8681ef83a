//! Signing keys change under relying parties that keep the JWK Set as long as they may.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use claviger::clock::{Timestamp, later};
use claviger::keyring::directory::DirectoryStorage;
use claviger::keyring::listing::{KeyKind, KeyState};
use claviger::keyring::rotation::{JWKS_MAX_AGE, PUBLISH_LEAD, RotationError, Rotator, SHORTEST_INTERVAL};
use claviger::keyring::{Keyring, KeyringStorage, KeyringStorageError, SigningAlgorithm, StoredDocument};
use claviger::provider::known_browser::KNOWN_BROWSER_LIFETIME;
use claviger::store::Store;
use http::StatusCode;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::scale;

use crate::app::TestApp;
use crate::browser::{Browser, PASSWORD, assert_redirected_error, assert_sign_in_page};
use crate::clock::TestClock;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// What happens to the next write of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Luck {
    Good,
    /// It is written and the answer is lost.
    AnswerLost,
    /// Neither reading nor writing works.
    Away,
}

/// The real directory behind a bad line.
struct Line {
    directory: DirectoryStorage,
    luck: AtomicU8,
}

impl Line {
    fn set(&self, luck: Luck) {
        self.luck.store(luck as u8, Ordering::SeqCst);
    }

    fn is(&self, luck: Luck) -> bool {
        self.luck.load(Ordering::SeqCst) == luck as u8
    }

    fn away<T>(&self) -> Result<T, KeyringStorageError> {
        Err(KeyringStorageError::Unavailable {
            place: self.place(),
            reason: "the line is down".to_owned(),
        })
    }
}

#[async_trait]
impl KeyringStorage for Line {
    fn place(&self) -> String {
        self.directory.place()
    }

    async fn load(&self) -> Result<Option<StoredDocument>, KeyringStorageError> {
        if self.is(Luck::Away) {
            return self.away();
        }
        self.directory.load().await
    }

    async fn create(&self, document: &[u8]) -> Result<bool, KeyringStorageError> {
        self.directory.create(document).await
    }

    async fn replace(&self, version: &str, document: &[u8]) -> Result<bool, KeyringStorageError> {
        if self.is(Luck::Away) {
            return self.away();
        }
        let written = self.directory.replace(version, document).await;
        if self.is(Luck::AnswerLost) {
            return self.away();
        }
        written
    }
}

/// A provider whose keys rotate every two days.
struct Installation {
    app: TestApp,
    line: Arc<Line>,
    rotator: Rotator,
    _folder: TempDir,
}

impl Installation {
    async fn new() -> Self {
        let app = TestApp::with_shop_and_ada().await;
        let folder = tempfile::tempdir().unwrap();
        let line = Arc::new(Line {
            directory: DirectoryStorage::new(folder.path().join("keyring")),
            luck: AtomicU8::new(Luck::Good as u8),
        });
        assert!(line.create(&app.keyring.to_document()).await.unwrap());
        let rotator = rotator(&line, &app);
        Self {
            app,
            line,
            rotator,
            _folder: folder,
        }
    }

    /// As a new process on what the old one left.
    async fn restart(self) -> Self {
        let (now, random) = (self.app.now(), self.app.random.clone());
        let keyring = Keyring::load_or_create(&self.line.directory, false, now, &*random)
            .await
            .unwrap();
        let app = self.app.restarted_with(keyring);
        let rotator = rotator(&self.line, &app);
        Self { app, rotator, ..self }
    }

    /// What the process does each minute.
    async fn tick(&self) -> Result<usize, RotationError> {
        if !self.rotator.is_due() {
            return Ok(0);
        }
        let valid_until = self.app.store.tokens_valid_until().await.unwrap();
        self.rotator.keep_up(Some(valid_until)).await
    }

    fn sign(&self, algorithm: SigningAlgorithm, lives: Duration) -> Token {
        let now = self.app.now();
        let expires_at = later(now, lives);
        let claims = json!({"iat": now.as_second(), "exp": expires_at.as_second()});
        let text = self
            .app
            .live
            .current()
            .sign(algorithm, "JWT", &claims, now)
            .unwrap();
        Token { text, expires_at }
    }

    fn signing_kid(&self, algorithm: SigningAlgorithm) -> String {
        decode_header(&self.sign(algorithm, HOUR).text)
            .unwrap()
            .kid
            .unwrap()
    }

    async fn published(&self) -> BTreeSet<String> {
        let set = JwkSet::fetch(&self.app).await;
        set.keys
            .into_iter()
            .map(|key| key.common.key_id.unwrap())
            .collect()
    }

    fn waiting(&self) -> usize {
        let keys = self.app.live.current().list(self.app.now());
        keys.iter().filter(|key| key.state == KeyState::Published).count()
    }
}

fn rotator(line: &Arc<Line>, app: &TestApp) -> Rotator {
    let clock: Arc<TestClock> = app.clock.clone();
    Rotator::new(
        line.clone(),
        app.live.clone(),
        clock,
        app.random.clone(),
        SHORTEST_INTERVAL,
    )
}

struct Token {
    text: String,
    expires_at: Timestamp,
}

trait Fetch {
    async fn fetch(app: &TestApp) -> Self;
}

impl Fetch for JwkSet {
    async fn fetch(app: &TestApp) -> Self {
        let response = app.get("/.well-known/jwks.json").await;
        let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
        assert_eq!(response.header("cache-control"), Some(max_age.as_str()));
        serde_json::from_slice(&response.body).unwrap()
    }
}

/// A relying party that fetches the JWK Set when its copy is as old as `max-age` allows, and never for another reason.
struct Verifier {
    jwks: JwkSet,
    fetched_at: Timestamp,
}

impl Verifier {
    async fn new(app: &TestApp) -> Self {
        Self {
            jwks: JwkSet::fetch(app).await,
            fetched_at: app.now(),
        }
    }

    async fn verify(&mut self, app: &TestApp, token: &Token) {
        if later(self.fetched_at, JWKS_MAX_AGE) <= app.now() {
            *self = Self::new(app).await;
        }
        let header = decode_header(&token.text).unwrap();
        let kid = header.kid.unwrap();
        let key = self.jwks.find(&kid).unwrap_or_else(|| {
            panic!(
                "at {} the kid {kid} is unknown to who fetched at {}",
                app.now(),
                self.fetched_at
            )
        });
        let mut validation = Validation::new(header.alg);
        // The test's clock is not the machine's.
        validation.validate_exp = false;
        validation.validate_aud = false;
        decode::<Value>(&token.text, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
        let ours = [
            Algorithm::RS256,
            Algorithm::ES256,
            Algorithm::PS256,
            Algorithm::EdDSA,
        ];
        assert!(ours.contains(&header.alg));
    }
}

/// Rule 52: a new key is published for longer than the JWK Set may be cached before it signs, and an old one is kept for
/// as long as any token that it signed may live. Fifty rotations of each key: a verifier that heeds `max-age` meets no
/// `kid` that it does not know, from the first moment of a token to its last.
#[tokio::test(flavor = "multi_thread")]
async fn rule_52_fifty_rotations_and_no_unknown_kid() {
    const STEP: Duration = Duration::from_mins(30);
    let mut installation = Installation::new().await;
    // Longer than a key signs, so that several old ones are kept at a time.
    let lives = Duration::from_hours(70);
    installation
        .app
        .register_client("shop", |registration| {
            registration.client.lifetimes.id_token = lives;
        })
        .await;
    // Half of them fetch at each step.
    let mut verifiers = vec![Verifier::new(&installation.app).await];
    let mut signed: VecDeque<Token> = VecDeque::new();
    let mut signers = SigningAlgorithm::ALL.map(|_| BTreeSet::new());
    let mut most_published = 0;
    let mut step = 0;
    while signers[0].len() <= 50 {
        installation.tick().await.unwrap();
        if step == 1 {
            verifiers.push(Verifier::new(&installation.app).await);
        }
        for (algorithm, signers) in SigningAlgorithm::ALL.into_iter().zip(&mut signers) {
            let token = installation.sign(algorithm, lives);
            for verifier in &mut verifiers {
                verifier.verify(&installation.app, &token).await;
            }
            signers.insert(decode_header(&token.text).unwrap().kid.unwrap());
            signed.push_back(token);
        }
        let last_chance = later(installation.app.now(), STEP);
        while signed.front().is_some_and(|token| token.expires_at < last_chance) {
            let token = signed.pop_front().unwrap();
            let turn = step % verifiers.len();
            verifiers[turn].verify(&installation.app, &token).await;
        }
        if step % 1_000 == 999 {
            // The same through the whole pipeline, and a restart between.
            let tokens = installation.app.tokens("openid").await;
            for name in ["access_token", "id_token"] {
                let token = Token {
                    text: tokens[name].as_str().unwrap().to_owned(),
                    expires_at: installation.app.now(),
                };
                verifiers[0].verify(&installation.app, &token).await;
            }
            installation = installation.restart().await;
        }
        most_published = most_published.max(installation.published().await.len());
        installation.app.advance(STEP);
        step += 1;
        assert!(step < 10_000, "the keys do not rotate");
    }
    assert!(signers.iter().all(|signers| signers.len() == 51));
    println!(
        "rule 52: 50 rotations of 4 keys over {step} steps, at most {most_published} keys published, 0 unknown kids"
    );
    // Old keys go: published are those that sign, those that wait, and those of three days.
    assert!(most_published <= 16, "{most_published}");
}

/// Rule 52: whatever goes wrong between two steps of a rotation, the next try and the next process go on where it was:
/// no key signs that a verifier with a cached JWK Set does not know, no two successors wait at a time.
#[tokio::test(flavor = "multi_thread")]
async fn rule_52_trouble_at_any_step_converges() {
    let seed = scale::seed().unwrap();
    let moments = scale::count(600, 10_000);
    println!("TEST_SEED={seed}");
    let mut draw = seed;
    let mut random = move |below: u64| {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % below
    };
    let mut installation = Installation::new().await;
    let mut verifier = Verifier::new(&installation.app).await;
    let mut signers = BTreeSet::new();
    let mut troubles = 0;
    for _ in 0..moments {
        let luck = match random(4) {
            0 => Luck::AnswerLost,
            1 => Luck::Away,
            _ => Luck::Good,
        };
        installation.line.set(luck);
        if installation.tick().await.is_err() {
            troubles += 1;
        }
        installation.line.set(Luck::Good);
        for _ in 0..2 {
            let token = installation.sign(SigningAlgorithm::Es256, HOUR);
            verifier.verify(&installation.app, &token).await;
            signers.insert(decode_header(&token.text).unwrap().kid.unwrap());
            assert!(installation.waiting() <= SigningAlgorithm::ALL.len());
            if random(3) == 0 {
                installation = installation.restart().await;
            }
        }
        installation
            .app
            .advance(MINUTE * u32::try_from(20 + random(100)).unwrap());
    }
    println!(
        "trouble while keys rotate (TEST_SEED={seed}): {moments} moments, {troubles} failed writes, {} keys signed, 0 unknown \
         kids",
        signers.len()
    );
    assert!(troubles > 5, "TEST_SEED={seed}: {troubles}");
    assert!(signers.len() > 5, "TEST_SEED={seed}: {}", signers.len());
}

/// A write whose answer was lost, and then a storage that is away for two days: the new key was shown to nobody, so it
/// does not sign before it was.
#[tokio::test]
async fn rule_52_a_key_that_was_never_shown_does_not_sign() {
    let installation = Installation::new().await;
    let old = installation.signing_kid(SigningAlgorithm::Es256);
    installation.app.advance(SHORTEST_INTERVAL);
    installation.line.set(Luck::AnswerLost);
    assert!(matches!(
        installation.tick().await,
        Err(RotationError::Storage(_))
    ));
    assert_eq!(installation.published().await.len(), 4);
    installation.line.set(Luck::Away);
    installation.app.advance(Duration::from_hours(48));
    assert!(installation.tick().await.is_err());
    installation.line.set(Luck::Good);
    installation.tick().await.unwrap();
    assert_eq!(
        installation.published().await.len(),
        8,
        "found, and not made again"
    );
    for passed in [Duration::ZERO, JWKS_MAX_AGE.saturating_sub(MINUTE)] {
        installation.app.advance(passed);
        installation.tick().await.unwrap();
        assert_eq!(installation.signing_kid(SigningAlgorithm::Es256), old);
    }
    installation.app.advance(MINUTE);
    installation.tick().await.unwrap();
    assert_ne!(installation.signing_kid(SigningAlgorithm::Es256), old);
}

/// A rotation that somebody asks for publishes at once, signs a day later, and is not begun twice. Tokens of a client whose
/// lifetimes were shortened meanwhile still find their key.
#[tokio::test]
async fn rule_52_a_rotation_on_demand_has_the_same_lead() {
    let long = Duration::from_hours(1_000);
    let mut installation = Installation::new().await;
    let shorten = async |installation: &Installation, lifetime| {
        installation
            .app
            .register_client("shop", |registration| {
                registration.client.lifetimes.id_token = lifetime;
            })
            .await;
    };
    shorten(&installation, long).await;
    let token = installation.sign(SigningAlgorithm::Rs256, long);
    let old = installation.signing_kid(SigningAlgorithm::Rs256);
    shorten(&installation, MINUTE).await;

    let begun = installation.rotator.rotate_signing_keys().await.unwrap();
    assert_eq!(begun.len(), 4);
    for key in &begun {
        assert_eq!(key.published_at, Some(installation.app.now()));
        assert_eq!(key.signs_from, Some(later(installation.app.now(), PUBLISH_LEAD)));
    }
    assert_eq!(installation.rotator.rotate_signing_keys().await.unwrap(), begun);
    assert_eq!(installation.published().await.len(), 8);

    installation.app.advance(PUBLISH_LEAD.saturating_sub(MINUTE));
    installation = installation.restart().await;
    installation.tick().await.unwrap();
    assert_eq!(installation.signing_kid(SigningAlgorithm::Rs256), old);
    installation.app.advance(HOUR);
    installation.tick().await.unwrap();
    let new = installation.signing_kid(SigningAlgorithm::Rs256);
    assert_ne!(new, old);
    // Both processes know the same times.
    installation = installation.restart().await;
    assert_eq!(installation.signing_kid(SigningAlgorithm::Rs256), new);

    let mut verifier = Verifier::new(&installation.app).await;
    installation
        .app
        .clock
        .set(later(token.expires_at, Duration::ZERO));
    installation.tick().await.unwrap();
    verifier.verify(&installation.app, &token).await;
    installation.app.advance(HOUR);
    installation.tick().await.unwrap();
    assert!(
        !installation.published().await.contains(&old),
        "its tokens have expired"
    );
}

/// A new master key derives every new secret; what was derived from the old one can still be derived. Whoever listens is
/// told.
#[tokio::test]
async fn a_new_master_key_leaves_the_old_secrets_good() {
    use claviger::oidc::identifier::ResourceUid;
    let installation = Installation::new().await;
    let uid = ResourceUid::new("uid");
    let mut changes = installation.app.live.subscribe();
    let before = installation.app.live.current();
    let old = before.current_master_key_id().to_owned();
    let secret = before.client_secret(&old, &uid, "1").unwrap();
    let new = installation.rotator.rotate_master_key().await.unwrap();
    assert_ne!(new, old);
    assert!(changes.has_changed().unwrap());
    let after = changes.borrow_and_update().clone();
    assert_eq!(after.current_master_key_id(), new);
    assert_eq!(*after.client_secret(&old, &uid, "1").unwrap(), *secret);
    assert_ne!(*after.client_secret(&new, &uid, "1").unwrap(), *secret);
    // Within the same instant, and with a clock that was set back, the newest is still the current one.
    installation.app.clock.set(Timestamp::UNIX_EPOCH);
    let newest = installation.rotator.rotate_master_key().await.unwrap();
    let installation = installation.restart().await;
    assert_eq!(installation.app.live.current().current_master_key_id(), newest);
    let list = installation.app.live.current().list(installation.app.now());
    let masters: Vec<_> = list.iter().filter(|key| key.kind == KeyKind::Master).collect();
    assert_eq!(masters.len(), 3);
    assert_eq!(
        (masters[0].id.as_str(), masters[0].state),
        (newest.as_str(), KeyState::InUse)
    );
    assert!(masters[1..].iter().all(|key| key.state == KeyState::Kept));
}

/// A browser stays known while sealing keys follow each other, for as long as its cookie lives (see `throttle.rs` for what that
/// is good for).
#[tokio::test]
async fn rule_68_a_browser_stays_known_across_rotations() {
    let installation = Installation::new().await;
    let app = &installation.app;
    app.register_user_with_password("eve", PASSWORD).await;
    let browser = Browser::new(app);
    let page = browser.authorize(&[("prompt", "login")]).await;
    let signed_in = browser.sign_in(&page, "eve", PASSWORD).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER);
    let (_, cookie) = browser.named_cookie("-known-");
    let is_known = || app.provider().open_known_browser(&cookie).is_some();
    for _ in 0..3 {
        app.advance((KNOWN_BROWSER_LIFETIME / 3).saturating_sub(MINUTE));
        installation.tick().await.unwrap();
        assert!(is_known(), "at {}", app.now());
    }
    let keys = app.live.current().list(app.now());
    let sealing = keys.iter().filter(|key| key.kind == KeyKind::Sealing).count();
    assert_eq!(sealing, 4, "none of them may go yet");
    app.advance(3 * MINUTE);
    assert!(!is_known());
}

/// A keyring of another origin in the place of ours is never taken up, and a lost one is told.
#[tokio::test]
async fn a_keyring_that_was_exchanged_is_refused() {
    let installation = Installation::new().await;
    installation.app.advance(SHORTEST_INTERVAL);
    let path = installation.line.place().trim_start_matches("file ").to_owned();
    let before = installation.app.live.current().jwks();
    let ours = std::fs::read(&path).unwrap();
    let mut other: Value = serde_json::from_slice(&ours).unwrap();
    other["id"] = json!("another");
    std::fs::write(&path, other.to_string()).unwrap();
    assert!(matches!(
        installation.tick().await,
        Err(RotationError::Replaced { .. })
    ));
    std::fs::write(&path, "{").unwrap();
    assert!(matches!(
        installation.tick().await,
        Err(RotationError::Malformed { .. })
    ));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        installation.tick().await,
        Err(RotationError::Missing { .. })
    ));
    assert_eq!(installation.app.live.current().jwks(), before);
    std::fs::write(&path, ours).unwrap();
    installation.tick().await.unwrap();
    assert_ne!(installation.app.live.current().jwks(), before);
}

/// Of many that rotate at once, each ends with what all of them know.
#[tokio::test(flavor = "multi_thread")]
async fn writers_at_the_same_time_do_not_lose_keys() {
    let installation = Installation::new().await;
    let lives: Vec<_> = (0..4).map(|_| installation.app.live.clone()).collect();
    let tasks: Vec<_> = lives
        .into_iter()
        .map(|live| {
            let rotator = Rotator::new(
                installation.line.clone(),
                live,
                installation.app.clock.clone(),
                installation.app.random.clone(),
                SHORTEST_INTERVAL,
            );
            tokio::spawn(async move { rotator.rotate_master_key().await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let installation = installation.restart().await;
    let list = installation.app.live.current().list(installation.app.now());
    assert_eq!(list.iter().filter(|key| key.kind == KeyKind::Master).count(), 5);
}

/// An `id_token_hint` is accepted as long as the key that signed it is published, though another key signs by now.
#[tokio::test(flavor = "multi_thread")]
async fn rule_18_a_hint_of_an_older_key_is_accepted() {
    let installation = Installation::new().await;
    let tokens = installation.app.tokens("openid").await;
    let hint = tokens["id_token"].as_str().unwrap();
    let signed_by = decode_header(hint).unwrap().kid.unwrap();
    // What its signer outlives depends on what is valid; an ID token of the first day keeps it.
    installation
        .app
        .register_client("shop", |registration| {
            registration.client.lifetimes.id_token = Duration::from_hours(240);
        })
        .await;
    for _ in 0..200 {
        if installation.signing_kid(SigningAlgorithm::Rs256) != signed_by {
            break;
        }
        installation.tick().await.unwrap();
        installation.app.advance(HOUR);
    }
    assert_ne!(installation.signing_kid(SigningAlgorithm::Rs256), signed_by);
    assert!(installation.published().await.contains(&signed_by));
    let browser = Browser::new(&installation.app);
    assert_sign_in_page(&browser.authorize(&[("id_token_hint", hint)]).await);
    let silent = browser
        .authorize(&[("id_token_hint", hint), ("prompt", "none")])
        .await;
    assert_redirected_error(&silent, "login_required");
}

/// A keyring of an earlier version gets the keys that it lacks without losing any: they are published at once, sign when every
/// verifier knows them, and until then nothing is signed by their algorithms.
#[tokio::test]
async fn rule_52_a_keyring_of_an_earlier_version_gets_its_missing_keys() {
    let mut installation = Installation::new().await;
    let stored = installation.line.load().await.unwrap().unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&stored.document).unwrap();
    document.as_object_mut().unwrap().remove("furtherSigningKeys");
    let document = serde_json::to_vec(&document).unwrap();
    assert!(
        installation
            .line
            .replace(&stored.version, &document)
            .await
            .unwrap()
    );
    installation = installation.restart().await;
    let before = installation.published().await;
    assert_eq!(before.len(), 2);
    let old = installation.signing_kid(SigningAlgorithm::Rs256);
    let can_sign =
        |installation: &Installation, algorithm| installation.app.live.current().can_sign(algorithm);
    let further = [SigningAlgorithm::Ps256, SigningAlgorithm::EdDsa];

    installation.tick().await.unwrap();
    let after = installation.published().await;
    assert!(
        after.len() == 4 && before.is_subset(&after),
        "{before:?} {after:?}"
    );
    let mut verifier = Verifier::new(&installation.app).await;
    for wait in [Duration::ZERO, PUBLISH_LEAD.saturating_sub(MINUTE)] {
        installation.app.advance(wait);
        installation.tick().await.unwrap();
        assert!(
            further
                .iter()
                .all(|algorithm| !can_sign(&installation, *algorithm))
        );
        assert_eq!(installation.signing_kid(SigningAlgorithm::Rs256), old);
    }
    installation.app.advance(MINUTE);
    installation.tick().await.unwrap();
    for algorithm in further {
        let token = installation.sign(algorithm, HOUR);
        verifier.verify(&installation.app, &token).await;
    }
    assert_eq!(installation.signing_kid(SigningAlgorithm::Rs256), old);
    installation = installation.restart().await;
    assert!(after.is_subset(&installation.published().await));
    assert!(
        further
            .iter()
            .all(|algorithm| can_sign(&installation, *algorithm))
    );
}
