//! Killed at each point of a reconcile, claviger goes on at the next start as if nothing had happened: one Secret whose
//! value authenticates, a status that says so, and a store that agrees with both.
//!
//! Needs the feature `fail-points`, by which the program ends itself as `kill -9` would.

use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use claviger::clock::SystemClock;
use claviger::oidc::identifier::{ClientId, ResourceUid};
use claviger::oidc::opaque_token::TokenHash;
use claviger::store::Store;
use claviger::store::records::{ClientRecord, UserRecord};
use claviger::store::sled::{SledSettings, SledStore};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use testbed::relying_party::RelyingParty;
use testbed::{Installation, InstallationOptions, Kind, cluster, poll, resources, visit};
use tokio::sync::{Mutex, MutexGuard};

const PATIENCE: Duration = Duration::from_mins(2);
const HOME: &str = "claviger";
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
/// Nothing but `abort` ends a process like this.
const SIGABRT: i32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_is_registered() -> Result<()> {
    killed_at("before-register").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_it_is_registered() -> Result<()> {
    killed_at("after-register").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_secret_is_written() -> Result<()> {
    killed_at("after-secret").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_status_is_written() -> Result<()> {
    killed_at("after-status").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_what_is_done_is_noted() -> Result<()> {
    killed_at("after-complete").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_a_rotation() -> Result<()> {
    let mut world = turn().await?;
    for point in [
        "before-rotate",
        "after-rotate",
        "after-register",
        "after-secret",
        "after-status",
        "after-retire",
        "after-complete",
    ] {
        rotation_killed_at(&mut world, point)
            .await
            .with_context(|| format!("a rotation, killed at {point}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_an_old_secret_ends() -> Result<()> {
    let mut world = turn().await?;
    for point in [
        "after-forget",
        "after-register",
        "after-secret",
        "after-status",
        "after-complete",
    ] {
        end_killed_at(&mut world, point)
            .await
            .with_context(|| format!("the end of an old secret, killed at {point}"))?;
    }
    Ok(())
}

async fn killed_at(point: &str) -> Result<()> {
    let mut world = turn().await?;
    client_killed_at(&mut world, point)
        .await
        .with_context(|| format!("an OidcClient, killed at {point}"))?;
    user_killed_at(&mut world, point)
        .await
        .with_context(|| format!("an OidcUser, killed at {point}"))
}

/// The one installation, for one test after another; no resources are on it.
async fn turn() -> Result<MutexGuard<'static, Installation>> {
    static WORLD: OnceLock<Result<Mutex<Installation>, String>> = OnceLock::new();
    let world = WORLD.get_or_init(|| {
        let options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
        cluster::block_on(Installation::start(options))
            .map(Mutex::new)
            .map_err(|error| format!("{error:#}"))
    });
    let world = world.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(world.lock().await)
}

/// Restarts claviger so that it dies at `point`, creates a resource, sees it die, and starts it without a fail point.
async fn create_and_die(
    world: &mut Installation,
    point: &str,
    (kind, namespace, name): (Kind, &str, &str),
    spec: Value,
) -> Result<DynamicObject> {
    arm(world, point).await?;
    let created = world.resources()?.create(kind, namespace, name, spec).await?;
    sees_it_die(world).await?;
    Ok(created)
}

async fn client_killed_at(world: &mut Installation, point: &str) -> Result<()> {
    let namespace = world.cluster.temp_namespace("crash").await?;
    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    let resource = (Kind::OidcClient, namespace.as_str(), "shop");
    let created = create_and_die(world, point, resource, spec).await?;
    let ready = world
        .resources()?
        .wait_until_ready(Kind::OidcClient, &namespace, "shop")
        .await?;

    let secret = the_secret_of(world, &namespace, &created).await?;
    let status = &ready.data["status"];
    assert_eq!(status["clientId"], format!("{namespace}.shop"));
    assert_eq!(status["secretRef"]["name"], "shop-oidc");
    assert_eq!(status["secretRef"]["uid"], json!(secret.metadata.uid));
    assert_eq!(status["binding"]["name"], "shop-oidc");
    let versions = status["secretVersions"].as_array().context("no versions")?;
    assert_eq!(versions.len(), 1, "{status}");
    for condition in ["Accepted", "SecretReady"] {
        let holds = resources::condition(&ready, condition).is_some_and(|found| found["status"] == "True");
        assert!(holds, "{condition}: {status}");
    }
    let app = world.app(&namespace, "shop").await?;
    assert!(app.authenticates().await?);

    world.claviger.stop();
    let value = resources::entries(secret)?
        .remove("client-secret")
        .context("no secret")?;
    let record = client_in_the_store(world, &format!("{namespace}.shop")).await?;
    assert!(record.is_live());
    assert_eq!(
        Some(record.client.uid),
        created.metadata.uid.map(ResourceUid::new)
    );
    assert_eq!(record.secret_versions.len(), 1);
    assert_eq!(
        record.secret_versions[0].id,
        versions[0]["id"].as_str().unwrap_or_default()
    );
    assert!(
        record.secret_versions[0]
            .hash
            .matches(&TokenHash::of(value.as_bytes()))
    );

    world.claviger.restart().await?;
    assert!(app.authenticates().await?, "once more");
    remove_client(world, &namespace, "shop", &app).await
}

/// Restarts claviger so that it dies at `point`.
async fn arm(world: &mut Installation, point: &str) -> Result<()> {
    world.claviger.options().environment = vec![("CLAVIGER_FAIL_POINT".to_owned(), point.to_owned())];
    world.claviger.restart().await
}

/// Sees it die, and starts it without a fail point.
async fn sees_it_die(world: &mut Installation) -> Result<()> {
    let status = world.claviger.process().wait_for_exit(PATIENCE)?;
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    world.claviger.options().environment.clear();
    world.claviger.restart().await
}

/// A Ready client and the app that has mounted its Secret.
async fn a_client(world: &Installation, spec: Value) -> Result<(String, DynamicObject, RelyingParty)> {
    let namespace = world.cluster.temp_namespace("crash").await?;
    let resources = world.resources()?;
    let created = resources
        .create(Kind::OidcClient, &namespace, "shop", spec)
        .await?;
    resources
        .wait_until_ready(Kind::OidcClient, &namespace, "shop")
        .await?;
    let app = world.app(&namespace, "shop").await?;
    Ok((namespace, created, app))
}

/// Waits until the status tells of this many versions and of the rotation `x`.
async fn wait_for_versions(world: &Installation, namespace: &str, count: usize) -> Result<Vec<Value>> {
    let api = world.resources()?.api(Kind::OidcClient, namespace);
    poll::until("the versions of the secret", PATIENCE, async || {
        let status = api.get("shop").await?.data["status"].clone();
        let versions = status["secretVersions"].as_array().cloned().unwrap_or_default();
        anyhow::ensure!(
            versions.len() == count && status["observedRotate"] == "x",
            "the status is {status}"
        );
        Ok(Some(versions))
    })
    .await
}

/// Killed anywhere in it, a rotation makes one new version: in the Secret, in the status and in the store, while the old
/// secret goes on being accepted.
async fn rotation_killed_at(world: &mut Installation, point: &str) -> Result<()> {
    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    let (namespace, created, old) = a_client(world, spec).await?;
    arm(world, point).await?;
    let annotation = ("claviger.dev/rotate", "x");
    world
        .resources()?
        .annotate(Kind::OidcClient, &namespace, "shop", annotation)
        .await?;
    sees_it_die(world).await?;
    let told = wait_for_versions(world, &namespace, 2).await?;
    assert!(
        told[0]["retiresAt"].is_string() && told[1]["retiresAt"].is_null(),
        "{told:?}"
    );

    let new = world.app(&namespace, "shop").await?;
    for app in [&old, &new] {
        assert!(app.authenticates().await?);
    }
    let secret = the_secret_of(world, &namespace, &created).await?;
    let value = resources::entries(secret)?
        .remove("client-secret")
        .context("no secret")?;
    assert_ne!(old.registration().client_secret.as_ref(), Some(&value));
    // A change is worked on after the rotation is through.
    let resources = world.resources()?;
    let spec = json!({ "displayName": point });
    resources
        .change(Kind::OidcClient, &namespace, "shop", spec)
        .await?;
    resources
        .wait_until_ready(Kind::OidcClient, &namespace, "shop")
        .await?;

    world.claviger.stop();
    let record = client_in_the_store(world, &format!("{namespace}.shop")).await?;
    let ids: Vec<Value> = record
        .secret_versions
        .iter()
        .map(|version| json!(version.id))
        .collect();
    assert_eq!(ids, [told[0]["id"].clone(), told[1]["id"].clone()]);
    assert_eq!(
        json!(record.secret_versions[0].retires_at),
        told[0]["retiresAt"],
        "store and status agree"
    );
    assert!(
        record.secret_versions[1]
            .hash
            .matches(&TokenHash::of(value.as_bytes()))
    );
    world.claviger.restart().await?;
    remove_client(world, &namespace, "shop", &new).await
}

/// Killed anywhere around the end of an old secret, the new one stays and the old one is refused.
async fn end_killed_at(world: &mut Installation, point: &str) -> Result<()> {
    let spec = json!({ "redirectUris": [REDIRECT_URI], "rotation": { "overlap": "8s" } });
    let (namespace, created, old) = a_client(world, spec).await?;
    let annotation = ("claviger.dev/rotate", "x");
    world
        .resources()?
        .annotate(Kind::OidcClient, &namespace, "shop", annotation)
        .await?;
    wait_for_versions(world, &namespace, 2).await?;
    let new = world.app(&namespace, "shop").await?;
    arm(world, point).await?;
    sees_it_die(world).await?;
    let told = wait_for_versions(world, &namespace, 1).await?;
    assert!(!old.authenticates().await?, "its time is over");
    assert!(new.authenticates().await?);
    the_secret_of(world, &namespace, &created).await?;
    world.claviger.stop();
    let record = client_in_the_store(world, &format!("{namespace}.shop")).await?;
    assert_eq!(record.secret_versions.len(), 1);
    assert_eq!(json!(record.secret_versions[0].id), told[0]["id"]);
    world.claviger.restart().await?;
    remove_client(world, &namespace, "shop", &new).await
}

async fn user_killed_at(world: &mut Installation, point: &str) -> Result<()> {
    let spec = json!({ "password": { "generate": true } });
    let created = create_and_die(world, point, (Kind::OidcUser, HOME, "ada"), spec).await?;
    let resources = world.resources()?;
    let ready = resources.wait_until_ready(Kind::OidcUser, HOME, "ada").await?;
    let status = &ready.data["status"];
    assert_eq!(status["subject"], json!(created.metadata.uid));
    assert_eq!(status["passwordSecretRef"]["name"], "ada-password");
    the_secret_of(world, HOME, &created).await?;

    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    let (namespace, _, app) = a_client(world, spec).await?;
    let password = world.password("ada").await?;
    visit::whole(&app, "ada", &password).await?;

    world.claviger.stop();
    let record = user_in_the_store(world, "ada").await?;
    assert!(record.is_live() && record.password.is_some());
    assert_eq!(Some(record.user.uid), created.metadata.uid.map(ResourceUid::new));

    world.claviger.restart().await?;
    visit::whole(&app, "ada", &password).await.context("once more")?;
    resources.delete(Kind::OidcUser, HOME, "ada").await?;
    poll::until("a deleted person to be turned away", PATIENCE, async || {
        let error = visit::whole(&app, "ada", &password).await.err();
        Ok(error
            .filter(|error| error.to_string().contains("could not sign in"))
            .map(drop))
    })
    .await?;
    remove_client(world, &namespace, "shop", &app).await
}

/// The one Secret that is owned by a resource.
async fn the_secret_of(world: &Installation, namespace: &str, owner: &DynamicObject) -> Result<Secret> {
    let secrets: Api<Secret> = Api::namespaced(world.cluster.client()?, namespace);
    let mut found: Vec<Secret> = secrets
        .list(&ListParams::default())
        .await?
        .into_iter()
        .filter(|secret| {
            let owners = secret.metadata.owner_references.iter().flatten();
            owners
                .map(|owner| Some(&owner.uid))
                .any(|uid| uid == owner.metadata.uid.as_ref())
        })
        .collect();
    assert_eq!(found.len(), 1, "one Secret");
    found.pop().context("one Secret")
}

/// Deletes an `OidcClient` and waits until claviger has heard of it.
async fn remove_client(world: &Installation, namespace: &str, name: &str, app: &RelyingParty) -> Result<()> {
    world
        .resources()?
        .delete(Kind::OidcClient, namespace, name)
        .await?;
    poll::until("a deleted client to be refused", PATIENCE, async || {
        Ok((!app.authenticates().await?).then_some(()))
    })
    .await
}

async fn client_in_the_store(world: &mut Installation, client_id: &str) -> Result<ClientRecord> {
    let store = open_store(world)?;
    let record = store.client(&ClientId::new(client_id)).await?;
    store.close().await?;
    record.context("the store does not know the client")
}

async fn user_in_the_store(world: &mut Installation, username: &str) -> Result<UserRecord> {
    let store = open_store(world)?;
    let record = store.user_by_username(username).await?;
    store.close().await?;
    record.context("the store does not know the user")
}

/// The store of a claviger that does not run.
fn open_store(world: &mut Installation) -> Result<SledStore> {
    let options = world.claviger.options();
    let path = options
        .store
        .strip_prefix("sled:")
        .context("the store is not a folder")?;
    let store = SledStore::open(SledSettings::at(path), Arc::new(SystemClock), Box::new(|_| ()))?;
    Ok(store)
}
