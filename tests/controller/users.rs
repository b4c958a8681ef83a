//! From an `OidcUser` to somebody who can sign in.

use std::sync::Arc;
use std::time::Duration;

use claviger::clock::{Clock, SystemClock, later};
use claviger::crd::v1alpha1::OidcUser;
use claviger::keyring::Keyring;
use claviger::keyring::directory::DirectoryStorage;
use claviger::keyring::live::LiveKeyring;
use claviger::keyring::rotation::Rotator;
use claviger::oidc::authentication::{Authentication, AuthenticationMethod};
use claviger::oidc::identifier::ResourceUid;
use claviger::oidc::opaque_token::TokenHash;
use claviger::oidc::password::Password;
use claviger::random::SystemRandom;
use claviger::store::ChangePassword;
use claviger::store::records::{OwnPasswordRecord, SessionRecord, UserRecord};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use testbed::poll;

use crate::harness::{Controller, HOME, PATIENCE, World, memory, message, secret, settings, wait_for_user};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");

fn user(name: &str, spec: &str) -> OidcUser {
    OidcUser::new(name, serde_yaml::from_str(spec).unwrap())
}

async fn create(world: &World, resource: &OidcUser) -> OidcUser {
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    api.create(&PostParams::default(), resource).await.unwrap()
}

async fn put_secret(world: &World, name: &str, password: &str) {
    let api: Api<Secret> = Api::namespaced(world.admin(), HOME);
    let body = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": password},
    });
    let params = PatchParams::apply("test").force();
    api.patch(name, &params, &Patch::Apply(body)).await.unwrap();
}

/// Whether the store would let this person in with this password.
async fn accepts(world: &World, controller: &Controller, username: &str, password: &str) -> bool {
    let record = controller
        .store
        .user_by_username(username)
        .await
        .unwrap()
        .unwrap();
    let typed = Password::new(password).unwrap();
    world
        .hasher()
        .verify(&typed, record.password_hash())
        .await
        .unwrap()
        .matches
}

/// A generated password stands in its own Secret and lets the person in.
#[tokio::test]
async fn a_generated_password_is_in_its_secret() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let made = create(
        world,
        &user("grace", "{email: grace@example.org, password: {generate: true}}"),
    )
    .await;
    let resource = wait_for_user(world, "grace", READY).await;
    let status = resource.status.unwrap();
    assert_eq!(status.subject, made.metadata.uid);
    assert_eq!(
        status.username.as_deref(),
        made.metadata.name.as_deref(),
        "the default is the name"
    );
    assert_eq!(status.password_secret_ref.unwrap().name, "grace-password");
    let entries = secret(world, HOME, "grace-password").await;
    assert_eq!(entries["username"], "grace");
    assert!(accepts(world, &controller, "grace", &entries["password"]).await);
    let store = controller.stop().await;

    // A restart keeps the password, and a lost store brings the same one.
    for store in [store, memory()] {
        let controller = Controller::start(world, store, &namespace).await;
        wait_for_user(world, "grace", READY).await;
        assert!(accepts(world, &controller, "grace", &entries["password"]).await);
        controller.stop().await;
    }
}

/// The Secret of a `secretRef` is waited for, then its password counts, and a new value replaces it within a minute or
/// so.
#[tokio::test]
async fn a_password_from_a_secret_is_followed() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &user("ada", "{password: {secretRef: {name: ada-login}}}")).await;
    let resource = wait_for_user(world, "ada", ("Ready", "False", "SecretNotFound")).await;
    let told = message(&resource.status.unwrap().conditions, "PasswordReady");
    assert!(told.contains("ada-login"), "{told}");
    assert!(!accepts(world, &controller, "ada", "correct horse battery").await);

    // Nobody tells claviger of it: the account may not watch Secrets.
    put_secret(world, "ada-login", "correct horse battery\n").await;
    wait_for_user(world, "ada", READY).await;
    assert!(accepts(world, &controller, "ada", "correct horse battery").await);

    put_secret(world, "ada-login", "short").await;
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let patch = Patch::Merge(serde_json::json!({"spec": {"displayName": "Ada"}}));
    api.patch("ada", &PatchParams::default(), &patch).await.unwrap();
    wait_for_user(world, "ada", ("Ready", "False", "PasswordRefused")).await;
    assert!(
        accepts(world, &controller, "ada", "correct horse battery").await,
        "a password that is refused does not lock the person out"
    );
    controller.stop().await;
}

