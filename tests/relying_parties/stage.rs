//! The claviger that all apps share, with TLS and a person.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::json;
use testbed::certificates::{Authority, Pair};
use testbed::claviger::Address;
use testbed::cluster::{Cluster, ClusterOptions};
use testbed::folder::Folder;
use testbed::kubectl::Kubectl;
use testbed::{Installation, InstallationOptions, Kind, installation};
use tokio::runtime::Runtime;

use crate::kubernetes;

/// Where the apps of all pages are.
pub(crate) const NAMESPACE: &str = "team-a";
const HOST: &str = "127.0.0.1";

/// Somebody to sign in.
pub(crate) struct Person {
    pub(crate) username: &'static str,
    pub(crate) password: String,
    /// As the ID token has it.
    pub(crate) subject: String,
    pub(crate) email: &'static str,
    pub(crate) groups: [&'static str; 2],
}

/// A cluster with claviger and a person.
pub(crate) struct Stage {
    pub(crate) installation: Installation,
    pub(crate) kubectl: Kubectl,
    pub(crate) person: Person,
    /// The issuer's authority in PEM, and the same in a file.
    pub(crate) authority: String,
    pub(crate) authority_file: PathBuf,
    /// For an app that serves https itself.
    pub(crate) certificate: Pair,
    pub(crate) runtime: Runtime,
    _folder: Folder,
}

impl Stage {
    /// The one that all tests share. It ends with the program.
    pub(crate) fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Stage, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn start() -> Result<Self> {
        let runtime = Runtime::new().context("failed to start a runtime")?;
        let folder = Folder::new("relying-parties")?;
        let authority = Authority::new()?;
        let pair = authority.issue(&[HOST])?;
        let tls = (
            folder.write("tls.crt", &pair.certificate)?,
            folder.write("tls.key", &pair.key)?,
        );
        let authority_file = folder.write("ca.crt", authority.pem())?;
        let (installation, kubectl, person) =
            runtime.block_on(start(tls, authority.pem(), &authority_file))?;
        Ok(Self {
            installation,
            kubectl,
            person,
            authority: authority.pem().to_owned(),
            authority_file,
            certificate: authority.issue(&[HOST])?,
            runtime,
            _folder: folder,
        })
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> String {
        self.installation.claviger.issuer()
    }

    /// Applies an `OidcClient` in the namespace of the apps, waits until it is Ready, and gives its Secret.
    pub(crate) async fn register(&self, name: &str, manifest: &str) -> Result<BTreeMap<String, String>> {
        self.kubectl.apply(manifest).await?;
        let resources = self.installation.resources()?;
        resources
            .wait_until_ready(Kind::OidcClient, NAMESPACE, name)
            .await?;
        resources.secret(NAMESPACE, &format!("{name}-oidc")).await
    }
}

async fn start(
    tls: (PathBuf, PathBuf),
    authority: &str,
    authority_file: &Path,
) -> Result<(Installation, Kubectl, Person)> {
    let address = Address::choose()?;
    let issuer = address.issuer("").replacen("http", "https", 1);
    let cluster = Cluster::start(ClusterOptions {
        authentication: Some(kubernetes::authentication(&issuer, authority)?),
        ..ClusterOptions::default()
    })
    .await?;
    let release = installation::release(&address, &json!({ "issuer": issuer }));
    let account = installation::install_chart(&cluster, &release).await?;
    let mut options = InstallationOptions::new(Path::new(env!("CARGO_BIN_EXE_claviger")));
    options.tls = Some(tls);
    // The apps are on this machine, and so claviger reaches them where they are told that somebody signed out.
    options.arguments = vec![
        "--allow-egress=127.0.0.1".to_owned(),
        format!("--extra-ca={}", authority_file.display()),
    ];
    let installation = Installation::start_on(cluster, address, release, account, options).await?;
    let kubectl = Kubectl::new(&installation.cluster.kubeconfig())?;
    kubectl.run(&["create", "namespace", NAMESPACE]).await?;
    let person = person(&installation).await?;
    Ok((installation, kubectl, person))
}

async fn person(installation: &Installation) -> Result<Person> {
    const USERNAME: &str = "ada";
    const EMAIL: &str = "ada@example.org";
    const GROUPS: [&str; 2] = ["mathematicians", "staff"];
    let resources = installation.resources()?;
    let namespace = &installation.release.namespace;
    let spec = json!({
        "displayName": "Ada Lovelace",
        "givenName": "Ada",
        "familyName": "Lovelace",
        "email": EMAIL,
        "emailVerified": true,
        "groups": GROUPS,
        "password": { "generate": true },
    });
    resources
        .create(Kind::OidcUser, namespace, USERNAME, spec)
        .await?;
    let user = resources
        .wait_until_ready(Kind::OidcUser, namespace, USERNAME)
        .await?;
    Ok(Person {
        username: USERNAME,
        password: installation.password(USERNAME).await?,
        subject: user.data["status"]["subject"]
            .as_str()
            .context("the status of the OidcUser has no subject")?
            .to_owned(),
        email: EMAIL,
        groups: GROUPS,
    })
}
