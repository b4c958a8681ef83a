//! What an administrator asks over the socket, done with the parts that run. While the start still waits for something,
//! `doctor` tells what, and the rest says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use async_trait::async_trait;
use kube::Client;

use super::doctor;
use crate::admin::report::{
    DoctorReport, KeyReport, KeysReport, MasterKeyReport, SubjectReport, SubjectsReport,
};
use crate::admin::socket::AdminSocket;
use crate::admin::{Administration, Refusal};
use crate::clock::Clock;
use crate::config::{ServeSettings, StoreLocation};
use crate::controller::{ControllerSettings, Health, diagnosis};
use crate::http::client_address::TrustedProxies;
use crate::http::tls::Tls;
use crate::keyring::rotation::{RotationError, Rotator};
use crate::oidc::issuer::Issuer;
use crate::store::Store;

/// The parts, as far as they run.
pub(super) struct RunningParts {
    pub(super) issuer: Issuer,
    pub(super) store_location: StoreLocation,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Health,
    pub(super) tls: OnceLock<Arc<Tls>>,
    pub(super) cluster: OnceLock<(Client, ControllerSettings)>,
    pub(super) rotator: OnceLock<Arc<Rotator>>,
}

impl RunningParts {
    /// What there is from the first moment.
    pub(super) fn new(
        settings: &ServeSettings,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        health: &Health,
    ) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            store_location: settings.store.clone(),
            trusted_proxies: super::trusted_proxies(settings),
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            health: health.clone(),
            tls: OnceLock::new(),
            cluster: OnceLock::new(),
            rotator: OnceLock::new(),
        }
    }

    fn rotator(&self) -> Result<&Arc<Rotator>, Refusal> {
        self.rotator
            .get()
            .ok_or_else(|| self.still_starting("the keyring is not open"))
    }

    fn still_starting(&self, what: &str) -> Refusal {
        let mut waiting = self.health.problems();
        waiting.insert(0, what.to_owned());
        Refusal(format!(
            "claviger is still starting: {}; run `claviger doctor`",
            waiting.join("; ")
        ))
    }

    fn keys_of(&self, rotator: &Rotator) -> KeysReport {
        let keys = rotator.live().current().list(self.clock.now());
        KeysReport {
            keyring: rotator.place(),
            signing_key_rotation_seconds: rotator.interval().as_secs(),
            last_failure: rotator.last_failure(),
            keys: keys.into_iter().map(KeyReport::from).collect(),
        }
    }
}

#[async_trait]
impl Administration for RunningParts {
    async fn keys(&self) -> Result<KeysReport, Refusal> {
        self.rotator().map(|rotator| self.keys_of(rotator))
    }

    async fn rotate_signing_keys(&self) -> Result<KeysReport, Refusal> {
        let rotator = self.rotator()?;
        let rotation = Arc::clone(rotator);
        to_its_end(async move { rotation.rotate_signing_keys().await }).await?;
        Ok(self.keys_of(rotator))
    }

    async fn rotate_master_key(&self) -> Result<MasterKeyReport, Refusal> {
        let rotator = self.rotator()?;
        let rotation = Arc::clone(rotator);
        let id = to_its_end(async move { rotation.rotate_master_key().await }).await?;
        Ok(MasterKeyReport {
            id,
            keyring: rotator.place(),
        })
    }

    async fn doctor(&self) -> DoctorReport {
        doctor::examine(self).await
    }

    async fn subjects(&self) -> Result<SubjectsReport, Refusal> {
        let (client, settings) = self
            .cluster
            .get()
            .ok_or_else(|| self.still_starting("no cluster was found yet"))?;
        let (unpinned, pinned) = diagnosis::unpinned_subjects(client, settings)
            .await
            .map_err(|reason| {
                Refusal(format!(
                    "failed to list OidcUsers: {reason}; run `claviger doctor`"
                ))
            })?;
        let subjects = unpinned.into_iter().map(|unpinned| SubjectReport {
            name: unpinned.name,
            subject: unpinned.subject,
        });
        Ok(SubjectsReport {
            namespace: settings.namespace.clone(),
            pinned,
            subjects: subjects.collect(),
        })
    }
}

/// What was written must be put to use, although whoever asked may have hung up meanwhile.
async fn to_its_end<T: Send + 'static>(
    rotation: impl Future<Output = Result<T, RotationError>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(rotation).await {
        Ok(outcome) => outcome.map_err(|error| Refusal(format!("failed to rotate: {error}"))),
        Err(_) => Err(Refusal("failed to rotate: claviger is ending".to_owned())),
    }
}

/// The socket that the settings name. One that nobody asked for is given up where the file system does not take it, since
/// nothing else stands on it.
pub(super) fn open_socket(settings: &ServeSettings) -> anyhow::Result<Option<AdminSocket>> {
    if let Some(path) = &settings.admin_socket {
        return bind(path).map(Some);
    }
    let Some(path): Option<PathBuf> = settings.store.default_admin_socket() else {
        return Ok(None);
    };
    Ok(bind(&path)
        .inspect_err(|error| {
            tracing::warn!(
                error = format!("{error:#}"),
                "going on without an administration socket"
            );
        })
        .ok())
}

fn bind(path: &Path) -> anyhow::Result<AdminSocket> {
    let socket = AdminSocket::bind(path).context("failed to open the administration socket")?;
    tracing::info!(path = %socket.path().display(), "answering administrators");
    Ok(socket)
}
