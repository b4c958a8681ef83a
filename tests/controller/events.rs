//! Kubernetes Events: what the owner of a resource is told, and how rarely.

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use testbed::poll;

use crate::harness::{Controller, PATIENCE, SHOP, World, change, client, create, memory, wait_for};

/// `type reason name: note` of the Events of a namespace, oldest first.
async fn events(world: &World, namespace: &str) -> Vec<String> {
    let api: Api<Event> = Api::namespaced(world.admin(), namespace);
    let mut events = api.list(&ListParams::default()).await.unwrap().items;
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    events
        .into_iter()
        .filter(|event| event.reporting_controller.as_deref() == Some("claviger.dev/claviger"))
        .map(|event| {
            let regarding = event.regarding.unwrap_or_default();
            assert_eq!(regarding.kind.as_deref(), Some("OidcClient"));
            assert!(regarding.uid.is_some());
            format!(
                "{} {} {}: {}",
                event.type_.unwrap_or_default(),
                event.reason.unwrap_or_default(),
                regarding.name.unwrap_or_default(),
                event.note.unwrap_or_default()
            )
        })
        .collect()
}

pub(crate) async fn wait_for_events(world: &World, namespace: &str, count: usize) -> Vec<String> {
    poll::until("Events to be published", PATIENCE, async || {
        let events = events(world, namespace).await;
        Ok((events.len() >= count).then_some(events))
    })
    .await
    .unwrap()
}

/// A client that is ready from the start makes no Event; one that is refused makes one, with what to do, and one more when
/// it is well again.
#[tokio::test]
async fn a_refusal_and_its_end_are_events() {
    let world = World::shared();
    let namespace = world.namespace("events").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "quiet", SHOP)).await;
    wait_for(world, &namespace, "quiet", ("Ready", "True", "Ready")).await;

    let taken = "{redirectUris: [https://shop.example.org/cb], secret: {name: quiet-oidc}}";
    create(world, &client(&namespace, "loud", taken)).await;
    wait_for(
        world,
        &namespace,
        "loud",
        ("Accepted", "False", "SecretNameConflict"),
    )
    .await;
    let first = wait_for_events(world, &namespace, 1).await;
    change(world, &namespace, "loud", "secret: {name: loud-oidc}").await;
    wait_for(world, &namespace, "loud", ("Ready", "True", "Ready")).await;
    let events = wait_for_events(world, &namespace, 2).await;
    controller.stop().await;

    assert!(
        first[0].starts_with("Warning SecretNameConflict loud: the Secret name quiet-oidc is held by"),
        "{first:?}"
    );
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events[1].starts_with("Normal Ready loud: "), "{events:?}");
}

/// A Secret of somebody else is an Event. A restart, which looks at everything again, makes no second one.
#[tokio::test]
async fn a_secret_conflict_is_one_event_whatever_is_started_again() {
    let world = World::shared();
    let namespace = world.namespace("conflict").await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(world.admin(), &namespace);
    let foreign = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "shop-oidc"}, "stringData": {"mine": "1"},
    }))
    .unwrap();
    secrets
        .create(&kube::api::PostParams::default(), &foreign)
        .await
        .unwrap();
    let mut controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(
        world,
        &namespace,
        "shop",
        ("SecretReady", "False", "SecretConflict"),
    )
    .await;
    wait_for_events(world, &namespace, 1).await;

    let store = controller.stop().await;
    controller = Controller::start(world, store, &namespace).await;
    secrets
        .delete("shop-oidc", &DeleteParams::default())
        .await
        .unwrap();
    change(world, &namespace, "shop", "displayName: Shop").await;
    wait_for(world, &namespace, "shop", ("Ready", "True", "Ready")).await;
    let events = wait_for_events(world, &namespace, 2).await;
    controller.stop().await;
    assert!(
        events[0].starts_with("Warning SecretConflict shop: "),
        "{events:?}"
    );
    assert_eq!(events.len(), 2, "{events:?}");
}

/// Two hundred refused clients at once make at most the Events of the rate limit, and their status says it all the same.
#[tokio::test]
async fn many_refusals_make_few_events() {
    let world = World::shared();
    let namespace = world.namespace("many").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let taken = "{redirectUris: [https://shop.example.org/cb], secret: {name: shared}}";
    let names: Vec<String> = (0..200).map(|number| format!("app-{number}")).collect();
    for name in &names {
        create(world, &client(&namespace, name, taken)).await;
    }
    let mut refused = 0;
    for name in &names {
        let resource = wait_for_any(world, &namespace, name).await;
        refused += usize::from(resource == "False");
    }
    assert_eq!(refused, 199);
    let events = events(world, &namespace).await;
    let metrics = controller.metrics.render();
    controller.stop().await;
    assert!(
        metrics.contains("claviger_kubernetes_events_total{outcome=\"failed\"} 0\n"),
        "{metrics}"
    );
    assert!((1..=80).contains(&events.len()), "{}", events.len());
    assert!(
        events
            .iter()
            .all(|event| event.starts_with("Warning SecretNameConflict")),
        "{events:?}"
    );
}

async fn wait_for_any(world: &World, namespace: &str, name: &str) -> String {
    let api: Api<claviger::crd::v1alpha1::OidcClient> = Api::namespaced(world.admin(), namespace);
    poll::until("a condition", PATIENCE, async || {
        let resource = api.get(name).await?;
        let conditions = resource
            .status
            .map(|status| status.conditions)
            .unwrap_or_default();
        Ok(conditions
            .iter()
            .find(|condition| condition.type_ == "Accepted" && condition.status != "Unknown")
            .map(|condition| condition.status.clone()))
    })
    .await
    .unwrap()
}
