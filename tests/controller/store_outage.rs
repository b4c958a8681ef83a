//! Experiment 20, the other half: resources that are deleted while the store is away.

use std::sync::Arc;
use std::time::Duration;

use claviger::clock::SystemClock;
use claviger::crd::v1alpha1::OidcClient;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use claviger::store::memory::MemoryStore;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use testbed::poll;
use tokio::time::Instant;

use crate::faulty_store::{Fault, FaultyStore};
use crate::harness::{Controller, PATIENCE, SHOP, World, client, create, wait_for};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
/// Long enough for the first tries to have failed.
const OUTAGE: Duration = Duration::from_secs(12);

/// None of the resources is stuck for want of the store, and once it is back those clients are gone and the others are not.
#[tokio::test]
async fn experiment_20_deleted_while_the_store_is_away() {
    let world = World::shared();
    let namespace = world.namespace("store-outage").await;
    let memory = MemoryStore::new(Arc::new(SystemClock));
    let store = Arc::new(FaultyStore::new(memory));
    let controller = Controller::start(world, store.clone(), &namespace).await;
    let mut uids = Vec::new();
    for name in ["gone-1", "gone-2", "kept"] {
        let resource = create(world, &client(&namespace, name, SHOP)).await;
        uids.push(ResourceUid::new(resource.metadata.uid.unwrap()));
        wait_for(world, &namespace, name, READY).await;
    }
    let kept = uids.pop().unwrap();

    store.fail("*", Fault::Unavailable);
    let api: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    for name in ["gone-1", "gone-2"] {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let there = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(there.items.len(), 1, "no finalizer of ours holds them");
    tokio::time::sleep(OUTAGE).await;

    store.heal();
    let back = Instant::now();
    poll::until("the deleted clients to be gone", PATIENCE, async || {
        for uid in &uids {
            if store.client_by_uid(uid).await?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
    let record = store.client_by_uid(&kept).await.unwrap().unwrap();
    assert!(record.is_live());
    println!(
        "experiment 20 (store): passed: 2 of 3 clients deleted while the store was away for {OUTAGE:?}: none stuck, refused \
         {:.1?} after it was back",
        back.elapsed()
    );
    controller.stop().await;
}
