//! npm's oidc-provider, by `provider.mjs`.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::folder::Folder;
use testbed::process::Process;
use testbed::{ports, random, tools};

use super::provider::{self, About, Audience, Client, Clients, Provider, REDIRECT_URI, SignIn};

/// The resource server in `provider.mjs`.
const API: &str = "https://api.example.org";

pub(crate) async fn start() -> Result<Provider> {
    let packages = tools::packages("oidc-provider")?;
    let folder = Folder::new("oidc-provider")?;
    let program = tools::root().join("tests/bench/peers/provider.mjs");
    std::fs::copy(program, folder.join("provider.mjs"))?;
    symlink(packages.join("node_modules"), folder.join("node_modules"))?;
    let port = ports::free()?;
    let issuer = format!("http://127.0.0.1:{port}");
    let client = |id: &str| {
        Ok::<_, anyhow::Error>(Client {
            id: id.to_owned(),
            secret: random::token()?,
        })
    };
    let clients = Clients {
        service: client("service")?,
        app: client("app")?,
        refresher: client("refresher")?,
        opaque: Some(client("opaque")?),
    };
    let mut command = Command::new("node");
    command
        .arg("provider.mjs")
        .current_dir(folder.path())
        .env("NODE_ENV", "production")
        .env("PORT", port.to_string())
        .env("CLIENTS", registrations(&clients).to_string());
    let process = Process::spawn("oidc-provider", command, &folder.join("provider.log"))?;
    let started = provider::wait_for(&issuer, Duration::from_mins(1)).await;
    started.with_context(|| process.tail(15))?;
    let about = About {
        name: "oidc-provider",
        lines: lines(&packages.join("node_modules/oidc-provider/package.json"))?,
        process: process.id(),
        warm_up: Duration::from_secs(10),
        clients,
        audience: Audience::Api(API),
        takes_jwts: false,
        scope: "openid email",
        refresh_scope: "openid email",
        // It asks for nothing.
        sign_in: SignIn::Ours {
            username: String::new(),
            password: String::new(),
        },
    };
    Provider::discover(&issuer, about, Box::new((process, folder))).await
}

fn registrations(clients: &Clients) -> Value {
    let registration = |client: &Client, grant_types: &[&str]| {
        let signs_in = grant_types.contains(&"authorization_code");
        json!({
            "client_id": client.id,
            "client_secret": client.secret,
            "grant_types": grant_types,
            "redirect_uris": if signs_in { vec![REDIRECT_URI] } else { Vec::new() },
        })
    };
    let mut all = vec![
        registration(&clients.service, &["client_credentials"]),
        registration(&clients.app, &["authorization_code"]),
        registration(&clients.refresher, &["authorization_code", "refresh_token"]),
    ];
    all.extend(
        clients
            .opaque
            .iter()
            .map(|client| registration(client, &["authorization_code"])),
    );
    Value::Array(all)
}

fn lines(package: &std::path::Path) -> Result<Vec<String>> {
    let package: Value = serde_json::from_slice(&std::fs::read(package)?)?;
    let version = package["version"]
        .as_str()
        .context("a package without a version")?;
    let node = Command::new("node").arg("--version").output()?;
    Ok(vec![
        format!(
            "{version} on Node {}",
            String::from_utf8_lossy(&node.stdout).trim()
        ),
        "store: its memory adapter, which keeps a thousand or two of the newest entries and loses all with the process"
            .to_owned(),
        "client secrets: as they are, in memory".to_owned(),
    ])
}
