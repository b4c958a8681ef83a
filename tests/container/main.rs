//! The container of the chart without a node: what `tests/node` shows in a real pod where it may, this shows anywhere.
//!
//! Helm installs the chart on a real API server, which makes a pod of the Deployment's template: with its own defaults and
//! with the volume of the ServiceAccount's token. From there on this test is the kubelet and the runtime. It resolves
//! the environment and the volumes, runs the image's program in bubblewrap as the pod says (user, groups, no rights, a
//! root file system that is read-only, a filter of system calls), asks the probes, and ends it with SIGTERM. It
//! refuses a pod that says something which it does not do.
//!
//! The container listens on 0.0.0.0 at fixed ports, and no test may take these from the machine. So each test runs itself
//! once more in a network of its own, with its API server: there 127.0.0.1 is the pod's address and the way to the API
//! server, as written in the pod, and nothing leads outside.
//!
//! As root the process has the pod's user on this machine too; as anybody else that user stands for ours, in a user
//! namespace. Limits of memory and Services are left to `tests/node`.

mod alone;
mod confinement;
mod container;
mod environment;
mod image;
mod pod;
mod probes;
mod volumes;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::helm::Major;
use testbed::relying_party::{Registration, RelyingParty};
use testbed::{Kind, Resources, visit};

use crate::world::{HOME, World};

/// As it ships, with a volume for the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_container_serves_as_it_ships() -> Result<()> {
    alone::run("the_container_serves_as_it_ships", async |prepared: &Path| {
        let values = json!({ "issuer": "http://127.0.0.1:8080" });
        let world = World::install(Major::Three, values).await?;
        serves(&world, prepared).await
    })
    .await
}

/// With TLS of its own out of a Secret, a store that goes with the pod, and variables that the kubelet resolves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_container_serves_with_a_certificate_of_its_own() -> Result<()> {
    let test = "the_container_serves_with_a_certificate_of_its_own";
    alone::run(test, async |prepared: &Path| {
        let values = json!({
            "issuer": "https://127.0.0.1:8080",
            "tls": { "enabled": true, "secretName": "claviger-tls" },
            "persistence": { "enabled": false },
            // The API server is reached by address, so a proxy that is not there would be noticed.
            "extraEnv": [
                { "name": "POD_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
                { "name": "HTTPS_PROXY", "value": "http://127.0.0.1:9" },
                { "name": "NO_PROXY", "valueFrom": { "secretKeyRef": { "name": "proxies", "key": "none" } } },
            ],
        });
        let world = World::install(Major::Four, values).await?;
        let read = |name: &str| fs::read_to_string(prepared.join(name));
        let pair = [("tls.crt", read("tls.crt")?), ("tls.key", read("tls.key")?)];
        world.create_secret("claviger-tls", &pair).await?;
        let none = [("none", "127.0.0.1".to_owned())];
        world.create_secret("proxies", &none).await?;
        serves(&world, prepared).await
    })
    .await
}

/// From the start of the container over a person's sign-in to its end.
async fn serves(world: &World, prepared: &Path) -> Result<()> {
    let pod = world.create_pod().await?;
    let mut running = world.start(&pod, prepared).await?;
    running.wait_until_ready().await?;
    confinement::check(running.process_id(), running.confined())?;

    let resources = Resources::new(world.cluster.client()?);
    sign_in(&resources).await?;
    running.probes_hold()?;
    let log = running.log()?;
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).with_context(|| format!("not a line of JSON: {line}"))?;
        anyhow::ensure!(line["level"] != "ERROR", "an error in the log: {line}");
    }
    let status = running.terminate()?;
    anyhow::ensure!(
        status.code() == Some(0),
        "the container ended with {status}:\n{}",
        running.log()?
    );
    Ok(())
}

/// A person and an app are applied; the app signs the person in with what its Secret says.
async fn sign_in(resources: &Resources) -> Result<()> {
    let person = json!({ "email": "ada@example.org", "password": { "generate": true } });
    resources.create(Kind::OidcUser, HOME, "ada", person).await?;
    let app = json!({ "redirectUris": ["http://127.0.0.1/callback"] });
    resources.create(Kind::OidcClient, "default", "shop", app).await?;
    for (kind, namespace, name) in [
        (Kind::OidcUser, HOME, "ada"),
        (Kind::OidcClient, "default", "shop"),
    ] {
        resources.wait_until_ready(kind, namespace, name).await?;
    }
    let person = resources.secret(HOME, "ada-password").await?;
    let app = resources.secret("default", "shop-oidc").await?;
    let app = RelyingParty::discover(Registration {
        issuer: entry(&app, "OIDC_ISSUER")?,
        client_id: entry(&app, "OIDC_CLIENT_ID")?,
        client_secret: Some(entry(&app, "OIDC_CLIENT_SECRET")?),
        redirect_uri: entry(&app, "OIDC_REDIRECT_URI")?,
    })
    .await?;
    visit::whole(&app, "ada", &entry(&person, "password")?).await?;
    Ok(())
}

fn entry(secret: &BTreeMap<String, String>, key: &str) -> Result<String> {
    let value = secret.get(key).cloned();
    value.with_context(|| format!("the Secret has no key {key}"))
}
