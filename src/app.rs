//! The wiring: the only module that names concrete back ends, and the order of start and stop.
//!
//! Both ports are bound first, so that whoever connects is answered: `/livez` says that the process lives, the public
//! port says 503 behind its [`gate`] until the keyring is open. Then the gate opens and sign-in works from the store, while
//! the controller is still waiting for the API server or registering the first list. `/readyz` holds once that list is
//! registered and stays so: an API server that goes away later must not take sign-in out of a load balancer.
//!
//! What cannot get better by waiting (a refusal, a damaged store, a policy that is not in force) ends the process with
//! one line.

mod administration;
mod back_channel_logout;
mod checks;
mod descriptors;
mod doctor;
mod gate;
mod keys;
mod kubernetes;
mod measured_store;
mod notices;
mod readings;
mod signals;
mod stores;
mod upkeep;

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::clock::{Clock, SystemClock};
use crate::config::ServeSettings;
use crate::controller::events::Events;
use crate::controller::{self, ControllerContext, ControllerSettings, Health, SERVICE_ACCOUNT_INTERVAL};
use crate::egress::Egress;
use crate::http;
use crate::http::client_address::TrustedProxies;
use crate::http::health::Checks;
use crate::http::metrics::Exposition;
use crate::http::server::{Bounds, serve as serve_http, serve_over};
use crate::http::tls::{Tls, TlsFiles};
use crate::keyring::Keyring;
use crate::keyring::live::LiveKeyring;
use crate::keyring::rotation::Rotator;
use crate::login::password::Argon2Hasher;
use crate::oidc::password::PasswordHasher;
use crate::provider::Provider;
use crate::random::{Random, SystemRandom};
use crate::store::Store;
use crate::telemetry::metrics::{CONTENT_TYPE, Metrics};
use administration::RunningParts;
use back_channel_logout::Backlog;
use checks::{Looks, checks};
pub use doctor::check_issuer;
use gate::Gate;
use kubernetes::Cluster;
use measured_store::MeasuredStore;
use notices::EventsOfClients;
use stores::OpenedStore;

/// What the running parts share.
struct Parts {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    store: Arc<dyn Store>,
    /// The store takes the place of a damaged one, which had a keyring.
    store_is_recovered: bool,
    hasher: Arc<dyn PasswordHasher>,
    health: Health,
    gate: Gate,
    metrics: Metrics,
    shutdown: CancellationToken,
    /// What goes out to where owners of clients say.
    egress: Arc<Egress>,
    /// What administrators are answered with.
    running: Arc<RunningParts>,
}

/// Serves until a signal or a failure ends it.
pub async fn serve(settings: ServeSettings, metrics: Metrics) -> anyhow::Result<()> {
    // Fails only if one is installed already, which is then the same one.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let egress = back_channel_logout::egress(&settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let location = settings.store.clone();
    let recover = settings.recover_store;
    let store_clock = Arc::clone(&clock);
    let mut opened = tokio::task::spawn_blocking(move || OpenedStore::open(&location, recover, store_clock))
        .await
        .context("failed to open the store")??;
    let hasher = Argon2Hasher::new(Arc::new(SystemRandom))
        .context("failed to start the threads that hash passwords")?;
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let health = Health::default();
    metrics.read_at_scrape(readings::of_hasher(&hasher));
    metrics.read_at_scrape(readings::of_store(&settings.store));
    metrics.read_at_scrape(readings::of_health(&health));
    if let Some(concern) = trusted_proxies(&settings).concern() {
        tracing::warn!("{concern}");
    }
    let running = RunningParts::new(&settings, &opened.store, &clock, &health);
    let parts = Parts {
        clock,
        store_is_recovered: opened.recovered,
        store: Arc::new(MeasuredStore::new(Arc::clone(&opened.store), metrics.clone())),
        hasher: Arc::new(hasher),
        health,
        gate: Gate::new(http::starting(Arc::clone(&random), Arc::new(metrics.clone()))),
        random,
        metrics,
        shutdown: CancellationToken::new(),
        egress,
        running: Arc::new(running),
    };
    let checks = checks(Looks {
        health: parts.health.clone(),
        store_has_failed: opened.has_failed(),
        shutdown: parts.shutdown.clone(),
    });
    let mut servers = listen(&settings, &parts, checks).await?;
    servers.spawn(upkeep::run(Arc::clone(&parts.store), parts.shutdown.clone()));

    let outcome = tokio::select! {
        signal = signals::ended() => signal.map(|signal| tracing::info!(signal, "ending")),
        failure = opened.failed() => Err(failure),
        outcome = run(&settings, &parts) => outcome,
    };
    parts.shutdown.cancel();
    while servers.join_next().await.is_some() {}
    let closed = opened.close().await;
    outcome.and(closed)
}

