//! From an `OidcUser` to somebody who can sign in.

use claviger::crd::v1alpha1::OidcUser;
use claviger::oidc::identifier::ResourceUid;
use claviger::oidc::password::Password;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use testbed::poll;

use crate::harness::{Controller, HOME, PATIENCE, World, memory, message, secret, wait_for_user};

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
    let hash = record.password.map(|password| password.hash);
    let typed = Password::new(password).unwrap();
    world
        .hasher()
        .verify(&typed, hash.as_ref())
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
