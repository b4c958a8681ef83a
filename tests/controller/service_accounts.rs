//! Real tokens of ServiceAccounts authenticate the client that names them, and end with the account.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use claviger::clock::{Clock, SystemClock};
use claviger::crd::v1alpha1::OidcClient;
use claviger::http::{Settings, router};
use claviger::keyring::Keyring;
use claviger::keyring::live::LiveKeyring;
use claviger::oidc::issuer::Issuer;
use claviger::provider::Provider;
use claviger::random::SystemRandom;
use claviger::store::Store;
use claviger::store::memory::MemoryStore;
use claviger::telemetry::metrics::Metrics;
use http::{Request, StatusCode};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use testbed::poll;
use tower::ServiceExt;
use url::form_urlencoded;

use crate::clock::TestClock;
use crate::harness::{Controller, PATIENCE, World, client, create, message, secret, settings, wait_for};

const ISSUER: &str = "https://id.example.org";
const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const SPEC: &str = "grantTypes: [client_credentials]
tokenEndpointAuthMethods: [private_key_jwt]
serviceAccounts: [{name: shop}]";

/// The provider over the controller's store, with a clock of its own.
fn provider(world: &World, store: Arc<dyn Store>, clock: Arc<TestClock>) -> Router {
    let keyring = Arc::new(Keyring::generate(clock.now(), &SystemRandom).unwrap());
    let live = LiveKeyring::new(keyring, clock.now());
    let provider = Provider::new(
        Issuer::parse(ISSUER).unwrap(),
        store,
        live,
        world.shared_hasher(),
        clock,
        Arc::new(SystemRandom),
    );
    router(provider, Arc::new(Metrics::default()), Settings::default())
}

async fn authenticate(router: &Router, client_id: &str, token: &str) -> StatusCode {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", token),
        ])
        .finish();
    let request = Request::post("/api/token/v2")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    router.clone().oneshot(request).await.unwrap().status()
}

async fn make_account(world: &World, namespace: &str, name: &str) {
    let api: Api<ServiceAccount> = Api::namespaced(world.admin(), namespace);
    let account: ServiceAccount =
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).unwrap();
    api.create(&PostParams::default(), &account).await.unwrap();
}

/// A token as the kubelet asks for one.
async fn token(world: &World, namespace: &str, name: &str, audiences: &[&str], seconds: i64) -> String {
    let api: Api<ServiceAccount> = Api::namespaced(world.admin(), namespace);
    let wanted = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audiences.iter().map(|audience| (*audience).to_owned()).collect(),
            expiration_seconds: Some(seconds),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let made = api
        .create_token_request(name, &PostParams::default(), &wanted)
        .await
        .unwrap();
    made.status.unwrap().token
}

