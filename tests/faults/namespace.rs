//! Experiment 21: a namespace is deleted with everything in it.

use std::time::Instant;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use testbed::poll;

use crate::harness::{PATIENCE, World, names, passed};

const CLIENTS: usize = 100;
/// How many of them are asked for afterwards.
const ASKED: usize = 10;

/// A namespace with a hundred clients is deleted: it goes, nothing is created in it meanwhile, its clients are revoked although
/// they are so many, and those of other namespaces are not.
#[tokio::test]
async fn experiment_21_a_namespace_with_a_hundred_clients() {
    let world = World::shared();
    let doomed = world.namespace("doomed").await;
    let other = world.namespace("other").await;
    let mut served = world.serve(&[&doomed, &other]).await;
    let all = names("app", CLIENTS);
    for name in &all {
        served.apply(&doomed, name).await;
    }
    let others = names("kept", 12);
    for name in &others {
        served.apply(&other, name).await;
    }
    let kept = served.apps(&other, &others).await;
    for name in &all[ASKED..] {
        served
            .resources
            .wait_until_ready(testbed::Kind::OidcClient, &doomed, name)
            .await
            .unwrap();
    }
    let revoked = served.apps(&doomed, &all[..ASKED]).await;
    let before = world.requests(&doomed).len();

    let began = Instant::now();
    world.cluster.delete_namespace(&doomed).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(world.cluster.client().unwrap());
    poll::until("the namespace to be gone", PATIENCE, async || {
        Ok(namespaces.get_opt(&doomed).await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    let gone = began.elapsed();
    served.wait_until_refused(&revoked).await;
    let refused = began.elapsed();
    served.wait_for_log("client_removed").await;
    poll::until("all of them to be removed", PATIENCE, async || {
        let removed = served.claviger.log().matches("client_removed").count();
        Ok((removed == CLIENTS).then_some(()))
    })
    .await
    .unwrap();
    for app in &kept {
        assert!(app.authenticates().await.unwrap(), "of another namespace");
    }
    let creates = world
        .requests(&doomed)
        .iter()
        .skip(before)
        .filter(|event| event.verb == "create")
        .count();
    assert_eq!(creates, 0, "creates in a namespace that is being deleted");
    served.check_sound();
    let verdict = format!(
        "namespace with {CLIENTS} clients gone after {gone:.1?}, its clients refused after {refused:.1?}, {creates} creates in \
         it; {} clients of another namespace untouched",
        kept.len()
    );
    passed("21", 0, &verdict);
}
