//! The cluster, claviger on it, a person and an app.

use std::path::Path;

use anyhow::{Context, Result};
use testbed::claviger::{self, Address};
use testbed::kubectl::Kubectl;
use testbed::relying_party::Registration;
use testbed::sample_app::SampleApp;
use testbed::{Cluster, ClusterOptions, Installation, InstallationOptions, installation, tools};

use crate::run::current::Current;
use crate::steps::Steps;

/// Where things go.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The release.
    pub(super) release: String,
    /// Its namespace.
    pub(super) home: String,
    /// The namespace of the app.
    pub(super) team: String,
}

impl Places {
    /// On a cluster of our own.
    pub(super) fn usual() -> Self {
        Self {
            release: "claviger".to_owned(),
            home: "claviger".to_owned(),
            team: "team-a".to_owned(),
        }
    }
}

/// Everything that runs, and what is known about it.
pub(super) struct Setup {
    pub(super) places: Places,
    pub(super) installation: Installation,
    pub(super) kubectl: Kubectl,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) registration: Registration,
    pub(super) app_port: u16,
}

/// What runs before anybody is registered.
pub(super) struct Started {
    places: Places,
    installation: Installation,
    kubectl: Kubectl,
}

impl Started {
    pub(super) async fn start(steps: &Steps, logs: &Path, current: Option<&Current>) -> Result<Self> {
        steps.heading("A cluster with claviger");
        let program = claviger::binary()?;
        let (cluster, places, values) = match current {
            None => (
                own_cluster(steps, logs).await?,
                Places::usual(),
                serde_json::json!({}),
            ),
            Some(current) => (
                current.prepare(steps, logs).await?,
                current.places().clone(),
                // What this run brings goes with it; no pod runs that would use a volume.
                serde_json::json!({ "crds": { "keep": false }, "persistence": { "enabled": false } }),
            ),
        };
        let address = Address::choose()?;
        let mut release = installation::release(&address, &values);
        release.name.clone_from(&places.release);
        release.namespace.clone_from(&places.home);
        let account = steps
            .step(
                "Installing claviger's chart with Helm",
                |account: &String| format!("Helm installed the chart: resource definitions, roles and admission policy for the ServiceAccount {account}"),
                installation::install_chart(&cluster, &release),
            )
            .await?;
        let kubectl = Kubectl::new(&cluster.kubeconfig())?;
        let options = InstallationOptions::new(program);
        let installation = steps
            .step(
                "Starting claviger",
                |installation: &Installation| {
                    format!(
                        "claviger runs with the rights of that ServiceAccount; its issuer is {}",
                        installation.claviger.issuer()
                    )
                },
                Installation::start_on(cluster, address, release, account, options),
            )
            .await?;
        Ok(Self {
            places,
            installation,
            kubectl,
        })
    }

    pub(super) async fn register(self, steps: &Steps) -> Result<Setup> {
        let Self {
            places,
            installation,
            kubectl,
        } = self;
        steps.heading("A person and an app, from examples/quickstart.yaml");
        steps
            .step(
                "Applying examples/quickstart.yaml",
                |()| {
                    let team = &places.team;
                    format!("Applied the OidcUser ada, a person, and the OidcClient shop, an app of {team}")
                },
                apply(&kubectl, &places),
            )
            .await?;
        steps
            .step(
                "Waiting for both to be Ready",
                |()| {
                    "Both are Ready: claviger has made a password for ada and credentials for the shop"
                        .to_owned()
                },
                wait_until_ready(&kubectl, &places),
            )
            .await?;
        let app_port = SampleApp::choose_port()?;
        let redirect_uri = SampleApp::redirect_uri(app_port);
        let registration = steps
            .step(
                "Reading the app's Secret",
                |registration: &Registration| {
                    format!(
                        "Read the Secret shop-oidc as the app would mount it: the client id is {}",
                        registration.client_id
                    )
                },
                registration(&installation, &places.team, redirect_uri),
            )
            .await?;
        let password = installation.password("ada").await?;
        Ok(Setup {
            places,
            installation,
            kubectl,
            username: "ada".to_owned(),
            password,
            registration,
            app_port,
        })
    }
}

async fn own_cluster(steps: &Steps, logs: &Path) -> Result<Cluster> {
    steps
        .step(
            "Starting a Kubernetes API server",
            |cluster: &Cluster| format!("A Kubernetes API server runs on {}", cluster.url()),
            Cluster::start(ClusterOptions {
                audit_log: true,
                logs: Some(logs.to_owned()),
                ..ClusterOptions::default()
            }),
        )
        .await
}

async fn apply(kubectl: &Kubectl, places: &Places) -> Result<()> {
    let manifest = tools::root().join("examples/quickstart.yaml");
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("failed to read {}", manifest.display()))?;
    let text = text
        .replace("namespace: claviger", &format!("namespace: {}", places.home))
        .replace("namespace: team-a", &format!("namespace: {}", places.team));
    // On a cluster of somebody's it is there already, marked as ours.
    if *places.team == *Places::usual().team {
        kubectl.run(&["create", "namespace", &places.team]).await?;
    }
    kubectl.apply(&text).await?;
    Ok(())
}

async fn wait_until_ready(kubectl: &Kubectl, places: &Places) -> Result<()> {
    for (kind_and_name, namespace) in [
        ("oidcuser/ada", places.home.as_str()),
        ("oidcclient/shop", places.team.as_str()),
    ] {
        let waited = kubectl
            .run(&[
                "wait",
                kind_and_name,
                "-n",
                namespace,
                "--for=condition=Ready",
                "--timeout=60s",
            ])
            .await;
        if let Err(error) = waited {
            let status = kubectl
                .run(&["get", kind_and_name, "-n", namespace, "-o", "jsonpath={.status}"])
                .await;
            return Err(error).context(format!("its status is {}", status.unwrap_or_default()));
        }
    }
    Ok(())
}

async fn registration(
    installation: &Installation,
    namespace: &str,
    redirect_uri: String,
) -> Result<Registration> {
    let data = installation.resources()?.secret(namespace, "shop-oidc").await?;
    let value = |key: &str| {
        data.get(key)
            .cloned()
            .with_context(|| format!("the Secret shop-oidc has no key {key}"))
    };
    let issuer = value("OIDC_ISSUER")?;
    anyhow::ensure!(
        issuer == installation.claviger.issuer(),
        "the Secret names the issuer {issuer}"
    );
    Ok(Registration {
        issuer,
        client_id: value("OIDC_CLIENT_ID")?,
        client_secret: Some(value("OIDC_CLIENT_SECRET")?),
        redirect_uri,
    })
}
