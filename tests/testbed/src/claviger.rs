//! The claviger binary as a process of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Process;
use crate::{leaks, poll, ports, scale};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(20);

/// How claviger is started.
#[derive(Clone, Debug)]
pub struct ClavigerOptions {
    /// The binary; see [`binary`].
    pub program: PathBuf,
    /// The kubeconfig to use, or none.
    pub kubeconfig: Option<PathBuf>,
    /// claviger's own namespace.
    pub namespace: String,
    /// `memory:` or `sled:PATH`
    pub store: String,
    /// `secret:NAME` or `dir:PATH`
    pub keyring: String,
    /// A path of the issuer such as `/auth`, or nothing.
    pub issuer_path: String,
    /// The certificate and key of the public port, if it is to speak https.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// More arguments of `claviger serve`.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
    /// Where its log goes.
    pub log: PathBuf,
}

impl ClavigerOptions {
    /// The defaults: memory store, keyring in the Secret that the chart names, logs as text, and no rate limits, since all
    /// apps of a test ask from one address.
    pub fn new(program: &Path, log: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: None,
            namespace: "claviger".to_owned(),
            store: "memory:".to_owned(),
            keyring: "secret:claviger-keyring".to_owned(),
            issuer_path: String::new(),
            tls: None,
            arguments: vec!["--log-format=text".to_owned()],
            environment: ["AUTHORIZE", "LOGIN", "TOKEN", "CLIENT"]
                .map(|limit| (format!("CLAVIGER_RATE_LIMIT_{limit}"), "off".to_owned()))
                .into(),
            log: log.to_owned(),
        }
    }
}

/// The binary of `CLAVIGER_BIN`, or the one beside the running program, as cargo builds it.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CLAVIGER_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("failed to find out where this program is")?;
    // Programs are in target/debug, tests in target/debug/deps.
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("claviger"))
        .find(|path| path.is_file())
        .context("found no claviger binary: run `cargo build`, or set CLAVIGER_BIN")
}

/// A claviger. Dropping it kills the process, and fails if its log holds a secret.
pub struct Claviger {
    process: Process,
    options: ClavigerOptions,
    address: Address,
}

/// Where a claviger listens; the same over its restarts.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    port: u16,
    admin_port: u16,
}

impl Address {
    /// Two free ports.
    pub fn choose() -> Result<Self> {
        Ok(Self {
            port: ports::free()?,
            admin_port: ports::free()?,
        })
    }

    /// The issuer at this address.
    pub fn issuer(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Claviger {
    /// Starts it and waits until it is ready.
    pub async fn start(options: ClavigerOptions) -> Result<Self> {
        Self::start_at(Address::choose()?, options).await
    }

    /// Starts it at an address that was chosen before and waits until it is ready.
    pub async fn start_at(address: Address, options: ClavigerOptions) -> Result<Self> {
        let mut claviger = Self::launch(address, options)?;
        claviger.wait_until_ready().await?;
        Ok(claviger)
    }

    /// Starts it and does not wait for anything.
    pub fn launch(address: Address, options: ClavigerOptions) -> Result<Self> {
        let process = Process::spawn("claviger", command(address, &options), &options.log)?;
        Ok(Self {
            process,
            options,
            address,
        })
    }

    /// Waits until `/readyz` says yes.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let url = self.admin_url("/readyz");
        // The environment's proxy, if there is one, does not reach our loopback.
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("failed to build an HTTP client")?;
        let look = async || {
            let answer = http.get(&url).send().await.context("failed to ask /readyz")?;
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            anyhow::ensure!(status.is_success(), "/readyz answers {status}: {text}");
            Ok(Some(()))
        };
        poll::until_unless("claviger to be ready", START, || self.process.check_alive(), look).await?;
        Ok(())
    }

    /// The issuer.
    pub fn issuer(&self) -> String {
        issuer(self.address, &self.options)
    }

    /// A URL of the public port; the path begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    /// A URL of the second port; the path begins with a slash.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.address.admin_port)
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it was started with; a change counts from the next start.
    pub fn options(&mut self) -> &mut ClavigerOptions {
        &mut self.options
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.options.log).unwrap_or_default()
    }

    /// Kills it without warning.
    pub fn kill9(&mut self) -> ExitStatus {
        self.process.kill9()
    }

    /// Ends it as Kubernetes does.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.terminate(STOP)
    }

    /// Starts it again at the same address, ending it first if it runs, and waits until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.relaunch()?;
        self.wait_until_ready().await
    }

    /// Starts it again at the same address, ending it first if it runs, and does not wait for anything.
    pub fn relaunch(&mut self) -> Result<()> {
        self.stop();
        self.process = Process::spawn(
            "claviger",
            command(self.address, &self.options),
            &self.options.log,
        )?;
        Ok(())
    }
}

impl Drop for Claviger {
    /// Whatever a test is about, the log of its claviger holds no secret.
    fn drop(&mut self) {
        self.process.kill9();
        if std::thread::panicking() {
            return;
        }
        let leak = leaks::first(&self.log());
        assert!(leak.is_none(), "{}: {leak:?}", self.options.log.display());
    }
}

fn issuer(address: Address, options: &ClavigerOptions) -> String {
    let issuer = address.issuer(&options.issuer_path);
    match options.tls {
        Some(_) => issuer.replacen("http", "https", 1),
        None => issuer,
    }
}

fn command(address: Address, options: &ClavigerOptions) -> Command {
    let mut command = Command::new(&options.program);
    // What the person who runs this has exported for a claviger of their own says nothing about this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLAVIGER_")) {
        command.env_remove(name);
    }
    command
        .arg("serve")
        .arg(format!("--issuer={}", issuer(address, options)))
        .arg(format!("--listen=127.0.0.1:{}", address.port))
        .arg(format!("--admin-listen=127.0.0.1:{}", address.admin_port))
        .arg(format!("--store={}", options.store))
        .arg(format!("--keyring={}", options.keyring))
        .arg(format!("--namespace={}", options.namespace))
        .args(&options.arguments)
        .args(
            scale::log()
                .filter(|_| {
                    !options
                        .arguments
                        .iter()
                        .any(|argument| argument.starts_with("--log="))
                })
                .map(|level| format!("--log={level}")),
        )
        .envs(options.environment.iter().cloned());
    if let Some((certificate, key)) = &options.tls {
        command
            .arg(format!("--tls-cert={}", certificate.display()))
            .arg(format!("--tls-key={}", key.display()));
    }
    match &options.kubeconfig {
        Some(kubeconfig) => command.env("KUBECONFIG", kubeconfig),
        None => command.env_remove("KUBECONFIG"),
    };
    command
}
