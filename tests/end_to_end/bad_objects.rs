//! Resources that the schema should have refused, as after somebody changed or downgraded it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::raw::Call;
use testbed::{Installation, InstallationOptions, Kind, Resources, poll, resources, visit};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_mins(2);
const MINUTE: Duration = Duration::from_mins(1);
/// Reconciles of one bad resource in a minute.
const MOST: usize = 5;
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// What has the right types and is still wrong: one fault each. claviger says so in the status.
fn invalid() -> Vec<(&'static str, Value)> {
    let with = |field: &str, value: Value| {
        let mut spec = json!({ "redirectUris": [REDIRECT_URI] });
        spec[field] = value;
        spec
    };
    vec![
        ("no-uris", json!({})),
        ("relative", with("redirectUris", json!(["/callback"]))),
        ("fragment", with("redirectUris", json!(["https://a.example/#f"]))),
        ("script", with("redirectUris", json!(["javascript:alert(1)"]))),
        ("plain-http", with("redirectUris", json!(["http://a.example/"]))),
        (
            "userinfo",
            with("redirectUris", json!(["https://u:p@a.example/"])),
        ),
        (
            "long-uri",
            with(
                "redirectUris",
                json!([format!("https://{}/", "a".repeat(40_000))]),
            ),
        ),
        (
            "odd-origin",
            with("allowedOrigins", json!(["https://a.example/path"])),
        ),
        ("no-grants", with("grantTypes", json!([]))),
        ("refresh-only", with("grantTypes", json!(["refresh_token"]))),
        ("no-methods", with("tokenEndpointAuthMethods", json!([]))),
        (
            "two-kinds",
            with("tokenEndpointAuthMethods", json!(["none", "client_secret_basic"])),
        ),
        ("no-scopes", with("scopes", json!([]))),
        ("control", with("displayName", json!("a\nb\u{202e}c"))),
        ("long-name", with("displayName", json!("x".repeat(100_000)))),
        ("no-time", with("tokens", json!({ "accessTokenLifetime": "0s" }))),
        ("long-time", with("defaultMaxAge", json!("99999999999999999999d"))),
        (
            "no-unit",
            with("tokens", json!({ "refreshTokenLifetime": "soon" })),
        ),
        ("odd-secret", with("secret", json!({ "name": "Not A Name" }))),
        (
            "long-secret",
            with("secret", json!({ "name": "x".repeat(50_000) })),
        ),
        (
            "foreign-secret",
            with("secret", json!({ "name": "somebody-elses" })),
        ),
    ]
}

/// What is not even of the right types. claviger cannot read it, and says so in its log.
fn unreadable() -> Vec<(&'static str, Value)> {
    vec![
        ("text-for-list", json!({ "redirectUris": REDIRECT_URI })),
        ("numbers", json!({ "redirectUris": [1, 2] })),
        (
            "odd-consent",
            json!({ "redirectUris": [REDIRECT_URI], "consent": "Sometimes" }),
        ),
        (
            "odd-switch",
            json!({ "redirectUris": [REDIRECT_URI], "suspend": "yes" }),
        ),
        ("nothing", Value::Null),
    ]
}

/// The twenty-odd of them keep nobody busy: at most five reconciles of each in a minute, no panic, and whoever is
/// registered beside them works. A bad one that is mended becomes Ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_objects_keep_nobody_busy_and_stop_nobody() -> Result<()> {
    let mut installation =
        Installation::start(InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"))).await?;
    let namespace = installation.cluster.temp_namespace("bad").await?;
    let resources = installation.resources()?;
    somebody_elses_secret(&installation, &namespace).await?;
    take_the_rules_away(&installation, &resources, &namespace).await?;

    let before = installation.requests()?.len();
    let since = Instant::now();
    for (name, spec) in invalid().into_iter().chain(unreadable()) {
        resources.create(Kind::OidcClient, &namespace, name, spec).await?;
    }
    for (name, _) in invalid() {
        let object = resources
            .wait_for(Kind::OidcClient, &namespace, name, "Ready", "False")
            .await?;
        let ready = resources::condition(&object, "Ready").context("no condition")?;
        let told = ready["message"].as_str().unwrap_or_default();
        assert!(!told.is_empty() && told.len() <= 4096, "{name}: {told}");
    }
    for (name, _) in unreadable() {
        let resource = format!("{namespace}/{name}");
        poll::until("an unreadable resource to be told of", PATIENCE, async || {
            Ok(installation.claviger.log().contains(&resource).then_some(()))
        })
        .await?;
    }
    good_ones_work(&installation, &resources, &namespace).await?;
    tokio::time::sleep_until(since + MINUTE).await;
    let busy: BTreeMap<_, _> = reconciles(&installation, &namespace, before)?
        .into_iter()
        .filter(|(_, count)| *count > MOST)
        .collect();
    assert!(busy.is_empty(), "more than {MOST} in a minute: {busy:?}");

    let good = json!({ "redirectUris": [REDIRECT_URI] });
    for name in ["relative", "text-for-list"] {
        resources
            .change(Kind::OidcClient, &namespace, name, good.clone())
            .await?;
        resources
            .wait_until_ready(Kind::OidcClient, &namespace, name)
            .await?;
    }
    installation.claviger.process().check_alive()?;
    let log = installation.claviger.log();
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}

