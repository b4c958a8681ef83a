//! The keys, certificates and tokens of a cluster, and kubeconfigs made of them.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use crate::cluster::control_plane::Addresses;
use crate::folder::Folder;
use crate::random;

/// What it takes to speak to the API server.
pub(super) struct Credentials {
    /// As in a kubeconfig.
    cluster: Value,
    /// Likewise.
    admin: Value,
}

impl Credentials {
    /// Makes them all, and the files that the servers read them from.
    pub(super) fn make(folder: &Folder, addresses: &Addresses) -> Result<Self> {
        let authority = server_certificate(folder)?;
        let accounts = KeyPair::generate().context("failed to make the ServiceAccounts' signing key")?;
        folder.write("service-accounts.key", accounts.serialize_pem())?;
        folder.write("service-accounts.pub", accounts.public_key_pem())?;
        let admin_token = random::token()?;
        folder.write(
            "tokens.csv",
            format!("{admin_token},admin,admin,\"system:masters\"\n"),
        )?;
        let made = Self {
            cluster: json!({
                "server": addresses.apiserver_url(),
                "certificate-authority-data": STANDARD.encode(authority),
            }),
            admin: json!({ "token": admin_token }),
        };
        folder.write("admin.kubeconfig", made.admin())?;
        Ok(made)
    }

    /// Those of a kubeconfig that has one cluster and one user.
    pub(super) fn of(kubeconfig: &Value) -> Result<Self> {
        let one = |kind: &str, name: &str| {
            let found = kubeconfig[kind][0][name].clone();
            (!found.is_null())
                .then_some(found)
                .with_context(|| format!("the kubeconfig of the current context has no {name}"))
        };
        Ok(Self {
            cluster: one("clusters", "cluster")?,
            admin: one("users", "user")?,
        })
    }

    /// The URL of the API server.
    pub(super) fn server(&self) -> String {
        self.cluster["server"].as_str().unwrap_or_default().to_owned()
    }

    /// The kubeconfig of whoever may do everything.
    pub(super) fn admin(&self) -> String {
        self.kubeconfig_for(&self.admin)
    }

    /// A kubeconfig with a token in it.
    pub(super) fn kubeconfig(&self, token: &str) -> String {
        self.kubeconfig_for(&json!({ "token": token }))
    }

    /// A kubeconfig that names a file with a token.
    pub(super) fn kubeconfig_with_token_file(&self, file: &Path) -> String {
        self.kubeconfig_for(&json!({ "tokenFile": file }))
    }

    /// JSON is YAML, and every reader of kubeconfigs takes it.
    fn kubeconfig_for(&self, user: &Value) -> String {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "testbed", "cluster": self.cluster }],
            "users": [{ "name": "user", "user": user }],
            "contexts": [{ "name": "testbed", "context": { "cluster": "testbed", "user": "user" } }],
            "current-context": "testbed",
        });
        kubeconfig.to_string()
    }
}

/// A client of the API server that a kubeconfig names.
pub(super) fn client(kubeconfig: &str) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).context("failed to read a kubeconfig of our own")?;
    // Config is made by an async function, but with everything inline nothing in it waits.
    let config = super::block_on(async move {
        Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
    })?;
    // The second caller in a process finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::try_from(config).context("failed to make a client of the API server")
}

/// An authority of our own and a certificate for 127.0.0.1 and localhost by it; gives the authority's.
fn server_certificate(folder: &Folder) -> Result<String> {
    let authority_key = KeyPair::generate().context("failed to make the authority's key")?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "testbed");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = authority
        .self_signed(&authority_key)
        .context("failed to sign the authority")?
        .pem();

    let server_key = KeyPair::generate().context("failed to make the API server's key")?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?
        .signed_by(&server_key, &Issuer::from_params(&authority, &authority_key))
        .context("failed to sign the API server's certificate")?;
    folder.write("ca.crt", &certificate)?;
    folder.write("server.crt", server.pem())?;
    folder.write("server.key", server_key.serialize_pem())?;
    Ok(certificate)
}
