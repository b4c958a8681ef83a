//! Rotation of client secrets: on demand, by schedule, and what a lost store makes of it.

use std::sync::Arc;
use std::time::Duration;

use claviger::clock::Clock;
use claviger::crd::v1alpha1::{OidcClient, OidcClientStatus};
use claviger::oidc::identifier::ClientId;
use claviger::oidc::opaque_token::TokenHash;
use claviger::store::memory::MemoryStore;
use claviger::store::records::ClientRecord;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use testbed::poll;

use crate::clock::TestClock;
use crate::harness::{
    Controller, PATIENCE, SHOP, World, annotate, change, client, create, memory, message, secret, settings,
    wait_for,
};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const ROTATE: &str = "claviger.dev/rotate";
const ROTATE_NOW: &str = "claviger.dev/rotate-now";

async fn record(controller: &Controller, namespace: &str) -> ClientRecord {
    let client_id = ClientId::new(format!("{namespace}.shop"));
    controller.store.client(&client_id).await.unwrap().unwrap()
}

/// The client secret as an app mounts it.
async fn mounted(world: &World, namespace: &str) -> String {
    secret(world, namespace, "shop-oidc").await["client-secret"].clone()
}

async fn resource_version(world: &World, namespace: &str) -> Option<String> {
    let api: Api<Secret> = Api::namespaced(world.admin(), namespace);
    api.get("shop-oidc").await.unwrap().metadata.resource_version
}

/// Whether `secret` authenticates at `now`.
fn is_accepted(record: &ClientRecord, secret: &str, now: claviger::clock::Timestamp) -> bool {
    let presented = TokenHash::of(secret.as_bytes());
    record.secret_versions.iter().any(|version| {
        version.hash.matches(&presented) && version.retires_at.is_none_or(|retires_at| now < retires_at)
    })
}

/// Waits until the status is as wanted.
async fn wait_until(
    world: &World,
    namespace: &str,
    what: &str,
    wanted: impl Fn(&OidcClientStatus) -> bool,
) -> OidcClient {
    let api: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    poll::until(what, PATIENCE, async || {
        let resource = api.get("shop").await?;
        let status = resource.status.clone().unwrap_or_default();
        anyhow::ensure!(wanted(&status), "its status is {status:#?}");
        Ok(Some(resource))
    })
    .await
    .unwrap()
}

async fn rotated(world: &World, namespace: &str, value: &str) -> OidcClientStatus {
    annotate(world, namespace, "shop", ROTATE, value).await;
    let what = format!("the rotation {value}");
    let resource = wait_until(world, namespace, &what, |status| {
        status.observed_rotate.as_deref() == Some(value)
    })
    .await;
    resource.status.unwrap()
}

fn now() -> claviger::clock::Timestamp {
    claviger::clock::SystemClock.now()
}

/// A new value of the annotation makes one new version; the old one stays valid for the overlap, and the status says until
/// when. It costs one write of the Secret and one of the status. Neither a restart nor a lost store rotates again or
/// changes the Secret.
#[tokio::test]
async fn a_rotation_on_demand_happens_once() {
    let world = World::shared();
    let namespace = world.namespace("rotate").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let old = mounted(world, &namespace).await;
    let before = world.writes(&namespace).len();

    let status = rotated(world, &namespace, "2026-01").await;
    let told = crate::events::wait_for_events(world, &namespace, 1).await;
    assert!(told[0].starts_with("Normal SecretRotated shop: "), "{told:?}");
    let new = mounted(world, &namespace).await;
    assert_ne!(old, new);
    assert_eq!(
        world.writes(&namespace)[before..],
        ["update secrets 200", "patch oidcclients/status 200"]
    );
    let versions = &status.secret_versions;
    assert_eq!(versions.len(), 2);
    assert_eq!((versions[0].id.as_str(), &versions[1].retires_at), ("1", &None));
    let overlap = versions[0].retires_at.as_ref().unwrap().0.duration_since(now());
    assert!((86_000..=86_400).contains(&overlap.as_secs()), "{overlap:?}");
    poll::until(
        "the store to know the end of the old version",
        PATIENCE,
        async || {
            let record = record(&controller, &namespace).await;
            Ok(record.secret_versions[0].retires_at.map(drop))
        },
    )
    .await
    .unwrap();
    let known = record(&controller, &namespace).await;
    assert!(is_accepted(&known, &old, now()) && is_accepted(&known, &new, now()));

    let version = resource_version(world, &namespace).await;
    let store = controller.stop().await;
    let writes = world.writes(&namespace).len();
    for store in [store, memory()] {
        let controller = Controller::start(world, store, &namespace).await;
        // A later change shows that everything before it was looked at.
        annotate(
            world,
            &namespace,
            "shop",
            "claviger.dev/heal",
            &writes.to_string(),
        )
        .await;
        poll::until("a look at the client", PATIENCE, async || {
            let done = record(&controller, &namespace).await.done;
            Ok((done.is_some() && world.writes(&namespace).len() > writes).then_some(()))
        })
        .await
        .unwrap();
        let again = record(&controller, &namespace).await;
        assert!(is_accepted(&again, &old, now()) && is_accepted(&again, &new, now()));
        let ends = |record: &ClientRecord| -> Vec<_> {
            let versions = record.secret_versions.iter();
            versions
                .map(|version| (version.id.clone(), version.retires_at))
                .collect()
        };
        assert_eq!(ends(&again), ends(&known));
        controller.stop().await;
    }
    assert_eq!(
        resource_version(world, &namespace).await,
        version,
        "the Secret is the same"
    );
    let patched = world.writes(&namespace)[writes..]
        .iter()
        .any(|write| write.starts_with("patch"));
    assert!(!patched, "and the status");
}

