//! Keycloak, its production mode without https, with a realm that is imported at its start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::folder::Folder;
use testbed::process::Process;
use testbed::{ports, random, tools};

use super::provider::{self, About, Audience, Client, Clients, Provider, REDIRECT_URI, SignIn};

const OLDEST_JAVA: u32 = 21;
const USERNAME: &str = "ada";
const PASSWORD: &str = "a password of this run only";

pub(crate) async fn start() -> Result<Provider> {
    let java = java()?;
    let installed = distribution(&tools::packages("keycloak")?)?;
    let folder = Folder::new("keycloak")?;
    let home = folder.join("home");
    run(Command::new("cp").arg("-R").arg(&installed).arg(&home))?;
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
        opaque: None,
    };
    let import = home.join("data/import");
    std::fs::create_dir_all(&import)?;
    std::fs::write(import.join("bench-realm.json"), realm(&clients).to_string())?;

    let script = || {
        let mut command = Command::new("sh");
        command
            .arg(home.join("bin/kc.sh"))
            .env("JAVA_HOME", &java)
            .env_remove("JAVA_OPTS")
            .env_remove("JAVA_TOOL_OPTIONS");
        command
    };
    run(script().args(["build", "--db=dev-file"]))?;
    let port = ports::free()?;
    let mut command = script();
    command
        .args([
            "start",
            "--optimized",
            "--import-realm",
            "--cache=local",
            "--log-level=warn",
        ])
        .args(["--http-enabled=true", "--http-host=127.0.0.1"])
        .arg(format!("--http-port={port}"))
        .arg(format!("--hostname=http://127.0.0.1:{port}"));
    let process = Process::spawn("keycloak", command, &folder.join("keycloak.log"))?;
    let issuer = format!("http://127.0.0.1:{port}/realms/bench");
    let started = provider::wait_for(&issuer, Duration::from_mins(5)).await;
    started.with_context(|| process.tail(15))?;
    make_signing_key(&issuer, &clients.service).await?;
    let about = About {
        name: "Keycloak",
        lines: lines(&installed, &java)?,
        process: child(process.id())?,
        warm_up: Duration::from_secs(30),
        clients,
        audience: Audience::Client,
        takes_jwts: true,
        // Its scope `email` would put the address into the tokens too; a mapper puts it into userinfo.
        scope: "openid",
        refresh_scope: "openid",
        sign_in: SignIn::Keycloak {
            username: USERNAME,
            password: PASSWORD,
        },
    };
    Provider::discover(&issuer, about, Box::new((process, folder))).await
}

/// The key of a realm's algorithm is made when it is first needed, and is in the JWK Set from then on.
async fn make_signing_key(issuer: &str, client: &Client) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    http.post(format!("{issuer}/protocol/openid-connect/token"))
        .basic_auth(&client.id, Some(&client.secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

/// What the archive holds is in a folder named after the version.
fn distribution(packages: &Path) -> Result<PathBuf> {
    std::fs::read_dir(packages)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join("bin/kc.sh").is_file())
        .with_context(|| format!("no Keycloak in {}", packages.display()))
}

fn realm(clients: &Clients) -> Value {
    let client = |client: &Client, more: &[(&str, Value)]| {
        let mut all = json!({
            "clientId": client.id,
            "secret": client.secret,
            "publicClient": false,
            "fullScopeAllowed": false,
            "standardFlowEnabled": true,
            "redirectUris": [REDIRECT_URI],
            "defaultClientScopes": ["basic"],
            "optionalClientScopes": [],
            "protocolMappers": [
                // Who may introspect a token has to be in its `aud`.
                mapper("audience", "oidc-audience-mapper", &json!({
                    "included.client.audience": client.id, "access.token.claim": "true",
                    "introspection.token.claim": "true",
                })),
                mapper("email", "oidc-usermodel-attribute-mapper", &json!({
                    "user.attribute": "email", "claim.name": "email", "jsonType.label": "String",
                    "userinfo.token.claim": "true",
                })),
                mapper("email_verified", "oidc-usermodel-property-mapper", &json!({
                    "user.attribute": "emailVerified", "claim.name": "email_verified",
                    "jsonType.label": "boolean", "userinfo.token.claim": "true",
                })),
            ],
        });
        for (key, value) in more {
            all[*key] = value.clone();
        }
        all
    };
    json!({
        "realm": "bench",
        "enabled": true,
        "sslRequired": "none",
        "defaultSignatureAlgorithm": "ES256",
        "accessTokenLifespan": 600,
        "revokeRefreshToken": true,
        "refreshTokenMaxReuse": 0,
        "clients": [
            client(&clients.service, &[
                ("serviceAccountsEnabled", json!(true)), ("standardFlowEnabled", json!(false)),
            ]),
            client(&clients.app, &[
                ("attributes", json!({"use.refresh.tokens": "false", "pkce.code.challenge.method": "S256"})),
            ]),
            client(&clients.refresher, &[
                ("attributes", json!({"pkce.code.challenge.method": "S256"})),
            ]),
        ],
        "users": [{
            "username": USERNAME, "enabled": true, "firstName": "Ada", "lastName": "Lovelace",
            "email": "ada@example.org", "emailVerified": true,
            "credentials": [{"type": "password", "value": PASSWORD}],
        }],
    })
}

fn mapper(name: &str, kind: &str, config: &Value) -> Value {
    json!({ "name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config })
}

/// The home of a Java that Keycloak runs on.
fn java() -> Result<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    std::env::var_os("JAVA_HOME")
        .map(PathBuf::from)
        .into_iter()
        .chain(installed.map(|entry| entry.path()))
        .find(|home| java_version(home).is_some_and(|version| version >= OLDEST_JAVA))
        .with_context(|| {
            format!("no Java {OLDEST_JAVA} or newer in /usr/lib/jvm: set JAVA_HOME to the folder of one")
        })
}

fn java_version(home: &Path) -> Option<u32> {
    let release = std::fs::read_to_string(home.join("release")).ok()?;
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    version.split(['.', '"', '+', '-']).next()?.parse().ok()
}

/// `kc.sh` waits for the server, which is its only child.
fn child(script: u32) -> Result<u32> {
    let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children"))?;
    let first = children
        .split_whitespace()
        .next()
        .context("kc.sh has started nothing")?;
    first.parse().context("odd /proc/PID/task/TID/children")
}

fn run(command: &mut Command) -> Result<()> {
    let done = command.output().context("failed to start a program")?;
    anyhow::ensure!(
        done.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

fn lines(installed: &Path, java: &Path) -> Result<Vec<String>> {
    let version = std::fs::read_to_string(installed.join("version.txt"))?;
    let version = version.rsplit(' ').next().unwrap_or_default().trim();
    let java = java_version(java).unwrap_or_default();
    Ok(vec![
        format!("{version} on Java {java}"),
        "store: dev-file (H2 in files of its own process), sessions in its caches and in H2".to_owned(),
        "client secrets: as they are, in H2 and in a cache".to_owned(),
    ])
}
