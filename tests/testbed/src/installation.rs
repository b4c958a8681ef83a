//! claviger as it is installed: the chart on a cluster, and the binary under the chart's own ServiceAccount. Only
//! that it runs as a process of this machine instead of a pod is different, for want of a node.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::claviger::{Address, Claviger, ClavigerOptions};
use crate::cluster::audit::AuditEvent;
use crate::cluster::{self, Cluster, ClusterOptions};
use crate::folder::Folder;
use crate::helm::{Helm, Release};
use crate::relying_party::{Registration, RelyingParty};
use crate::resources::Resources;

/// What differs between installations.
#[derive(Clone, Debug)]
pub struct InstallationOptions {
    /// The claviger binary.
    pub program: PathBuf,
    /// Keeps everything in memory instead of sled in a temporary folder.
    pub memory: bool,
    /// The certificate and key of the public port, if it is to speak https.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Values of the chart beside `issuer` and `replicaCount`.
    pub values: Value,
    /// More arguments of `claviger serve`.
    pub arguments: Vec<String>,
    /// More environment of claviger.
    pub environment: Vec<(String, String)>,
}

impl InstallationOptions {
    /// The chart's defaults, with sled.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            memory: false,
            tls: None,
            values: json!({}),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A cluster with claviger on it, in the namespace `claviger`. Dropping it ends everything.
pub struct Installation {
    /// claviger; ends first.
    pub claviger: Claviger,
    /// Its API server, with an audit log.
    pub cluster: Cluster,
    /// The chart's release.
    pub release: Release,
    /// The name of the ServiceAccount that claviger runs under.
    pub service_account: String,
    _folder: Folder,
}

impl Installation {
    /// Starts a cluster, installs the chart, starts claviger and waits until it is ready.
    pub async fn start(options: InstallationOptions) -> Result<Self> {
        let cluster = Cluster::start(ClusterOptions {
            audit_log: true,
            ..ClusterOptions::default()
        })
        .await?;
        let address = Address::choose()?;
        let release = release(&address, &options.values);
        let service_account = install_chart(&cluster, &release).await?;
        Self::start_on(cluster, address, release, service_account, options).await
    }

    /// Starts claviger on a cluster with the chart, and waits until it is ready.
    pub async fn start_on(
        cluster: Cluster,
        address: Address,
        release: Release,
        service_account: String,
        options: InstallationOptions,
    ) -> Result<Self> {
        let folder = Folder::new("store")?;
        let log = cluster.logs().join("claviger.log");
        let mut claviger = ClavigerOptions::new(&options.program, &log);
        claviger.kubeconfig = Some(
            cluster
                .service_account_kubeconfig(&release.namespace, &service_account)
                .await?,
        );
        claviger.namespace.clone_from(&release.namespace);
        claviger.tls = options.tls;
        if !options.memory {
            claviger.store = sled(folder.path());
        }
        claviger.arguments.extend(options.arguments);
        claviger.environment.extend(options.environment);
        let claviger = Claviger::start_at(address, claviger).await?;
        Ok(Self {
            claviger,
            cluster,
            release,
            service_account,
            _folder: folder,
        })
    }

    /// [`Installation::start`] for an installation that outlives the runtime of the test that needs it first.
    pub fn start_blocking(options: InstallationOptions) -> Result<Self> {
        cluster::block_on(Self::start(options))
    }

    /// The user name under which the API server knows claviger.
    pub fn user(&self) -> String {
        format!(
            "system:serviceaccount:{}:{}",
            self.release.namespace, self.service_account
        )
    }

    /// What claviger has asked of the API server so far, oldest first.
    pub fn requests(&self) -> Result<Vec<AuditEvent>> {
        let user = self.user();
        let mut events = self.cluster.audit_events()?;
        events.retain(|event| event.user == user);
        Ok(events)
    }

    /// The cluster as its administrator sees it.
    pub fn resources(&self) -> Result<Resources> {
        Ok(Resources::new(self.cluster.client()?))
    }

    /// An app, configured by the Secret of its `OidcClient` and nothing else.
    pub async fn app(&self, namespace: &str, name: &str) -> Result<RelyingParty> {
        let secret = self
            .resources()?
            .secret(namespace, &format!("{name}-oidc"))
            .await?;
        let value = |key: &str| {
            let value = secret.get(key).cloned();
            value.with_context(|| format!("the Secret of {namespace}/{name} has no key {key}"))
        };
        RelyingParty::discover(Registration {
            issuer: value("OIDC_ISSUER")?,
            client_id: value("OIDC_CLIENT_ID")?,
            client_secret: secret.get("OIDC_CLIENT_SECRET").cloned(),
            redirect_uri: value("OIDC_REDIRECT_URI")?,
        })
        .await
    }

    /// The password that was generated for an `OidcUser`.
    pub async fn password(&self, user: &str) -> Result<String> {
        let mut secret = self
            .resources()?
            .secret(&self.release.namespace, &format!("{user}-password"))
            .await?;
        secret
            .remove("password")
            .with_context(|| format!("the Secret of the password of {user} has no key `password`"))
    }
}

/// The release of the chart for a claviger at this address: everything but pods.
pub fn release(address: &Address, values: &Value) -> Release {
    let mut all = json!({ "issuer": address.issuer(""), "replicaCount": 0 });
    if let (Some(all), Some(more)) = (all.as_object_mut(), values.as_object()) {
        all.extend(more.clone());
    }
    Release::new(all)
}

/// Installs the chart and the controllers of Kubernetes that it counts on; gives the name of the ServiceAccount that
/// the chart's Deployment runs under.
pub async fn install_chart(cluster: &Cluster, release: &Release) -> Result<String> {
    let helm = Helm::new(&cluster.kubeconfig())?;
    helm.install(release).await?;
    cluster.start_controller_manager().await?;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client()?, &release.namespace);
    deployments
        .list(&ListParams::default())
        .await?
        .into_iter()
        .find_map(|deployment| deployment.spec?.template.spec?.service_account_name)
        .context("the chart has no Deployment that names a ServiceAccount")
}

fn sled(folder: &Path) -> String {
    format!("sled:{}", folder.join("store").display())
}
