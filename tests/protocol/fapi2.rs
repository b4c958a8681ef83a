//! The FAPI 2.0 Security Profile, for a client with `spec.profile: FAPI2`: one test for each thing that it asks, with the
//! section, and a whole flow. Everything is enforced from the client's record, whatever else stands in it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::oidc::client::{ClientAuthenticationMethod, Pkce};
use claviger::oidc::client_assertion::TYPE;
use claviger::oidc::profile::Profile;
use claviger::store::Store;
use claviger::store::records::ClientRegistration;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{ISSUER, Issue, TestApp, TestResponse, basic, client_request, code_form, secret};
use crate::browser::{
    Browser, REQUEST, answered, app_with_ada, assert_error_page, assert_redirected_error, authorize_path,
    request_with,
};
use crate::client_keys::{KEYS, OTHER_KEYS};
use crate::fixtures;
use crate::jwt::part;

const TOKEN: &str = "/api/token/v2";
const USERINFO: &str = "/api/userinfo";
const PAR: &str = "/api/par";

/// What the profile leaves of it is `private_key_jwt`.
fn profile(registration: &mut ClientRegistration) {
    registration.client.profile = Some(Profile::Fapi2);
    registration.client.jwks = KEYS.jwks();
    registration.client.token_endpoint_auth_methods =
        BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
}

async fn app() -> TestApp {
    let app = app_with_ada().await;
    app.register_client("shop", profile).await;
    app
}

fn unique() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).to_string()
}

fn assertion_by(app: &TestApp, algorithm: &str, aud: &Value) -> String {
    let claims = json!({
        "iss": "team-a.shop", "sub": "team-a.shop", "aud": aud, "exp": app.now().as_second() + 60, "jti": unique(),
    });
    KEYS.sign(&json!({"alg": algorithm}), &claims)
}

fn proof_by(app: &TestApp, algorithm: &str, path: &str) -> String {
    proof_with(app, algorithm, path, &json!({}))
}

fn proof_with(app: &TestApp, algorithm: &str, path: &str, changes: &Value) -> String {
    let header = json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": KEYS.public_jwk(algorithm)});
    let mut claims = json!({
        "jti": unique(), "htm": "POST", "htu": format!("{ISSUER}{path}"), "iat": app.now().as_second(),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    KEYS.sign(&header, &claims)
}

/// A request with this assertion and proof.
async fn send(
    app: &TestApp,
    path: &str,
    form: &[(&str, &str)],
    assertion: &str,
    proof: Option<&str>,
) -> TestResponse {
    let by = [("client_assertion_type", TYPE), ("client_assertion", assertion)];
    let mut request = client_request(path, None, &[form, &by].concat());
    if let Some(proof) = proof {
        request.headers_mut().insert("dpop", proof.parse().unwrap());
    }
    app.send(request).await
}

/// As the client does it, by ES256.
async fn ask(app: &TestApp, path: &str, form: &[(&str, &str)]) -> TestResponse {
    let (assertion, proof) = (
        assertion_by(app, "ES256", &json!(ISSUER)),
        proof_by(app, "ES256", path),
    );
    send(app, path, form, &assertion, Some(&proof)).await
}

async fn ask_without_proof(app: &TestApp, path: &str, form: &[(&str, &str)]) -> TestResponse {
    send(app, path, form, &assertion_by(app, "ES256", &json!(ISSUER)), None).await
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap().to_owned()
}

#[track_caller]
fn given(response: &TestResponse) -> Value {
    assert!(response.status.is_success(), "{}", response.text());
    response.json()
}

fn refresh_form(refresh_token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", refresh_token)]
}

const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// The tokens of a code that was issued in the store.
async fn tokens(app: &TestApp) -> Value {
    let code = app.issue(Issue::default()).await.code;
    given(&ask(app, TOKEN, &code_form(&code)).await)
}

/// Pushed, sent on, signed in, redeemed, shown, and refreshed with one refresh token as often as is wanted.
#[tokio::test]
async fn fapi2_a_whole_flow() {
    let app = app().await;
    let pushed = given(&ask(&app, PAR, &request_with(&[])).await);
    let request_uri = text(&pushed, "request_uri");
    let browser = Browser::new(&app);
    let by_name = [("client_id", "team-a.shop"), ("request_uri", &*request_uri)];
    let redirect = browser.get(&authorize_path(&by_name)).await;
    let page = browser.follow(&redirect).await;
    let consent = browser.sign_in(&page, "ada", crate::browser::PASSWORD).await;
    let answer = answered(&browser.answer_consent(&consent, "allow").await);
    assert_eq!((&*answer["iss"], &*answer["state"]), (ISSUER, "state"));

    let tokens = given(&ask(&app, TOKEN, &code_form(&answer["code"])).await);
    assert_eq!(tokens["token_type"], "DPoP");
    let refresh_token = text(&tokens, "refresh_token");
    let mut access_token = text(&tokens, "access_token");
    for _ in 0..3 {
        let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes()));
        let proof = proof_with(&app, "ES256", USERINFO, &json!({"htm": "GET", "ath": ath}));
        let request = Request::get(USERINFO)
            .header(AUTHORIZATION, format!("DPoP {access_token}"))
            .header("dpop", proof);
        let person = given(&app.send(request.body(Body::empty()).unwrap()).await);
        assert_eq!(person["sub"], part(&text(&tokens, "id_token"), 1)["sub"]);

        let refreshed = given(&ask(&app, TOKEN, &refresh_form(&refresh_token)).await);
        assert_eq!(refreshed["refresh_token"], Value::Null);
        access_token = text(&refreshed, "access_token");
    }
}