/// A session of a person, with the cookie of this name.
fn session(cookie: &str, user: &UserRecord) -> SessionRecord {
    let now = SystemClock.now();
    SessionRecord {
        hash: TokenHash::of(cookie.as_bytes()),
        user_uid: user.user.uid.clone(),
        authentication: Authentication {
            at: now,
            methods: vec![AuthenticationMethod::Password],
        },
        last_used_at: now,
        idle_seconds: 3600,
        expires_at: later(now, Duration::from_hours(1)),
    }
}

/// The person signs in and chooses another password, as far as the store is concerned.
async fn choose(world: &World, controller: &Controller, username: &str, password: &str) {
    let store = &controller.store;
    let user = store.user_by_username(username).await.unwrap().unwrap();
    let before = session("before", &user);
    store.begin_session(before.clone(), None).await.unwrap();
    let own = OwnPasswordRecord {
        hash: world
            .hasher()
            .hash(&Password::new(password).unwrap())
            .await
            .unwrap(),
        set_at: before.last_used_at,
    };
    let current = user.password_hash().unwrap();
    let changed = store
        .change_password(&before.hash, session("cookie", &user), current, own)
        .await
        .unwrap();
    assert_eq!(changed, ChangePassword::Changed);
}

/// Whether the session of [`choose`] is live.
async fn is_signed_in(controller: &Controller) -> bool {
    let hash = TokenHash::of(b"cookie");
    controller.store.session(&hash).await.unwrap().is_some()
}

async fn patch(world: &World, name: &str, patch: serde_json::Value) {
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// Waits until what the controller has registered of a person is so.
async fn until(controller: &Controller, username: &str, is_so: impl Fn(&UserRecord) -> bool) {
    let what = format!("{username} to be registered as expected");
    poll::until(&what, PATIENCE, async || {
        let record = controller.store.user_by_username(username).await?;
        Ok(record.filter(|record| is_so(record)).map(drop))
    })
    .await
    .unwrap();
}

/// A new value of the annotation makes another password, in the same Secret, and ends everything; without the annotation
/// no earlier password comes back, and with it a lost store brings the same one.
#[tokio::test]
async fn rule_38_a_generated_password_is_reset_by_an_annotation() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &user("rosalind", "{password: {generate: true}}")).await;
    wait_for_user(world, "rosalind", READY).await;
    let password = async || secret(world, HOME, "rosalind-password").await["password"].clone();
    let mut given = vec![password().await];
    for value in [
        "2026-11-25",
        "again, and longer than the value of a label: \u{1f511}",
    ] {
        choose(world, &controller, "rosalind", "her own good password").await;
        assert!(accepts(world, &controller, "rosalind", "her own good password").await);
        assert!(is_signed_in(&controller).await);

        let annotations = serde_json::json!({"claviger.dev/reset-password": value});
        let changes = serde_json::json!({"metadata": {"annotations": annotations}});
        patch(world, "rosalind", changes).await;
        let before = given.last().unwrap().clone();
        let next = poll::until("another password in the Secret", PATIENCE, async || {
            let now = password().await;
            Ok((now != before).then_some(now))
        });
        given.push(next.await.unwrap());
        assert!(accepts(world, &controller, "rosalind", given.last().unwrap()).await);
        assert!(!accepts(world, &controller, "rosalind", &before).await);
        assert!(!accepts(world, &controller, "rosalind", "her own good password").await);
        assert!(!is_signed_in(&controller).await);
    }
    controller.stop().await;
    let controller = Controller::start(world, memory(), &namespace).await;
    until(&controller, "rosalind", |record| record.done.is_some()).await;
    assert!(accepts(world, &controller, "rosalind", &given[2]).await);

    let changes = serde_json::json!({
        "metadata": {"annotations": {"claviger.dev/reset-password": null}},
        "spec": {"displayName": "Rosalind"},
    });
    patch(world, "rosalind", changes).await;
    until(&controller, "rosalind", |record| record.user.name.is_some()).await;
    assert!(accepts(world, &controller, "rosalind", &given[2]).await);
    assert_eq!(password().await, given[2]);
    controller.stop().await;
}

