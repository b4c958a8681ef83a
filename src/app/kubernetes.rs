//! The connection to Kubernetes, and what is asked of it before the controller runs.

mod patience;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kube::Client;
use tokio::time::Instant;

use super::{Parts, controller_settings};
use crate::config::{KeyringLocation, ServeSettings};
use crate::controller::keyring::SecretKeyring;
use crate::controller::kube_error::with_causes;
use crate::controller::{ControllerSettings, startup};
use crate::keyring::directory::DirectoryStorage;
use crate::keyring::{Keyring, KeyringStorage, KeyringStorageError, OpenKeyringError};
use crate::telemetry::metrics::Metrics;

/// The name that clients may not ask for when the keyring is a directory: the chart's default.
const DEFAULT_KEYRING_NAME: &str = "claviger-keyring";
/// Rights take a moment to work after an installation.
const GRACE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
/// What to do where no cluster is found.
const WHERE: &str = "run in a pod, or set KUBECONFIG to a file that names a cluster";
/// What `/readyz` shows while the keyring is waited for.
const KEYRING: &str = "keyring";

/// The cluster, and the keyring's place in it.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) settings: ControllerSettings,
    pub(super) storage: Arc<dyn KeyringStorage>,
}

impl Cluster {
    /// Reads how to reach the API server. Does not reach for it yet.
    pub(super) async fn connect(settings: &ServeSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        let config = kube::Config::infer()
            .await
            .map_err(|error| anyhow::anyhow!("unable to find a cluster: {}; {WHERE}", with_causes(&error)))?;
        let client = requests::client(config, settings.watch_timeout, metrics).map_err(|error| {
            anyhow::anyhow!(
                "unable to use the cluster that was found: {}; {WHERE}",
                with_causes(&error)
            )
        })?;
        let (name, storage): (_, Arc<dyn KeyringStorage>) = match &settings.keyring {
            KeyringLocation::Directory(path) => (
                DEFAULT_KEYRING_NAME.to_owned(),
                Arc::new(DirectoryStorage::new(path)),
            ),
            KeyringLocation::Secret { namespace, name } => {
                let namespace = namespace.as_ref().unwrap_or(&settings.namespace);
                (
                    name.clone(),
                    Arc::new(SecretKeyring::new(client.clone(), namespace, name)),
                )
            }
        };
        Ok(Self {
            client,
            settings: controller_settings(settings, name),
            storage,
        })
    }

    /// Loads the keyring, or makes one where neither the store nor any status refers to one. An API server that does not
    /// answer is waited for; a refusal ends the start after [`GRACE`].
    pub(super) async fn open_keyring(&self, parts: &Parts) -> anyhow::Result<Keyring> {
        let until = Instant::now() + GRACE;
        let mut told = false;
        loop {
            let error = match self.try_open_keyring(parts).await? {
                Ok(keyring) => {
                    parts.health.set_reachable(KEYRING);
                    return Ok(keyring);
                }
                Err(error) => error,
            };
            match &error {
                OpenKeyringError::Storage(KeyringStorageError::Unavailable { .. }) => {
                    parts.health.set_unreachable(KEYRING, error.to_string());
                    if !told {
                        tracing::warn!(%error, "waiting for the {KEYRING}");
                        told = true;
                    }
                }
                OpenKeyringError::Storage(KeyringStorageError::Refused { .. }) if Instant::now() < until => {}
                _ => return Err(error.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_open_keyring(&self, parts: &Parts) -> anyhow::Result<Result<Keyring, OpenKeyringError>> {
        let (now, random) = (parts.clock.now(), parts.random.as_ref());
        let loaded = Keyring::load_or_create(self.storage.as_ref(), false, now, random).await;
        if !matches!(loaded, Err(OpenKeyringError::Missing { .. })) {
            return Ok(loaded);
        }
        let known_to_store = parts
            .store
            .keyring_id()
            .await
            .context("failed to read the store")?
            .is_some();
        let referred = parts.store_is_recovered
            || known_to_store
            || startup::any_status_refers_to_keyring(&self.client, &self.settings, &parts.health).await?;
        if referred {
            return Ok(loaded);
        }
        Ok(Keyring::load_or_create(self.storage.as_ref(), true, now, random).await)
    }

    /// Refuses a keyring that none of the secrets which the resources tell of was derived from.
    pub(super) async fn check_keyring(&self, parts: &Parts, keyring: &Keyring) -> anyhow::Result<()> {
        startup::check_keyring(&self.client, &self.settings, &parts.health, keyring).await?;
        Ok(())
    }

    /// Waits for the API server; refuses a cluster without the policy and a store of another cluster.
    pub(super) async fn check(&self, parts: &Parts) -> anyhow::Result<()> {
        let identity = startup::wait_for_cluster(&self.client, &self.settings, &parts.health).await?;
        startup::claim_store(parts.store.as_ref(), &identity).await?;
        Ok(())
    }
}
