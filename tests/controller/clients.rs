//! From an applied `OidcClient` to credentials, and through its changes.

use claviger::crd::v1alpha1::OidcClient;
use claviger::oidc::identifier::{ClientId, ResourceUid};
use claviger::oidc::opaque_token::TokenHash;
use kube::Api;
use kube::api::DeleteParams;
use testbed::poll;

use crate::harness::{
    Controller, PATIENCE, SHOP, World, change, client, create, memory, message, secret, wait_for,
};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");

/// The whole promise: a manifest of one line, then a Secret whose value the store accepts, and a status that says so.
#[tokio::test]
async fn a_minimal_client_gets_its_secret_and_is_ready() {
    let world = World::shared();
    let namespace = world.namespace("shop").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    let resource = wait_for(world, &namespace, "shop", READY).await;

    let client_id = format!("{namespace}.shop");
    let status = resource.status.unwrap();
    assert_eq!(status.client_id.as_deref(), Some(client_id.as_str()));
    assert_eq!(status.binding.unwrap().name, "shop-oidc");
    assert_eq!(status.redirect_uris[0].uri, "https://shop.example.org/callback");
    assert_eq!(status.redirect_uris[0].source, "spec");

    let entries = secret(world, &namespace, "shop-oidc").await;
    assert_eq!(entries["OIDC_CLIENT_ID"], client_id);
    assert_eq!(entries["OIDC_ISSUER"], "https://id.example.org");
    let record = controller
        .store
        .client(&ClientId::new(client_id))
        .await
        .unwrap()
        .unwrap();
    assert!(record.is_live());
    assert_eq!(record.secret_versions.len(), 1);
    let presented = TokenHash::of(entries["OIDC_CLIENT_SECRET"].as_bytes());
    assert!(
        record.secret_versions[0].hash.matches(&presented),
        "the secret authenticates"
    );
    assert_eq!(record.secret_versions[0].id, status.secret_versions[0].id);

    let api: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(world.admin(), &namespace);
    let written = api.get("shop-oidc").await.unwrap();
    assert_eq!(written.metadata.uid, status.secret_ref.unwrap().uid);
    controller.stop().await;
}

/// A client that is let off PKCE is ready, and its status warns of it as long as it is so.
#[tokio::test]
async fn rule_11_a_client_that_is_let_off_pkce_is_warned_of() {
    let world = World::shared();
    let namespace = world.namespace("pkce").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(
        world,
        &client(&namespace, "shop", &format!("{SHOP}\npkce: Optional")),
    )
    .await;
    wait_for(world, &namespace, "shop", ("Warning", "True", "PkceOptional")).await;
    let resource = wait_for(world, &namespace, "shop", READY).await;
    assert!(message(&resource.status.unwrap().conditions, "Warning").contains("spec.pkce"));

    change(world, &namespace, "shop", "pkce: Required").await;
    let resource = wait_for(world, &namespace, "shop", READY).await;
    let conditions = resource.status.unwrap().conditions;
    assert!(
        conditions.iter().all(|condition| condition.type_ != "Warning"),
        "{conditions:?}"
    );
    controller.stop().await;
}

/// A new client costs one create and one patch, a changed one at most two writes, a steady one nothing, and our own
/// change of the status makes no work.
#[tokio::test]
async fn a_client_costs_two_writes_and_a_steady_one_none() {
    let world = World::shared();
    let namespace = world.namespace("writes").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let names: Vec<String> = (0..20).map(|number| format!("app-{number}")).collect();
    for name in &names {
        create(world, &client(&namespace, name, SHOP)).await;
    }
    for name in &names {
        wait_for(world, &namespace, name, READY).await;
    }
    let mut writes = world.writes(&namespace);
    writes.sort();
    let expected: Vec<String> = std::iter::repeat_n("create secrets 201".to_owned(), 20)
        .chain(std::iter::repeat_n("patch oidcclients/status 200".to_owned(), 20))
        .collect();
    assert_eq!(writes, expected);

    change(world, &namespace, "app-0", "displayName: Other").await;
    wait_for(world, &namespace, "app-0", READY).await;
    let more = world.writes(&namespace);
    assert_eq!(
        more[40..],
        ["update secrets 200", "patch oidcclients/status 200"],
        "a change is written in place"
    );
    controller.stop().await;
}

/// What is registered follows the spec; the secret stays the same all the while.
#[tokio::test]
async fn a_change_is_registered_and_the_secret_stays() {
    let world = World::shared();
    let namespace = world.namespace("change").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let before = secret(world, &namespace, "shop-oidc").await;

    change(world, &namespace, "shop", "{suspend: true, scopes: [openid]}").await;
    wait_for(world, &namespace, "shop", ("Ready", "True", "Suspended")).await;
    let client_id = ClientId::new(format!("{namespace}.shop"));
    let record = controller.store.client(&client_id).await.unwrap().unwrap();
    assert!(record.client.suspended && !record.is_live());
    let after = secret(world, &namespace, "shop-oidc").await;
    assert_eq!(after["OIDC_SCOPES"], "openid");
    assert_eq!(after["OIDC_CLIENT_SECRET"], before["OIDC_CLIENT_SECRET"]);

    change(world, &namespace, "shop", "suspend: false").await;
    wait_for(world, &namespace, "shop", READY).await;
    assert!(
        controller
            .store
            .client(&client_id)
            .await
            .unwrap()
            .unwrap()
            .is_live()
    );
    controller.stop().await;
}