/// A person's own password stays while their Secret holds the same one as before, whatever else changes of it, and over a
/// restart; another one in the Secret is a reset, and ends everything.
#[tokio::test]
async fn rule_38_a_changed_secret_is_a_reset() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    put_secret(world, "katherine-login", "correct horse battery").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(
        world,
        &user("katherine", "{password: {secretRef: {name: katherine-login}}}"),
    )
    .await;
    wait_for_user(world, "katherine", READY).await;
    choose(world, &controller, "katherine", "her own good password").await;

    let source = async |controller: &Controller| {
        let record = controller.store.user_by_username("katherine").await.unwrap();
        record.unwrap().password.unwrap().source
    };
    let before = source(&controller).await;
    let api: Api<Secret> = Api::namespaced(world.admin(), HOME);
    let label = Patch::Merge(serde_json::json!({"metadata": {"labels": {"team": "a"}}}));
    api.patch("katherine-login", &PatchParams::default(), &label)
        .await
        .unwrap();
    let renamed = |name: &str| serde_json::json!({"spec": {"displayName": name}});
    patch(world, "katherine", renamed("Katherine")).await;
    let is_read_again = |record: &UserRecord| {
        record
            .password
            .as_ref()
            .is_some_and(|password| password.source != before)
    };
    until(&controller, "katherine", is_read_again).await;
    assert!(accepts(world, &controller, "katherine", "her own good password").await);
    assert!(is_signed_in(&controller).await);

    let store = controller.stop().await;
    let controller = Controller::start(world, store, &namespace).await;
    assert!(accepts(world, &controller, "katherine", "her own good password").await);
    assert!(is_signed_in(&controller).await);

    put_secret(world, "katherine-login", "what the administrator gives").await;
    patch(world, "katherine", renamed("K.")).await;
    until(&controller, "katherine", |record| record.own_password.is_none()).await;
    assert!(accepts(world, &controller, "katherine", "what the administrator gives").await);
    assert!(!accepts(world, &controller, "katherine", "her own good password").await);
    assert!(!is_signed_in(&controller).await);
    controller.stop().await;
}

/// A PHC string of Argon2id is taken as it is.
#[tokio::test]
async fn a_hash_is_taken_as_it_is() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let hash = world
        .hasher()
        .hash(&Password::new("correct horse battery").unwrap())
        .await
        .unwrap();
    put_secret(world, "hedy-login", hash.as_phc()).await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(
        world,
        &user("hedy", "{password: {secretRef: {name: hedy-login}}}"),
    )
    .await;
    wait_for_user(world, "hedy", READY).await;
    let record = controller.store.user_by_username("hedy").await.unwrap().unwrap();
    assert_eq!(record.password.unwrap().hash, hash);
    controller.stop().await;
}

/// Disabling reaches the store; deleting removes the person.
#[tokio::test]
async fn a_disabled_and_a_deleted_user_are_refused() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let made = create(world, &user("alan", "{password: {generate: true}}")).await;
    wait_for_user(world, "alan", READY).await;
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let patch = Patch::Merge(serde_json::json!({"spec": {"disabled": true}}));
    api.patch("alan", &PatchParams::default(), &patch).await.unwrap();
    wait_for_user(world, "alan", ("Ready", "True", "Disabled")).await;
    let record = controller.store.user_by_username("alan").await.unwrap().unwrap();
    assert!(!record.is_live());

    api.delete("alan", &DeleteParams::default()).await.unwrap();
    let uid = ResourceUid::new(made.metadata.uid.unwrap());
    poll::until("the user to be removed", PATIENCE, async || {
        Ok(controller.store.user_by_uid(&uid).await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    controller.stop().await;
}

/// Two may not have one username; the first keeps it.
#[tokio::test]
async fn a_username_belongs_to_who_holds_it() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(
        world,
        &user("twin-1", "{username: twin, password: {generate: true}}"),
    )
    .await;
    wait_for_user(world, "twin-1", READY).await;
    create(
        world,
        &user("twin-2", "{username: twin, password: {generate: true}}"),
    )
    .await;
    let second = wait_for_user(world, "twin-2", ("Accepted", "False", "UsernameConflict")).await;
    let told = message(&second.status.unwrap().conditions, "Accepted");
    assert!(told.contains("claviger/twin-1"), "{told}");
    controller.stop().await;
}

/// A person is disabled even while the rest of the spec is refused.
#[tokio::test]
async fn rule_63_a_refused_spec_disables_all_the_same() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    for name in ["mallory", "niaj"] {
        create(world, &user(name, "{password: {generate: true}}")).await;
        wait_for_user(world, name, READY).await;
    }
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let patch = Patch::Merge(serde_json::json!({"spec": {"disabled": true, "username": "niaj"}}));
    api.patch("mallory", &PatchParams::default(), &patch)
        .await
        .unwrap();
    wait_for_user(world, "mallory", ("Accepted", "False", "UsernameConflict")).await;
    let record = controller
        .store
        .user_by_username("mallory")
        .await
        .unwrap()
        .unwrap();
    assert!(!record.is_live());
    controller.stop().await;
}