/// Binds both ports and serves them, the public one behind the gate.
async fn listen(settings: &ServeSettings, parts: &Parts, checks: Checks) -> anyhow::Result<JoinSet<()>> {
    let tls = open_tls(settings).await?;
    let socket = administration::open_socket(settings)?;
    let public = bind("--listen", settings.listen).await?;
    let admin = bind("--admin-listen", settings.admin_listen).await?;
    tracing::info!(issuer = %settings.issuer, listen = %settings.listen, "serving");
    let metrics = parts.metrics.clone();
    let exposition = Exposition::new(CONTENT_TYPE, move || metrics.render());
    let mut servers = JoinSet::new();
    let stop = &parts.shutdown;
    if let Some(socket) = socket {
        let running: Arc<RunningParts> = Arc::clone(&parts.running);
        servers.spawn(admin::server::serve(socket, running, stop.clone()));
    }
    if let Some(tls) = tls.clone() {
        parts.metrics.read_at_scrape(readings::of_certificate(&tls));
        let _set_before = parts.running.tls.set(Arc::clone(&tls));
        servers.spawn(tls.watch(settings.issuer.clone(), Arc::clone(&parts.clock), stop.clone()));
    }
    servers.spawn(serve_over(
        public,
        tls,
        parts.gate.router(),
        stop.clone(),
        Bounds {
            connections: descriptors::connections(),
            proxies: trusted_proxies(settings),
            ..Bounds::default()
        },
    ));
    servers.spawn(serve_http(
        admin,
        http::health::router(checks).merge(http::metrics::router(exposition)),
        stop.clone(),
        Bounds {
            connections: descriptors::ADMIN_CONNECTIONS,
            ..Bounds::default()
        },
    ));
    Ok(servers)
}

/// The certificate of the public port, if TLS is ours.
async fn open_tls(settings: &ServeSettings) -> anyhow::Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else {
        return Ok(None);
    };
    anyhow::ensure!(
        !settings.issuer.is_plain_http(),
        "the issuer {} is plain http, but --tls-cert makes the public port speak https; write the issuer with https, or \
         leave --tls-cert and --tls-key out",
        settings.issuer
    );
    let tls = Tls::open(TlsFiles { certificate, key }).await?;
    Ok(Some(Arc::new(tls)))
}

async fn bind(flag: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("unable to listen on {address}; free the port or choose another with {flag}")
    })
}

