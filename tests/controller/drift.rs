//! Resources that our schema would have refused: an older one let them in, or somebody changed it. claviger checks by
//! itself.

use claviger::crd::v1alpha1::OidcClient;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use testbed::poll;

use crate::harness::{Controller, PATIENCE, SHOP, World, client, create, memory, message, wait_for};

/// Replaces the schema of `OidcClient`: anything goes, or the real one again.
async fn set_schema(world: &World, anything: bool) {
    let api: Api<CustomResourceDefinition> = Api::all(world.admin());
    let mut crd = api.get("oidcclients.claviger.dev").await.unwrap();
    crd.spec = claviger::crd::oidc_clients().spec;
    if anything {
        let schema = crd.spec.versions[0].schema.as_mut().unwrap();
        let root = schema.open_api_v3_schema.as_mut().unwrap();
        root.x_kubernetes_validations = None;
        let spec = JSONSchemaProps {
            type_: Some("object".to_owned()),
            x_kubernetes_preserve_unknown_fields: Some(true),
            ..JSONSchemaProps::default()
        };
        root.properties.as_mut().unwrap().insert("spec".to_owned(), spec);
    }
    api.replace("oidcclients.claviger.dev", &PostParams::default(), &crd)
        .await
        .unwrap();
}

async fn put(world: &World, namespace: &str, name: &str, spec: &Value) -> Result<(), kube::Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("claviger.dev", "v1alpha1", "OidcClient"));
    let api: Api<DynamicObject> = Api::namespaced_with(world.admin(), namespace, &resource);
    let mut object = DynamicObject::new(name, &resource);
    object.data = json!({ "spec": spec });
    api.create(&PostParams::default(), &object).await.map(drop)
}

/// Names, the field that the refusal must name, and specs.
fn bad_specs() -> Vec<(&'static str, &'static str, Value)> {
    let good = json!(["https://a.example/cb"]);
    vec![
        ("none-at-all", "spec.redirectUris", json!({})),
        (
            "relative",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["/cb"]}),
        ),
        (
            "fragment",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["https://a.example/#x"]}),
        ),
        (
            "userinfo",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["https://u@a.example/"]}),
        ),
        (
            "backslash",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["https://a.example\\b"]}),
        ),
        (
            "newline",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["https://a.example/\n"]}),
        ),
        (
            "script",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["javascript:alert(1)"]}),
        ),
        (
            "plain",
            "spec.redirectUris[0]",
            json!({"redirectUris": ["http://a.example/"]}),
        ),
        ("empty", "spec.redirectUris[0]", json!({"redirectUris": [""]})),
        (
            "origin",
            "spec.allowedOrigins[0]",
            json!({"redirectUris": good, "allowedOrigins": ["https://a.example/x"]}),
        ),
        (
            "control",
            "spec.displayName",
            json!({"redirectUris": good, "displayName": "a\u{0}b"}),
        ),
        (
            "long",
            "spec.description",
            json!({"redirectUris": good, "description": "x".repeat(513)}),
        ),
        (
            "lifetime",
            "spec.tokens.idTokenLifetime",
            json!({"redirectUris": good, "tokens": {"idTokenLifetime": "soon"}}),
        ),
        (
            "age",
            "spec.defaultMaxAge",
            json!({"redirectUris": good, "defaultMaxAge": "-1s"}),
        ),
        (
            "methods",
            "spec.tokenEndpointAuthMethods",
            json!({"redirectUris": good,
            "tokenEndpointAuthMethods": ["none", "client_secret_post"]}),
        ),
        (
            "grants",
            "spec.grantTypes",
            json!({"redirectUris": good, "grantTypes": ["refresh_token"]}),
        ),
    ]
}

/// Each bad value gets `Accepted=False` with a message that names the field, costs one write, and is then left until it
/// changes; a resource that cannot even be read stops nobody else.
#[tokio::test]
async fn what_the_schema_let_in_is_refused_by_the_server() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("drift").await;
    set_schema(world, true).await;
    // The changed schema is in force a moment later.
    poll::until("the schema to be lax", PATIENCE, async || {
        Ok(put(
            world,
            &namespace,
            "unreadable",
            &json!({"redirectUris": 7, "consent": "Sometimes"}),
        )
        .await
        .ok())
    })
    .await
    .unwrap();
    let bad = bad_specs();
    for (name, _, spec) in &bad {
        put(world, &namespace, name, spec).await.unwrap();
    }
    create(world, &client(&namespace, "good", SHOP)).await;

    let controller = Controller::start(world, memory(), &namespace).await;
    for (name, field, _) in &bad {
        let resource = wait_for(world, &namespace, name, ("Accepted", "False", "InvalidSpec")).await;
        let told = message(&resource.status.unwrap().conditions, "Ready");
        assert!(told.starts_with(field), "{name}: {told}");
    }
    wait_for(world, &namespace, "good", ("Ready", "True", "Ready")).await;
    let clients = controller.store.clients().await.unwrap();
    assert_eq!(clients.len(), 1, "nothing of the others is registered");
    let writes = world.writes(&namespace);
    assert_eq!(writes.len(), bad.len() + 2, "{writes:?}");

    let api: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    for name in bad.iter().map(|(name, _, _)| *name).chain(["unreadable"]) {
        api.delete(name, &DeleteParams::default()).await.ok();
    }
    controller.stop().await;
    set_schema(world, false).await;
}

/// A resource that no longer fits the schema that claviger knows counts as present: its client is not removed.
#[tokio::test]
async fn a_resource_that_cannot_be_read_is_not_taken_for_deleted() {
    let (world, _turn) = World::alone().await;
    let namespace = world.namespace("unreadable").await;
    let controller = Controller::start(world, memory(), &namespace).await;
    create(world, &client(&namespace, "shop", SHOP)).await;
    wait_for(world, &namespace, "shop", ("Ready", "True", "Ready")).await;
    let store = controller.stop().await;

    set_schema(world, true).await;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("claviger.dev", "v1alpha1", "OidcClient"));
    let api: Api<DynamicObject> = Api::namespaced_with(world.admin(), &namespace, &resource);
    let patch = kube::api::Patch::Merge(json!({"spec": {"consent": "Sometimes"}}));
    poll::until("the schema to be lax", PATIENCE, async || {
        Ok(api
            .patch("shop", &kube::api::PatchParams::default(), &patch)
            .await
            .ok())
    })
    .await
    .unwrap();
    let controller = Controller::start(world, store, &namespace).await;
    let clients = controller.store.clients().await.unwrap();
    assert!(clients.len() == 1 && clients[0].is_live(), "{clients:?}");
    controller.stop().await;
    api.delete("shop", &DeleteParams::default()).await.unwrap();
    set_schema(world, false).await;
}
