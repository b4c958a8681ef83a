//! One cluster with the chart for all tests, and controllers on it that a test starts and stops.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use claviger::clock::{Clock, SystemClock};
use claviger::controller::events::Events;
use claviger::controller::{
    ControllerContext, ControllerSettings, Health, SERVICE_ACCOUNT_INTERVAL, startup,
};
use claviger::crd::v1alpha1::{OidcClient, OidcUser};
use claviger::keyring::Keyring;
use claviger::keyring::live::LiveKeyring;
use claviger::login::password::Argon2Hasher;
use claviger::oidc::issuer::Issuer;
use claviger::oidc::password::PasswordHasher;
use claviger::random::SystemRandom;
use claviger::store::Store;
use claviger::store::memory::MemoryStore;
use claviger::telemetry::metrics::Metrics;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use testbed::cluster::{self, Cluster, ClusterOptions};
use testbed::helm::Release;
use testbed::{installation, poll};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for something that takes well under a second on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// claviger's own namespace.
pub(crate) const HOME: &str = "claviger";

/// A cluster with the chart.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    account: String,
    keyring: Arc<Keyring>,
    hasher: Arc<dyn PasswordHasher>,
}

impl World {
    /// The one that all tests share. It ends with the program.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| cluster::block_on(Self::new()).unwrap())
    }

    /// One for the tests about users, one test at a time: users live in claviger's own namespace, so that every controller
    /// on a cluster sees all of them.
    pub(crate) async fn alone() -> (&'static Self, MutexGuard<'static, ()>) {
        static ALONE: OnceLock<World> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        (
            ALONE.get_or_init(|| cluster::block_on(Self::new()).unwrap()),
            turn,
        )
    }

    async fn new() -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions {
            audit_log: true,
            ..ClusterOptions::default()
        })
        .await?;
        let release =
            Release::new(serde_json::json!({"issuer": "https://id.example.org", "replicaCount": 0}));
        let account = installation::install_chart(&cluster, &release).await?;
        Ok(Self {
            cluster,
            account,
            keyring: Arc::new(Keyring::generate(SystemClock.now(), &SystemRandom)?),
            hasher: Arc::new(Argon2Hasher::new(Arc::new(SystemRandom))?),
        })
    }

    /// The Kubernetes API as the cluster's administrator.
    pub(crate) fn admin(&self) -> Client {
        self.cluster.client().unwrap()
    }

    /// The Kubernetes API as claviger.
    pub(crate) async fn claviger(&self) -> Client {
        self.cluster
            .client_for_service_account(HOME, &self.account)
            .await
            .unwrap()
    }

    /// The hasher of all controllers.
    pub(crate) fn hasher(&self) -> &dyn PasswordHasher {
        self.hasher.as_ref()
    }

    /// The same, to share.
    pub(crate) fn shared_hasher(&self) -> Arc<dyn PasswordHasher> {
        self.hasher.clone()
    }

    /// A new namespace.
    pub(crate) async fn namespace(&self, prefix: &str) -> String {
        self.cluster.temp_namespace(prefix).await.unwrap()
    }

    /// What claviger has changed in `namespace`, as `verb resource/subresource name`; dry runs, and Events, which come beside
    /// the work, are left out.
    pub(crate) fn writes(&self, namespace: &str) -> Vec<String> {
        let user = format!("system:serviceaccount:{HOME}:{}", self.account);
        self.cluster
            .audit_events()
            .unwrap()
            .into_iter()
            .filter(|event| event.user == user && event.namespace == namespace && event.is_write())
            .filter(|event| event.resource != "events")
            .map(|event| {
                let parts: Vec<&str> = [event.resource.as_str(), event.subresource.as_str()]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect();
                format!("{} {} {}", event.verb, parts.join("/"), event.code)
            })
            .collect()
    }
}

/// A new, empty store in memory.
pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Arc::new(SystemClock)))
}

/// A running controller.
pub(crate) struct Controller {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Controller {
    /// Starts one as `claviger serve` does it, for the clients of one namespace.
    pub(crate) async fn start(world: &World, store: Arc<dyn Store>, namespace: &str) -> Self {
        Self::start_with(world, store, settings(namespace)).await
    }

    /// The same, with these settings.
    pub(crate) async fn start_with(
        world: &World,
        store: Arc<dyn Store>,
        settings: ControllerSettings,
    ) -> Self {
        Self::start_at(world, store, settings, Arc::new(SystemClock)).await
    }

    /// The same, with this clock.
    pub(crate) async fn start_at(
        world: &World,
        store: Arc<dyn Store>,
        settings: ControllerSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let keyring = LiveKeyring::new(world.keyring.clone(), clock.now());
        Self::start_on(world, store, settings, clock, keyring).await
    }

    /// The same, with this keyring.
    pub(crate) async fn start_on(
        world: &World,
        store: Arc<dyn Store>,
        settings: ControllerSettings,
        clock: Arc<dyn Clock>,
        keyring: LiveKeyring,
    ) -> Self {
        let controller = Self::launch_at(world, store, settings, clock, keyring).await;
        poll::until("the controller to be ready", PATIENCE, async || {
            Ok(controller.health.is_ready().then_some(()))
        })
        .await
        .unwrap();
        controller
    }

