//! Rotation while apps work: they read their Secret again up to 90 seconds late, by a clock that the test moves, and never
//! fail to authenticate. The API server, the controller and the token endpoint are the real ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger::clock::{Clock, Timestamp, later};
use claviger::crd::v1alpha1::OidcClient;
use claviger::http;
use claviger::keyring::Keyring;
use claviger::keyring::directory::DirectoryStorage;
use claviger::keyring::live::LiveKeyring;
use claviger::keyring::rotation::Rotator;
use claviger::oidc::issuer::Issuer;
use claviger::oidc::opaque_token::{OpaqueToken, TokenKind};
use claviger::oidc::scope::ScopeSet;
use claviger::provider::Provider;
use claviger::random::{Random, SystemRandom};
use claviger::store::memory::MemoryStore;
use claviger::store::{IssueCode, RedeemCode, SignIn, Store};
use claviger::telemetry::metrics::Metrics;
use http_body_util::BodyExt;
use kube::Api;
use kube::api::ListParams;
use tempfile::TempDir;
use testbed::{poll, scale};
use tower::ServiceExt;
use url::form_urlencoded;

use crate::clock::TestClock;
use crate::harness::{
    Controller, PATIENCE, SHOP, World, annotate, client, create, secret, settings, wait_for,
};
use crate::{fixtures, random::SeededRandom};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
/// An app notices a new secret this late at most.
const DELAY: Duration = Duration::from_secs(90);
const USER: &str = "ada";
const SEED: u64 = 7;

/// A provider and a controller on one store, by one clock.
struct Stage {
    world: &'static World,
    namespace: String,
    clock: Arc<TestClock>,
    store: Arc<MemoryStore>,
    keyring: LiveKeyring,
    storage: Arc<DirectoryStorage>,
    router: Router,
    controller: Controller,
    random: SeededRandom,
    _folder: TempDir,
}

/// An app with what it has mounted and what it was given.
struct App {
    name: String,
    client_id: String,
    mounted: String,
    reads_at: Timestamp,
    refresh_token: String,
}

impl Stage {
    async fn new(prefix: &str) -> Self {
        let world = World::shared();
        let namespace = world.namespace(prefix).await;
        let clock = Arc::new(TestClock::new());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let folder = TempDir::new().unwrap();
        let storage = Arc::new(DirectoryStorage::new(folder.path()));
        let keyring = Keyring::load_or_create(&*storage, true, clock.now(), &SystemRandom);
        let keyring = LiveKeyring::new(keyring.await.unwrap(), clock.now());
        let router = router(&store, &keyring, world, &clock);
        let controller = Controller::start_on(
            world,
            store.clone(),
            settings(&namespace),
            clock.clone(),
            keyring.clone(),
        )
        .await;
        Self {
            world,
            namespace,
            clock,
            store,
            keyring,
            storage,
            router,
            controller,
            random: SeededRandom::new(SEED),
            _folder: folder,
        }
    }

    /// Ready clients, each with an app that has mounted its Secret and that somebody has signed in to.
    async fn apps(&self, count: usize, overlap: &str) -> Vec<App> {
        let registered = self.store.register_user(fixtures::user_registration(USER)).await;
        registered.unwrap();
        let spec = format!("{SHOP}\nrotation: {{overlap: {overlap}}}");
        let names: Vec<String> = (0..count).map(|number| format!("app-{number}")).collect();
        for name in &names {
            create(self.world, &client(&self.namespace, name, &spec)).await;
        }
        let mut apps = Vec::new();
        for name in names {
            wait_for(self.world, &self.namespace, &name, READY).await;
            let entries = secret(self.world, &self.namespace, &format!("{name}-oidc")).await;
            let wait = u64::from(claviger::random::bytes::<1>(&self.random)[0]) * DELAY.as_secs() / 256;
            apps.push(App {
                refresh_token: self.sign_in(&name).await,
                client_id: entries["client-id"].clone(),
                mounted: entries["client-secret"].clone(),
                reads_at: later(self.clock.now(), Duration::from_secs(wait)),
                name,
            });
        }
        apps
    }

    /// Gives the refresh token of a person who signed in, as the browser's half leaves it in the store.
    async fn sign_in(&self, name: &str) -> String {
        let now = self.clock.now();
        let client_id = claviger::oidc::identifier::ClientId::new(format!("{}.{name}", self.namespace));
        let client = self.store.client(&client_id).await.unwrap().unwrap().client;
        let session = fixtures::session(&format!("session of {name}"), USER, now);
        let interaction = fixtures::interaction(&format!("interaction of {name}"), &session, name, now);
        let signed_in = self.store.sign_in(session.clone(), None, interaction).await;
        assert_eq!(signed_in.unwrap(), SignIn::SignedIn);
        let mut grant = fixtures::grant(&format!("grant of {name}"), &session, name, now);
        grant.client_uid = client.uid.clone();
        grant.client_id = client_id;
        grant.offline = true;
        grant.scope = ScopeSet::parse("openid offline_access");
        let mut code = fixtures::authorization_code(&format!("code of {name}"), &grant, name, now);
        code.binding.client_uid = client.uid;
        let (hash, binding) = (code.hash, code.binding.clone());
        let issued = self.store.issue_authorization_code(None, grant, code, None).await;
        assert_eq!(issued.unwrap(), IssueCode::Issued);
        let token = OpaqueToken::generate(TokenKind::RefreshToken, &SystemRandom);
        let mut stored = fixtures::refresh_token("unused", now);
        stored.hash = token.hash();
        let redeemed = self
            .store
            .redeem_authorization_code(&hash, &binding, Some(stored))
            .await;
        assert!(matches!(redeemed.unwrap(), RedeemCode::Fresh(..)));
        token.expose().to_owned()
    }