/// Opens the keyring and the gate, then reconciles. Returns only when something failed for good.
async fn run(settings: &ServeSettings, parts: &Parts) -> anyhow::Result<()> {
    let cluster = Cluster::connect(settings, &parts.metrics).await?;
    let _set_before = parts
        .running
        .cluster
        .set((cluster.client.clone(), cluster.settings.clone()));
    let keyring = cluster.open_keyring(parts).await?;
    let is_bound = parts
        .store
        .keyring_id()
        .await
        .context("failed to read the store")?
        .is_some();
    if is_bound {
        bind_keyring(parts.store.as_ref(), &keyring).await?;
    }
    let keyring = LiveKeyring::new(keyring, parts.clock.now());
    let observer = Arc::new(parts.metrics.clone());
    let events = Events::new(
        cluster.client.clone(),
        &notices::host_name(),
        Arc::clone(&parts.clock),
        observer.clone(),
    );
    let provider = Provider::new(
        settings.issuer.clone(),
        Arc::clone(&parts.store),
        keyring.clone(),
        Arc::clone(&parts.hasher),
        Arc::clone(&parts.clock),
        Arc::clone(&parts.random),
    )
    .telling(Arc::new(EventsOfClients(events.clone())));
    parts
        .metrics
        .read_at_scrape(readings::of_keyring(&keyring, &parts.clock));
    let router = http::router(provider.clone(), observer.clone(), http_settings(settings));
    parts.gate.open(router);
    // As sign-in, this goes on from the store while the API server is away.
    let _notifier = back_channel_logout::spawn(provider, Arc::clone(&parts.egress), parts.shutdown.clone());
    let (backlog, _counting) = Backlog::count(Arc::clone(&parts.store));
    parts
        .metrics
        .read_at_scrape(readings::of_logout_notices(&backlog));
    cluster.check(parts).await?;
    if !is_bound {
        // Nothing but the resources says which keyring a store that is empty, or was lost, belongs to.
        cluster.check_keyring(parts, &keyring.current()).await?;
        bind_keyring(parts.store.as_ref(), &keyring.current()).await?;
    }
    let rotator = Arc::new(Rotator::new(
        Arc::clone(&cluster.storage),
        keyring.clone(),
        Arc::clone(&parts.clock),
        Arc::clone(&parts.random),
        settings.signing_key_rotation,
    ));
    let _set_before = parts.running.rotator.set(Arc::clone(&rotator));
    let context = ControllerContext {
        client: cluster.client.clone(),
        settings: Arc::new(cluster.settings.clone()),
        store: Arc::clone(&parts.store),
        keyring,
        hasher: Arc::clone(&parts.hasher),
        clock: Arc::clone(&parts.clock),
        random: Arc::clone(&parts.random),
        health: parts.health.clone(),
        events,
        observer,
    };
    tokio::join!(
        controller::run(context, parts.shutdown.clone()),
        keys::run(rotator, Arc::clone(&parts.store), parts.shutdown.clone()),
    );
    Ok(())
}

/// A store keeps hashes of secrets that one keyring derived; with another keyring no secret would match.
async fn bind_keyring(store: &dyn Store, keyring: &Keyring) -> anyhow::Result<()> {
    let bound = store
        .bind_keyring(keyring.id())
        .await
        .context("failed to read the store")?;
    anyhow::ensure!(
        bound == keyring.id(),
        "the store was made with the keyring `{bound}`, but the keyring at hand is `{}`; give claviger the store and the \
         keyring that belong together (--store, --keyring)",
        keyring.id()
    );
    Ok(())
}

fn trusted_proxies(settings: &ServeSettings) -> TrustedProxies {
    TrustedProxies::new(settings.trusted_proxies.iter().copied())
}

/// What the adapter for browsers and apps is told.
fn http_settings(settings: &ServeSettings) -> http::Settings {
    http::Settings {
        trusted_proxies: trusted_proxies(settings),
        rate_limits: settings.rate_limits.limits(),
    }
}

/// What the controller is told.
fn controller_settings(settings: &ServeSettings, keyring_secret_name: String) -> ControllerSettings {
    ControllerSettings {
        namespace: settings.namespace.clone(),
        watch_namespaces: settings.watch_namespaces.clone(),
        keyring_secret_name,
        issuer: settings.issuer.clone(),
        heal_interval: Some(settings.heal_interval).filter(|interval| !interval.is_zero()),
        allow_own_client_ids: settings.allow_own_client_ids,
        allow_consent_skip: settings.allow_consent_skip,
        service_account_interval: SERVICE_ACCOUNT_INTERVAL,
        watch_timeout: settings.watch_timeout,
        accept_removals: settings.accept_removals,
        without_secret_policy: settings.without_secret_policy,
    }
}
