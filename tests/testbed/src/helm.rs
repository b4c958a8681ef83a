//! Real Helm on the real chart, so that what is tested is what ships.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::folder::Folder;
use crate::{command, tools};

/// A major version of Helm that the chart is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Major {
    /// Helm 3.
    Three,
    /// Helm 4.
    Four,
}

impl Major {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Three, Self::Four];

    fn program(self) -> Result<PathBuf> {
        match self {
            Self::Three => tools::helm(),
            Self::Four => tools::helm4(),
        }
    }
}

/// Helm, with its own files in a temporary folder and, if it is to talk to a cluster, a kubeconfig.
pub struct Helm {
    program: PathBuf,
    chart: PathBuf,
    kubeconfig: Option<PathBuf>,
    home: Folder,
}

/// A release of the chart.
#[derive(Clone, Debug)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// The namespace, made if it is missing.
    pub namespace: String,
    /// What differs from the chart's `values.yaml`.
    pub values: Value,
}

impl Release {
    /// A release `claviger` in the namespace `claviger`.
    pub fn new(values: Value) -> Self {
        Self {
            name: "claviger".to_owned(),
            namespace: "claviger".to_owned(),
            values,
        }
    }
}

impl Helm {
    /// Helm 3 for rendering only.
    pub fn offline() -> Result<Self> {
        Self::offline_of(Major::Three)
    }

    /// A Helm for rendering only.
    pub fn offline_of(major: Major) -> Result<Self> {
        Ok(Self {
            program: major.program()?,
            chart: Self::chart(),
            kubeconfig: None,
            home: Folder::new("helm")?,
        })
    }

    /// Helm 3 for a cluster.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        Self::new_of(Major::Three, kubeconfig)
    }

    /// A Helm for a cluster.
    pub fn new_of(major: Major, kubeconfig: &Path) -> Result<Self> {
        Ok(Self {
            kubeconfig: Some(kubeconfig.to_owned()),
            ..Self::offline_of(major)?
        })
    }

    /// The same Helm with another chart: a folder or a package.
    #[must_use]
    pub fn with_chart(self, chart: PathBuf) -> Self {
        Self { chart, ..self }
    }

    /// The folder of the chart.
    pub fn chart() -> PathBuf {
        tools::root().join("charts/claviger")
    }

    /// `helm lint --strict`.
    pub async fn lint(&self, values: &Value) -> Result<String> {
        self.run(&["lint", "--strict"], values).await
    }

    /// `helm template`: the objects, in the order in which Helm would make them.
    pub async fn template(&self, release: &Release) -> Result<Vec<Value>> {
        let text = self
            .run(
                &[
                    "template",
                    &release.name,
                    "--namespace",
                    &release.namespace,
                    "--include-crds",
                    // Without a cluster Helm assumes its own version of Kubernetes, which may be too old.
                    "--kube-version",
                    "1.34",
                ],
                &release.values,
            )
            .await?;
        serde_yaml::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).context("helm rendered something that is not YAML"))
            .filter(|object| !matches!(object, Ok(Value::Null)))
            .collect()
    }

    /// `helm install`.
    pub async fn install(&self, release: &Release) -> Result<String> {
        self.run(
            &[
                "install",
                &release.name,
                "--namespace",
                &release.namespace,
                "--create-namespace",
            ],
            &release.values,
        )
        .await
    }

    /// `helm upgrade`.
    pub async fn upgrade(&self, release: &Release) -> Result<String> {
        self.run(
            &["upgrade", &release.name, "--namespace", &release.namespace],
            &release.values,
        )
        .await
    }

    /// `helm upgrade --reuse-values`: only these values change.
    pub async fn upgrade_reusing(&self, release: &Release) -> Result<String> {
        self.run(
            &[
                "upgrade",
                "--reuse-values",
                &release.name,
                "--namespace",
                &release.namespace,
            ],
            &release.values,
        )
        .await
    }

    /// `helm upgrade --install`.
    pub async fn upgrade_or_install(&self, release: &Release) -> Result<String> {
        self.run(
            &[
                "upgrade",
                "--install",
                &release.name,
                "--namespace",
                &release.namespace,
            ],
            &release.values,
        )
        .await
    }

    /// `helm uninstall`.
    pub async fn uninstall(&self, release: &Release) -> Result<String> {
        command::run(
            self.command(&["uninstall", &release.name, "--namespace", &release.namespace]),
            "",
        )
        .await
    }

    /// `helm list` of all namespaces: everything that it tells of each release.
    pub async fn list(&self) -> Result<Vec<Value>> {
        let text = command::run(
            self.command(&["list", "--all", "--all-namespaces", "--max=0", "--output=json"]),
            "",
        )
        .await?;
        serde_json::from_str(&text).context("helm listed something that is not JSON")
    }

    async fn run(&self, arguments: &[&str], values: &Value) -> Result<String> {
        let mut helm = self.command(arguments);
        helm.arg(&self.chart).args(["--values", "-"]);
        command::run(helm, &values.to_string()).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut helm = Command::new(&self.program);
        helm.args(arguments)
            .env("HELM_CACHE_HOME", self.home.join("cache"))
            .env("HELM_CONFIG_HOME", self.home.join("config"))
            .env("HELM_DATA_HOME", self.home.join("data"));
        if let Some(kubeconfig) = &self.kubeconfig {
            helm.env("KUBECONFIG", kubeconfig);
        }
        helm
    }
}
