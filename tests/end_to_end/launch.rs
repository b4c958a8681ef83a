//! Starts of claviger that end by themselves, and what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testbed::folder::Folder;
use testbed::ports;
use testbed::process::Process;

use crate::harness::PATIENCE;

/// A start with these flags and nothing of the environment.
pub(crate) struct Start {
    flags: BTreeMap<&'static str, String>,
    switches: Vec<&'static str>,
    kubeconfig: Option<PathBuf>,
    folder: Folder,
}

impl Start {
    /// Flags that are all well, for a claviger without a cluster.
    pub(crate) fn new() -> Self {
        let port = ports::free().unwrap();
        let flags = BTreeMap::from([
            ("issuer", format!("http://127.0.0.1:{port}")),
            ("listen", format!("127.0.0.1:{port}")),
            ("admin-listen", format!("127.0.0.1:{}", ports::free().unwrap())),
            ("store", "memory:".to_owned()),
            ("watch-namespaces", "default".to_owned()),
        ]);
        Self {
            flags,
            switches: Vec::new(),
            kubeconfig: None,
            folder: Folder::new("start").unwrap(),
        }
    }

    /// Sets a flag.
    pub(crate) fn flag(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.flags.insert(name, value.into());
        self
    }

    /// Sets a flag that takes no value.
    pub(crate) fn switch(mut self, name: &'static str) -> Self {
        self.switches.push(name);
        self
    }

    /// Keeps the store in a folder.
    pub(crate) fn sled(self, path: &Path) -> Self {
        self.flag("store", format!("sled:{}", path.display()))
    }

    /// Keeps the keyring in a folder.
    pub(crate) fn keyring_folder(self, path: &Path) -> Self {
        self.flag("keyring", format!("dir:{}", path.display()))
    }

    /// Names a cluster.
    pub(crate) fn kubeconfig(mut self, path: &Path) -> Self {
        self.kubeconfig = Some(path.to_owned());
        self
    }

    /// Names a cluster in a kubeconfig of this text.
    pub(crate) fn kubeconfig_text(self, text: &str) -> Self {
        let path = self.folder.write("kubeconfig", text).unwrap();
        self.kubeconfig(&path)
    }

    fn command(&self) -> Command {
        let mut command = program();
        command.arg("serve");
        for (name, value) in &self.flags {
            command.arg(format!("--{name}={value}"));
        }
        for name in &self.switches {
            command.arg(format!("--{name}"));
        }
        command.env("HOME", self.folder.path());
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command
    }

    /// Waits until it ends by itself with exit code 1, and gives the one line that it prints beside its log.
    pub(crate) async fn refused(self) -> String {
        let log = self.folder.join("claviger.log");
        let mut process = Process::spawn("claviger", self.command(), &log).unwrap();
        let status = tokio::task::spawn_blocking(move || process.wait_for_exit(PATIENCE))
            .await
            .unwrap()
            .unwrap();
        let output = std::fs::read_to_string(&log).unwrap();
        assert_eq!(status.code(), Some(1), "{output}");
        assert!(!output.contains("panicked"), "{output}");
        let lines: Vec<&str> = output
            .lines()
            .filter(|line| !serde_json::from_str::<Value>(line).is_ok_and(|event| event["level"].is_string()))
            .collect();
        assert_eq!(lines.len(), 1, "{output}");
        assert!(lines[0].starts_with("claviger: "), "{output}");
        lines[0].to_owned()
    }

    /// Waits until it ends by itself and checks what its line says: what, where and what to do.
    pub(crate) async fn refused_with(self, parts: &[&str]) {
        let line = self.refused().await;
        for part in parts {
            assert!(line.contains(part), "no `{part}` in `{line}`");
        }
    }
}

/// claviger, without anything from the environment of whoever runs the tests.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claviger"));
    command.env_clear();
    command
}
