//! Tokens of ServiceAccounts, and keeping one fresh in a file.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::cluster::credentials;

const LIFETIME: Duration = Duration::from_hours(1);
const REFRESH: Duration = Duration::from_mins(5);

/// A ServiceAccount and the file for its token.
pub(super) struct Account {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) file: PathBuf,
}

/// A thread that writes a new token every few minutes until this is dropped.
pub(super) struct Refresher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Refresher {
    pub(super) fn start(admin_kubeconfig: String, account: Account) -> Self {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                // The API server may be away, by accident or for a test; the old token is good for long enough.
                let _ = refresh(&admin_kubeconfig, &account);
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn refresh(admin_kubeconfig: &str, account: &Account) -> Result<()> {
    let fresh = super::block_on(async {
        let client = credentials::client(admin_kubeconfig)?;
        token(&client, &account.namespace, &account.name).await
    })?;
    write(&account.file, &fresh)
}

/// Writes a token so that a reader sees the old one or the new one, never a part.
pub(super) fn write(file: &Path, token: &str) -> Result<()> {
    let fresh = file.with_extension("fresh");
    std::fs::write(&fresh, token).context("failed to write a token")?;
    std::fs::rename(&fresh, file).context("failed to put a token in place")
}

/// A token for the API server, as a pod would get it.
pub(super) async fn token(client: &Client, namespace: &str, name: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let wanted = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(name, &PostParams::default(), &wanted)
        .await
        .with_context(|| format!("failed to get a token of the ServiceAccount {namespace}/{name}"))?;
    Ok(made
        .status
        .context("the API server answered without a token")?
        .token)
}
