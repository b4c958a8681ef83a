//! Client authentication at the token endpoint.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger::oidc::client::ClientAuthenticationMethod;
use claviger::oidc::identifier::ResourceUid;
use claviger::oidc::opaque_token::TokenHash;
use claviger::store::Store;
use http::StatusCode;

use crate::app::{Issue, TestApp, basic, code_form, secret, token_request};
use crate::fixtures;

/// Each of the registered methods is accepted, and secrets travel through the form encoding of RFC 6749 section 2.3.1.
#[tokio::test]
async fn rule_29_secrets_of_any_characters_authenticate() {
    let app = TestApp::with_shop_and_ada().await;
    for odd in ["a%b", "a+b", "a:b", "ä€🙂", "a b", "a&b=c", "%41", "\"\\"] {
        let uid = ResourceUid::new(format!("uid-of-{odd}"));
        app.register_client("shop", |registration| {
            registration.client.uid = uid;
            registration.initial_secret_versions[0].hash = TokenHash::of(odd.as_bytes());
        })
        .await;
        let code = app.issue(Issue::default()).await.code;
        let request = token_request(Some(&basic("shop", odd)), &code_form(&code));
        assert_eq!(app.send(request).await.status, StatusCode::OK, "basic {odd}");

        let code = app.issue(Issue::default()).await.code;
        let mut form = code_form(&code).to_vec();
        form.extend([("client_id", "team-a.shop"), ("client_secret", odd)]);
        assert_eq!(
            app.send(token_request(None, &form)).await.status,
            StatusCode::OK,
            "post {odd}"
        );
    }
}