    /// Starts one and does not wait.
    async fn launch_at(
        world: &World,
        store: Arc<dyn Store>,
        settings: ControllerSettings,
        clock: Arc<dyn Clock>,
        keyring: LiveKeyring,
    ) -> Self {
        let client = world.claviger().await;
        let claviger = client.clone();
        let health = Health::default();
        let cluster = startup::wait_for_cluster(&client, &settings, &health)
            .await
            .unwrap();
        startup::claim_store(store.as_ref(), &cluster).await.unwrap();
        let shutdown = CancellationToken::new();
        let metrics = Metrics::default();
        let context = ControllerContext {
            client,
            settings: Arc::new(settings),
            store: store.clone(),
            keyring,
            hasher: world.hasher.clone(),
            clock,
            random: Arc::new(SystemRandom),
            health: health.clone(),
            events: Events::new(claviger, "test", Arc::new(SystemClock), Arc::new(metrics.clone())),
            observer: Arc::new(metrics.clone()),
        };
        Self {
            store,
            health,
            metrics,
            task: tokio::spawn(claviger::controller::run(context, shutdown.clone())),
            shutdown,
        }
    }

    /// Stops it; gives the store for the next one.
    pub(crate) async fn stop(self) -> Arc<dyn Store> {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.store
    }
}

/// Settings for the clients of one namespace.
pub(crate) fn settings(namespace: &str) -> ControllerSettings {
    ControllerSettings {
        namespace: HOME.to_owned(),
        watch_namespaces: vec![namespace.to_owned()],
        keyring_secret_name: "claviger-keyring".to_owned(),
        issuer: Issuer::parse("https://id.example.org").unwrap(),
        heal_interval: None,
        service_account_interval: SERVICE_ACCOUNT_INTERVAL,
        allow_own_client_ids: false,
        allow_consent_skip: false,
        watch_timeout: Duration::from_secs(290),
        accept_removals: 0,
        without_secret_policy: false,
    }
}

/// An `OidcClient` from the YAML of its spec.
pub(crate) fn client(namespace: &str, name: &str, spec: &str) -> OidcClient {
    let mut resource = OidcClient::new(name, serde_yaml::from_str(spec).unwrap());
    resource.metadata.namespace = Some(namespace.to_owned());
    resource
}

/// A minimal spec.
pub(crate) const SHOP: &str = "redirectUris: [https://shop.example.org/callback]";

/// Creates an `OidcClient`.
pub(crate) async fn create(world: &World, resource: &OidcClient) -> OidcClient {
    let namespace = resource.metadata.namespace.as_deref().unwrap();
    let api: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    api.create(&PostParams::default(), resource).await.unwrap()
}

/// Changes the spec of an `OidcClient` by a merge patch in YAML.
pub(crate) async fn change(world: &World, namespace: &str, name: &str, spec: &str) -> OidcClient {
    let api: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    let spec: serde_json::Value = serde_yaml::from_str(spec).unwrap();
    let patch = Patch::Merge(serde_json::json!({"spec": spec}));
    api.patch(name, &PatchParams::default(), &patch).await.unwrap()
}

/// Sets an annotation of an `OidcClient`.
pub(crate) async fn annotate(world: &World, namespace: &str, name: &str, key: &str, value: &str) {
    let api: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    let patch = Patch::Merge(serde_json::json!({"metadata": {"annotations": {key: value}}}));
    api.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until a condition of an `OidcClient` has this status and reason for its current generation.
pub(crate) async fn wait_for(
    world: &World,
    namespace: &str,
    name: &str,
    expected: (&str, &str, &str),
) -> OidcClient {
    let api: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    let mut last = None;
    let found = poll::until("a condition of an OidcClient", PATIENCE, async || {
        let resource = api.get(name).await?;
        let holds = resource.status.as_ref().is_some_and(|status| {
            status.observed_generation == resource.metadata.generation && has(&status.conditions, expected)
        });
        Ok(holds.then_some(resource))
    })
    .await;
    if found.is_err() {
        last = api.get_opt(name).await.unwrap();
    }
    found.unwrap_or_else(|error| panic!("{expected:?}: {error:#}; last seen: {last:#?}"))
}

/// As [`wait_for`], for an `OidcUser`.
pub(crate) async fn wait_for_user(world: &World, name: &str, expected: (&str, &str, &str)) -> OidcUser {
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let mut last = None;
    let found = poll::until("a condition of an OidcUser", PATIENCE * 2, async || {
        let resource = api.get(name).await?;
        let holds = resource.status.as_ref().is_some_and(|status| {
            status.observed_generation == resource.metadata.generation && has(&status.conditions, expected)
        });
        Ok(holds.then_some(resource))
    })
    .await;
    if found.is_err() {
        last = api.get_opt(name).await.unwrap();
    }
    found.unwrap_or_else(|error| panic!("{expected:?}: {error:#}; last seen: {last:#?}"))
}

fn has(conditions: &[Condition], (type_, status, reason): (&str, &str, &str)) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == type_ && condition.status == status && condition.reason == reason)
}

/// The message of a condition.
pub(crate) fn message(conditions: &[Condition], type_: &str) -> String {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}

/// The entries of a Secret.
pub(crate) async fn secret(world: &World, namespace: &str, name: &str) -> BTreeMap<String, String> {
    let api: Api<Secret> = Api::namespaced(world.admin(), namespace);
    api.get(name)
        .await
        .unwrap()
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
        .collect()
}
