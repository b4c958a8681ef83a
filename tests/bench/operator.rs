//! The yardstick for the controller: kube's own runtime and nothing else. For each `OidcClient` it makes a Secret and says
//! `Ready`, after a sample. No store, no digest, no healing, no conflicts, no rotation.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::crd::v1alpha1::OidcClient;
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testbed::process::Process;

/// The argument that makes the benchmark program this operator.
pub(crate) const MODE: &str = "minimal-operator";
/// As many objects at once as claviger works on.
const AT_ONCE: u16 = 32;

/// What it writes for each `OidcClient`; names, owner, secret and generation are put in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sample {
    secret: Secret,
    status: Value,
}

impl Sample {
    /// Two keys and one condition.
    pub(crate) fn least() -> Result<Self> {
        let secret =
            json!({"type": "servicebinding.io/oidc", "data": {"client-id": "", "client-secret": ""}});
        Ok(Self {
            secret: serde_json::from_value(secret)?,
            status: json!({"conditions": [{
                "type": "Ready", "status": "True", "reason": "Ready", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]}),
        })
    }

    /// What claviger wrote for this one.
    pub(crate) fn of(resource: &OidcClient, mut secret: Secret) -> Result<Self> {
        let metadata = std::mem::take(&mut secret.metadata);
        secret.metadata.labels = metadata.labels;
        secret.metadata.annotations = metadata.annotations;
        Ok(Self {
            secret,
            status: serde_json::to_value(resource.status.as_ref().context("no status")?)?,
        })
    }

    fn secret(&self, resource: &OidcClient) -> Result<Secret, kube::Error> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|error| kube::Error::Service(error.into()))?;
        let mut secret = self.secret.clone();
        secret.metadata.name = Some(format!("{}-oidc", resource.name_any()));
        secret.metadata.owner_references = resource.controller_owner_ref(&()).map(|owner| vec![owner]);
        let data = secret.data.get_or_insert_default();
        data.insert("client-id".to_owned(), ByteString(resource.name_any().into()));
        let value = URL_SAFE_NO_PAD.encode(random).into_bytes();
        data.insert("client-secret".to_owned(), ByteString(value));
        Ok(secret)
    }

    fn status(&self, resource: &OidcClient) -> Value {
        let mut status = self.status.clone();
        let generation = resource.metadata.generation;
        status["observedGeneration"] = json!(generation);
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = json!(generation);
        }
        json!({"status": status})
    }
}

/// The running operator.
pub(crate) struct Operator {
    process: Process,
    _folder: tempfile::TempDir,
}

impl Operator {
    pub(crate) fn start(kubeconfig: &Path, namespace: &str, sample: &Sample) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("sample.json");
        std::fs::write(&file, serde_json::to_vec(sample)?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(MODE)
            .arg(namespace)
            .arg(file)
            .env("KUBECONFIG", kubeconfig);
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

/// Runs until it is ended. The arguments are those of the program.
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let [_, _, namespace, sample] = arguments else {
        anyhow::bail!("which namespace, and after which sample?");
    };
    let sample: Sample = serde_json::from_slice(&std::fs::read(sample)?)?;
    // Fails only if one is installed already, which is then the same one.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await?;
    let clients: Api<OidcClient> = Api::namespaced(client.clone(), namespace);
    Controller::new(clients, watcher::Config::default())
        .with_config(Config::default().concurrency(AT_ONCE))
        .run(
            |resource, context| async move { reconcile(&resource, &context.0, &context.1).await },
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new((client, sample)),
        )
        .for_each(|_| std::future::ready(()))
        .await;
    Ok(())
}

async fn reconcile(resource: &OidcClient, client: &Client, sample: &Sample) -> Result<Action, kube::Error> {
    if resource
        .status
        .as_ref()
        .is_some_and(|status| status.observed_generation == resource.metadata.generation)
    {
        return Ok(Action::await_change());
    }
    let namespace = resource.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    match secrets
        .create(&PostParams::default(), &sample.secret(resource)?)
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        answer => drop(answer?),
    }
    let clients: Api<OidcClient> = Api::namespaced(client.clone(), &namespace);
    clients
        .patch_status(
            &resource.name_any(),
            &PatchParams::default(),
            &Patch::Merge(sample.status(resource)),
        )
        .await?;
    Ok(Action::await_change())
}
