//! Apps whose pods prove who they are by the token of their ServiceAccount, as a real API server signs it on request.

use claviger::crd::v1alpha1::OidcClient;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use testbed::browser::Browser;
use testbed::poll;
use testbed::relying_party::{Refusal, RelyingParty, Tokens};

use crate::harness::{PATIENCE, REDIRECT_URI, Served, StoreKind, World, code};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A namespace with ServiceAccounts.
struct Accounts<'a> {
    world: &'a World,
    namespace: String,
}

impl Accounts<'_> {
    fn api(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.world.admin(), &self.namespace)
    }

    async fn make(&self, name: &str) {
        let account = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        let made = self.api().create(&PostParams::default(), &account).await;
        made.unwrap();
    }

    async fn delete(&self, name: &str) {
        let deleted = self.api().delete(name, &DeleteParams::default()).await;
        deleted.unwrap();
    }

    /// What the kubelet would write into the pod's file. Without an audience it is for the API server.
    async fn token(&self, name: &str, audience: Option<&str>, seconds: i64) -> String {
        let wanted = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audience.map(str::to_owned).into_iter().collect(),
                expiration_seconds: Some(seconds),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let made = self
            .api()
            .create_token_request(name, &PostParams::default(), &wanted)
            .await;
        made.unwrap().status.unwrap().token
    }
}

async fn ask(app: &RelyingParty, token: &str, form: &[(&str, &str)]) -> Result<Tokens, Refusal> {
    let mut all = form.to_vec();
    all.extend([("client_assertion_type", TYPE), ("client_assertion", token)]);
    app.token_request(&all).await.unwrap()
}

async fn authenticate(app: &RelyingParty, token: &str) -> Result<Tokens, Refusal> {
    ask(app, token, &[("grant_type", "client_credentials")]).await
}

/// The stranger is told nothing, and the log says what is wrong.
async fn assert_refused(served: &Served, app: &RelyingParty, token: &str, why: &str) {
    let refusal = authenticate(app, token).await.err().unwrap();
    assert_eq!(refusal.error, "invalid_client", "{why}");
    assert_eq!(refusal.error_description, "client authentication failed");
    poll::until("the log to say why", PATIENCE, async || {
        Ok(served.claviger.log().contains(why).then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{why}: {error:#}"));
    assert!(!served.claviger.log().contains(token), "the token is in the log");
}

/// Changes the `OidcClient`, so that claviger looks at it now, and waits until it has.
async fn touch(world: &World, served: &Served, display_name: &str, settled: impl Fn(&OidcClient) -> bool) {
    let api: Api<OidcClient> = Api::namespaced(world.admin(), &served.namespace);
    let patch = Patch::Merge(json!({ "spec": { "displayName": display_name } }));
    let patched = api.patch("shop", &PatchParams::default(), &patch).await;
    let generation = patched.unwrap().metadata.generation;
    poll::until("the change to be taken", PATIENCE, async || {
        let resource = api.get("shop").await?;
        let status = resource.status.as_ref();
        let observed = status.and_then(|status| status.observed_generation);
        Ok((observed == generation && settled(&resource)).then_some(()))
    })
    .await
    .unwrap();
}

fn is_warned(resource: &OidcClient) -> bool {
    let conditions = resource.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.type_ == "Warning" && condition.status == "True")
        .any(|condition| condition.reason == "ServiceAccountMissing")
}

#[tokio::test]
async fn rule_32b_service_accounts_on_sled() {
    service_accounts(StoreKind::Sled).await;
}

#[tokio::test]
async fn rule_32b_service_accounts_in_memory() {
    service_accounts(StoreKind::Memory).await;
}

/// An app with no secret, neither in its Secret nor anywhere else, gets tokens in its own name and for a person by the token of its
/// ServiceAccount, again and again. A token of another namespace, for another audience, of another account, for longer than an hour
/// or of an account that was deleted is refused.
async fn service_accounts(store: StoreKind) {
    let world = World::shared();
    let served = world.serve(store).await;
    let accounts = Accounts {
        world,
        namespace: served.namespace.clone(),
    };
    accounts.make("shop").await;
    accounts.make("other").await;
    let spec = json!({
        "redirectUris": [REDIRECT_URI],
        "grantTypes": ["authorization_code", "refresh_token", "client_credentials"],
        "tokenEndpointAuthMethods": ["private_key_jwt"],
        "serviceAccounts": [{ "name": "shop" }],
    });
    let app = served.app("shop", spec).await;
    assert!(app.registration().client_secret.is_none());
    let issuer = app.registration().issuer.clone();

    let good = accounts.token("shop", Some(&issuer), 3600).await;
    let own = authenticate(&app, &good).await.unwrap();
    assert!(own.id_token.is_none() && own.refresh_token.is_none());
    a_person_signs_in(&app, &good).await;

    let elsewhere = Accounts {
        world,
        namespace: world.cluster.temp_namespace("elsewhere").await.unwrap(),
    };
    elsewhere.make("shop").await;
    let another = Some("https://api.example.org");
    for (token, why) in [
        (
            elsewhere.token("shop", Some(&issuer), 3600).await,
            "another namespace",
        ),
        (
            accounts.token("shop", another, 3600).await,
            "its aud is not the issuer alone",
        ),
        (
            accounts.token("shop", None, 3600).await,
            "its aud is not the issuer alone",
        ),
        (
            accounts.token("other", Some(&issuer), 3600).await,
            "its ServiceAccount is none of spec.serviceAccounts",
        ),
        (
            accounts.token("shop", Some(&issuer), 7200).await,
            "lives for longer than an hour",
        ),
    ] {
        assert_refused(&served, &app, &token, why).await;
    }

    accounts.delete("shop").await;
    touch(world, &served, "Without an account", is_warned).await;
    let gone = "its ServiceAccount does not exist any more";
    assert_refused(&served, &app, &good, gone).await;
    accounts.make("shop").await;
    touch(world, &served, "With a new one", |resource| !is_warned(resource)).await;
    assert_refused(&served, &app, &good, gone).await;
    let new = accounts.token("shop", Some(&issuer), 3600).await;
    authenticate(&app, &new).await.unwrap();
}

async fn a_person_signs_in(app: &RelyingParty, token: &str) {
    let (request, code) = code(app, &Browser::new().unwrap()).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", request.code_verifier.as_str()),
    ];
    let tokens = ask(app, token, &form).await.unwrap();
    app.verify_id_token(&tokens, Some(&request.nonce)).await.unwrap();
    let refresh_token = tokens.refresh_token.unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.as_str()),
    ];
    ask(app, token, &form).await.unwrap();
}
