//! The claviger that all tests share: the chart on a cluster of its own, the binary with a certificate of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};
use testbed::certificates::{Authority, Pair};
use testbed::claviger::Address;
use testbed::cluster::{Cluster, ClusterOptions};
use testbed::folder::Folder;
use testbed::kubectl::Kubectl;
use testbed::{Browser, Installation, InstallationOptions, installation, ports};

use crate::clients::{Apps, People};
use crate::signing::Key;
use crate::wire::{Http, same, text};

const HOST: &str = "127.0.0.1";
/// Apps for Chromium, each at a port of its own: its tests run at the same time.
pub(crate) const WEB_APPS: usize = 5;

/// A cluster with claviger, clients and people.
pub(crate) struct Stage {
    pub(crate) installation: Installation,
    pub(crate) http: Http,
    pub(crate) apps: Apps,
    pub(crate) people: People,
    /// Signs request objects of the client `basic`.
    pub(crate) key: Key,
    /// The provider's metadata.
    pub(crate) metadata: Value,
    /// The certificate that claviger shows, in PEM, in a file.
    pub(crate) certificate: PathBuf,
    /// For apps that serve https themselves.
    pub(crate) app_certificate: Pair,
    pub(crate) web_ports: Vec<u16>,
    /// The socket of claviger's administrators.
    pub(crate) admin_socket: PathBuf,
    /// For everything that is written.
    pub(crate) folder: Folder,
    authority: String,
}

impl Stage {
    /// Starts everything.
    pub(crate) async fn start() -> Result<Self> {
        let folder = Folder::new("conformance")?;
        let authority = Authority::new()?;
        let pair = authority.issue(&[HOST])?;
        let certificate = folder.write("tls.crt", &pair.certificate)?;
        let tls = (certificate.clone(), folder.write("tls.key", &pair.key)?);
        let admin_socket = folder.join("admin.sock");
        let ca = folder.write("ca.crt", authority.pem())?;
        let installation = install(tls, &admin_socket, &ca).await?;
        let key = Key::generate()?;
        let web_ports = (0..WEB_APPS).map(|_| ports::free()).collect::<Result<Vec<_>>>()?;
        Apps::prepare(&Kubectl::new(&installation.cluster.kubeconfig())?).await?;
        let apps = Apps::register(&installation, &key, &web_ports).await?;
        let people = People::register(&installation).await?;
        let http = Http::trusting(authority.pem())?;
        let metadata = http
            .get(&installation.claviger.url("/.well-known/openid-configuration"))
            .await?
            .success()?;
        Ok(Self {
            installation,
            http,
            apps,
            people,
            key,
            metadata,
            certificate,
            app_certificate: authority.issue(&[HOST])?,
            web_ports,
            admin_socket,
            authority: authority.pem().to_owned(),
            folder,
        })
    }

    /// The issuer, as it is configured.
    pub(crate) fn issuer(&self) -> String {
        self.installation.claviger.issuer()
    }

    /// A URL of the metadata.
    pub(crate) fn endpoint(&self, name: &str) -> Result<&str> {
        text(&self.metadata, name)
    }

    /// A browser that has never been anywhere.
    pub(crate) fn browser(&self) -> Result<Browser> {
        Browser::trusting(&self.authority)
    }

    /// The JWK Set as it is now.
    pub(crate) async fn jwks(&self) -> Result<Value> {
        let reply = self.http.get(self.endpoint("jwks_uri")?).await?;
        same("the status of the JWK Set", reply.status.as_u16(), 200)?;
        let media_type = reply.header("content-type")?;
        // RFC 7517 section 8.5.1, or what it is besides.
        anyhow::ensure!(
            ["application/jwk-set+json", "application/json"].contains(&media_type),
            "the media type of the JWK Set is {media_type}"
        );
        serde_json::from_str(&reply.body).context("the JWK Set is not JSON")
    }

    /// The same, for verification.
    pub(crate) async fn keys(&self) -> Result<JwkSet> {
        serde_json::from_value(self.jwks().await?).context("the JWK Set is none")
    }
}

async fn install(tls: (PathBuf, PathBuf), admin_socket: &Path, ca: &Path) -> Result<Installation> {
    let address = Address::choose()?;
    let issuer = address.issuer("").replacen("http", "https", 1);
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let release = installation::release(&address, &json!({ "issuer": issuer }));
    let account = installation::install_chart(&cluster, &release).await?;
    let mut options = InstallationOptions::new(Path::new(env!("CARGO_BIN_EXE_claviger")));
    options.tls = Some(tls);
    // Logout tokens are posted to apps of this machine, whose certificates are of the tests' authority.
    options.arguments.push("--allow-egress=127.0.0.0/8".to_owned());
    options.arguments.push(format!("--extra-ca={}", ca.display()));
    options.environment.push((
        "CLAVIGER_ADMIN_SOCKET".to_owned(),
        admin_socket.display().to_string(),
    ));
    Installation::start_on(cluster, address, release, account, options).await
}