/// At most one method in a request, one that is registered, and `client_id` agrees with it.
#[tokio::test]
async fn rule_29_one_registered_method_in_a_request() {
    let app = TestApp::with_shop_and_ada().await;
    let methods = |methods: &[ClientAuthenticationMethod]| {
        let methods: BTreeSet<_> = methods.iter().copied().collect();
        move |registration: &mut claviger::store::records::ClientRegistration| {
            registration.client.token_endpoint_auth_methods = methods;
        }
    };
    let code = app.issue(Issue::default()).await.code;
    let right = basic("shop", &secret("shop"));
    let right_secret = secret("shop");
    let in_form = |extra: &[(&'static str, &str)]| {
        let extra = extra.iter().map(|(name, value)| (*name, (*value).to_owned()));
        extra.collect::<Vec<_>>()
    };
    let table = [
        (
            "two methods",
            Some(&right),
            in_form(&[("client_secret", &right_secret)]),
            400,
        ),
        (
            "two methods",
            Some(&right),
            in_form(&[("client_id", "team-a.shop"), ("client_secret", &right_secret)]),
            400,
        ),
        (
            "client_id differs",
            Some(&right),
            in_form(&[("client_id", "team-a.other")]),
            400,
        ),
        ("no client", None, in_form(&[]), 401),
        ("no secret", None, in_form(&[("client_id", "team-a.shop")]), 401),
    ];
    for (what, authorization, extra, status) in table {
        let mut form = code_form(&code).to_vec();
        form.extend(extra.iter().map(|(name, value)| (*name, value.as_str())));
        let response = app
            .send(token_request(authorization.map(String::as_str), &form))
            .await;
        let error = if status == 400 {
            "invalid_request"
        } else {
            "invalid_client"
        };
        response.assert_error(StatusCode::from_u16(status).unwrap(), error);
        assert!(!what.is_empty());
    }

    app.register_client("shop", methods(&[ClientAuthenticationMethod::ClientSecretPost]))
        .await;
    let response = app.redeem("shop", &code).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");

    app.register_client("shop", methods(&[ClientAuthenticationMethod::ClientSecretBasic]))
        .await;
    let mut form = code_form(&code).to_vec();
    form.extend([
        ("client_id", "team-a.shop"),
        ("client_secret", right_secret.as_str()),
    ]);
    let response = app.send(token_request(None, &form)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");

    let mut form = code_form(&code).to_vec();
    form.push(("client_id", "team-a.shop"));
    let request = token_request(Some(&right), &form);
    assert_eq!(app.send(request).await.status, StatusCode::OK);
}

/// A public client names itself and nothing more; a secret that it never had does not authenticate it.
#[tokio::test]
async fn rule_29_a_public_client_only_names_itself() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.token_endpoint_auth_methods = BTreeSet::from([ClientAuthenticationMethod::None]);
        registration.client.uid = ResourceUid::new("uid-public");
        registration.initial_secret_versions.clear();
    })
    .await;
    let code = app.issue(Issue::default()).await.code;
    let mut form = code_form(&code).to_vec();
    form.push(("client_id", "team-a.shop"));
    for authorization in [basic("shop", ""), basic("shop", "x")] {
        let response = app.send(token_request(Some(&authorization), &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    assert_eq!(app.send(token_request(None, &form)).await.status, StatusCode::OK);
}

/// An unknown client, a wrong secret, a suspended client and one whose resource is gone cannot be told apart; the challenge
/// is there when the header was used. (That they cost the same number of comparisons is counted beside the code.)
#[tokio::test]
async fn rule_30_invalid_client_is_the_same_for_every_reason() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("suspended", |registration| registration.client.suspended = true)
        .await;
    app.register_client("gone", |_| ()).await;
    app.store
        .mark_clients_absent(&[ResourceUid::new("uid-gone")])
        .await
        .unwrap();
    let form = code_form("clv_ac_x");
    let attempts = [
        ("unknown", "x".to_owned()),
        ("shop", "wrong".to_owned()),
        ("shop", secret("suspended")),
        ("suspended", secret("suspended")),
        ("suspended", "wrong".to_owned()),
        ("gone", secret("gone")),
    ];
    let mut bodies = BTreeSet::new();
    for (client, secret) in attempts {
        let response = app
            .send(token_request(Some(&basic(client, &secret)), &form))
            .await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        assert!(
            response
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic realm=")
        );
        bodies.insert(response.body);

        let client_id = fixtures::client(client).client_id;
        let mut form = form.to_vec();
        form.extend([("client_id", client_id.as_str()), ("client_secret", &secret)]);
        let response = app.send(token_request(None, &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        assert_eq!(response.header("www-authenticate"), None);
        bodies.insert(response.body);
    }
    for header in ["Basic", "Basic !", "Bearer x"] {
        let response = app.send(token_request(Some(header), &form)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
        bodies.insert(response.body);
    }
    let no_utf8 = format!("Basic {}", STANDARD.encode(b"team-a.shop:\xFF"));
    bodies.insert(app.send(token_request(Some(&no_utf8), &form)).await.body);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// What the store keeps of a secret is its hash.
#[tokio::test]
async fn rule_31_secrets_are_stored_as_hashes() {
    let app = TestApp::with_shop_and_ada().await;
    let client_id = fixtures::client("shop").client_id;
    let record = app.store.client(&client_id).await.unwrap().unwrap();
    assert!(
        record.secret_versions[0]
            .hash
            .matches(&TokenHash::of(secret("shop").as_bytes()))
    );
    assert!(!serde_json::to_string(&record).unwrap().contains(&secret("shop")));
}

/// A secret is refused from the instant at which its version retires.
#[tokio::test]
async fn rule_31_a_retired_secret_is_refused() {
    let app = TestApp::with_shop_and_ada().await;
    let retires_at = claviger::clock::later(app.now(), std::time::Duration::from_secs(10));
    app.register_client("old", |registration| {
        registration.initial_secret_versions[0].retires_at = Some(retires_at);
    })
    .await;
    let form = code_form("clv_ac_x");
    app.token("old", &form)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    app.advance(std::time::Duration::from_secs(10));
    app.token("old", &form)
        .await
        .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
}
