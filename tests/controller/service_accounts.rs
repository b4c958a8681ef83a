//! Real tokens of ServiceAccounts authenticate the client that names them, and end with the account.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use claviger::clock::{Clock, SystemClock};
use claviger::controller::ControllerSettings;
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
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use testbed::poll;
use tower::ServiceExt;
use url::form_urlencoded;

use crate::clock::TestClock;
use crate::harness::{
    Controller, PATIENCE, World, change, client, create, message, secret, settings, wait_for,
};

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
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    api.create(&PostParams::default(), &account).await.unwrap();
}

/// A token as an app may ask for one.
async fn token(world: &World, namespace: &str, name: &str, audiences: &[&str], seconds: i64) -> String {
    let audiences = audiences.iter().map(|audience| (*audience).to_owned());
    let spec = TokenRequestSpec {
        audiences: audiences.collect(),
        expiration_seconds: Some(seconds),
        ..TokenRequestSpec::default()
    };
    requested(world, namespace, name, spec).await
}

async fn requested(world: &World, namespace: &str, name: &str, spec: TokenRequestSpec) -> String {
    let api: Api<ServiceAccount> = Api::namespaced(world.admin(), namespace);
    let wanted = TokenRequest {
        spec,
        ..TokenRequest::default()
    };
    let parameters = PostParams::default();
    let made = api.create_token_request(name, &parameters, &wanted).await;
    made.unwrap().status.unwrap().token
}

/// A pod of the ServiceAccount, which nothing runs, and the token that a kubelet asks for it.
async fn token_of_pod(world: &World, namespace: &str, account: &str) -> (Pod, String) {
    let pod = json!({
        "metadata": {"name": account},
        "spec": {"serviceAccountName": account, "containers": [{"name": "app", "image": "app"}]},
    });
    let api: Api<Pod> = Api::namespaced(world.admin(), namespace);
    let pod = serde_json::from_value(pod).unwrap();
    let pod = api.create(&PostParams::default(), &pod).await.unwrap();
    let spec = TokenRequestSpec {
        audiences: vec![ISSUER.to_owned()],
        bound_object_ref: Some(BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        }),
        expiration_seconds: Some(3600),
    };
    let token = requested(world, namespace, account, spec).await;
    (pod, token)
}

/// What the API server signs for a pod of the named account is accepted, again and again; what it signs for another account, namespace
/// or audience, for longer than an hour, or signed an hour ago, is not. The Secret holds nothing secret.
#[tokio::test]
async fn rule_32b_a_real_token_of_the_named_service_account_authenticates() {
    let world = World::shared();
    let namespace = world.namespace("accounts").await;
    let elsewhere = world.namespace("elsewhere").await;
    for (namespace, name) in [(&namespace, "shop"), (&namespace, "other"), (&elsewhere, "shop")] {
        make_account(world, namespace, name).await;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(world.admin(), &namespace);
    poll::until("the namespace's own account", PATIENCE, async || {
        Ok(accounts.get_opt("default").await?)
    })
    .await
    .unwrap();
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
    // A pod's own. It ends with its hour and not with its pod, as the documentation says.
    let (pod, of_pod) = token_of_pod(world, &namespace, "shop").await;
    clock.set(SystemClock.now());
    assert_eq!(authenticate(&router, &client_id, &of_pod).await, StatusCode::OK);
    let pods: Api<Pod> = Api::namespaced(world.admin(), &namespace);
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(&pod.metadata.name.unwrap(), &at_once).await.unwrap();
    assert_eq!(authenticate(&router, &client_id, &of_pod).await, StatusCode::OK);
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

/// A controller that looks for ServiceAccounts all the time, and a provider over its store.
struct Watched {
    world: &'static World,
    namespace: String,
    controller: Controller,
    router: Router,
    clock: Arc<TestClock>,
}

impl Watched {
    async fn new(prefix: &str) -> Self {
        let world = World::shared();
        let namespace = world.namespace(prefix).await;
        let clock = Arc::new(TestClock::at(SystemClock.now()));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
        let settings = ControllerSettings {
            service_account_interval: Duration::from_millis(200),
            ..settings(&namespace)
        };
        let controller = Controller::start_with(world, store.clone(), settings).await;
        let router = provider(world, store, clock.clone());
        create(world, &client(&namespace, "shop", SPEC)).await;
        Self {
            world,
            namespace,
            controller,
            router,
            clock,
        }
    }

    async fn answer(&self, token: &str) -> StatusCode {
        self.clock.set(SystemClock.now());
        authenticate(&self.router, &format!("{}.shop", self.namespace), token).await
    }

    async fn until(&self, token: &str, wanted: StatusCode) {
        poll::until("the ServiceAccount to be looked at", PATIENCE, async || {
            Ok((self.answer(token).await == wanted).then_some(()))
        })
        .await
        .unwrap();
    }

    /// A new ServiceAccount of the name that the client names, and a token of it that is good.
    async fn account(&self) -> String {
        make_account(self.world, &self.namespace, "shop").await;
        let token = token(self.world, &self.namespace, "shop", &[ISSUER], 3600).await;
        self.until(&token, StatusCode::OK).await;
        token
    }

    fn accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.world.admin(), &self.namespace)
    }

    async fn delete(&self) {
        let accounts = self.accounts();
        accounts.delete("shop", &DeleteParams::default()).await.unwrap();
    }
}

