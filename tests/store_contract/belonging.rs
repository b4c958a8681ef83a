//! What a store belongs to.

use claviger::oidc::service_account_token::ClusterIssuer;
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

/// Who signs the tokens of ServiceAccounts is what was noted last, and a change is told from what was known.
pub(crate) async fn rule_32b_the_keys_of_the_cluster_are_the_newest(bench: &Bench) {
    let store = &*bench.store;
    let key = r#"{"kty":"OKP","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let one = ClusterIssuer {
        issuer: "https://kubernetes.default.svc".to_owned(),
        jwks: vec![serde_json::from_str(key).unwrap()],
    };
    let other = ClusterIssuer {
        jwks: Vec::new(),
        ..one.clone()
    };
    assert_eq!(store.cluster_issuer().await.unwrap(), None);
    for (issuer, is_new) in [(&one, true), (&one, false), (&other, true), (&one, true)] {
        assert_eq!(store.note_cluster_issuer(issuer.clone()).await.unwrap(), is_new);
        assert_eq!(store.cluster_issuer().await.unwrap().as_ref(), Some(issuer));
    }
}

/// A store knows whether it ever held a complete list.
pub(crate) async fn a_store_is_provisioned_once(bench: &Bench) {
    let store = &*bench.store;
    assert!(!store.is_provisioned().await.unwrap());
    store.mark_provisioned().await.unwrap();
    store.mark_provisioned().await.unwrap();
    assert!(store.is_provisioned().await.unwrap());
}