/// RFC 6749 section 2.1: a public client has no credential.
#[tokio::test]
async fn a_public_client_gets_no_secret() {
    gets_no_secret("public", "tokenEndpointAuthMethods: [none]").await;
}

/// A client that signs (RFC 7523) keeps its private key to itself, and its Secret holds nothing secret.
#[tokio::test]
async fn rule_32_a_client_that_signs_gets_no_secret() {
    let jwks =
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let spec = format!("tokenEndpointAuthMethods: [private_key_jwt]\njwks: {jwks}");
    gets_no_secret("signing", &spec).await;
}

async fn gets_no_secret(name: &str, methods: &str) {
    let world = World::shared();
    let namespace = world.namespace(name).await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let spec = format!("{SHOP}\n{methods}");
    create(world, &client(&namespace, "spa", &spec)).await;
    let resource = wait_for(world, &namespace, "spa", READY).await;
    assert_eq!(resource.status.unwrap().secret_versions, []);
    let entries = secret(world, &namespace, "spa-oidc").await;
    assert!(!entries.contains_key("OIDC_CLIENT_SECRET") && !entries.contains_key("client-secret"));
    assert_eq!(entries["client-id"], format!("{namespace}.spa"));

    // Changed into a confidential one it gets its first secret.
    change(
        world,
        &namespace,
        "spa",
        "tokenEndpointAuthMethods: [client_secret_basic]",
    )
    .await;
    wait_for(world, &namespace, "spa", READY).await;
    let entries = secret(world, &namespace, "spa-oidc").await;
    assert!(entries["client-secret"].starts_with("clv_"));
    controller.stop().await;
}

/// Deletion ends the client at once and hangs on nothing; made again under the same name it is another client with
/// another secret.
#[tokio::test]
async fn a_client_that_is_made_again_is_another_one() {
    let world = World::shared();
    let namespace = world.namespace("again").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    let first = create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let first_secret = secret(world, &namespace, "shop-oidc").await;
    let first_uid = ResourceUid::new(first.metadata.uid.unwrap());

    let api: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    api.delete("shop", &DeleteParams::default()).await.unwrap();
    poll::until("the client to be removed", PATIENCE, async || {
        Ok(controller
            .store
            .client_by_uid(&first_uid)
            .await?
            .is_none()
            .then_some(()))
    })
    .await
    .unwrap();
    assert!(
        api.get_opt("shop").await.unwrap().is_none(),
        "no finalizer keeps it"
    );

    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let second_secret = secret(world, &namespace, "shop-oidc").await;
    assert_ne!(first_secret["client-secret"], second_secret["client-secret"]);
    assert_eq!(first_secret["client-id"], second_secret["client-id"]);
    controller.stop().await;
}

/// While a namespace is being deleted nothing is made in it, and its clients end.
#[tokio::test]
async fn the_clients_of_a_deleted_namespace_end() {
    let world = World::shared();
    let namespace = world.namespace("gone").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    for name in ["a", "b", "c"] {
        create(world, &client(&namespace, name, SHOP)).await;
        wait_for(world, &namespace, name, READY).await;
    }
    world.cluster.delete_namespace(&namespace).await.unwrap();
    poll::until("the clients to end", PATIENCE, async || {
        Ok(controller.store.clients().await?.is_empty().then_some(()))
    })
    .await
    .unwrap();
    let creates = world
        .writes(&namespace)
        .iter()
        .filter(|write| write.starts_with("create "))
        .count();
    assert_eq!(creates, 3);
    controller.stop().await;
}

/// A client is suspended even while the rest of its spec is refused: the last good registration stays, but not in force.
#[tokio::test]
async fn rule_20_a_refused_spec_suspends_all_the_same() {
    let world = World::shared();
    let namespace = world.namespace("refused").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    for name in ["shop", "other"] {
        create(world, &client(&namespace, name, SHOP)).await;
        wait_for(world, &namespace, name, READY).await;
    }
    let taken = "{suspend: true, secret: {name: other-oidc}}";
    change(world, &namespace, "shop", taken).await;
    wait_for(
        world,
        &namespace,
        "shop",
        ("Ready", "False", "SecretNameConflict"),
    )
    .await;
    let client_id = ClientId::new(format!("{namespace}.shop"));
    let record = controller.store.client(&client_id).await.unwrap().unwrap();
    assert!(!record.is_live());
    assert_eq!(record.secret_name, "shop-oidc");
    assert_eq!(record.secret_versions.len(), 1);
    controller.stop().await;
}
