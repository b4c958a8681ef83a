//! What a store belongs to.

use claviger::store::records::ClusterIdentity;

use crate::bench::{Bench, uid};

/// The first cluster and namespaces are remembered; others are told what is remembered, and change nothing.
pub(crate) async fn the_first_cluster_stays(bench: &Bench) {
    let store = &*bench.store;
    let first = ClusterIdentity {
        uid: uid("cluster"),
        watched_namespaces: vec!["team-a".to_owned()],
    };
    let other = ClusterIdentity {
        watched_namespaces: Vec::new(),
        ..first.clone()
    };
    assert_eq!(store.bind_cluster(&first).await.unwrap(), None);
    assert_eq!(store.bind_cluster(&first).await.unwrap(), None);
    assert_eq!(store.bind_cluster(&other).await.unwrap(), Some(first.clone()));
    assert_eq!(store.bind_cluster(&first).await.unwrap(), None);
}

/// The first keyring's id is remembered.
pub(crate) async fn the_first_keyring_stays(bench: &Bench) {
    let store = &*bench.store;
    assert_eq!(store.keyring_id().await.unwrap(), None);
    assert_eq!(store.bind_keyring("one").await.unwrap(), "one");
    assert_eq!(store.bind_keyring("two").await.unwrap(), "one");
    assert_eq!(store.keyring_id().await.unwrap().as_deref(), Some("one"));
}

/// A store knows whether it ever held a complete list.
pub(crate) async fn a_store_is_provisioned_once(bench: &Bench) {
    let store = &*bench.store;
    assert!(!store.is_provisioned().await.unwrap());
    store.mark_provisioned().await.unwrap();
    store.mark_provisioned().await.unwrap();
    assert!(store.is_provisioned().await.unwrap());
}
