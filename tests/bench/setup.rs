//! A cluster, the release build of claviger on it, one person and one app.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use testbed::browser::Browser;
use testbed::kubectl::Kubectl;
use testbed::relying_party::{Registration, RelyingParty};
use testbed::{Installation, InstallationOptions, poll};

use super::load::Chain;

const REDIRECT_URI: &str = "http://127.0.0.1:1/callback";
const RESOURCES: &str = r"
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcUser
metadata: {name: ada, namespace: claviger}
spec: {groups: [engineers], password: {generate: true}}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcClient
metadata: {name: bench, namespace: team-a}
spec: {redirectUris: ['http://127.0.0.1:1/callback']}
";

pub(crate) struct Bench {
    pub(crate) installation: Installation,
}

impl Bench {
    /// Cluster and claviger; no person and no app yet.
    pub(crate) async fn prepare() -> Result<Self> {
        let installation =
            Installation::start(InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"))).await?;
        Ok(Self { installation })
    }

    pub(crate) fn process_id(&mut self) -> u32 {
        self.installation.claviger.process().id()
    }

    /// The kubeconfig of claviger's own account.
    pub(crate) fn account(&mut self) -> Result<PathBuf> {
        let kubeconfig = self.installation.claviger.options().kubeconfig.clone();
        kubeconfig.context("claviger runs without a kubeconfig")
    }

    /// Stops claviger and takes its store away.
    pub(crate) fn empty_store(&mut self) -> Result<()> {
        self.installation.claviger.stop();
        let store = self.installation.claviger.options().store.clone();
        let path = store.strip_prefix("sled:").context("the store is not a folder")?;
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("failed to empty the store")
            }
            _ => Ok(()),
        }
    }

    /// Signs the person in `count` times; each gives the beginning of a chain of refreshes.
    pub(crate) async fn sign_in(&self, count: usize) -> Result<Vec<Chain>> {
        Kubectl::new(&self.installation.cluster.kubeconfig())?
            .apply(RESOURCES)
            .await?;
        let client = self.secret("team-a", "bench-oidc").await?;
        let user = self.secret("claviger", "ada-password").await?;
        let (client_id, client_secret) = (value(&client, "client-id")?, value(&client, "client-secret")?);
        let relying_party = RelyingParty::discover(Registration {
            issuer: self.installation.claviger.issuer(),
            client_id: client_id.clone(),
            client_secret: Some(client_secret.clone()),
            redirect_uri: REDIRECT_URI.to_owned(),
        })
        .await?;
        let mut chains = Vec::new();
        for _ in 0..count {
            let request = relying_party.authorization_request("openid groups offline_access", &[])?;
            let password = value(&user, "password")?;
            let callback = Browser::new()?
                .sign_in(&request.url, REDIRECT_URI, "ada", &password)
                .await?;
            let code = relying_party.code(&request, &callback)?;
            let tokens = relying_party.redeem(&request, &code).await??;
            chains.push(Chain {
                http: reqwest::Client::builder().no_proxy().build()?,
                token_endpoint: relying_party.token_endpoint().to_string(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
                refresh_token: tokens.refresh_token.context("no refresh token")?,
            });
        }
        Ok(chains)
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Secret> {
        let secrets: Api<Secret> = Api::namespaced(self.installation.cluster.client()?, namespace);
        poll::until(name, Duration::from_secs(30), async || {
            Ok(secrets.get_opt(name).await?)
        })
        .await
    }
}

fn value(secret: &Secret, key: &str) -> Result<String> {
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .with_context(|| format!("no {key} in the Secret"))?;
    Ok(String::from_utf8(bytes.0.clone())?)
}