    /// Lets time pass, and lets those read their Secret whose turn it is.
    async fn pass(&self, apps: &mut [App], time: Duration) {
        self.clock.advance(time);
        let now = self.clock.now();
        for app in apps.iter_mut().filter(|app| app.reads_at <= now) {
            let entries = secret(self.world, &self.namespace, &format!("{}-oidc", app.name)).await;
            app.mounted.clone_from(&entries["client-secret"]);
            app.reads_at = later(now, DELAY);
        }
    }

    async fn all(&self) -> Vec<OidcClient> {
        let api: Api<OidcClient> = Api::namespaced(self.world.admin(), &self.namespace);
        api.list(&ListParams::default()).await.unwrap().items
    }
}

fn router(store: &Arc<MemoryStore>, keyring: &LiveKeyring, world: &World, clock: &Arc<TestClock>) -> Router {
    let provider = Provider::new(
        Issuer::parse("https://id.example.org").unwrap(),
        store.clone(),
        keyring.clone(),
        world.shared_hasher(),
        clock.clone(),
        Arc::new(SystemRandom) as Arc<dyn Random>,
    );
    http::router(provider, Arc::new(Metrics::default()), http::Settings::default())
}

async fn token_request(
    router: &Router,
    app: &App,
    secret: &str,
    form: &[(&str, &str)],
) -> (u16, serde_json::Value) {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let basic = STANDARD.encode(format!("{}:{secret}", app.client_id));
    let request = ::http::Request::post("/api/token/v2")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Basic {basic}"))
        .body(Body::from(body))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// Whether the app authenticates with `secret`: a code that nobody has issued is looked at only then.
async fn authenticates(router: &Router, app: &App, secret: &str) -> bool {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", "made-up"),
        ("redirect_uri", fixtures::REDIRECT_URI),
        ("code_verifier", "0123456789012345678901234567890123456789012"),
    ];
    match token_request(router, app, secret, &form).await {
        (400, answer) if answer["error"] == "invalid_grant" => true,
        (401, answer) if answer["error"] == "invalid_client" => false,
        other => panic!("{other:?}"),
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    requests: usize,
    failed: usize,
}

/// All apps work: each authenticates again and again and refreshes now and then, until `done` and `least` requests are sent.
async fn work(router: &Router, apps: &mut [App], least: usize, done: &AtomicBool) -> Count {
    let mut count = Count::default();
    while count.requests < least || !done.load(Ordering::Relaxed) {
        for (number, app) in apps.iter_mut().enumerate() {
            let works = if (count.requests + number) % 5 == 0 {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", app.refresh_token.as_str()),
                ];
                let (status, answer) = token_request(router, app, &app.mounted, &form).await;
                if let Some(next) = answer["refresh_token"].as_str() {
                    next.clone_into(&mut app.refresh_token);
                }
                status == 200
            } else {
                authenticates(router, app, &app.mounted).await
            };
            count.requests += 1;
            count.failed += usize::from(!works);
        }
        tokio::task::yield_now().await;
    }
    count
}

/// Secrets are replaced all the time while apps authenticate and refresh with what they have mounted, which is up to 90
/// seconds old, with an overlap of two minutes: nobody is refused. An old secret is, once its time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_app_is_refused_while_secrets_are_replaced() {
    let rotations = scale::count(10, 50);
    let per_step = scale::count(200, 2_000);
    let stage = Stage::new("load").await;
    let mut apps = stage.apps(5, "2m").await;
    let first: Vec<String> = apps.iter().map(|app| app.mounted.clone()).collect();
    let mut total = Count::default();
    for rotation in 0..rotations {
        let name = apps[rotation % apps.len()].name.clone();
        let done = AtomicBool::new(false);
        let rotate = async {
            annotate(
                stage.world,
                &stage.namespace,
                &name,
                "claviger.dev/rotate",
                &rotation.to_string(),
            )
            .await;
            let api: Api<OidcClient> = Api::namespaced(stage.world.admin(), &stage.namespace);
            let observed = poll::until("a rotation", PATIENCE, async || {
                let status = api.get(&name).await?.status.unwrap_or_default();
                Ok((status.observed_rotate == Some(rotation.to_string())).then_some(()))
            })
            .await;
            done.store(true, Ordering::Relaxed);
            observed.unwrap();
        };
        let ((), count) = tokio::join!(rotate, work(&stage.router, &mut apps, per_step, &done));
        total.requests += count.requests;
        total.failed += count.failed;
        stage.pass(&mut apps, Duration::from_secs(10)).await;
    }
    // The last ones read their Secret, and the last old secret ends.
    for _ in 0..20 {
        let count = work(
            &stage.router,
            &mut apps,
            apps_in(per_step),
            &AtomicBool::new(true),
        )
        .await;
        total.requests += count.requests;
        total.failed += count.failed;
        stage.pass(&mut apps, Duration::from_secs(10)).await;
    }
    println!(
        "seed {SEED}: {rotations} rotations, {} client authentications, {} failed",
        total.requests, total.failed
    );
    assert_eq!(total.failed, 0);
    for (app, first) in apps.iter().zip(&first) {
        assert_ne!(app.mounted, *first);
        assert!(
            !authenticates(&stage.router, app, first).await,
            "its time is over"
        );
    }
    stage.controller.stop().await;
}

