//! The API server is away: at the start, and later.

use claviger::controller::{Health, startup};
use claviger::store::records::ClientRecord;
use testbed::poll;

use crate::harness::{Controller, PATIENCE, SHOP, World, client, create, memory, settings, wait_for};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");

/// An API server that does not answer is waited for; everything goes on by itself when it does.
#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("outage").await;
    // Made while the API server is there; the clients themselves know nothing of it.
    let claviger = world.claviger().await;

    world.cluster.stop_api_server();
    let health = Health::default();
    let waiting = tokio::spawn({
        let (settings, health) = (settings(&namespace), health.clone());
        async move { startup::wait_for_cluster(&claviger, &settings, &health).await }
    });
    poll::until("the start to say what it waits for", PATIENCE, async || {
        let problems = health.problems();
        Ok(problems
            .iter()
            .any(|problem| problem.contains("kube-system"))
            .then_some(()))
    })
    .await
    .unwrap();
    assert!(!health.is_ready() && !waiting.is_finished());
    world.cluster.start_api_server().await.unwrap();
    waiting.await.unwrap().unwrap();

    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "before", SHOP)).await;
    wait_for(world, &namespace, "before", READY).await;
    world.cluster.stop_api_server();
    poll::until("the outage to be noticed", PATIENCE, async || {
        Ok((!controller.health.is_ready()).then_some(()))
    })
    .await
    .unwrap();
    assert!(controller.health.is_started(), "sign-in goes on from the store");
    assert!(
        controller
            .store
            .clients()
            .await
            .unwrap()
            .iter()
            .all(ClientRecord::is_live)
    );

    world.cluster.start_api_server().await.unwrap();
    create(world, &client(&namespace, "after", SHOP)).await;
    wait_for(world, &namespace, "after", READY).await;
    poll::until("the controller to be ready again", PATIENCE, async || {
        Ok(controller.health.is_ready().then_some(()))
    })
    .await
    .unwrap();
    assert!(
        controller
            .store
            .clients()
            .await
            .unwrap()
            .iter()
            .all(ClientRecord::is_live)
    );
    controller.stop().await;
}
