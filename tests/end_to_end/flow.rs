//! The authorization code flow from discovery to a refresh, step by step, as an app and a browser see it.

use jsonwebtoken::{Algorithm, decode_header};
use serde_json::{Value, json};
use testbed::browser::form::Form;
use testbed::browser::{Arrival, Browser, Page};
use testbed::relying_party::{AuthorizationRequest, RelyingParty, Tokens};
use url::Url;

use crate::harness::{PASSWORD, REDIRECT_URI, SCOPE, Served, StoreKind, USERNAME, World, refused};
use crate::wire;

#[tokio::test]
async fn the_whole_flow_works_on_sled() {
    the_whole_flow_works(StoreKind::Sled).await;
}

#[tokio::test]
async fn the_whole_flow_works_in_memory() {
    the_whole_flow_works(StoreKind::Memory).await;
}

async fn the_whole_flow_works(store: StoreKind) {
    let served = World::shared().serve(store).await;
    let app = served.app("shop", json!({ "displayName": "Sample shop" })).await;
    let browser = Browser::new().unwrap();

    discovery_names_the_issuer_and_its_endpoints(&served, &app).await;
    let request = app.authorization_request(SCOPE, &[]).unwrap();
    let sign_in = the_authorization_request_leads_to_the_sign_in_page(&browser, &request).await;
    let consent = signing_in_leads_to_consent(&browser, &sign_in).await;
    let callback = consent_leads_back_to_the_app(&served, &browser, &consent, &request).await;
    let tokens = the_code_is_redeemed(&served, &app, &request, &callback).await;
    let subject = the_id_token_holds(&served, &app, &request, &tokens).await;
    userinfo_is_about_the_same_person(&served, &app, &tokens, &subject).await;
    refreshing_rotates(&served, &app, &tokens, &subject).await;
}

/// Step 1 (OpenID Connect Discovery section 4).
async fn discovery_names_the_issuer_and_its_endpoints(served: &Served, app: &RelyingParty) {
    let port = served.port();
    let reply = wire::send(port, &wire::get(port, "/.well-known/openid-configuration", &[])).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    let metadata = reply.json();
    let issuer = served.claviger.issuer();
    assert_eq!(metadata["issuer"], issuer);
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/api/token/v2"),
        ("userinfo_endpoint", "/api/userinfo"),
        ("jwks_uri", "/.well-known/jwks.json"),
    ] {
        assert_eq!(metadata[name], format!("{issuer}{path}"));
    }
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    // What the Secret says is the same, byte for byte.
    assert_eq!(app.registration().issuer, issuer);
    assert_eq!(app.registration().client_id, format!("{}.shop", served.namespace));
}

/// Step 2 (RFC 6749 section 4.1.1).
async fn the_authorization_request_leads_to_the_sign_in_page(
    browser: &Browser,
    request: &AuthorizationRequest,
) -> Page {
    let page = browser.get(&request.url).await.unwrap();
    let Arrival::Page(page) = browser.follow(page, REDIRECT_URI).await.unwrap() else {
        panic!("the app was answered without anybody signing in");
    };
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["cache-control"], "no-store");
    let form = page.forms().into_iter().find(Form::asks_for_sign_in);
    assert!(
        form.is_some_and(|form| form.has_button("sign-in")),
        "{}",
        page.text()
    );
    page
}

/// Step 3.
async fn signing_in_leads_to_consent(browser: &Browser, sign_in: &Page) -> Page {
    let mut form = sign_in.forms().into_iter().find(Form::asks_for_sign_in).unwrap();
    form.fill("username", USERNAME).unwrap();
    form.fill("password", PASSWORD).unwrap();
    let answer = browser.submit(sign_in, &form, Some("sign-in")).await.unwrap();
    // 303, so that the password is not posted on (RFC 9700 section 4.12).
    assert_eq!(answer.status, 303);
    let Arrival::Page(page) = browser.follow(answer, REDIRECT_URI).await.unwrap() else {
        panic!("the app was answered without anybody being asked");
    };
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Sample shop"), "{}", page.text());
    page
}

