//! claviger, the release build with its embedded store.

use std::time::Duration;

use anyhow::{Context, Result};
use testbed::kubectl::Kubectl;
use testbed::{Installation, InstallationOptions, Kind};

use super::provider::{About, Audience, Client, Clients, Provider, SignIn};

const BUILD: &str = if cfg!(debug_assertions) {
    "a debug build, whose figures say nothing"
} else {
    "release build"
};
const RESOURCES: &str = r"
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcUser
metadata: {name: ada, namespace: claviger}
spec: {email: ada@example.org, emailVerified: true, password: {generate: true}}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcClient
metadata: {name: service, namespace: team-a}
spec: {grantTypes: [client_credentials]}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcClient
metadata: {name: app, namespace: team-a}
spec:
  grantTypes: [authorization_code]
  redirectUris: ['http://127.0.0.1:1/callback']
  tokens: {idTokenSignedResponseAlg: ES256, idTokenLifetime: 10m}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcClient
metadata: {name: refresher, namespace: team-a}
spec:
  redirectUris: ['http://127.0.0.1:1/callback']
  tokens: {idTokenSignedResponseAlg: ES256, idTokenLifetime: 10m}
---
apiVersion: claviger.dev/v1alpha1
kind: OidcClient
metadata: {name: opaque, namespace: team-a}
spec:
  grantTypes: [authorization_code]
  redirectUris: ['http://127.0.0.1:1/callback']
  tokens: {accessTokenFormat: opaque, idTokenSignedResponseAlg: ES256, idTokenLifetime: 10m}
";

pub(crate) async fn start() -> Result<Provider> {
    let mut options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    // The testbed turns the other limits off. They are for one client or network, and the peers limit nobody.
    options
        .arguments
        .push("--rate-limit-introspection=off".to_owned());
    let mut installation = Installation::start(options).await?;
    Kubectl::new(&installation.cluster.kubeconfig())?
        .apply(RESOURCES)
        .await?;
    let clients = Clients {
        service: client(&installation, "service").await?,
        app: client(&installation, "app").await?,
        refresher: client(&installation, "refresher").await?,
        opaque: Some(client(&installation, "opaque").await?),
    };
    let resources = installation.resources()?;
    let namespace = installation.release.namespace.clone();
    resources
        .wait_until_ready(Kind::OidcUser, &namespace, "ada")
        .await?;
    let about = About {
        name: "claviger",
        lines: vec![
            format!("{}, {BUILD}", env!("CARGO_PKG_VERSION")),
            "store: sled with its own fdatasync, durable before the answer".to_owned(),
            "client secrets: SHA-256 of 256 random bits".to_owned(),
        ],
        process: installation.claviger.process().id(),
        warm_up: Duration::from_secs(2),
        clients,
        audience: Audience::Issuer,
        takes_jwts: true,
        scope: "openid email",
        refresh_scope: "openid email offline_access",
        sign_in: SignIn::Ours {
            username: "ada".to_owned(),
            password: installation.password("ada").await?,
        },
    };
    let issuer = installation.claviger.issuer();
    Provider::discover(&issuer, about, Box::new(installation)).await
}

async fn client(installation: &Installation, name: &str) -> Result<Client> {
    let resources = installation.resources()?;
    resources
        .wait_until_ready(Kind::OidcClient, "team-a", name)
        .await?;
    let mut secret = resources.secret("team-a", &format!("{name}-oidc")).await?;
    Ok(Client {
        id: secret.remove("client-id").context("no client-id in the Secret")?,
        secret: secret
            .remove("client-secret")
            .context("no client-secret in the Secret")?,
    })
}
