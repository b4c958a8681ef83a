//! Healing: Secrets of claviger's that somebody edited, emptied, deleted, replaced or took away from their owner.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger::controller::ControllerSettings;
use claviger::crd::v1alpha1::{OidcClient, OidcUser};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testbed::poll;

use crate::harness::{
    Controller, HOME, PATIENCE, SHOP, World, annotate, client, create, memory, secret, settings, wait_for,
    wait_for_user,
};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const CONFLICT: (&str, &str, &str) = ("SecretReady", "False", "SecretConflict");

fn often(namespace: &str) -> ControllerSettings {
    ControllerSettings {
        heal_interval: Some(Duration::from_secs(1)),
        ..settings(namespace)
    }
}

async fn patch(api: &Api<Secret>, name: &str, patch: Value) {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn make_again(api: &Api<Secret>, name: &str) -> Secret {
    api.delete(name, &DeleteParams::default()).await.unwrap();
    let theirs = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([("mine".to_owned(), "untouched".to_owned())])),
        ..Secret::default()
    };
    let created = api.create(&PostParams::default(), &theirs).await;
    created.unwrap()
}

async fn wait_until_restored(
    world: &World,
    namespace: &str,
    name: &str,
    expected: &BTreeMap<String, String>,
) {
    let api: Api<Secret> = Api::namespaced(world.admin(), namespace);
    poll::until(&format!("{name} to be restored"), PATIENCE, async || {
        if api.get_opt(name).await?.is_none() {
            return Ok(None);
        }
        Ok((secret(world, namespace, name).await == *expected).then_some(()))
    })
    .await
    .unwrap();
}

/// What was edited, emptied or deleted is restored, with the same values; what belongs to somebody else by now is never
/// touched, and the condition says so until it is gone or given back.
#[tokio::test]
async fn a_secret_is_restored_or_in_conflict() {
    let world = World::shared();
    let namespace = world.namespace("heal").await;
    let secrets: Api<Secret> = Api::namespaced(world.admin(), &namespace);
    let controller = Controller::start_with(world, memory(), often(&namespace)).await;
    let names = [
        "edited",
        "emptied",
        "deleted",
        "replaced",
        "disowned",
        "unlabelled",
    ];
    let mut before = BTreeMap::new();
    for name in names {
        create(world, &client(&namespace, name, SHOP)).await;
        wait_for(world, &namespace, name, READY).await;
        let name = format!("{name}-oidc");
        before.insert(name.clone(), secret(world, &namespace, &name).await);
    }
    let edit =
        json!({"data": {"client-secret": "d3Jvbmc=", "more": "eA=="}, "metadata": {"labels": {"x": "y"}}});
    patch(&secrets, "edited-oidc", edit).await;
    patch(&secrets, "emptied-oidc", json!({"data": null})).await;
    secrets
        .delete("deleted-oidc", &DeleteParams::default())
        .await
        .unwrap();
    let replaced = make_again(&secrets, "replaced-oidc").await;
    let disowned = secrets.get("disowned-oidc").await.unwrap();
    let owners = disowned.metadata.owner_references.clone().unwrap();
    let drop_owner = json!({"metadata": {"ownerReferences": null}, "data": {"client-secret": "d3Jvbmc="}});
    patch(&secrets, "disowned-oidc", drop_owner).await;
    let drop_label = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    patch(&secrets, "unlabelled-oidc", drop_label).await;

    for name in ["edited-oidc", "emptied-oidc", "deleted-oidc"] {
        wait_until_restored(world, &namespace, name, &before[name]).await;
    }
    let uid = secrets.get("deleted-oidc").await.unwrap().metadata.uid;
    let clients: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    poll::until("the status to name the new Secret", PATIENCE, async || {
        let status = clients.get("deleted").await?.status.unwrap_or_default();
        Ok(status.secret_ref.filter(|shown| shown.uid == uid).map(drop))
    })
    .await
    .unwrap();
    for name in ["replaced", "disowned", "unlabelled"] {
        wait_for(world, &namespace, name, CONFLICT).await;
    }
    let now = secrets.get("replaced-oidc").await.unwrap();
    assert_eq!(now.metadata.resource_version, replaced.metadata.resource_version);
    let now = secret(world, &namespace, "disowned-oidc").await;
    assert_eq!(now["client-secret"], "wrong", "not ours any more");

    // Gone, given back, and marked as ours again.
    secrets
        .delete("replaced-oidc", &DeleteParams::default())
        .await
        .unwrap();
    patch(
        &secrets,
        "disowned-oidc",
        json!({"metadata": {"ownerReferences": owners}}),
    )
    .await;
    let label = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "claviger"}}});
    patch(&secrets, "unlabelled-oidc", label).await;
    for name in ["replaced", "disowned", "unlabelled"] {
        wait_for(world, &namespace, name, READY).await;
        let name = format!("{name}-oidc");
        wait_until_restored(world, &namespace, &name, &before[&name]).await;
    }
    controller.stop().await;
}

/// A sweep over Secrets that are as they should be is one identical PUT each and changes nothing in the cluster.
#[tokio::test]
async fn a_sweep_changes_nothing_that_is_right() {
    let world = World::shared();
    let namespace = world.namespace("sweep").await;
    let secrets: Api<Secret> = Api::namespaced(world.admin(), &namespace);
    let controller = Controller::start_with(world, memory(), often(&namespace)).await;
    for name in ["a", "b"] {
        create(world, &client(&namespace, name, SHOP)).await;
        wait_for(world, &namespace, name, READY).await;
    }
    let version = async |name| secrets.get(name).await.unwrap().metadata.resource_version;
    let before = (version("a-oidc").await, version("b-oidc").await);
    let writes = world.writes(&namespace).len();
    poll::until("three rounds", PATIENCE, async || {
        Ok((world.writes(&namespace).len() >= writes + 6).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!((version("a-oidc").await, version("b-oidc").await), before);
    let writes = world.writes(&namespace).split_off(writes);
    assert!(
        writes.iter().all(|write| write == "update secrets 200"),
        "{writes:?}"
    );
    controller.stop().await;
}

/// The annotation heals at once where no sweep runs, a generated password is healed as well, and without either nobody
/// notices.
#[tokio::test]
async fn healing_on_demand_and_of_passwords() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("demand").await;
    let secrets: Api<Secret> = Api::namespaced(world.admin(), &namespace);
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let before = secret(world, &namespace, "shop-oidc").await;
    secrets
        .delete("shop-oidc", &DeleteParams::default())
        .await
        .unwrap();
    annotate(world, &namespace, "shop", "claviger.dev/heal", "now").await;
    wait_until_restored(world, &namespace, "shop-oidc", &before).await;
    let store = controller.stop().await;

    let users: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let spec = serde_json::from_value(json!({"password": {"generate": true}})).unwrap();
    let user = OidcUser::new("healed", spec);
    users.create(&PostParams::default(), &user).await.unwrap();
    let controller = Controller::start_with(world, store, often(&namespace)).await;
    wait_for_user(world, "healed", READY).await;
    let before = secret(world, HOME, "healed-password").await;
    let at_home: Api<Secret> = Api::namespaced(world.admin(), HOME);
    at_home
        .delete("healed-password", &DeleteParams::default())
        .await
        .unwrap();
    wait_until_restored(world, HOME, "healed-password", &before).await;
    users.delete("healed", &DeleteParams::default()).await.unwrap();
    controller.stop().await;
}