/// A deleted person's subject is given to nobody, unless whoever writes people says that this is the same person, by an
/// annotation that names the subject.
#[tokio::test]
async fn a_deleted_subject_comes_back_only_by_its_annotation() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let accepted = ("Accepted", "True", "Accepted");
    create(world, &user("lin", "{subject: subject-of-lin}")).await;
    wait_for_user(world, "lin", accepted).await;
    api.delete("lin", &DeleteParams::default()).await.unwrap();
    poll::until("the user to be gone", PATIENCE, async || {
        let found = controller.store.user_by_username("lin").await?;
        Ok(found.is_none().then_some(()))
    })
    .await
    .unwrap();

    let conflict = ("Accepted", "False", "SubjectConflict");
    create(world, &user("lin", "{subject: subject-of-lin}")).await;
    let refused = wait_for_user(world, "lin", conflict).await;
    let told = message(&refused.status.unwrap().conditions, "Accepted");
    assert!(told.contains("claviger.dev/restore-subject"), "{told}");
    let annotate = async |value: &str| {
        let patch = serde_json::json!({"metadata": {"annotations": {"claviger.dev/restore-subject": value}}});
        let params = PatchParams::default();
        api.patch("lin", &params, &Patch::Merge(patch)).await.unwrap()
    };
    // The subject of somebody else is no reason.
    annotate("subject-of-ada").await;
    wait_for_user(world, "lin", conflict).await;
    annotate("subject-of-lin").await;
    let restored = wait_for_user(world, "lin", accepted).await;
    assert_eq!(
        restored.status.unwrap().subject.as_deref(),
        Some("subject-of-lin")
    );
    api.delete("lin", &DeleteParams::default()).await.unwrap();
    controller.stop().await;
}

/// A new master key leaves generated passwords as they are, even when the store is lost after it: the status names the key
/// that a password is derived from.
#[tokio::test]
async fn a_generated_password_outlives_a_new_master_key_and_a_lost_store() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("users").await;
    let folder = tempfile::TempDir::new().unwrap();
    let storage = Arc::new(DirectoryStorage::new(folder.path()));
    let keyring = Keyring::load_or_create(&*storage, true, SystemClock.now(), &SystemRandom);
    let keyring = LiveKeyring::new(keyring.await.unwrap(), SystemClock.now());
    let start = |store| {
        let (clock, keyring) = (Arc::new(SystemClock), keyring.clone());
        Controller::start_on(world, store, settings(&namespace), clock, keyring)
    };
    let controller = start(memory()).await;
    create(world, &user("hedy", "password: {generate: true}")).await;
    wait_for_user(world, "hedy", READY).await;
    let before = secret(world, HOME, "hedy-password").await;
    let rotator = Rotator::new(
        storage,
        keyring.clone(),
        Arc::new(SystemClock),
        Arc::new(SystemRandom),
        Duration::from_hours(24 * 90),
    );
    let new_key = rotator.rotate_master_key().await.unwrap();
    controller.stop().await;

    let controller = start(memory()).await;
    let resource = wait_for_user(world, "hedy", READY).await;
    assert_ne!(
        resource.status.unwrap().password_version.unwrap().master_key_id,
        new_key
    );
    assert!(accepts(world, &controller, "hedy", &before["password"]).await);
    assert_eq!(secret(world, HOME, "hedy-password").await, before);
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    api.delete("hedy", &DeleteParams::default()).await.unwrap();
    controller.stop().await;
}
