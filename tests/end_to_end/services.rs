//! What services do: get tokens in their own name, look at them and end them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testbed::browser::Browser;
use testbed::relying_party::RelyingParty;

use crate::harness::{Served, StoreKind, World, refused, tokens};
use crate::wire::{self, Reply};

#[tokio::test]
async fn services_on_sled() {
    services(StoreKind::Sled).await;
}

#[tokio::test]
async fn services_in_memory() {
    services(StoreKind::Memory).await;
}

async fn services(store: StoreKind) {
    let served = World::shared().serve(store).await;
    let shop = served.app("shop", json!({})).await;
    let service = json!({ "redirectUris": [], "grantTypes": ["client_credentials"] });
    let billing = served.app("billing", service).await;
    the_secret_of_a_service_names_no_scope(&served).await;

    let own = a_service_gets_a_token_in_its_own_name(&served, &billing).await;
    a_token_is_looked_at_by_its_client(&served, &billing, &shop, &own).await;
    assert_eq!(ask(&served, &billing, "/api/revoke", &own).await.status, 200);
    assert_eq!(
        introspected(&served, &billing, &own).await,
        json!({"active": false})
    );

    let browser = Browser::new().unwrap();
    let given = tokens(&shop, &browser).await;
    let seen = introspected(&served, &shop, &given.access_token).await;
    assert_eq!(
        (&seen["active"], &seen["username"]),
        (&json!(true), &json!("ada"))
    );
    assert_eq!(
        ask(&served, &billing, "/api/revoke", &given.access_token)
            .await
            .status,
        400
    );
    let refresh_token = given.refresh_token.as_deref().unwrap();
    assert_eq!(
        ask(&served, &shop, "/api/revoke", refresh_token).await.status,
        200
    );
    for token in [refresh_token, &given.access_token] {
        assert_eq!(
            introspected(&served, &shop, token).await,
            json!({"active": false})
        );
    }
    assert_eq!(
        refused(shop.refresh(refresh_token).await.unwrap()),
        "invalid_grant"
    );
}

/// A service asks for a token for an API, and the API looks at it; nobody else does. An app with opaque access tokens has
/// none of which anything could be read, and the same answers.
#[tokio::test]
async fn an_api_looks_at_the_tokens_that_it_is_given() {
    const LEDGER: &str = "https://ledger.example.org";
    let served = World::shared().serve(StoreKind::Sled).await;
    let service = |more: Value| {
        let mut spec = json!({ "redirectUris": [], "grantTypes": ["client_credentials"] });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    let billing = served
        .app("billing", service(json!({ "audiences": [LEDGER] })))
        .await;
    let ledger = served
        .app("ledger", service(json!({ "resourceIdentifiers": [LEDGER] })))
        .await;
    let other = served
        .app("other", service(json!({ "audiences": [LEDGER] })))
        .await;
    let form = [("grant_type", "client_credentials"), ("resource", LEDGER)];
    let answer = billing.token_request(&form).await.unwrap().unwrap();
    let seen = introspected(&served, &ledger, &answer.access_token).await;
    assert_eq!(
        (&seen["aud"], &seen["sub"]),
        (&json!(LEDGER), &json!(billing.registration().client_id))
    );
    let unseen = introspected(&served, &other, &answer.access_token).await;
    assert_eq!(unseen, json!({"active": false}));
    assert_eq!(
        refused(ledger.token_request(&form).await.unwrap()),
        "invalid_target"
    );

    let spec = json!({ "tokens": { "accessTokenFormat": "opaque" } });
    let app = served.app("opaque", spec).await;
    let given = tokens(&app, &Browser::new().unwrap()).await;
    assert!(given.access_token.starts_with("clv_at_"), "a JWT");
    let seen = introspected(&served, &app, &given.access_token).await;
    assert_eq!(
        (&seen["active"], &seen["groups"]),
        (&json!(true), &json!(["engineers"]))
    );
    let subject = seen["sub"].as_str().unwrap();
    app.userinfo(&given.access_token, subject).await.unwrap();
    assert_eq!(
        ask(&served, &app, "/api/revoke", &given.access_token)
            .await
            .status,
        200
    );
    app.userinfo(&given.access_token, subject).await.unwrap_err();
}

/// kill -9 and a start on the same folder: what was revoked stays revoked, of every kind, and what was not is good.
#[tokio::test]
async fn rule_60_a_crash_forgets_no_revocation() {
    let mut served = World::shared().serve(StoreKind::Sled).await;
    let both = |format: &str| {
        json!({
            "grantTypes": ["authorization_code", "refresh_token", "client_credentials"],
            "tokens": { "accessTokenFormat": format },
        })
    };
    let mut apps = Vec::new();
    for format in ["jwt", "opaque"] {
        let app = served.app(format, both(format)).await;
        let browser = Browser::new().unwrap();
        let (kept, ended) = (tokens(&app, &browser).await, tokens(&app, &browser).await);
        let own = [("grant_type", "client_credentials")];
        let own_kept = app.token_request(&own).await.unwrap().unwrap().access_token;
        let own_ended = app.token_request(&own).await.unwrap().unwrap().access_token;
        for token in [&ended.access_token, &own_ended] {
            assert_eq!(ask(&served, &app, "/api/revoke", token).await.status, 200);
        }
        apps.push((
            app,
            [kept.access_token, own_kept],
            [ended.access_token, own_ended],
        ));
    }
    served.claviger.kill9();
    served.claviger.restart().await.unwrap();
    for (app, kept, ended) in &apps {
        for token in kept {
            assert_eq!(introspected(&served, app, token).await["active"], true);
        }
        for token in ended {
            assert_eq!(introspected(&served, app, token).await, json!({"active": false}));
        }
    }
}

async fn the_secret_of_a_service_names_no_scope(served: &Served) {
    let entries = World::shared().secret(&served.namespace, "billing-oidc").await;
    let names: BTreeSet<&str> = entries.keys().map(String::as_str).collect();
    assert!(names.contains("OIDC_CLIENT_SECRET") && names.contains("OIDC_TOKEN_ENDPOINT"));
    assert!(!names.contains("OIDC_SCOPES") && !names.contains("OIDC_REDIRECT_URI"));
}

async fn a_service_gets_a_token_in_its_own_name(served: &Served, billing: &RelyingParty) -> String {
    let form = [("grant_type", "client_credentials")];
    let reply = wire::send(served.port(), &wire::token(served.port(), billing, &form)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    let mut members: Vec<_> = answer.as_object().unwrap().keys().collect();
    members.sort_unstable();
    assert_eq!(members, ["access_token", "expires_in", "token_type"]);
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn a_token_is_looked_at_by_its_client(
    served: &Served,
    billing: &RelyingParty,
    shop: &RelyingParty,
    token: &str,
) {
    let seen = introspected(served, billing, token).await;
    let client_id = billing.registration().client_id.as_str();
    assert_eq!(
        (&seen["active"], &seen["sub"], &seen["client_id"]),
        (&json!(true), &json!(client_id), &json!(client_id))
    );
    assert_eq!(introspected(served, shop, token).await, json!({"active": false}));
}

async fn introspected(served: &Served, app: &RelyingParty, token: &str) -> Value {
    let reply = ask(served, app, "/api/introspect", token).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn ask(served: &Served, app: &RelyingParty, path: &str, token: &str) -> Reply {
    let registration = app.registration();
    let secret = registration.client_secret.as_deref().unwrap();
    let headers = [("Authorization", wire::basic(&registration.client_id, secret))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let request = wire::post(served.port(), path, &headers, &[("token", token)]);
    wire::send(served.port(), &request).await
}
