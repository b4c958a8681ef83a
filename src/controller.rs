//! The adapter for Kubernetes: it watches `OidcClient` and `OidcUser`, registers them in the store, writes Secrets and
//! status.
//!
//! Per kind one folder whose steps are files: *dereference → validate → register in the store → build → apply (the
//! Secret) → status*. Each step is idempotent, so that a crash between any two converges. What is done is remembered in
//! the store as a digest after the status was written: a steady resource costs no API call, a restart none either.
//!
//! This module never reads a Secret outside claviger's own namespace, never lists, patches or deletes one, and never
//! decides anything by its own status, except that it recovers secret versions from it for a client that the store does
//! not know. It sets no finalizer: deletion never hangs.
//!
//! Whoever starts claviger calls, in this order:
//!
//! 1. [`startup::wait_for_cluster`]: waits for the API server, checks the rights to watch and that the admission policy is
//!    in force, gives the [`ClusterIdentity`](crate::store::records::ClusterIdentity);
//! 2. [`startup::claim_store`]: refuses the store of another cluster;
//! 3. [`keyring::SecretKeyring`] as storage to open the keyring with; [`startup::any_status_refers_to_keyring`] says
//!    whether one may be made;
//! 4. [`run`] until shutdown. [`Health`] says meanwhile whether the first lists are registered and what is wrong.

mod audit;
mod condition;
pub mod diagnosis;
mod digest;
pub mod events;
mod fail_point;
mod heal;
mod health;
pub mod keyring;
pub mod kube_error;
pub mod observer;
mod oidc_client;
mod oidc_user;
mod pace;
mod patch_status;
mod provisioning;
mod queue;
mod reconciler;
mod removal;
mod secret;
pub mod startup;
mod text;
mod watch;

pub use health::Health;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::keyring::live::LiveKeyring;
use crate::oidc::issuer::Issuer;
use crate::oidc::password::PasswordHasher;
use crate::random::Random;
use crate::store::Store;
use events::Events;
use heal::HealBudget;
use observer::Observer;
use provisioning::Provisioning;
use reconciler::Reconciler;

/// The field manager of every write, and the value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "claviger";

/// How soon it is noticed that a ServiceAccount was deleted or made, or that the cluster signs with other keys. Each client that
/// names one costs a call for each of its ServiceAccounts in this time.
pub const SERVICE_ACCOUNT_INTERVAL: Duration = Duration::from_mins(1);

/// What the controller is told.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// claviger's own namespace.
    pub namespace: String,
    /// The namespaces whose clients are honoured; empty means all.
    pub watch_namespaces: Vec<String>,
    /// The name of the keyring's Secret, which no client may ask for.
    pub keyring_secret_name: String,
    /// The issuer, for the Secrets.
    pub issuer: Issuer,
    /// Each Secret is written again once in this time, so that what others changed is put right; `None` turns that off.
    pub heal_interval: Option<Duration>,
    /// Clients may name their own `clientId`.
    pub allow_own_client_ids: bool,
    /// Clients may ask for `consent: Skip`.
    pub allow_consent_skip: bool,
    /// The ServiceAccounts that clients name, and the keys of the cluster, are looked at again after this.
    pub service_account_interval: Duration,
    /// How long a watch lasts before it is begun anew.
    pub watch_timeout: Duration,
    /// The first list of a kind is believed although this many resources, or fewer, are missing from it.
    pub accept_removals: usize,
    /// Start although the admission policy for Secrets is not in force.
    pub without_secret_policy: bool,
}

/// What the controller stands on. Cheap to clone.
#[derive(Clone)]
pub struct ControllerContext {
    /// The Kubernetes API under claviger's own account.
    pub client: Client,
    /// What it is told.
    pub settings: Arc<ControllerSettings>,
    /// Where clients and users are registered.
    pub store: Arc<dyn Store>,
    /// Derives the secrets. A new master key appears here while the controller runs.
    pub keyring: LiveKeyring,
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// How it goes.
    pub health: Health,
    /// Publishes Kubernetes Events.
    pub events: Events,
    /// Is told how the work goes.
    pub observer: Arc<dyn Observer>,
}

/// Reconciles both kinds until `shutdown`. Every failure after the start is waited out; [`Health`] tells of it.
pub async fn run(context: ControllerContext, shutdown: CancellationToken) {
    let budget = HealBudget::default();
    let kinds = [oidc_client::OidcClients::KIND, oidc_user::OidcUsers::KIND];
    let provisioning = Arc::new(Provisioning::new(
        context.store.clone(),
        context.health.clone(),
        kinds.len(),
    ));
    let clients = watch::run(
        Arc::new(oidc_client::OidcClients::new(context.clone())),
        watch::Scope::of_clients(&context.settings),
        &context,
        (provisioning.clone(), budget.clone()),
        shutdown.clone(),
    );
    let users = watch::run(
        Arc::new(oidc_user::OidcUsers::new(context.clone())),
        watch::Scope::of_users(&context.settings),
        &context,
        (provisioning, budget),
        shutdown,
    );
    // Their futures are large.
    tokio::join!(Box::pin(clients), Box::pin(users));
}
