//! The app inside of a pod: it reads what is mounted, signs somebody in, and does so again whenever the Secret changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use testbed::browser::Browser;
use testbed::relying_party::{Registration, RelyingParty};
use testbed::visit;

/// Where things are mounted.
#[derive(Args)]
pub(crate) struct PodAppArguments {
    /// The folder where the `OidcClient`'s Secret is mounted
    #[arg(long)]
    secret: PathBuf,
    /// The folder where the Secret with username and password is mounted
    #[arg(long)]
    user: PathBuf,
}

/// What an app finds in its files.
#[derive(PartialEq, Eq)]
struct Mounted {
    client_id: String,
    client_secret: String,
    issuer: String,
}

/// Prints a line for each new secret with which somebody has signed in. Goes on until it is ended.
pub(crate) async fn run(arguments: &PodAppArguments) -> Result<()> {
    let username = read(&arguments.user, "username")?;
    let password = read(&arguments.user, "password")?;
    let mut before = None;
    for number in 1.. {
        let mounted = changed(&arguments.secret, before.as_ref()).await?;
        let app = RelyingParty::discover(Registration {
            issuer: mounted.issuer.clone(),
            client_id: mounted.client_id.clone(),
            client_secret: Some(mounted.client_secret.clone()),
            redirect_uri: "http://127.0.0.1/callback".to_owned(),
        })
        .await?;
        visit::whole_by(&Browser::unbound()?, &app, &username, &password).await?;
        println!(
            "{username} signed in to {} with secret {number}",
            mounted.client_id
        );
        before = Some(mounted);
    }
    Ok(())
}

/// Waits until the files say something else than before.
async fn changed(folder: &Path, before: Option<&Mounted>) -> Result<Mounted> {
    loop {
        let now = Mounted {
            client_id: read(folder, "client-id")?,
            client_secret: read(folder, "client-secret")?,
            issuer: read(folder, "issuer-url")?,
        };
        if before != Some(&now) {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn read(folder: &Path, key: &str) -> Result<String> {
    let path = folder.join(key);
    std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}
