//! What an installation has to allow: clients that choose their id, and clients that skip consent.

use claviger::controller::ControllerSettings;
use claviger::oidc::client::ConsentPolicy;
use claviger::oidc::identifier::ClientId;

use crate::harness::{
    Controller, SHOP, World, change, client, create, memory, message, secret, settings, wait_for,
};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const NOT_ALLOWED: (&str, &str, &str) = ("Accepted", "False", "NotAllowed");

fn allowing(namespace: &str) -> ControllerSettings {
    ControllerSettings {
        allow_own_client_ids: true,
        allow_consent_skip: true,
        ..settings(namespace)
    }
}

/// A client chooses its id only where that is allowed; whoever has an id keeps it, against a second client and when it is
/// no longer allowed.
#[tokio::test]
async fn an_own_client_id_has_to_be_allowed_and_stays() {
    let world = World::shared();
    let namespace = world.namespace("own").await;
    let spec = format!("clientId: {namespace}-shop\n{SHOP}");
    create(world, &client(&namespace, "shop", &spec)).await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let refused = wait_for(world, &namespace, "shop", NOT_ALLOWED).await;
    let told = message(&refused.status.unwrap().conditions, "Ready");
    assert!(told.contains("--allow-own-client-ids"), "{told}");
    let store = controller.stop().await;

    let controller = Controller::start_with(world, store, allowing(&namespace)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let entries = secret(world, &namespace, "shop-oidc").await;
    assert_eq!(entries["client-id"], format!("{namespace}-shop"));
    create(world, &client(&namespace, "second", &spec)).await;
    wait_for(
        world,
        &namespace,
        "second",
        ("Accepted", "False", "ClientIdConflict"),
    )
    .await;
    let elsewhere = format!("clientId: other-namespace.shop\n{SHOP}");
    create(world, &client(&namespace, "elsewhere", &elsewhere)).await;
    let refused = wait_for(
        world,
        &namespace,
        "elsewhere",
        ("Accepted", "False", "InvalidSpec"),
    )
    .await;
    let told = message(&refused.status.unwrap().conditions, "Ready");
    assert!(told.contains("other-namespace."), "{told}");
    let store = controller.stop().await;

    let controller = Controller::start(world, store, &namespace).await;
    change(world, &namespace, "shop", "displayName: Shop").await;
    wait_for(world, &namespace, "shop", READY).await;
    controller.stop().await;
}

/// Consent is skipped only where that is allowed, and no longer than that.
#[tokio::test]
async fn skipping_consent_has_to_be_allowed() {
    let world = World::shared();
    let namespace = world.namespace("skip").await;
    let spec = format!("consent: Skip\n{SHOP}");
    create(world, &client(&namespace, "shop", &spec)).await;
    let controller = Controller::start_with(world, memory(), allowing(&namespace)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let client_id = ClientId::new(format!("{namespace}.shop"));
    let record = controller.store.client(&client_id).await.unwrap().unwrap();
    assert_eq!(record.client.consent, ConsentPolicy::Skip);
    let store = controller.stop().await;

    let controller = Controller::start(world, store, &namespace).await;
    let record = controller.store.client(&client_id).await.unwrap().unwrap();
    assert_eq!(
        record.client.consent,
        ConsentPolicy::Remember,
        "from the first moment"
    );
    let refused = wait_for(world, &namespace, "shop", NOT_ALLOWED).await;
    let told = message(&refused.status.unwrap().conditions, "Ready");
    assert!(told.contains("--allow-consent-skip"), "{told}");
    controller.stop().await;
}