/// Step 4 (RFC 6749 section 4.1.2, RFC 9207 section 2).
async fn consent_leads_back_to_the_app(
    served: &Served,
    browser: &Browser,
    consent: &Page,
    request: &AuthorizationRequest,
) -> Url {
    let form = consent.forms().into_iter().find(|form| form.has_button("allow"));
    let answer = browser
        .submit(consent, &form.unwrap(), Some("allow"))
        .await
        .unwrap();
    assert_eq!(answer.status, 303);
    let Arrival::Callback(callback) = browser.follow(answer, REDIRECT_URI).await.unwrap() else {
        panic!("the person was not sent back to the app");
    };
    let value = |name: &str| {
        let mut values = callback.query_pairs().filter(|(key, _)| key == name);
        let (_, value) = values.next().unwrap_or_else(|| panic!("no {name} in {callback}"));
        assert!(values.next().is_none(), "{name} twice in {callback}");
        value.into_owned()
    };
    assert_eq!(value("state"), request.state);
    assert_eq!(value("iss"), served.claviger.issuer());
    assert!(value("code").starts_with("clv_"));
    callback
}

/// Step 5 (RFC 6749 section 4.1.3, 5.1).
async fn the_code_is_redeemed(
    served: &Served,
    app: &RelyingParty,
    request: &AuthorizationRequest,
    callback: &Url,
) -> Tokens {
    let code = app.code(request, callback).unwrap();
    let port = served.port();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", request.code_verifier.as_str()),
    ];
    let reply = wire::send(port, &wire::token(port, app, &form)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    let answer = reply.json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 600);
    serde_json::from_value(answer).unwrap()
}

/// Step 6 (OpenID Connect Core section 3.1.3.7).
async fn the_id_token_holds(
    served: &Served,
    app: &RelyingParty,
    request: &AuthorizationRequest,
    tokens: &Tokens,
) -> String {
    let id_token = tokens.id_token.as_deref().unwrap();
    let header = decode_header(id_token).unwrap();
    assert_eq!(header.alg, Algorithm::RS256);
    let claims = app.verify_id_token(tokens, Some(&request.nonce)).await.unwrap();
    assert_eq!(claims["iss"], served.claviger.issuer());
    assert_eq!(claims["aud"], app.registration().client_id);
    assert_eq!(claims["nonce"], request.nonce);
    let (issued_at, expires_at) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(expires_at - issued_at, 3600);

    // The relying party's check can fail.
    let (signed, signature) = id_token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = Tokens {
        id_token: Some(format!("{signed}.{flipped}{}", &signature[1..])),
        ..tokens.clone()
    };
    assert!(app.verify_id_token(&forged, Some(&request.nonce)).await.is_err());
    claims["sub"].as_str().unwrap().to_owned()
}

/// Step 7 (OpenID Connect Core section 5.3).
async fn userinfo_is_about_the_same_person(
    served: &Served,
    app: &RelyingParty,
    tokens: &Tokens,
    subject: &str,
) {
    let claims: Value = app.userinfo(&tokens.access_token, subject).await.unwrap();
    assert_eq!(claims["sub"], subject);
    assert_eq!(claims["email"], "ada@example.org");
    assert_eq!(claims["groups"], json!(["engineers"]));
    let reply = userinfo(served, &tokens.access_token).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), "no-store");
}

/// Step 8 (RFC 6749 section 6, RFC 9700 section 4.14.2).
async fn refreshing_rotates(served: &Served, app: &RelyingParty, tokens: &Tokens, subject: &str) {
    let first = tokens.refresh_token.as_deref().unwrap();
    let fresh = app.refresh(first).await.unwrap().unwrap();
    let second = fresh.refresh_token.as_deref().unwrap();
    assert_ne!(first, second);
    let claims = app.verify_id_token(&fresh, None).await.unwrap();
    assert_eq!(claims["sub"], subject);
    app.userinfo(&fresh.access_token, subject).await.unwrap();

    // A refresh token that comes a second time was stolen from one of the two who used it: everything ends.
    assert_eq!(refused(app.refresh(first).await.unwrap()), "invalid_grant");
    assert_eq!(refused(app.refresh(second).await.unwrap()), "invalid_grant");
    for access_token in [&tokens.access_token, &fresh.access_token] {
        let reply = userinfo(served, access_token).await;
        assert_eq!(reply.status, 401);
        assert!(
            reply.header("www-authenticate").contains("invalid_token"),
            "{reply:?}"
        );
    }
}

async fn userinfo(served: &Served, access_token: &str) -> wire::Reply {
    let port = served.port();
    let bearer = format!("Bearer {access_token}");
    wire::send(
        port,
        &wire::get(port, "/api/userinfo", &[("Authorization", &bearer)]),
    )
    .await
}