const MISSING: (&str, &str, &str) = ("Warning", "True", "ServiceAccountMissing");

/// A ServiceAccount that is missing is a warning, and taken once it is there. Tokens of one that is deleted end, and one that is made
/// again under its name is another: the tokens of the first stay dead. Nobody touches the `OidcClient` for that.
#[tokio::test]
async fn rule_32b_tokens_end_with_their_service_account() {
    let watched = Watched::new("made-again").await;
    let Watched { world, namespace, .. } = &watched;
    let resource: OidcClient = wait_for(world, namespace, "shop", MISSING).await;
    let told = message(&resource.status.unwrap().conditions, "Warning");
    assert!(told.contains("ServiceAccount shop "), "{told}");

    let first = watched.account().await;
    let clients: Api<OidcClient> = Api::namespaced(world.admin(), namespace);
    poll::until("the warning to go", PATIENCE, async || {
        let status = clients.get("shop").await?.status.unwrap();
        Ok(message(&status.conditions, "Warning").is_empty().then_some(()))
    })
    .await
    .unwrap();
    watched.delete().await;
    let second = watched.account().await;
    assert_eq!(watched.answer(&first).await, StatusCode::UNAUTHORIZED);
    watched.delete().await;
    watched.until(&second, StatusCode::UNAUTHORIZED).await;
    wait_for(world, namespace, "shop", MISSING).await;

    // Somebody's finalizer keeps it, and nobody gets new tokens that are good.
    let third = watched.account().await;
    let hold = json!({"metadata": {"finalizers": ["example.org/hold"]}});
    let patch = PatchParams::default();
    let accounts = watched.accounts();
    accounts.patch("shop", &patch, &Patch::Merge(hold)).await.unwrap();
    watched.delete().await;
    watched.until(&third, StatusCode::UNAUTHORIZED).await;
    let release = json!({"metadata": {"finalizers": null}});
    accounts
        .patch("shop", &patch, &Patch::Merge(release))
        .await
        .unwrap();
    watched.controller.stop().await;
}

/// What is not accepted of a spec keeps no account alive: where a change is refused, what was accepted before goes on, and ends with its
/// ServiceAccount all the same. What the spec names no more ends, too.
#[tokio::test]
async fn rule_32b_a_refused_spec_keeps_no_account_alive() {
    let watched = Watched::new("refused").await;
    let Watched { world, namespace, .. } = &watched;
    let first = watched.account().await;
    change(world, namespace, "shop", "consent: Skip").await;
    wait_for(world, namespace, "shop", ("Accepted", "False", "NotAllowed")).await;
    assert_eq!(watched.answer(&first).await, StatusCode::OK);
    watched.delete().await;
    watched.until(&first, StatusCode::UNAUTHORIZED).await;
    let second = watched.account().await;
    change(world, namespace, "shop", "serviceAccounts: [{name: another}]").await;
    watched.until(&second, StatusCode::UNAUTHORIZED).await;
    wait_for(world, namespace, "shop", ("Accepted", "False", "NotAllowed")).await;
    watched.controller.stop().await;
}