/// Section 5.3.2.1, 3 and 6: confidential clients that authenticate by `private_key_jwt`, and by nothing else that they have.
#[tokio::test]
async fn fapi2_5_3_2_1_clients_authenticate_by_private_key_jwt() {
    let app = app().await;
    app.register_client("shop", |registration| {
        profile(registration);
        registration.client.token_endpoint_auth_methods = BTreeSet::from(ClientAuthenticationMethod::ALL);
    })
    .await;
    let named = [OWN[0], ("client_id", "team-a.shop")];
    let with_secret = [named[0], named[1], ("client_secret", &*secret("shop"))];
    for (authorization, form) in [
        (Some(basic("shop", &secret("shop"))), &OWN[..]),
        (None, &with_secret),
        (None, &named),
    ] {
        let mut request = client_request(TOKEN, authorization.as_deref(), form);
        let proof = proof_by(&app, "ES256", TOKEN);
        request.headers_mut().insert("dpop", proof.parse().unwrap());
        let response = app.send(request).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
}

/// Section 5.3.2.1, 4 and 5: no access token without a proof of a key, by any grant.
#[tokio::test]
async fn fapi2_5_3_2_1_access_tokens_are_bound_to_a_key() {
    let app = app().await;
    let code = app.issue(Issue::default()).await.code;
    let refresh_token = text(&tokens(&app).await, "refresh_token");
    for form in [&code_form(&code)[..], &refresh_form(&refresh_token), &OWN] {
        let response = ask_without_proof(&app, TOKEN, form).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_dpop_proof");
        let answer = given(&ask(&app, TOKEN, form).await);
        assert_eq!(answer["token_type"], "DPoP");
        let jkt = KEYS.thumbprint("ES256");
        assert_eq!(
            part(&text(&answer, "access_token"), 1)["cnf"],
            json!({"jkt": jkt})
        );
    }
}

/// Section 5.3.2.1, 8: the issuer as a string is the only audience of an assertion.
#[tokio::test]
async fn fapi2_5_3_2_1_the_issuer_is_the_only_audience() {
    let app = app().await;
    for aud in [
        json!([ISSUER]),
        json!(format!("{ISSUER}{TOKEN}")),
        json!(format!("{ISSUER}{PAR}")),
    ] {
        let assertion = assertion_by(&app, "ES256", &aud);
        let proof = proof_by(&app, "ES256", TOKEN);
        let response = send(&app, TOKEN, &OWN, &assertion, Some(&proof)).await;
        response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
}

/// Section 5.3.2.1, 9: refresh tokens do not rotate. Their idle time begins anew with each use, their grant ends when it ends.
#[tokio::test]
async fn fapi2_5_3_2_1_refresh_tokens_do_not_rotate() {
    const DAY: Duration = Duration::from_hours(24);
    let app = app().await;
    let refresh_token = {
        let code = app
            .issue(Issue {
                scope: "openid offline_access",
                ..Issue::default()
            })
            .await
            .code;
        text(
            &given(&ask(&app, TOKEN, &code_form(&code)).await),
            "refresh_token",
        )
    };
    // 14 days idle, 90 in all.
    for _ in 0..6 {
        app.advance(DAY * 13);
        app.store.sweep(100).await.unwrap();
        for _ in 0..2 {
            let answer = given(&ask(&app, TOKEN, &refresh_form(&refresh_token)).await);
            assert_eq!(answer["refresh_token"], Value::Null);
        }
    }
    app.advance(DAY * 12);
    let response = ask(&app, TOKEN, &refresh_form(&refresh_token)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");

    let idle = text(&tokens(&app).await, "refresh_token");
    app.advance(DAY * 14);
    let response = ask(&app, TOKEN, &refresh_form(&idle)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// Section 5.3.2.1, 11 and 12: a code is good for a minute at most, and for the key that its request was pushed with.
#[tokio::test]
async fn fapi2_5_3_2_1_codes_are_short_lived_and_bound_to_the_key() {
    let app = app().await;
    let code = app.issue(Issue::default()).await.code;
    app.advance(Duration::from_mins(1));
    let response = ask(&app, TOKEN, &code_form(&code)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");

    let browser = Browser::new(&app);
    let pushed = given(&ask(&app, PAR, &request_with(&[])).await);
    let by_name = [
        ("client_id", "team-a.shop"),
        ("request_uri", &*text(&pushed, "request_uri")),
    ];
    let redirect = browser.get(&authorize_path(&by_name)).await;
    let page = browser.follow(&redirect).await;
    let consent = browser.sign_in(&page, "ada", crate::browser::PASSWORD).await;
    let code = &answered(&browser.answer_consent(&consent, "allow").await)["code"];
    let proof = proof_by(&app, "EdDSA", TOKEN);
    let assertion = assertion_by(&app, "ES256", &json!(ISSUER));
    let response = send(&app, TOKEN, &code_form(code), &assertion, Some(&proof)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    given(&ask(&app, TOKEN, &code_form(code)).await);
}

/// Section 5.3.2.2, 1 to 6: what is pushed has `response_type=code`, a `redirect_uri` and a challenge by `S256`, and comes from
/// the client itself.
#[tokio::test]
async fn fapi2_5_3_2_2_what_is_pushed_is_complete() {
    let app = app().await;
    app.register_client("shop", |registration| {
        profile(registration);
        registration.client.pkce = Pkce::Optional;
    })
    .await;
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "code id_token", "unsupported_response_type"),
        ("redirect_uri", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
    ] {
        let response = ask(&app, PAR, &request_with(&[(name, value)])).await;
        response.assert_error(StatusCode::BAD_REQUEST, error);
    }
    let without = request_with(&[("code_challenge", ""), ("code_challenge_method", "")]);
    let response = ask(&app, PAR, &without).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    let request = request_with(&[]);
    let response = app.send(client_request(PAR, None, &request)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    let pushed = given(&ask(&app, PAR, &request).await);
    // 12: for less than ten minutes.
    assert!((5..600).contains(&pushed["expires_in"].as_i64().unwrap()));
}

/// Section 5.3.2.2, 3: a request that was not pushed is none.
#[tokio::test]
async fn fapi2_5_3_2_2_requests_are_pushed() {
    let app = app().await;
    let browser = Browser::new(&app);
    assert_redirected_error(&browser.authorize(&[]).await, "invalid_request");
    let mut claims = json!({
        "iss": "team-a.shop", "aud": ISSUER, "exp": app.now().as_second() + 60,
    });
    for (name, value) in REQUEST {
        claims[name] = json!(value);
    }
    let object = KEYS.sign(&json!({"alg": "ES256"}), &claims);
    let response = browser.authorize(&[("request", &object)]).await;
    assert_redirected_error(&response, "invalid_request");
}

/// Section 5.3.2.2, 8: people are sent to no address but https, whatever is registered.
#[tokio::test]
async fn fapi2_5_3_2_2_people_are_sent_to_https_only() {
    let app = app().await;
    let others = [
        "http://127.0.0.1/callback",
        "http://localhost/callback",
        "org.example.shop:/callback",
    ];
    app.register_client("shop", |registration| {
        profile(registration);
        let uris = &mut registration.client.redirect_uris;
        uris.extend(others.map(ToOwned::to_owned));
    })
    .await;
    for other in others {
        let response = ask(&app, PAR, &request_with(&[("redirect_uri", other)])).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
        let response = Browser::new(&app).authorize(&[("redirect_uri", other)]).await;
        assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
    }
}

/// Section 5.3.2.2, 9: a code is good once, and what came of it ends with the second use.
#[tokio::test]
async fn fapi2_5_3_2_2_codes_are_good_once() {
    let app = app().await;
    let code = app.issue(Issue::default()).await.code;
    let first = given(&ask(&app, TOKEN, &code_form(&code)).await);
    let response = ask(&app, TOKEN, &code_form(&code)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    let refresh_token = text(&first, "refresh_token");
    let response = ask(&app, TOKEN, &refresh_form(&refresh_token)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// A device's request cannot be pushed, so the profile has no device grant, whatever is registered.
#[tokio::test]
async fn fapi2_5_3_2_2_there_is_no_device_grant() {
    let app = app().await;
    let response = ask(&app, "/api/device", &[("scope", "openid")]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", "x"),
    ];
    let response = ask(&app, TOKEN, &form).await;
    response.assert_error(StatusCode::BAD_REQUEST, "unauthorized_client");
}

/// Section 5.4.1: `PS256`, `ES256` and `EdDSA`, for what the client signs and for what it is given, even where the record
/// says `RS256`.
#[tokio::test]
async fn fapi2_5_4_1_nothing_is_signed_by_rs256() {
    let app = app().await;
    let issuer = json!(ISSUER);
    for good in ["PS256", "ES256", "EdDSA"] {
        let (assertion, proof) = (assertion_by(&app, good, &issuer), proof_by(&app, good, TOKEN));
        given(&send(&app, TOKEN, &OWN, &assertion, Some(&proof)).await);
    }
    let proof = proof_by(&app, "ES256", TOKEN);
    let response = send(
        &app,
        TOKEN,
        &OWN,
        &assertion_by(&app, "RS256", &issuer),
        Some(&proof),
    )
    .await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    let assertion = assertion_by(&app, "ES256", &issuer);
    let proof = proof_by(&app, "RS256", TOKEN);
    let response = send(&app, TOKEN, &OWN, &assertion, Some(&proof)).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_dpop_proof");

    let mut claims = json!({
        "iss": "team-a.shop", "aud": ISSUER, "exp": app.now().as_second() + 60, "redirect_uri": fixtures::REDIRECT_URI,
    });
    for (name, value) in REQUEST {
        claims[name] = json!(value);
    }
    let object = KEYS.sign(&json!({"alg": "RS256"}), &claims);
    let response = ask(&app, PAR, &[("client_id", "team-a.shop"), ("request", &object)]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request_object");
    let object = KEYS.sign(&json!({"alg": "PS256"}), &claims);
    given(&ask(&app, PAR, &[("client_id", "team-a.shop"), ("request", &object)]).await);

    app.register_client("shop", |registration| {
        profile(registration);
        let signing = &mut registration.client.signing;
        signing.access_token = claviger::oidc::signing_algorithm::SigningAlgorithm::Rs256;
        signing.id_token = signing.access_token;
    })
    .await;
    let tokens = tokens(&app).await;
    for name in ["access_token", "id_token"] {
        assert_eq!(part(&text(&tokens, name), 0)["alg"], "ES256");
    }
}

/// The rest of the world goes on as it was: a client without the profile needs nothing of all this.
#[tokio::test]
async fn fapi2_is_one_clients_affair() {
    let app = app().await;
    app.register_client("blog", |registration| {
        registration.client.redirect_uris = vec![fixtures::REDIRECT_URI.to_owned()];
    })
    .await;
    let response = app.token("blog", &OWN).await;
    assert_eq!(given(&response)["token_type"], "Bearer");
    let claims = json!({
        "iss": "team-a.shop", "sub": "team-a.shop", "aud": ISSUER, "exp": app.now().as_second() + 60, "jti": unique(),
    });
    let forged = OTHER_KEYS.sign(&json!({"alg": "ES256"}), &claims);
    let proof = proof_by(&app, "ES256", TOKEN);
    let response = send(&app, TOKEN, &OWN, &forged, Some(&proof)).await;
    response.assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
}
