//! kubectl, as a person would use it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::{command, tools};

/// kubectl with a kubeconfig.
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Installs kubectl if there is none.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        Ok(Self {
            program: tools::kubectl()?,
            kubeconfig: kubeconfig.to_owned(),
        })
    }

    /// The folder that the program is in, if that is not one of the PATH.
    pub fn folder(&self) -> Option<&Path> {
        self.program
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
    }

    /// Runs it and gives what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with_input(arguments, "").await
    }

    /// `kubectl apply` of one or more documents of YAML.
    pub async fn apply(&self, manifests: &str) -> Result<String> {
        self.run_with_input(&["apply", "--filename", "-"], manifests)
            .await
    }

    /// `kubectl create` of one or more documents: what is there already is refused.
    pub async fn create(&self, manifests: &str) -> Result<String> {
        self.run_with_input(&["create", "--filename", "-"], manifests)
            .await
    }

    async fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = Command::new(&self.program);
        kubectl.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        // Its discovery cache would outlive the cluster in somebody's home folder.
        if let Some(folder) = self.kubeconfig.parent() {
            kubectl.env("KUBECACHEDIR", folder.join("kubectl-cache"));
        }
        command::run(kubectl, input).await
    }
}