/// After a leak the old versions end at once, and stay dead when the store is lost, even if the request came while claviger
/// was down.
#[tokio::test]
async fn what_leaked_ends_at_once() {
    let world = World::shared();
    let namespace = world.namespace("leak").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let first = mounted(world, &namespace).await;
    rotated(world, &namespace, "x").await;
    let second = mounted(world, &namespace).await;

    annotate(world, &namespace, "shop", ROTATE_NOW, "leaked").await;
    let resource = wait_until(world, &namespace, "the old versions to end", |status| {
        status.observed_rotate_now.as_deref() == Some("leaked")
    })
    .await;
    assert_eq!(resource.status.unwrap().secret_versions.len(), 1);
    let third = mounted(world, &namespace).await;
    let known = record(&controller, &namespace).await;
    for dead in [&first, &second] {
        assert!(!is_accepted(&known, dead, now()));
    }
    assert!(is_accepted(&known, &third, now()));
    controller.stop().await;

    annotate(world, &namespace, "shop", ROTATE_NOW, "leaked again").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let known = record(&controller, &namespace).await;
    for dead in [&first, &second, &third] {
        assert!(!is_accepted(&known, dead, now()), "from the first moment");
    }
    wait_until(world, &namespace, "the third version to end", |status| {
        status.observed_rotate_now.as_deref() == Some("leaked again")
    })
    .await;
    let fourth = mounted(world, &namespace).await;
    assert!(is_accepted(
        &record(&controller, &namespace).await,
        &fourth,
        now()
    ));
    controller.stop().await;
}

