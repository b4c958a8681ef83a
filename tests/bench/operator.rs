//! The yardstick for the controller: kube's own runtime and nothing else. For each `OidcClient` it makes a Secret with a
//! random value and says `Ready`. No store, no digest, no healing, no conflicts, no rotation.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::crd::v1alpha1::OidcClient;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use testbed::process::Process;

/// The argument that makes the benchmark program this operator.
pub(crate) const MODE: &str = "minimal-operator";
/// As many objects at once as claviger works on.
const AT_ONCE: u16 = 64;

/// The running operator.
pub(crate) struct Operator {
    process: Process,
    _folder: tempfile::TempDir,
}

impl Operator {
    pub(crate) fn start(kubeconfig: &std::path::Path, namespace: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(MODE).arg(namespace).env("KUBECONFIG", kubeconfig);
        let process = Process::spawn("operator", command, &folder.path().join("operator.log"))?;
        Ok(Self {
            process,
            _folder: folder,
        })
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }
}

/// Runs until it is ended.
pub(crate) async fn run(namespace: &str) -> Result<()> {
    // Fails only if one is installed already, which is then the same one.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await?;
    let clients: Api<OidcClient> = Api::namespaced(client.clone(), namespace);
    Controller::new(clients, watcher::Config::default())
        .with_config(Config::default().concurrency(AT_ONCE))
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new(client),
        )
        .for_each(|_| std::future::ready(()))
        .await;
    Ok(())
}

async fn reconcile(resource: Arc<OidcClient>, client: Arc<Client>) -> Result<Action, kube::Error> {
    if resource
        .status
        .as_ref()
        .is_some_and(|status| status.observed_generation == resource.metadata.generation)
    {
        return Ok(Action::await_change());
    }
    let namespace = resource.namespace().unwrap_or_default();
    let name = resource.name_any();
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|error| kube::Error::Service(error.into()))?;
    let mut secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": format!("{name}-oidc")},
        "type": "servicebinding.io/oidc",
        "stringData": {"client-id": name, "client-secret": URL_SAFE_NO_PAD.encode(random)},
    }))
    .map_err(kube::Error::SerdeError)?;
    secret.metadata.owner_references = resource.controller_owner_ref(&()).map(|owner| vec![owner]);
    let secrets: Api<Secret> = Api::namespaced((*client).clone(), &namespace);
    match secrets.create(&PostParams::default(), &secret).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        answer => drop(answer?),
    }
    let clients: Api<OidcClient> = Api::namespaced((*client).clone(), &namespace);
    let status = json!({"status": {
        "observedGeneration": resource.metadata.generation,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": resource.metadata.generation,
        }],
    }});
    clients
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
        .await?;
    Ok(Action::await_change())
}

/// Fails where no namespace is named.
pub(crate) fn namespace(arguments: &[String]) -> Result<&str> {
    arguments.get(2).map(String::as_str).context("which namespace?")
}
