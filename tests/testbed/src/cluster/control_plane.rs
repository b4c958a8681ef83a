//! The processes of the control plane and their flags.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::ClusterOptions;
use crate::folder::Folder;
use crate::ports;
use crate::process::Process;
use crate::tools::KubeBinaries;

const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
    validatingadmissionpolicy-status-controller";

const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n\
    rules: [{level: Metadata}]\n";

/// Where the servers listen, the same over a restart.
pub(super) struct Addresses {
    etcd: u16,
    etcd_peers: u16,
    apiserver: u16,
}

impl Addresses {
    pub(super) fn choose() -> Result<Self> {
        Ok(Self {
            etcd: ports::free()?,
            etcd_peers: ports::free()?,
            apiserver: ports::free()?,
        })
    }

    pub(super) fn apiserver_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.apiserver)
    }

    pub(super) fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd)
    }
}

/// The running servers, in the order in which they have to end.
pub(super) struct ControlPlane {
    controller_manager: Option<Process>,
    apiserver: Option<Process>,
    etcd: Process,
    binaries: KubeBinaries,
    logs: PathBuf,
    audit_log: bool,
    authentication: bool,
}

impl ControlPlane {
    pub(super) fn start(
        binaries: KubeBinaries,
        folder: &Folder,
        addresses: &Addresses,
        options: &ClusterOptions,
        logs: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(logs).context("failed to make the folder for logs")?;
        folder.write("audit-policy.yaml", AUDIT_POLICY)?;
        if let Some(configuration) = &options.authentication {
            folder.write("authentication.yaml", configuration)?;
        }
        let etcd = Process::spawn("etcd", etcd(&binaries, folder, addresses), &logs.join("etcd.log"))?;
        let mut plane = Self {
            controller_manager: None,
            apiserver: None,
            etcd,
            binaries,
            logs: logs.to_owned(),
            audit_log: options.audit_log,
            authentication: options.authentication.is_some(),
        };
        plane.start_api_server(folder, addresses)?;
        Ok(plane)
    }

    pub(super) fn start_api_server(&mut self, folder: &Folder, addresses: &Addresses) -> Result<()> {
        let mut command = apiserver(
            &self.binaries.apiserver,
            folder,
            addresses,
            self.audit_log.then_some(&self.logs),
        );
        if self.authentication {
            let configuration = folder.join("authentication.yaml");
            flag(&mut command, "authentication-config", configuration);
        }
        let log = self.logs.join("kube-apiserver.log");
        self.apiserver = Some(Process::spawn("kube-apiserver", command, &log)?);
        Ok(())
    }

    pub(super) fn stop_api_server(&mut self) {
        if let Some(mut apiserver) = self.apiserver.take() {
            apiserver.terminate(Duration::from_secs(5));
        }
    }

    pub(super) fn start_controller_manager(&mut self, folder: &Folder) -> Result<()> {
        let command = controller_manager(&self.binaries.controller_manager, folder);
        let log = self.logs.join("kube-controller-manager.log");
        self.controller_manager = Some(Process::spawn("kube-controller-manager", command, &log)?);
        Ok(())
    }

    pub(super) fn check_alive(&mut self) -> Result<()> {
        self.etcd.check_alive()?;
        for process in self.apiserver.iter_mut().chain(&mut self.controller_manager) {
            process.check_alive()?;
        }
        Ok(())
    }
}

fn etcd(binaries: &KubeBinaries, folder: &Folder, addresses: &Addresses) -> Command {
    let mut command = Command::new(&binaries.etcd);
    let peers = format!("http://127.0.0.1:{}", addresses.etcd_peers);
    flag(&mut command, "data-dir", folder.join("etcd"));
    // Nothing here has to survive a power cut.
    flag(&mut command, "unsafe-no-fsync", "true");
    flag(&mut command, "listen-client-urls", addresses.etcd_url());
    flag(&mut command, "advertise-client-urls", addresses.etcd_url());
    flag(&mut command, "listen-peer-urls", &peers);
    flag(&mut command, "initial-advertise-peer-urls", &peers);
    flag(&mut command, "initial-cluster", format!("default={peers}"));
    flag(&mut command, "log-level", "warn");
    command
}

fn apiserver(binary: &Path, folder: &Folder, addresses: &Addresses, audit_logs: Option<&PathBuf>) -> Command {
    let mut command = Command::new(binary);
    flag(&mut command, "etcd-servers", addresses.etcd_url());
    flag(&mut command, "bind-address", "127.0.0.1");
    flag(&mut command, "advertise-address", "127.0.0.1");
    flag(&mut command, "secure-port", addresses.apiserver.to_string());
    flag(&mut command, "endpoint-reconciler-type", "none");
    flag(&mut command, "cert-dir", folder.join("apiserver"));
    flag(&mut command, "tls-cert-file", folder.join("server.crt"));
    flag(&mut command, "tls-private-key-file", folder.join("server.key"));
    flag(&mut command, "token-auth-file", folder.join("tokens.csv"));
    flag(&mut command, "anonymous-auth", "false");
    flag(&mut command, "authorization-mode", "RBAC");
    flag(
        &mut command,
        "service-account-issuer",
        "https://kubernetes.default.svc",
    );
    flag(
        &mut command,
        "service-account-key-file",
        folder.join("service-accounts.pub"),
    );
    flag(
        &mut command,
        "service-account-signing-key-file",
        folder.join("service-accounts.key"),
    );
    flag(&mut command, "service-cluster-ip-range", "10.96.0.0/16");
    // An API server that is told to end stops at once: nobody is load balancing to it.
    flag(&mut command, "shutdown-delay-duration", "0s");
    if let Some(logs) = audit_logs {
        flag(
            &mut command,
            "audit-policy-file",
            folder.join("audit-policy.yaml"),
        );
        flag(&mut command, "audit-log-path", logs.join("audit.log"));
        flag(&mut command, "audit-log-maxsize", "4096");
    }
    command
}

fn controller_manager(binary: &Path, folder: &Folder) -> Command {
    let mut command = Command::new(binary);
    flag(&mut command, "kubeconfig", folder.join("admin.kubeconfig"));
    flag(&mut command, "controllers", CONTROLLERS);
    flag(&mut command, "leader-elect", "false");
    flag(&mut command, "secure-port", "0");
    flag(
        &mut command,
        "service-account-private-key-file",
        folder.join("service-accounts.key"),
    );
    flag(&mut command, "root-ca-file", folder.join("ca.crt"));
    command
}

fn flag(command: &mut Command, name: &str, value: impl AsRef<std::ffi::OsStr>) {
    let mut argument = std::ffi::OsString::from(format!("--{name}="));
    argument.push(value);
    command.arg(argument);
}
