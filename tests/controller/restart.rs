//! Restarts: with the store nothing is written, without it everything is found again.

use claviger::oidc::identifier::ClientId;
use claviger::oidc::opaque_token::TokenHash;

use crate::harness::{Controller, SHOP, World, client, create, memory, secret, wait_for};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");

/// What is done is remembered: a restart with everything ready writes nothing.
#[tokio::test]
async fn a_restart_writes_nothing() {
    let world = World::shared();
    let namespace = world.namespace("restart").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let names = ["a", "b", "c"];
    for name in names {
        create(world, &client(&namespace, name, SHOP)).await;
        wait_for(world, &namespace, name, READY).await;
    }
    // A resource that is not valid is no reason to write either.
    let clash = format!("{SHOP}\nsecret: {{name: a-oidc}}");
    create(world, &client(&namespace, "clash", &clash)).await;
    wait_for(
        world,
        &namespace,
        "clash",
        ("Ready", "False", "SecretNameConflict"),
    )
    .await;
    let store = controller.stop().await;

    let before = world.writes(&namespace).len();
    let controller = Controller::start(world, store, &namespace).await;
    // A later change shows that everything before it was looked at.
    create(world, &client(&namespace, "later", SHOP)).await;
    wait_for(world, &namespace, "later", READY).await;
    let writes = world.writes(&namespace);
    assert_eq!(
        writes[before..],
        ["create secrets 201", "patch oidcclients/status 200"]
    );
    controller.stop().await;
}

/// A lost store is rebuilt from the resources; apps keep the secrets that they have mounted.
#[tokio::test]
async fn a_lost_store_brings_the_same_secrets() {
    let world = World::shared();
    let namespace = world.namespace("lost").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    let before = wait_for(world, &namespace, "shop", READY).await;
    let mounted = secret(world, &namespace, "shop-oidc").await;
    controller.stop().await;

    let controller = Controller::start(world, memory(), &namespace).await;
    let client_id = ClientId::new(format!("{namespace}.shop"));
    let record = controller.store.client(&client_id).await.unwrap().unwrap();
    let presented = TokenHash::of(mounted["client-secret"].as_bytes());
    assert!(record.secret_versions[0].hash.matches(&presented));
    assert!(controller.store.is_provisioned().await.unwrap());
    let after = wait_for(world, &namespace, "shop", READY).await;
    assert_eq!(before.status, after.status);
    assert_eq!(secret(world, &namespace, "shop-oidc").await, mounted);
    controller.stop().await;
}
