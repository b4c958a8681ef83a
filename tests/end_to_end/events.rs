//! What strangers at the sign-in page can make claviger say to the owner of a client.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{StreamExt, stream};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use reqwest::StatusCode;
use serde_json::json;
use testbed::poll;
use url::form_urlencoded;

use crate::harness::{PATIENCE, Served, StoreKind, World};

const HOSTILE: usize = 2000;

pub(crate) async fn events(world: &World, served: &Served) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(world.admin(), &served.namespace);
    api.list(&ListParams::default()).await.unwrap().items
}

async fn authorize(http: &reqwest::Client, served: &Served, redirect_uri: &str) -> StatusCode {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("client_id", format!("{}.shop", served.namespace).as_str()),
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", redirect_uri),
        ])
        .finish();
    let url = served.claviger.url(&format!("/authorize?{query}"));
    http.get(url).send().await.unwrap().status()
}

/// A redirect URI that is not registered becomes an Event on the `OidcClient`, with scheme, host and path and never the
/// query. Thousands of them, all different, become a few Events.
#[tokio::test]
async fn rule_85_a_rejected_redirect_uri_is_an_event_and_thousands_are_a_few() {
    let world = World::shared();
    // What limits the requests is another test's; here all of them arrive.
    let served = world
        .serve_with(StoreKind::Memory, |options| {
            options.arguments.push("--rate-limit-authorize=off".to_owned());
        })
        .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    served.register("shop", json!({})).await;
    let mistyped = "https://ada:marked@shop.example.org/callbak?code=marked#marked";
    assert_eq!(authorize(&http, &served, mistyped).await, StatusCode::BAD_REQUEST);
    let first = poll::until("an Event", PATIENCE, async || {
        Ok(events(world, &served).await.pop())
    })
    .await
    .unwrap();
    let regarding = first.regarding.unwrap();
    assert_eq!(regarding.name.as_deref(), Some("shop"));
    assert_eq!(regarding.kind.as_deref(), Some("OidcClient"));
    assert_eq!(first.reason.as_deref(), Some("RedirectUriRejected"));
    let note = first.note.unwrap();
    assert!(note.contains("https://shop.example.org/callbak,"), "{note}");
    assert!(!note.contains("marked"), "{note}");

    stream::iter(0..HOSTILE)
        .for_each_concurrent(16, |number| {
            let (http, served) = (&http, &served);
            async move {
                let uri = format!("https://evil-{number}.example/{number}?marked");
                assert_eq!(authorize(http, served, &uri).await, StatusCode::BAD_REQUEST);
            }
        })
        .await;
    // Whatever is published is published by then: suppressed ones are counted before the page is answered.
    let metrics = reqwest::get(served.claviger.admin_url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let count = |outcome: &str| -> usize {
        let series = format!("claviger_kubernetes_events_total{{outcome=\"{outcome}\"}} ");
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(&series)?.parse().ok())
            .unwrap()
    };
    assert!(count("suppressed") >= HOSTILE - 3, "{}", count("suppressed"));
    assert_eq!(count("failed"), 0);
    let events = events(world, &served).await;
    assert!((1..=5).contains(&events.len()), "{} Events", events.len());
}

/// An assertion that does not authenticate a client is an Event on its `OidcClient`, which says what is wrong with it and shows
/// nothing of it; whoever sent it is not told.
#[tokio::test]
async fn rule_32_what_is_wrong_with_an_assertion_is_an_event() {
    let world = World::shared();
    let served = world.serve(StoreKind::Memory).await;
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let spec = json!({"tokenEndpointAuthMethods": ["private_key_jwt"], "jwks": {"keys": [key]}});
    served.register("shop", spec).await;
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let sub = format!("{}.shop", served.namespace);
    let claims = encode(json!({"sub": sub, "jti": "marked"}));
    let assertion = format!(
        "{}.{claims}.{}",
        encode(json!({"alg": "EdDSA"})),
        encode(json!("marked"))
    );
    let form = [
        ("grant_type", "client_credentials"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion.as_str()),
    ];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = served.claviger.url("/api/token/v2");
    let response = http.post(url).form(&form).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!response.text().await.unwrap().contains("signature"));
    let event = poll::until("an Event", PATIENCE, async || {
        Ok(events(world, &served).await.pop())
    })
    .await
    .unwrap();
    assert_eq!(event.regarding.unwrap().name.as_deref(), Some("shop"));
    assert_eq!(event.reason.as_deref(), Some("ClientAssertionRejected"));
    let note = event.note.unwrap();
    assert!(note.contains("signature") && !note.contains("marked"), "{note}");
}