/// What the API server signs for a pod of the named account is accepted, again and again; what it signs for another account, namespace
/// or audience, for longer than an hour, or signed an hour ago, is not. The Secret holds nothing secret.
#[tokio::test]
async fn rule_32_a_real_token_of_the_named_service_account_authenticates() {
    let world = World::shared();
    let namespace = world.namespace("accounts").await;
    let elsewhere = world.namespace("elsewhere").await;
    for (namespace, name) in [(&namespace, "shop"), (&namespace, "other"), (&elsewhere, "shop")] {
        make_account(world, namespace, name).await;
    }
    let clock = Arc::new(TestClock::at(SystemClock.now()));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let settings = settings(&namespace);
    let controller = Controller::start_at(world, store.clone(), settings, clock.clone()).await;
    create(world, &client(&namespace, "shop", SPEC)).await;
    wait_for(world, &namespace, "shop", READY).await;
    let entries = secret(world, &namespace, "shop-oidc").await;
    assert!(!entries.contains_key("client-secret") && !entries.contains_key("OIDC_CLIENT_SECRET"));

    let router = provider(world, store, clock.clone());
    let client_id = format!("{namespace}.shop");
    let of = async |namespace: &str, name: &str, audiences: &[&str], seconds: i64| {
        let token = token(world, namespace, name, audiences, seconds).await;
        // Signed after the clock stopped; it is at most as far ahead as clocks may be.
        clock.set(SystemClock.now());
        (authenticate(&router, &client_id, &token).await, token)
    };
    let (answer, good) = of(&namespace, "shop", &[ISSUER], 3600).await;
    assert_eq!(answer, StatusCode::OK);
    assert_eq!(authenticate(&router, &client_id, &good).await, StatusCode::OK);
    for (namespace, name, audiences, seconds) in [
        (&namespace, "other", &[ISSUER][..], 3600),
        (&namespace, "default", &[ISSUER], 3600),
        (&elsewhere, "shop", &[ISSUER], 3600),
        (&namespace, "shop", &[], 3600),
        (&namespace, "shop", &["https://other.example"], 3600),
        (&namespace, "shop", &[ISSUER, "https://other.example"], 3600),
        (&namespace, "shop", &[ISSUER], 3601),
    ] {
        let (answer, _) = of(namespace, name, audiences, seconds).await;
        assert_eq!(
            answer,
            StatusCode::UNAUTHORIZED,
            "{namespace}/{name} {audiences:?} {seconds}"
        );
    }
    // The cluster signed it, and claviger's own kind of assertion it is not.
    let nobody = format!("{namespace}.nobody");
    assert_eq!(
        authenticate(&router, &nobody, &good).await,
        StatusCode::UNAUTHORIZED
    );
    clock.advance(Duration::from_mins(59));
    assert_eq!(authenticate(&router, &client_id, &good).await, StatusCode::OK);
    clock.advance(Duration::from_mins(2));
    assert_eq!(
        authenticate(&router, &client_id, &good).await,
        StatusCode::UNAUTHORIZED
    );
    controller.stop().await;
}

/// A ServiceAccount that is missing is a warning, and taken once it is there. One that is deleted ends within about a minute, and one
/// that is made again under its name is another: the tokens of the first stay dead. Nobody touches the `OidcClient` for that.
#[tokio::test]
async fn rule_32_tokens_end_with_their_service_account() {
    let world = World::shared();
    let namespace = world.namespace("made-again").await;
    let clock = Arc::new(TestClock::at(SystemClock.now()));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let settings = settings(&namespace);
    // The controller measures minutes, so its clock goes.
    let controller = Controller::start_with(world, store.clone(), settings).await;
    create(world, &client(&namespace, "shop", SPEC)).await;
    let missing = ("Warning", "True", "ServiceAccountMissing");
    let resource: OidcClient = wait_for(world, &namespace, "shop", missing).await;
    let told = message(&resource.status.unwrap().conditions, "Warning");
    assert!(told.contains("ServiceAccount shop "), "{told}");

    let router = provider(world, store, clock.clone());
    let client_id = format!("{namespace}.shop");
    let until = async |token: &str, wanted: StatusCode| {
        poll::until("the ServiceAccount to be looked at", PATIENCE * 3, async || {
            clock.set(SystemClock.now());
            let answer = authenticate(&router, &client_id, token).await;
            Ok((answer == wanted).then_some(()))
        })
        .await
        .unwrap();
    };
    make_account(world, &namespace, "shop").await;
    let first = token(world, &namespace, "shop", &[ISSUER], 3600).await;
    until(&first, StatusCode::OK).await;

    let api: Api<ServiceAccount> = Api::namespaced(world.admin(), &namespace);
    api.delete("shop", &DeleteParams::default()).await.unwrap();
    make_account(world, &namespace, "shop").await;
    let second = token(world, &namespace, "shop", &[ISSUER], 3600).await;
    until(&second, StatusCode::OK).await;
    assert_eq!(
        authenticate(&router, &client_id, &first).await,
        StatusCode::UNAUTHORIZED
    );
    api.delete("shop", &DeleteParams::default()).await.unwrap();
    until(&second, StatusCode::UNAUTHORIZED).await;
    wait_for(world, &namespace, "shop", missing).await;
    controller.stop().await;
}
