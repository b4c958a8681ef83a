//! The store is lost: everything that apps have mounted goes on working, and nothing has to be mounted again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use testbed::relying_party::{Registration, RelyingParty};
use testbed::{Installation, InstallationOptions, Kind, poll, resources, scale};

const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_mins(5);
/// On loopback any port will do, so nothing has to listen.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// What became of an app before the store was lost: every twentieth was rotated, and every other twentieth suspended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Rotated,
    Suspended,
    Nothing,
}

fn fate(number: usize) -> Fate {
    match number % 20 {
        0 => Fate::Rotated,
        10 => Fate::Suspended,
        _ => Fate::Nothing,
    }
}

fn name(number: usize) -> String {
    format!("app-{number:03}")
}

/// A tenth of the apps were rotated or suspended. With the store's folder deleted while claviger is down, every app
/// authenticates with the secret that it has mounted, the one from before a rotation included; suspended ones are refused
/// as before. Each Secret is written once with what it holds already, so that none changes, and no status is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_store_brings_every_secret_back() -> Result<()> {
    let count = scale::count(60, 300);
    let mut options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    // Writes are counted.
    options.arguments.push("--heal-interval=0s".to_owned());
    let mut world = Installation::start(options).await?;
    let namespace = world.cluster.temp_namespace("lost").await?;
    create(&world, &namespace, count).await?;
    let before_rotation = mounted(&world, &namespace).await?;
    change(&world, &namespace, count).await?;

    let secrets = versions(&world, &namespace).await?;
    let statuses = statuses(&world, &namespace).await?;
    let apps = mounted(&world, &namespace).await?;
    world.claviger.stop();
    let folder = world
        .claviger
        .options()
        .store
        .strip_prefix("sled:")
        .map(str::to_owned);
    std::fs::remove_dir_all(folder.context("the store is no folder")?)?;
    let since = world.requests()?.len();
    world.claviger.restart().await?;
    // The first list is registered before anything of it is written: what follows needs no patience.
    for number in 0..count {
        let app = &apps[&name(number)];
        let expected = fate(number) != Fate::Suspended;
        assert_eq!(app.authenticates().await?, expected, "{}", name(number));
        if fate(number) == Fate::Rotated {
            let old = &before_rotation[&name(number)];
            assert_ne!(old.registration().client_secret, app.registration().client_secret);
            assert!(old.authenticates().await?, "{} from before", name(number));
        }
    }

    let written = poll::until("each Secret to be written again", PATIENCE, async || {
        let mut events = world.requests()?.split_off(since);
        events.retain(|event| event.is_write() && event.resource != "events" && event.namespace == namespace);
        Ok((events.len() >= count).then_some(events))
    })
    .await?;
    let words: Vec<String> = written
        .iter()
        .map(|event| format!("{} {} {}", event.verb, event.resource, event.code))
        .collect();
    assert!(
        words.iter().all(|word| word == "update secrets 200"),
        "{words:#?}"
    );
    assert_eq!(
        versions(&world, &namespace).await?,
        secrets,
        "no Secret has changed"
    );
    assert_eq!(
        self::statuses(&world, &namespace).await?,
        statuses,
        "and no status"
    );
    println!(
        "{count} clients, of which {} rotated or suspended: 0 Secrets changed, {} identical writes, 0 failed",
        count / 10,
        written.len()
    );
    Ok(())
}

async fn create(world: &Installation, namespace: &str, count: usize) -> Result<()> {
    let resources = world.resources()?;
    stream::iter(0..count)
        .map(|number| {
            let resources = resources.clone();
            let spec = json!({ "redirectUris": [REDIRECT_URI] });
            async move {
                let name = name(number);
                let created = resources.create(Kind::OidcClient, namespace, &name, spec);
                created.await.map(drop)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    wait_for_all(world, namespace, |object| {
        resources::condition(object, "Ready").is_some_and(|ready| ready["status"] == "True")
    })
    .await
}

/// Rotates and suspends the tenth.
async fn change(world: &Installation, namespace: &str, count: usize) -> Result<()> {
    let resources = world.resources()?;
    for number in 0..count {
        let name = name(number);
        match fate(number) {
            Fate::Rotated => {
                let annotation = ("claviger.dev/rotate", "x");
                resources
                    .annotate(Kind::OidcClient, namespace, &name, annotation)
                    .await?;
            }
            Fate::Suspended => {
                let spec = json!({ "suspend": true });
                resources.change(Kind::OidcClient, namespace, &name, spec).await?;
            }
            Fate::Nothing => {}
        }
    }
    wait_for_all(world, namespace, |object| {
        let status = &object.data["status"];
        let asked = object.metadata.annotations.iter().flatten();
        let asked = asked.filter(|(key, _)| *key == "claviger.dev/rotate").count();
        let suspended = object.data["spec"]["suspend"] == true;
        status["secretVersions"].as_array().map(Vec::len) == Some(1 + asked)
            && suspended
                == resources::condition(object, "Ready").is_some_and(|ready| ready["reason"] == "Suspended")
    })
    .await
}

async fn wait_for_all(
    world: &Installation,
    namespace: &str,
    holds: impl Fn(&DynamicObject) -> bool,
) -> Result<()> {
    let api = world.resources()?.api(Kind::OidcClient, namespace);
    poll::until("all OidcClients to be as they should", PATIENCE, async || {
        let list = api.list(&ListParams::default()).await?;
        let waiting = list.iter().filter(|object| !holds(object)).count();
        anyhow::ensure!(waiting == 0, "{waiting} are not");
        Ok(Some(()))
    })
    .await
}

async fn secrets(world: &Installation, namespace: &str) -> Result<Vec<Secret>> {
    let api: Api<Secret> = Api::namespaced(world.cluster.client()?, namespace);
    let of_type = ListParams::default().fields("type=servicebinding.io/oidc");
    Ok(api.list(&of_type).await?.items)
}

/// The resourceVersion of each Secret.
async fn versions(world: &Installation, namespace: &str) -> Result<BTreeMap<Option<String>, Option<String>>> {
    let secrets = secrets(world, namespace).await?.into_iter();
    Ok(secrets
        .map(|secret| (secret.metadata.name, secret.metadata.resource_version))
        .collect())
}

async fn statuses(world: &Installation, namespace: &str) -> Result<BTreeMap<Option<String>, Value>> {
    let api = world.resources()?.api(Kind::OidcClient, namespace);
    let list = api.list(&ListParams::default()).await?;
    Ok(list
        .into_iter()
        .map(|object| (object.metadata.name, object.data["status"].clone()))
        .collect())
}

/// All apps, each configured by its own Secret.
async fn mounted(world: &Installation, namespace: &str) -> Result<BTreeMap<String, RelyingParty>> {
    let secrets = secrets(world, namespace).await?;
    stream::iter(secrets)
        .map(|secret| async move {
            let name = secret.metadata.name.clone().unwrap_or_default();
            let name = name.trim_end_matches("-oidc").to_owned();
            let entries = resources::entries(secret)?;
            let registration = Registration {
                issuer: entries["OIDC_ISSUER"].clone(),
                client_id: entries["OIDC_CLIENT_ID"].clone(),
                client_secret: Some(entries["OIDC_CLIENT_SECRET"].clone()),
                redirect_uri: REDIRECT_URI.to_owned(),
            };
            Ok((name, RelyingParty::discover(registration).await?))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
