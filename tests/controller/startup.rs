//! What the start refuses.

use claviger::clock::{Clock, SystemClock};
use claviger::controller::keyring::SecretKeyring;
use claviger::controller::startup::{self, StartupError};
use claviger::controller::{ControllerSettings, Health, diagnosis};
use claviger::keyring::KeyringStorage;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::records::ClusterIdentity;

use crate::harness::{Controller, HOME, SHOP, World, client, create, memory, settings, wait_for};

/// The cluster's administrator is not held back by the policy, as nobody is where it is not installed: no start.
#[tokio::test]
async fn without_the_admission_policy_there_is_no_start() {
    let world = World::shared();
    let health = Health::default();
    let refused = startup::wait_for_cluster(&world.admin(), &settings("default"), &health).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, StartupError::PolicyNotInForce { .. }), "{error}");
    assert!(
        error.to_string().contains("install it with claviger's chart"),
        "{error}"
    );
    assert!(!health.is_ready());

    let accepted = ControllerSettings {
        without_secret_policy: true,
        ..settings("default")
    };
    startup::wait_for_cluster(&world.admin(), &accepted, &health)
        .await
        .unwrap();
}

/// An account without rights learns what is missing.
#[tokio::test]
async fn a_missing_right_ends_the_start() {
    let world = World::shared();
    let nobody = world
        .cluster
        .client_for_service_account("default", "default")
        .await
        .unwrap();
    let refused = startup::wait_for_cluster(&nobody, &settings("default"), &Health::default()).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, StartupError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("install claviger's chart"), "{error}");
}

/// The store of another cluster, or of other namespaces, is refused: everything in it would look deleted.
#[tokio::test]
async fn the_store_of_another_cluster_is_refused() {
    let world = World::shared();
    let store = memory();
    let here = startup::wait_for_cluster(&world.claviger().await, &settings("a"), &Health::default())
        .await
        .unwrap();
    startup::claim_store(store.as_ref(), &here).await.unwrap();
    startup::claim_store(store.as_ref(), &here).await.unwrap();

    let elsewhere = ClusterIdentity {
        uid: ResourceUid::new("another"),
        ..here.clone()
    };
    let narrower = ClusterIdentity {
        watched_namespaces: vec!["b".to_owned()],
        ..here
    };
    for other in [elsewhere, narrower] {
        let error = startup::claim_store(store.as_ref(), &other).await.unwrap_err();
        assert!(matches!(error, StartupError::OtherCluster { .. }), "{error}");
    }
}

/// Once any status tells of derived secrets, a keyring must not be made anew.
#[tokio::test]
async fn a_status_tells_of_the_keyring() {
    let world = World::shared();
    let namespace = world.namespace("refers").await;
    let claviger = world.claviger().await;
    let (settings, health) = (settings(&namespace), Health::default());
    let refers = async || {
        startup::any_status_refers_to_keyring(&claviger, &settings, &health)
            .await
            .unwrap()
    };
    assert!(!refers().await);
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", ("Ready", "True", "Ready")).await;
    controller.stop().await;
    assert!(refers().await);
}

/// The keyring's Secret is made once under claviger's own rights, and a Secret of another kind is not taken for it.
#[tokio::test]
async fn the_keyring_is_kept_in_a_secret() {
    let world = World::shared();
    let storage = SecretKeyring::new(world.claviger().await, HOME, "claviger-keyring");
    assert!(storage.load().await.unwrap().is_none());
    assert!(storage.create(b"one").await.unwrap());
    assert!(!storage.create(b"two").await.unwrap(), "somebody was quicker");
    assert_eq!(storage.load().await.unwrap().unwrap().document.as_slice(), b"one");

    // The next document takes its place under the chart's policy, by whoever knows the present one.
    let first = storage.load().await.unwrap().unwrap();
    assert!(storage.replace(&first.version, b"two").await.unwrap());
    assert!(
        !storage.replace(&first.version, b"three").await.unwrap(),
        "somebody was quicker"
    );
    let second = storage.load().await.unwrap().unwrap();
    assert_eq!(second.document.as_slice(), b"two");
    assert!(storage.replace(&second.version, b"one").await.unwrap());

    let admin: kube::Api<k8s_openapi::api::core::v1::Secret> = kube::Api::namespaced(world.admin(), HOME);
    let other = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "something-else"}, "type": "Opaque", "stringData": {"keyring.json": "{}"},
    }))
    .unwrap();
    admin
        .create(&kube::api::PostParams::default(), &other)
        .await
        .unwrap();
    let foreign = SecretKeyring::new(world.claviger().await, HOME, "something-else");
    let error = foreign.load().await.err().unwrap().to_string();
    assert!(
        error.contains("claviger/something-else") && error.contains("Opaque"),
        "{error}"
    );
}

/// What `doctor` asks: the chart brings every right that claviger needs and none that it must not have; an account of
/// nobody's lacks all, and the administrator's has too much. The clocks agree, and the policy holds claviger back but not
/// others.
#[tokio::test]
async fn the_doctor_knows_rights_policy_and_clock() {
    let world = World::shared();
    let settings = settings(&world.namespace("rights").await);
    let claviger = world.claviger().await;
    let rights = diagnosis::rights(&claviger, &settings).await.unwrap();
    assert_eq!(rights, diagnosis::Rights::default());
    assert!(diagnosis::policy_is_in_force(&claviger, &settings).await.unwrap());
    let difference = diagnosis::clock_difference(&claviger, || SystemClock.now())
        .await
        .unwrap();
    assert!(difference.abs().as_secs() < 60, "{difference}");

    let admin = world.admin();
    let rights = diagnosis::rights(&admin, &settings).await.unwrap();
    assert_eq!(rights.missing, Vec::<String>::new());
    assert!(
        rights.surplus.contains(&"list secrets in the cluster".to_owned()),
        "{rights:?}"
    );
    assert!(!diagnosis::policy_is_in_force(&admin, &settings).await.unwrap());

    let nobody = world
        .cluster
        .client_for_service_account(HOME, "default")
        .await
        .unwrap();
    let rights = diagnosis::rights(&nobody, &settings).await.unwrap();
    assert_eq!(rights.surplus, Vec::<String>::new());
    for right in [
        format!("patch oidcusers.claviger.dev/status in {HOME}"),
        "get namespaces kube-system in the cluster".to_owned(),
    ] {
        assert!(rights.missing.contains(&right), "{rights:?}");
    }
}
