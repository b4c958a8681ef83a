//! Experiment 20: resources that are deleted while claviger cannot reach the API server. (That sign-in goes on meanwhile is
//! experiment 12, `tests/end_to_end/outage.rs`; deletions while the store is away are in `tests/controller/store_outage.rs`.)

use std::time::{Duration, Instant};

use testbed::Kind;
use testbed::scale::count;
use testbed::seed::Seed;

use crate::harness::{World, names, passed};

/// Clients are deleted, and one is made again, during an outage: none of their resources is stuck, all are refused once the
/// API server can be reached, and nobody else is.
#[tokio::test]
async fn experiment_20_deleted_during_an_outage() {
    let world = World::shared();
    let mut seed = Seed::or(20).unwrap();
    let drawn = seed.0;
    let namespace = world.namespace("outage").await;
    let mut served = world.serve(&[&namespace]).await;
    let names = names("app", count(12, 60));
    for name in &names {
        served.apply(&namespace, name).await;
    }
    let mut apps = served.apps(&namespace, &names).await;

    served.proxy.close();
    let mut deleted = Vec::new();
    let mut left: Vec<&String> = names.iter().collect();
    for _ in 0..names.len() / 2 {
        let index = seed.below(left.len());
        served.delete(&namespace, left.remove(index)).await;
        deleted.push(apps.remove(index));
    }
    // No finalizer of ours holds them.
    let resources = served.resources.api(Kind::OidcClient, &namespace);
    let there = resources.list(&kube::api::ListParams::default()).await.unwrap();
    assert_eq!(there.items.len(), left.len());
    // One that was deleted is made again, as somebody else.
    let gone = names.iter().find(|name| !left.contains(name)).unwrap();
    served.apply(&namespace, gone).await;
    // The outage is long enough for the watch to have failed more than once.
    let failures = || served.claviger.log().matches("the watch failed").count();
    testbed::poll::until("the outage to be noticed", crate::harness::PATIENCE, async || {
        Ok((failures() > 4).then_some(()))
    })
    .await
    .unwrap();
    for app in apps.iter().chain(&deleted) {
        assert!(app.authenticates().await.unwrap(), "served from the store");
    }

    let began = Instant::now();
    served.proxy.open().await.unwrap();
    served.wait_until_refused(&deleted).await;
    let refused: Duration = began.elapsed();
    assert!(served.app(&namespace, gone).await.authenticates().await.unwrap());
    for app in &apps {
        assert!(app.authenticates().await.unwrap());
    }
    served.check_sound();
    let verdict = format!(
        "{} of {} clients deleted during the outage: none stuck, all refused {refused:.1?} after it; the one that was made \
         again is another",
        deleted.len(),
        names.len()
    );
    passed("20 (outage)", drawn, &verdict);
}