/// An old version goes from store and status by itself when its time is over.
#[tokio::test]
async fn an_old_version_goes_when_its_time_is_over() {
    let world = World::shared();
    let namespace = world.namespace("overlap").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let spec = format!("{SHOP}\nrotation: {{overlap: 2s}}");
    create(world, &client(&namespace, "shop", &spec)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let old = mounted(world, &namespace).await;
    rotated(world, &namespace, "x").await;
    let new = mounted(world, &namespace).await;
    let resource = wait_until(world, &namespace, "the old version to go", |status| {
        status.secret_versions.len() == 1
    })
    .await;
    assert_eq!(resource.status.unwrap().secret_versions[0].retires_at, None);
    let known = record(&controller, &namespace).await;
    assert_eq!(known.secret_versions.len(), 1);
    assert!(is_accepted(&known, &new, now()) && !is_accepted(&known, &old, now()));
    controller.stop().await;
}

/// By schedule the secret is replaced when it is as old as the interval says, again and again.
#[tokio::test]
async fn a_schedule_replaces_the_secret() {
    let world = World::shared();
    let namespace = world.namespace("schedule").await;
    let clock = Arc::new(TestClock::new());
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let controller = Controller::start_at(world, store, settings(&namespace), clock.clone()).await;
    let spec = format!("{SHOP}\nrotation: {{interval: 30d, overlap: 2d}}");
    create(world, &client(&namespace, "shop", &spec)).await;
    let resource = wait_for(world, &namespace, "shop", READY).await;
    let next = |status: &OidcClientStatus| status.next_rotation.clone().unwrap().0.to_string();
    assert_eq!(next(&resource.status.unwrap()), "2026-01-31T00:00:00Z");
    let mut secrets = vec![mounted(world, &namespace).await];
    for (day, versions, expected) in [
        (29, 1, "2026-01-31T00:00:00Z"),
        (30, 2, "2026-03-02T00:00:00Z"),
        (31, 2, "2026-03-02T00:00:00Z"),
        (32, 1, "2026-03-02T00:00:00Z"),
        (60, 2, "2026-04-01T00:00:00Z"),
        (400, 2, "2027-03-07T00:00:00Z"),
    ] {
        clock.set(claviger::clock::later(
            TestClock::new().now(),
            Duration::from_hours(24 * day),
        ));
        // The timers of the process do not follow this clock.
        annotate(world, &namespace, "shop", "claviger.dev/heal", &day.to_string()).await;
        let what = format!("day {day}");
        let resource = wait_until(world, &namespace, &what, |status| {
            status.secret_versions.len() == versions
                && status.next_rotation.is_some()
                && next(status) == expected
        })
        .await;
        assert_eq!(resource.status.unwrap().secret_versions.len(), versions);
        let current = mounted(world, &namespace).await;
        if secrets.last() != Some(&current) {
            secrets.push(current);
        }
    }
    assert_eq!(secrets.len(), 4, "days 0, 30, 60 and 400");
    controller.stop().await;
}

/// Four versions are accepted at once; a fifth waits, the status says for what, and a leak does not wait.
#[tokio::test]
async fn a_fifth_version_waits() {
    let world = World::shared();
    let namespace = world.namespace("fifth").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let mut secrets = vec![mounted(world, &namespace).await];
    for value in ["1", "2", "3"] {
        rotated(world, &namespace, value).await;
        secrets.push(mounted(world, &namespace).await);
    }
    annotate(world, &namespace, "shop", ROTATE, "4").await;
    let resource = wait_for(
        world,
        &namespace,
        "shop",
        ("Reconciling", "True", "RotationPostponed"),
    )
    .await;
    let status = resource.status.unwrap();
    assert_eq!(status.observed_rotate.as_deref(), Some("3"));
    assert_eq!(status.secret_versions.len(), 4);
    let told = message(&status.conditions, "Reconciling");
    let first_end = status.secret_versions[0].retires_at.as_ref().unwrap().0;
    assert!(
        told.contains(&first_end.to_string()) && told.contains(ROTATE_NOW),
        "{told}"
    );
    let known = record(&controller, &namespace).await;
    assert!(secrets.iter().all(|secret| is_accepted(&known, secret, now())));

    annotate(world, &namespace, "shop", ROTATE_NOW, "x").await;
    let resource = wait_until(world, &namespace, "the old versions to end", |status| {
        status.secret_versions.len() == 1
    })
    .await;
    let status = resource.status.unwrap();
    assert_eq!(
        status.observed_rotate.as_deref(),
        Some("4"),
        "one new secret answers both"
    );
    assert_eq!(
        message(&status.conditions, "Reconciling"),
        "",
        "nothing waits any more"
    );
    controller.stop().await;
}

/// A rotation does not end the old secret while the new one cannot be written, and goes on when it can.
#[tokio::test]
async fn an_old_version_does_not_end_before_the_new_one_is_in_the_secret() {
    let world = World::shared();
    let namespace = world.namespace("stuck").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let spec = format!("{SHOP}\nrotation: {{overlap: 0s}}");
    create(world, &client(&namespace, "shop", &spec)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let old = mounted(world, &namespace).await;
    let secrets: Api<Secret> = Api::namespaced(world.admin(), &namespace);
    let mut taken = secrets.get("shop-oidc").await.unwrap();
    let owners = taken.metadata.owner_references.take();
    let taken = secrets
        .replace("shop-oidc", &PostParams::default(), &taken)
        .await
        .unwrap();

    annotate(world, &namespace, "shop", ROTATE, "x").await;
    wait_for(
        world,
        &namespace,
        "shop",
        ("SecretReady", "False", "SecretConflict"),
    )
    .await;
    let known = record(&controller, &namespace).await;
    assert_eq!(known.secret_versions.len(), 2);
    assert!(is_accepted(&known, &old, now()), "it is the one that apps have");
    assert_eq!(mounted(world, &namespace).await, old);

    let mut back = taken;
    back.metadata.owner_references = owners;
    secrets
        .replace("shop-oidc", &PostParams::default(), &back)
        .await
        .unwrap();
    change(world, &namespace, "shop", "displayName: again").await;
    wait_until(world, &namespace, "the old version to go", |status| {
        status.secret_versions.len() == 1 && status.observed_rotate.is_some()
    })
    .await;
    let known = record(&controller, &namespace).await;
    assert!(!is_accepted(&known, &old, now()));
    assert!(is_accepted(&known, &mounted(world, &namespace).await, now()));
    controller.stop().await;
}
