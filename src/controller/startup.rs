//! What is checked before anything else: the API server answers, the account may do its work, the admission policy is in
//! force, and the store belongs to this cluster.
//!
//! An API server that does not answer is waited for, and so are custom resource definitions that are missing: whoever
//! installs the program before them finds it working once they are there. Any other answer that refuses is asked for again
//! for ten seconds, since rights and policies take a moment to work after an installation; then the start ends with what to
//! do.

mod references;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tokio::time::Instant;

use super::kube_error::{describe, is_kind_missing, is_unreachable};
use super::secret::{APP_SECRET_TYPE, is_denied_by_policy};
use super::{ControllerSettings, Health, MANAGER};
use crate::crd::v1alpha1::{OidcClient, OidcUser};
use crate::oidc::identifier::ResourceUid;
use crate::store::records::ClusterIdentity;
use crate::store::{Store, StoreError};

pub use references::{any_status_refers_to_keyring, check_keyring};

/// How long a refusal may be one of a fresh installation.
const GRACE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What `/readyz` shows while the API server is waited for.
const WHAT: &str = "Kubernetes API";

/// What is said once and shown at `/readyz` while there are no definitions.
const DEFINITIONS_MISSING: &str = "claviger's custom resource definitions are not installed; waiting for them; install them \
    with `claviger crd | kubectl apply --server-side -f -` or with claviger's chart";

/// Why the controller cannot start.
#[derive(Debug, Error)]
pub enum StartupError {
    /// The API server answered, and refuses.
    #[error(
        "unable to {what}: {reason}; install claviger's chart, which brings its resource definitions and roles"
    )]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Its answer.
        reason: String,
    },
    /// The admission policy does not hold claviger back.
    #[error(
        "unable to start: the ValidatingAdmissionPolicy that pins claviger to its own Secrets is not in force in the \
         namespace {namespace}; install it with claviger's chart, or accept the danger with --without-secret-policy"
    )]
    PolicyNotInForce {
        /// Where it was tried.
        namespace: String,
    },
    /// The store was filled from somewhere else.
    #[error(
        "unable to start: the store belongs to {remembered}, but this is {found}; give claviger the store of this cluster, or \
         an empty one"
    )]
    OtherCluster {
        /// What the store remembers.
        remembered: String,
        /// What is here.
        found: String,
    },
    /// The keyring belongs elsewhere.
    #[error(
        "unable to start: the resources tell of client secrets that were derived from the master key {referred}, which the \
         keyring `{keyring}` does not hold: every client secret would change; give claviger the keyring that belongs to this \
         cluster (--keyring), restored from a backup if need be"
    )]
    OtherKeyring {
        /// A master key that a status names.
        referred: String,
        /// The keyring at hand.
        keyring: String,
    },
    /// The store failed.
    #[error("failed to bind the store to the cluster: {0}")]
    Store(StoreError),
}

/// Waits until the API server answers, checks that claviger may do its work there, and gives the cluster's identity.
pub async fn wait_for_cluster(
    client: &Client,
    settings: &ControllerSettings,
    health: &Health,
) -> Result<ClusterIdentity, StartupError> {
    health.set_unreachable(WHAT, "not asked yet".to_owned());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let kube_system = asked("read the namespace kube-system", health, || {
        namespaces.get("kube-system")
    })
    .await?;
    check_rights(client, settings, health).await?;
    if !settings.without_secret_policy {
        check_policy(client, settings, health).await?;
    }
    health.set_reachable(WHAT);
    let mut watched_namespaces = settings.watch_namespaces.clone();
    watched_namespaces.sort();
    watched_namespaces.dedup();
    Ok(ClusterIdentity {
        uid: ResourceUid::new(kube_system.metadata.uid.unwrap_or_default()),
        watched_namespaces,
    })
}

/// Remembers the cluster in the store, or refuses a store that remembers another.
pub async fn claim_store(store: &dyn Store, cluster: &ClusterIdentity) -> Result<(), StartupError> {
    match store.bind_cluster(cluster).await.map_err(StartupError::Store)? {
        None => Ok(()),
        Some(remembered) => Err(StartupError::OtherCluster {
            remembered: in_words(&remembered),
            found: in_words(cluster),
        }),
    }
}

fn client_apis(client: &Client, settings: &ControllerSettings) -> Vec<Api<OidcClient>> {
    if settings.watch_namespaces.is_empty() {
        return vec![Api::all(client.clone())];
    }
    settings
        .watch_namespaces
        .iter()
        .map(|namespace| Api::namespaced(client.clone(), namespace))
        .collect()
}

async fn check_rights(
    client: &Client,
    settings: &ControllerSettings,
    health: &Health,
) -> Result<(), StartupError> {
    let one = ListParams::default().limit(1);
    for api in client_apis(client, settings) {
        asked("list OidcClients", health, || api.list_metadata(&one)).await?;
    }
    let users: Api<OidcUser> = Api::namespaced(client.clone(), &settings.namespace);
    asked("list OidcUsers", health, || users.list_metadata(&one)).await?;
    Ok(())
}

/// Tries, as a dry run, to make a Secret without claviger's label: the policy must deny exactly that.
pub(super) async fn policy_denies(
    client: &Client,
    settings: &ControllerSettings,
) -> Result<bool, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &settings.namespace);
    let params = PostParams {
        dry_run: true,
        field_manager: Some(MANAGER.to_owned()),
    };
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("claviger-policy-probe".to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some(APP_SECRET_TYPE.to_owned()),
        ..Secret::default()
    };
    match api.create(&params, &secret).await {
        Err(kube::Error::Api(status)) if is_denied_by_policy(&status) => Ok(true),
        // A Secret of that name exists: the policy let it through as far as the storage.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Ok(_) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn check_policy(
    client: &Client,
    settings: &ControllerSettings,
    health: &Health,
) -> Result<(), StartupError> {
    let until = Instant::now() + GRACE;
    loop {
        let denies = asked("try the admission policy for Secrets", health, || {
            policy_denies(client, settings)
        })
        .await?;
        if denies {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(StartupError::PolicyNotInForce {
                namespace: settings.namespace.clone(),
            });
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

/// Asks until the API server answers, and for [`GRACE`] when it refuses.
async fn asked<T, F: Future<Output = Result<T, kube::Error>>>(
    what: &'static str,
    health: &Health,
    ask: impl Fn() -> F,
) -> Result<T, StartupError> {
    let mut pause = FIRST_PAUSE;
    let mut refused_since: Option<Instant> = None;
    let mut told = false;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let reason = describe(&error);
        if is_kind_missing(&error) {
            refused_since = None;
            health.set_unreachable(WHAT, format!("unable to {what}: {DEFINITIONS_MISSING}"));
            if !told {
                tracing::warn!(what, "{DEFINITIONS_MISSING}");
                told = true;
            }
            pause = LONGEST_PAUSE;
        } else if is_unreachable(&error) {
            refused_since = None;
            health.set_unreachable(WHAT, format!("unable to {what}: {reason}"));
            if !told {
                tracing::warn!(what, %reason, "waiting for the Kubernetes API");
                told = true;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        } else {
            let since = *refused_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= GRACE {
                return Err(StartupError::Refused { what, reason });
            }
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
    }
}

fn in_words(cluster: &ClusterIdentity) -> String {
    let watched = if cluster.watched_namespaces.is_empty() {
        "all namespaces".to_owned()
    } else {
        format!("the namespaces {}", cluster.watched_namespaces.join(", "))
    };
    format!("the cluster {} with {watched}", cluster.uid)
}
