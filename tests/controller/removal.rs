//! Resources that were deleted while nobody watched.

use claviger::crd::v1alpha1::OidcClient;
use claviger::oidc::identifier::ResourceUid;
use kube::Api;
use kube::api::DeleteParams;

use crate::harness::{Controller, SHOP, World, client, create, memory, wait_for};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");

async fn delete(world: &World, namespace: &str, name: &str) {
    let api: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

/// A client whose resource is gone from the first complete list is refused from then on.
#[tokio::test]
async fn a_client_that_went_meanwhile_is_refused() {
    let world = World::shared();
    let namespace = world.namespace("absent").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let gone = create(world, &client(&namespace, "gone", SHOP)).await;
    let kept = create(world, &client(&namespace, "kept", SHOP)).await;
    for name in ["gone", "kept"] {
        wait_for(world, &namespace, name, READY).await;
    }
    let store = controller.stop().await;
    delete(world, &namespace, "gone").await;

    let controller = Controller::start(world, store, &namespace).await;
    let uid = |resource: &OidcClient| ResourceUid::new(resource.metadata.uid.clone().unwrap());
    let record = controller
        .store
        .client_by_uid(&uid(&gone))
        .await
        .unwrap()
        .unwrap();
    assert!(!record.is_live(), "refused at once, purged later");
    let record = controller
        .store
        .client_by_uid(&uid(&kept))
        .await
        .unwrap()
        .unwrap();
    assert!(record.is_live());
    controller.stop().await;
}

/// One that was deleted and made again meanwhile takes its name back at once, as another client.
#[tokio::test]
async fn a_client_that_was_made_again_meanwhile_takes_its_name_back() {
    let world = World::shared();
    let namespace = world.namespace("anew").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let first = create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let store = controller.stop().await;
    delete(world, &namespace, "shop").await;
    create(world, &client(&namespace, "shop", SHOP)).await;

    let controller = Controller::start(world, store, &namespace).await;
    wait_for(world, &namespace, "shop", READY).await;
    let first = ResourceUid::new(first.metadata.uid.unwrap());
    assert!(controller.store.client_by_uid(&first).await.unwrap().is_none());
    controller.stop().await;
}

/// A list that would remove more than a fifth and more than ten is not believed: everybody stays, and it is said.
#[tokio::test]
async fn a_list_that_would_remove_most_clients_is_held() {
    let world = World::shared();
    let namespace = world.namespace("held").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let names: Vec<String> = (0..12).map(|number| format!("app-{number}")).collect();
    for name in &names {
        create(world, &client(&namespace, name, SHOP)).await;
    }
    for name in &names {
        wait_for(world, &namespace, name, READY).await;
    }
    let store = controller.stop().await;
    for name in &names {
        delete(world, &namespace, name).await;
    }

    let controller = Controller::start(world, store, &namespace).await;
    let clients = controller.store.clients().await.unwrap();
    assert_eq!(clients.iter().filter(|record| record.is_live()).count(), 12);
    let problems = controller.health.problems();
    assert!(
        problems.iter().any(|problem| problem.contains("12 of 12")),
        "{problems:?}"
    );
    controller.stop().await;
}