async fn somebody_elses_secret(installation: &Installation, namespace: &str) -> Result<()> {
    let secret = json!({
        "metadata": { "name": "somebody-elses" }, "type": "Opaque", "stringData": { "mine": "untouched" }
    });
    let call = Call::post(format!("/api/v1/namespaces/{namespace}/secrets"), secret);
    let answer = call.send(&installation.cluster.client()?).await?;
    anyhow::ensure!(answer.status == 201, "{answer}");
    Ok(())
}

/// Makes the API server take any spec at all, and waits until it does.
async fn take_the_rules_away(
    installation: &Installation,
    resources: &Resources,
    namespace: &str,
) -> Result<()> {
    let anything =
        json!({ "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true });
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let call = Call::patch(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/oidcclients.claviger.dev",
        "application/json-patch+json",
        json!([
            { "op": "replace", "path": format!("{schema}/properties/spec"), "value": anything },
            { "op": "remove", "path": format!("{schema}/required") },
        ]),
    );
    let answer = call.send(&installation.cluster.client()?).await?;
    anyhow::ensure!(answer.status == 200, "{answer}");
    poll::until("the API server to take anything", PATIENCE, async || {
        let spec = json!({ "redirectUris": 7 });
        resources
            .create(Kind::OidcClient, namespace, "probe", spec)
            .await?;
        Ok(Some(()))
    })
    .await?;
    resources.delete(Kind::OidcClient, namespace, "probe").await
}

/// One that is registered among them signs somebody in.
async fn good_ones_work(installation: &Installation, resources: &Resources, namespace: &str) -> Result<()> {
    let spec = json!({ "password": { "generate": true } });
    resources.create(Kind::OidcUser, "claviger", "ada", spec).await?;
    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    resources
        .create(Kind::OidcClient, namespace, "good", spec)
        .await?;
    resources
        .wait_until_ready(Kind::OidcUser, "claviger", "ada")
        .await?;
    resources
        .wait_until_ready(Kind::OidcClient, namespace, "good")
        .await?;
    let app = installation.app(namespace, "good").await?;
    visit::whole(&app, "ada", &installation.password("ada").await?).await?;
    Ok(())
}

/// How often each of them was worked on, at least: every reconcile that does not end well writes a status, tries to
/// write a Secret, or logs a line that names the resource; the largest of the three counts.
fn reconciles(installation: &Installation, namespace: &str, since: usize) -> Result<BTreeMap<String, usize>> {
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for event in installation.requests()?.split_off(since) {
        if event.namespace != namespace || !event.is_write() {
            continue;
        }
        let owner = invalid()
            .iter()
            .find(|(name, spec)| {
                event.name == *name
                    || event.name == format!("{name}-oidc")
                    || spec["secret"]["name"] == event.name.as_str()
            })
            .map(|(name, _)| (*name).to_owned());
        let what = match (event.verb.as_str(), event.resource.as_str()) {
            ("create", "secrets") => "creates",
            ("update", "secrets") => "updates",
            _ => "statuses",
        };
        if let Some(owner) = owner {
            *counts.entry((owner, what)).or_default() += 1;
        }
    }
    let log = installation.claviger.log();
    for (name, _) in invalid().into_iter().chain(unreadable()) {
        // As the log writes it, at the end of a field or a line.
        let resource = format!("resource={namespace}/{name} ");
        let lines = log
            .lines()
            .filter(|line| format!("{line} ").contains(&resource))
            .count();
        counts.insert((name.to_owned(), "lines"), lines);
    }
    let mut most: BTreeMap<String, usize> = BTreeMap::new();
    for ((name, _), count) in counts {
        let entry = most.entry(name).or_default();
        *entry = count.max(*entry);
    }
    Ok(most)
}
