//! Two who want the same, and Secrets of somebody else.

use std::collections::BTreeMap;

use claviger::crd::v1alpha1::OidcClient;
use claviger::oidc::identifier::ClientId;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use testbed::poll;

use crate::harness::{
    Controller, PATIENCE, SHOP, World, change, client, create, memory, message, secret, wait_for,
};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");

fn foreign(name: &str, type_: &str, immutable: bool) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some(type_.to_owned()),
        immutable: Some(immutable),
        data: Some(BTreeMap::from([(
            "mine".to_owned(),
            ByteString(b"untouched".to_vec()),
        )])),
        ..Secret::default()
    }
}

/// A Secret that this client does not own is never adopted and never overwritten, whatever it looks like; the condition
/// says so, and when it is gone the client heals by itself.
#[tokio::test]
async fn a_secret_of_somebody_else_is_left_alone() {
    let world = World::shared();
    let namespace = world.namespace("foreign").await;
    let secrets: Api<Secret> = Api::namespaced(world.admin(), &namespace);
    let mut labelled = foreign("labelled-oidc", "servicebinding.io/oidc", false);
    labelled.metadata.labels = Some(BTreeMap::from([(
        "app.kubernetes.io/managed-by".to_owned(),
        "claviger".to_owned(),
    )]));
    let theirs = [
        ("opaque", foreign("opaque-oidc", "Opaque", false)),
        (
            "same-type",
            foreign("same-type-oidc", "servicebinding.io/oidc", false),
        ),
        (
            "immutable",
            foreign("immutable-oidc", "servicebinding.io/oidc", true),
        ),
        ("labelled", labelled),
    ];
    for (_, theirs) in &theirs {
        secrets.create(&PostParams::default(), theirs).await.unwrap();
    }
    let controller = Controller::start(world, memory(), &namespace).await;
    for (name, _) in &theirs {
        create(world, &client(&namespace, name, SHOP)).await;
    }
    for (name, _) in &theirs {
        let resource = wait_for(
            world,
            &namespace,
            name,
            ("SecretReady", "False", "SecretConflict"),
        )
        .await;
        let conditions = resource.status.unwrap().conditions;
        let told = message(&conditions, "Ready");
        assert!(
            told.contains(&format!("{name}-oidc")) && told.contains("delete it"),
            "{told}"
        );
        let entries = secret(world, &namespace, &format!("{name}-oidc")).await;
        assert_eq!(
            entries,
            BTreeMap::from([("mine".to_owned(), "untouched".to_owned())])
        );
    }
    controller.stop().await;
}

/// Two clients of a namespace may not share a Secret: the one that holds the name keeps it, the other says who holds it,
/// and gets it when the first one goes.
#[tokio::test]
async fn the_name_of_a_secret_belongs_to_who_holds_it() {
    let world = World::shared();
    let namespace = world.namespace("claim").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let spec = format!("{SHOP}\nsecret: {{name: login}}");
    create(world, &client(&namespace, "first", &spec)).await;
    wait_for(world, &namespace, "first", READY).await;
    let held = secret(world, &namespace, "login").await;

    create(world, &client(&namespace, "second", &spec)).await;
    let second = wait_for(
        world,
        &namespace,
        "second",
        ("Accepted", "False", "SecretNameConflict"),
    )
    .await;
    let told = message(&second.status.unwrap().conditions, "Accepted");
    assert!(told.contains(&format!("{namespace}/first")), "{told}");
    assert_eq!(secret(world, &namespace, "login").await, held);

    let api: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    api.delete("first", &DeleteParams::default()).await.unwrap();
    wait_for(world, &namespace, "second", READY).await;
    let entries = secret(world, &namespace, "login").await;
    assert_eq!(entries["client-id"], format!("{namespace}.second"));
    controller.stop().await;
}

/// Among those that nobody has registered yet the oldest wins, whatever the order of arrival.
#[tokio::test]
async fn the_oldest_claim_wins_a_rebuild() {
    let world = World::shared();
    let namespace = world.namespace("rebuild").await;
    let spec = format!("{SHOP}\nsecret: {{name: login}}");
    let mut made = Vec::new();
    for name in ["d", "b", "c", "a"] {
        made.push(create(world, &client(&namespace, name, &spec)).await);
    }
    let oldest = made
        .iter()
        .min_by_key(|resource| {
            let meta = &resource.metadata;
            (
                meta.creation_timestamp.clone().map(|time| time.0),
                meta.uid.clone(),
            )
        })
        .unwrap();
    let winner = oldest.metadata.name.clone().unwrap();
    let controller = Controller::start(world, memory(), &namespace).await;
    for name in ["a", "b", "c", "d"] {
        let expected = if name == winner {
            READY
        } else {
            ("Accepted", "False", "SecretNameConflict")
        };
        wait_for(world, &namespace, name, expected).await;
    }
    controller.stop().await;
}

/// Who held a name keeps it when the store is lost, against somebody older who asked for it later.
#[tokio::test]
async fn who_held_a_name_keeps_it_in_a_rebuild() {
    let world = World::shared();
    let namespace = world.namespace("held").await;
    let api: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    let spec = format!("{SHOP}\nsecret: {{name: login}}");
    let controller = Controller::start(world, memory(), &namespace).await;
    // What the installation does not allow claims nothing.
    let not_allowed = format!("{spec}\nconsent: Skip");
    let older = create(world, &client(&namespace, "older", &not_allowed)).await;
    wait_for(world, &namespace, "older", ("Accepted", "False", "NotAllowed")).await;
    // A creationTimestamp has whole seconds.
    while create(world, &client(&namespace, "holder", &spec))
        .await
        .metadata
        .creation_timestamp
        <= older.metadata.creation_timestamp
    {
        api.delete("holder", &DeleteParams::default()).await.unwrap();
    }
    wait_for(world, &namespace, "holder", READY).await;
    change(world, &namespace, "older", "consent: Remember").await;
    wait_for(
        world,
        &namespace,
        "older",
        ("Accepted", "False", "SecretNameConflict"),
    )
    .await;
    controller.stop().await;

    let controller = Controller::start(world, memory(), &namespace).await;
    let registered = async |name: &str| {
        let id = ClientId::new(format!("{namespace}.{name}"));
        controller.store.client(&id).await.unwrap().is_some()
    };
    let holds = poll::until("one of them to be registered", PATIENCE, async || {
        let (holder, older) = (registered("holder").await, registered("older").await);
        Ok((holder || older).then_some(holder))
    });
    assert!(holds.await.unwrap(), "the older one took the name");
    assert_eq!(
        secret(world, &namespace, "login").await["client-id"],
        format!("{namespace}.holder")
    );
    controller.stop().await;
}

/// At home the names of claviger's own Secrets are not to be had.
#[tokio::test]
async fn the_keyrings_name_cannot_be_asked_for() {
    let world = World::shared();
    let home = crate::harness::HOME;
    let controller = Controller::start(world, memory(), home).await;
    let spec = format!("{SHOP}\nsecret: {{name: claviger-keyring}}");
    create(world, &client(home, "thief", &spec)).await;
    let resource = wait_for(world, home, "thief", ("Accepted", "False", "SecretNameConflict")).await;
    let told = message(&resource.status.unwrap().conditions, "Accepted");
    assert!(told.contains("reserved"), "{told}");
    let api: Api<OidcClient> = Api::namespaced(world.admin(), home);
    api.delete("thief", &DeleteParams::default()).await.unwrap();
    controller.stop().await;
}
