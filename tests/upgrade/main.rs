//! From the first version to this one, chart and binary, while people are signed in.
//!
//! It needs the first version's binary, which `make test-upgrade` builds from its commit.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::browser::{Arrival, Browser};
use testbed::claviger::Address;
use testbed::cluster::{Cluster, ClusterOptions};
use testbed::helm::Helm;
use testbed::installation::{self, Installation, InstallationOptions};
use testbed::kubectl::Kubectl;
use testbed::relying_party::{RelyingParty, Tokens};
use testbed::resources::Kind;
use testbed::visit::{self, SCOPE};

/// As many apps, so that one lucky one proves nothing.
const APPS: usize = 10;

/// What a person's browser and an app hold from before.
struct Before {
    app: RelyingParty,
    browser: Browser,
    tokens: Tokens,
    subject: String,
    secret: (String, String),
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the binary of the first version: make test-upgrade"]
async fn nobody_signs_in_again_and_no_secret_changes() -> Result<()> {
    let first = std::env::var_os("FIRST_VERSION").map(PathBuf::from);
    let first =
        first.context("FIRST_VERSION must name the binary of the first version; run `make test-upgrade`")?;
    let mut old = install(first).await?;
    let password = apply(&old).await?;
    let mut held = Vec::new();
    for number in 0..APPS {
        held.push(sign_in(&old, number, &password).await?);
    }

    assert!(
        old.claviger.stop().success(),
        "the first version did not end in order"
    );
    let chart = Helm::new(&old.cluster.kubeconfig())?;
    chart.upgrade(&old.release).await?;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_claviger"));
    old.claviger.options().program = program;
    old.claviger.restart().await?;

    for (number, before) in held.iter().enumerate() {
        still_holds(before).await?;
        assert_eq!(
            secret(&old, number).await?,
            before.secret,
            "the Secret of app {number} changed"
        );
    }
    println!(
        "VERDICT upgrade from the first version: {APPS} of {APPS} sessions and refresh tokens go on, 0 Secrets changed"
    );
    Ok(())
}

/// The first version, by its own chart.
async fn install(program: PathBuf) -> Result<Installation> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/first-version.tgz");
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let address = Address::choose()?;
    let release = installation::release(&address, &json!({}));
    let helm = Helm::new(&cluster.kubeconfig())?.with_chart(chart);
    helm.install(&release).await?;
    cluster.start_controller_manager().await?;
    let options = InstallationOptions::new(program);
    Installation::start_on(cluster, address, release, "claviger".to_owned(), options).await
}

/// A person and the apps; gives the person's password.
async fn apply(installation: &Installation) -> Result<String> {
    let mut manifests = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-a}\n---\n\
        apiVersion: claviger.dev/v1alpha1\nkind: OidcUser\nmetadata: {name: ada, namespace: claviger}\n\
        spec: {email: ada@example.org, password: {generate: true}}\n"
        .to_owned();
    for number in 0..APPS {
        write!(
            manifests,
            "---\napiVersion: claviger.dev/v1alpha1\nkind: OidcClient\nmetadata: {{name: app-{number}, namespace: team-a}}\n\
             spec: {{redirectUris: [http://127.0.0.1/callback]}}\n"
        )?;
    }
    Kubectl::new(&installation.cluster.kubeconfig())?
        .apply(&manifests)
        .await?;
    let resources = installation.resources()?;
    resources
        .wait_until_ready(Kind::OidcUser, "claviger", "ada")
        .await?;
    for number in 0..APPS {
        resources
            .wait_until_ready(Kind::OidcClient, "team-a", &format!("app-{number}"))
            .await?;
    }
    installation.password("ada").await
}

async fn sign_in(installation: &Installation, number: usize, password: &str) -> Result<Before> {
    let app = installation.app("team-a", &format!("app-{number}")).await?;
    let browser = Browser::new()?;
    let tokens = visit::sign_in(&app, &browser, "ada", password).await?;
    let claims = app.verify_id_token(&tokens, None).await?;
    let subject = claims["sub"]
        .as_str()
        .context("the ID token has no sub")?
        .to_owned();
    let secret = secret(installation, number).await?;
    Ok(Before {
        app,
        browser,
        tokens,
        subject,
        secret,
    })
}

/// The Secret's uid and resourceVersion: the same as long as nobody has changed anything in it.
async fn secret(installation: &Installation, number: usize) -> Result<(String, String)> {
    let secrets: Api<Secret> = Api::namespaced(installation.cluster.client()?, "team-a");
    let secret = secrets.get(&format!("app-{number}-oidc")).await?;
    Ok((secret.uid().unwrap(), secret.resource_version().unwrap()))
}

/// The browser is let through without a page, the access token is good, and so is the refresh token.
async fn still_holds(before: &Before) -> Result<()> {
    let Before {
        app,
        browser,
        tokens,
        subject,
        ..
    } = before;
    let request = app.authorization_request(SCOPE, &[("prompt", "none")])?;
    let answer = browser.get(&request.url).await?;
    let Arrival::Callback(callback) = browser.follow(answer, &app.registration().redirect_uri).await? else {
        anyhow::bail!("prompt=none showed a page");
    };
    let code = app.code(&request, &callback)?;
    let fresh = app.redeem(&request, &code).await??;
    let claims = app.verify_id_token(&fresh, Some(&request.nonce)).await?;
    assert_eq!(claims["sub"].as_str(), Some(subject.as_str()));
    app.userinfo(&tokens.access_token, subject).await?;
    let refresh_token = tokens
        .refresh_token
        .as_deref()
        .context("there was no refresh token")?;
    let refreshed = app.refresh(refresh_token).await??;
    app.verify_id_token(&refreshed, None).await?;
    Ok(())
}