const fn apps_in(per_step: usize) -> usize {
    per_step / 10
}

/// A new master key gives every client a new secret, a few a second, while apps go on with the old ones until they have
/// read the new: nobody is refused. Once the old secrets have ended nothing refers to the old master key, and claviger
/// goes on without it, even with an empty store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_key_refuses_nobody_and_replaces_the_old_one() {
    let count = scale::count(20, 300);
    let stage = Stage::new("master").await;
    let mut apps = stage.apps(count, "1h").await;
    let old_key = stage.keyring.current().current_master_key_id().to_owned();
    stage.clock.advance(Duration::from_secs(1));
    let rotator = Rotator::new(
        stage.storage.clone(),
        stage.keyring.clone(),
        stage.clock.clone(),
        Arc::new(SystemRandom),
        Duration::from_hours(24 * 90),
    );
    let new_key = rotator.rotate_master_key().await.unwrap();
    assert_ne!(new_key, old_key);

    let done = AtomicBool::new(true);
    let mut total = Count::default();
    let deadline = std::time::Instant::now() + PATIENCE * 4;
    loop {
        let counted = work(&stage.router, &mut apps, count, &done).await;
        total.requests += counted.requests;
        total.failed += counted.failed;
        stage.pass(&mut apps, Duration::from_secs(1)).await;
        let waiting = stage.all().await.into_iter().filter(|resource| {
            let versions = resource.status.clone().unwrap_or_default().secret_versions;
            versions.len() != 2 || versions[1].master_key_id != new_key || versions[0].retires_at.is_none()
        });
        let waiting = waiting.count();
        if waiting == 0 {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{waiting} still have the old master key"
        );
    }
    // Everybody has read the new secret before the old ones end.
    for _ in 0..10 {
        stage.pass(&mut apps, Duration::from_secs(10)).await;
        let counted = work(&stage.router, &mut apps, count, &done).await;
        total.requests += counted.requests;
        total.failed += counted.failed;
    }
    stage.clock.advance(Duration::from_hours(1));
    // The timers of the process do not follow the test's clock; a restart looks at everything.
    let store = stage.controller.stop().await;
    let controller = Controller::start_on(
        stage.world,
        store,
        settings(&stage.namespace),
        stage.clock.clone(),
        stage.keyring.clone(),
    )
    .await;
    let api: Api<OidcClient> = Api::namespaced(stage.world.admin(), &stage.namespace);
    poll::until("all old secrets to end", PATIENCE * 2, async || {
        let list = api.list(&ListParams::default()).await?;
        let refers = list.iter().any(|resource| {
            let versions = resource.status.iter().flat_map(|status| &status.secret_versions);
            versions
                .into_iter()
                .any(|version| version.master_key_id != new_key)
        });
        Ok((!refers).then_some(()))
    })
    .await
    .unwrap();
    controller.stop().await;
    for app in &apps {
        total.requests += 1;
        total.failed += usize::from(!authenticates(&stage.router, app, &app.mounted).await);
    }
    println!(
        "{count} clients: {} client authentications during the rotation of the master key, {} failed",
        total.requests, total.failed
    );
    assert_eq!(total.failed, 0);

    let mut document: serde_json::Value =
        serde_json::from_slice(&stage.keyring.current().to_document()).unwrap();
    let keys = document["masterKeys"].as_array_mut().unwrap();
    keys.retain(|key| key["id"] != old_key.as_str());
    assert_eq!(keys.len(), 1);
    let without = Keyring::from_document(&serde_json::to_vec(&document).unwrap()).unwrap();
    let without = LiveKeyring::new(without, stage.clock.now());
    let store = Arc::new(MemoryStore::new(stage.clock.clone()));
    let router = router(&store, &without, stage.world, &stage.clock);
    let settings = settings(&stage.namespace);
    let controller = Controller::start_on(stage.world, store, settings, stage.clock.clone(), without).await;
    for app in &apps {
        assert!(authenticates(&router, app, &app.mounted).await, "{}", app.name);
    }
    controller.stop().await;
}
