//! DPoP (RFC 9449): what is a proof, that each counts once, and that a token is of no use without its key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::oidc::client::{AccessTokenFormat, ClientAuthenticationMethod, ConsentPolicy};
use claviger::store::Store;
use claviger::store::sled::{SledSettings, SledStore};
use http::header::{AUTHORIZATION, ORIGIN};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{ISSUER, Issue, TestApp, TestResponse, basic, client_request, code_form, secret};
use crate::browser::{
    Browser, answered, app_with_ada, assert_redirected_error, authorize_path, request_with,
};
use crate::client_keys::{ClientKeys, KEYS, OTHER_KEYS};
use crate::clock::TestClock;
use crate::faulty_store::{Fault, FaultyStore};
use crate::jwt::part;
use crate::log::Log;

const TOKEN: &str = "/api/token/v2";
const USERINFO: &str = "/api/userinfo";
const PAR: &str = "/api/par";

fn header_with(keys: &ClientKeys, algorithm: &str) -> Value {
    json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": keys.public_jwk(algorithm)})
}

/// The claims of a proof for `POST` to `path`.
fn claims(app: &TestApp, path: &str, jti: &str) -> Value {
    json!({"jti": jti, "htm": "POST", "htu": format!("{ISSUER}{path}"), "iat": app.now().as_second()})
}

fn signed(keys: &ClientKeys, claims: &Value) -> String {
    keys.sign(&header_with(keys, "ES256"), claims)
}

/// A good proof of the key of [`KEYS`].
fn proof(app: &TestApp, path: &str, jti: &str) -> String {
    signed(&KEYS, &claims(app, path, jti))
}

fn ath(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes()))
}

/// What a proof for userinfo by `GET` with this token says.
fn userinfo_claims(app: &TestApp, access_token: &str, jti: &str) -> Value {
    let mut claims = claims(app, USERINFO, jti);
    claims["htm"] = json!("GET");
    claims["ath"] = json!(ath(access_token));
    claims
}

fn with_proofs(mut request: Request<Body>, proofs: &[&str]) -> Request<Body> {
    for proof in proofs {
        request.headers_mut().append("dpop", proof.parse().unwrap());
    }
    request
}

/// A request of `shop`, which authenticates, with these proofs.
async fn ask(app: &TestApp, path: &str, form: &[(&str, &str)], proofs: &[&str]) -> TestResponse {
    let request = client_request(path, Some(&basic("shop", &secret("shop"))), form);
    app.send(with_proofs(request, proofs)).await
}

async fn redeem(app: &TestApp, code: &str, proofs: &[&str]) -> TestResponse {
    ask(app, TOKEN, &code_form(code), proofs).await
}

/// A token request that needs nothing but the client.
async fn for_itself(app: &TestApp, proof: &str) -> TestResponse {
    ask(app, TOKEN, &[("grant_type", "client_credentials")], &[proof]).await
}

/// A request of `public`, which only names itself.
async fn ask_as_public(app: &TestApp, form: &[(&str, &str)], proofs: &[&str]) -> TestResponse {
    let form = [form, &[("client_id", "team-a.public")]].concat();
    app.send(with_proofs(client_request(TOKEN, None, &form), proofs))
        .await
}

/// A request that `public` pushes.
async fn push_as_public(app: &TestApp, proof: &str) -> TestResponse {
    let form = request_with(&[("client_id", "team-a.public")]);
    app.send(with_proofs(client_request(PAR, None, &form), &[proof]))
        .await
}

async fn show(app: &TestApp, scheme: &str, access_token: &str, proofs: &[&str]) -> TestResponse {
    let request = Request::get(USERINFO).header(AUTHORIZATION, format!("{scheme} {access_token}"));
    app.send(with_proofs(request.body(Body::empty()).unwrap(), proofs))
        .await
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap()
}

fn challenge(response: &TestResponse) -> &str {
    response.header("www-authenticate").unwrap()
}

#[track_caller]
fn tokens(response: &TestResponse) -> Value {
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    assert_eq!(response.header("cache-control"), Some("no-store"));
    response.json()
}

/// Refused with a sentence that says why.
#[track_caller]
fn assert_not_accepted(response: &TestResponse, status: StatusCode, why: &str) {
    response.assert_error(status, "invalid_dpop_proof");
    let said = response.json()["error_description"].as_str().unwrap().to_owned();
    assert!(said.contains(why), "{said} does not say {why}");
    assert_eq!(response.header("dpop-nonce"), None);
}

async fn register_public(app: &TestApp) {
    app.register_client("public", |registration| {
        let method = ClientAuthenticationMethod::None;
        registration.client.token_endpoint_auth_methods = BTreeSet::from([method]);
        registration.client.consent = ConsentPolicy::Skip;
        registration.initial_secret_versions.clear();
    })
    .await;
}

/// A code of `public`, redeemed with this proof.
async fn public_tokens(app: &TestApp, proofs: &[&str]) -> Value {
    register_public(app).await;
    let issued = app
        .issue(Issue {
            client: "public",
            ..Issue::default()
        })
        .await;
    tokens(&ask_as_public(app, &code_form(&issued.code), proofs).await)
}

/// A code of `shop`, redeemed with a proof of [`KEYS`]: its access token.
async fn bound_token(app: &TestApp, jti: &str) -> String {
    let code = app.issue(Issue::default()).await.code;
    let answer = tokens(&redeem(app, &code, &[&proof(app, TOKEN, jti)]).await);
    text(&answer, "access_token").to_owned()
}

/// With a proof the token is bound to its key, whatever the algorithm; userinfo takes it with another proof of that key, and
/// introspection names the key.
#[tokio::test]
async fn rule_45_a_token_is_bound_to_the_key_of_the_proof() {
    let app = TestApp::with_shop_and_ada().await;
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let by = |claims: &Value| KEYS.sign(&header_with(&KEYS, algorithm), claims);
        let jkt = KEYS.thumbprint(algorithm);
        let code = app.issue(Issue::default()).await.code;
        let first = by(&claims(&app, TOKEN, &format!("{algorithm} 1")));
        let answer = tokens(&redeem(&app, &code, &[&first]).await);
        assert_eq!(answer["token_type"], "DPoP");
        let access_token = text(&answer, "access_token");
        assert_eq!(part(access_token, 1)["cnf"], json!({"jkt": jkt}));
        assert_eq!(part(text(&answer, "id_token"), 1)["cnf"], Value::Null);

        let second = by(&userinfo_claims(&app, access_token, &format!("{algorithm} 2")));
        let response = show(&app, "DPoP", access_token, &[&second]).await;
        assert_eq!(tokens(&response)["sub"], "subject-ada");
        assert_eq!(response.header("dpop-nonce"), None);
        let seen = app.introspect("shop", access_token).await;
        assert_eq!(
            (&seen["token_type"], &seen["cnf"]),
            (&json!("DPoP"), &json!({"jkt": jkt}))
        );

        // Without a proof nothing is bound, and userinfo needs none.
        let answer = app.tokens("openid").await;
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!(part(text(&answer, "access_token"), 1)["cnf"], Value::Null);
        assert_eq!(
            app.introspect("shop", text(&answer, "access_token")).await["cnf"],
            Value::Null
        );
    }
}

/// So is an opaque token, one of a client that acts for itself, and one after a refresh.
#[tokio::test]
async fn rule_45_every_access_token_is_bound() {
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.access_token_format = AccessTokenFormat::Opaque;
    })
    .await;
    let cnf = json!({"jkt": KEYS.thumbprint("ES256")});
    let code = app.issue(Issue::default()).await.code;
    let first = tokens(&redeem(&app, &code, &[&proof(&app, TOKEN, "1")]).await);
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
    ];
    let refreshed = tokens(&ask(&app, TOKEN, &refresh, &[&proof(&app, TOKEN, "2")]).await);
    let own = tokens(&for_itself(&app, &proof(&app, TOKEN, "3")).await);
    for answer in [&first, &refreshed, &own] {
        assert_eq!(answer["token_type"], "DPoP");
        let access_token = text(answer, "access_token");
        assert_eq!(app.introspect("shop", access_token).await["cnf"], cnf);
    }
    for answer in [&first, &refreshed] {
        let access_token = text(answer, "access_token");
        let jti = &access_token[10..];
        let good = signed(&KEYS, &userinfo_claims(&app, access_token, jti));
        assert_eq!(
            show(&app, "Bearer", access_token, &[]).await.status,
            StatusCode::UNAUTHORIZED
        );
        tokens(&show(&app, "DPoP", access_token, &[&good]).await);
    }
}

/// Whatever is wrong with a proof alone refuses it, and what was asked for can still be had.
#[tokio::test]
async fn rule_45_each_fault_of_a_proof_alone_is_fatal() {
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    let good = claims(&app, TOKEN, "1");
    let elsewhere = |htu: &str| (json!(htu), "htu");
    let mut wrong = Vec::new();
    for (name, (value, why)) in [
        ("htm", (json!("GET"), "htm")),
        ("htm", (json!("post"), "htm")),
        ("htm", (Value::Null, "htm")),
        ("htu", elsewhere("https://evil.example/api/token/v2")),
        ("htu", elsewhere("http://id.example.org/api/token/v2")),
        ("htu", elsewhere("https://id.example.org:8443/api/token/v2")),
        ("htu", elsewhere("https://id.example.org/api/userinfo")),
        ("htu", elsewhere("https://id.example.org/api/token/v2/")),
        ("htu", elsewhere("https://id.example.org/")),
        ("htu", elsewhere("/api/token/v2")),
        ("htu", (Value::Null, "htu")),
        ("jti", (Value::Null, "jti")),
        ("jti", (json!(""), "jti")),
        ("jti", (json!(1), "claims")),
        ("iat", (Value::Null, "iat")),
        ("iat", (json!("1"), "claims")),
        ("iat", (json!(1.5), "claims")),
        ("nonce", (json!(1), "claims")),
        ("exp", (json!(app.now().as_second()), "expired")),
        ("nbf", (json!(app.now().as_second() + 31), "future")),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        wrong.push((signed(&KEYS, &claims), why));
    }
    let header = header_with(&KEYS, "ES256");
    for (name, value, why) in [
        ("typ", json!("JWT"), "typ"),
        ("typ", json!("at+jwt"), "typ"),
        ("typ", Value::Null, "typ"),
        ("alg", json!("none"), "alg"),
        ("alg", json!("HS256"), "alg"),
        ("alg", json!("ES384"), "alg"),
        ("alg", json!("RS256"), "signature"),
        ("crit", json!(["exp"]), "crit"),
        ("jwk", Value::Null, "no jwk"),
        ("jwk", json!("x"), "header"),
        ("jwk", json!({}), "jwk"),
        ("jwk", json!({"kty": "oct", "k": "eA"}), "jwk"),
        ("jwk", KEYS.public_jwk("RS256"), "signature"),
        ("jwk", OTHER_KEYS.public_jwk("ES256"), "signature"),
    ] {
        let mut header = header.clone();
        header[name] = value;
        wrong.push((KEYS.sign(&header, &good), why));
    }
    // Private members, and a point on another curve.
    for (name, value) in [
        ("d", "AAAA"),
        ("k", "AAAA"),
        ("p", "AAAA"),
        ("oth", "AAAA"),
        ("crv", "P-384"),
        ("crv", "secp256k1"),
        ("alg", "RS256"),
    ] {
        let mut header = header.clone();
        header["jwk"][name] = json!(value);
        wrong.push((KEYS.sign(&header, &good), "jwk"));
    }
    let right = signed(&KEYS, &good);
    let (input, _) = right.rsplit_once('.').unwrap();
    let twice = format!("{right}, {right}");
    for (text, why) in [
        ("x".to_owned(), "JWS"),
        ("a.b.c".to_owned(), "header"),
        (input.to_owned(), "header"),
        (format!("{input}."), "signature"),
        (format!("{input}.AAAA"), "signature"),
        (twice, "JWS"),
    ] {
        wrong.push((text, if why == "header" { "" } else { why }));
    }
    for (proof, why) in &wrong {
        let response = redeem(&app, &code, &[proof]).await;
        assert_not_accepted(&response, StatusCode::BAD_REQUEST, why);
    }
    assert_eq!(
        tokens(&redeem(&app, &code, &[&right]).await)["token_type"],
        "DPoP"
    );
}

/// `htu` may be written in every way that RFC 3986 calls the same, and what stands after the path is not compared.
#[tokio::test]
async fn rule_45_htu_is_normalised() {
    let app = TestApp::with_shop_and_ada().await;
    for (number, htu) in [
        "https://id.example.org/api/token/v2?a=b",
        "https://id.example.org/api/token/v2#c",
        "HTTPS://ID.Example.Org:443/api/token/v2",
        "https://id.example.org/x/../api/./%74oken/v2",
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = claims(&app, TOKEN, &number.to_string());
        claims["htu"] = json!(htu);
        tokens(&for_itself(&app, &signed(&KEYS, &claims)).await);
    }
}

/// Two proofs in one request are none, even equal ones.
#[tokio::test]
async fn rule_45_a_proof_comes_once() {
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    let (one, other) = (proof(&app, TOKEN, "1"), proof(&app, TOKEN, "2"));
    for proofs in [[&*one, &*other], [&*one, &*one]] {
        let response = redeem(&app, &code, &proofs).await;
        assert_not_accepted(&response, StatusCode::BAD_REQUEST, "more than once");
    }
    let access_token = bound_token(&app, "3").await;
    let shown = signed(&KEYS, &userinfo_claims(&app, &access_token, "4"));
    let response = show(&app, "DPoP", &access_token, &[&shown, &shown]).await;
    assert_not_accepted(&response, StatusCode::UNAUTHORIZED, "more than once");
    let pushed = proof(&app, PAR, "5");
    let response = ask(&app, PAR, &request_with(&[]), &[&pushed, &pushed]).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "more than once");
}

/// A proof counts once for as long as it could be presented again, at every endpoint and for whichever client; another of
/// the same key and the same name with it. That of another key has names of its own.
#[tokio::test]
async fn rule_45_a_proof_counts_once() {
    let app = TestApp::with_shop_and_ada().await;
    let first = proof(&app, TOKEN, "1");
    tokens(&for_itself(&app, &first).await);
    let mut resigned = claims(&app, TOKEN, "1");
    resigned["iat"] = json!(app.now().as_second() + 30);
    for again in [&first, &signed(&KEYS, &resigned)] {
        let response = for_itself(&app, again).await;
        assert_not_accepted(&response, StatusCode::BAD_REQUEST, "presented before");
    }
    tokens(&for_itself(&app, &signed(&OTHER_KEYS, &claims(&app, TOKEN, "1"))).await);

    let access_token = bound_token(&app, "2").await;
    let shown = signed(&KEYS, &userinfo_claims(&app, &access_token, "3"));
    tokens(&show(&app, "DPoP", &access_token, &[&shown]).await);
    let response = show(&app, "DPoP", &access_token, &[&shown]).await;
    assert_not_accepted(&response, StatusCode::UNAUTHORIZED, "presented before");

    let pushed = proof(&app, PAR, "4");
    assert_eq!(
        ask(&app, PAR, &request_with(&[]), &[&pushed]).await.status,
        StatusCode::CREATED
    );
    let response = ask(&app, PAR, &request_with(&[]), &[&pushed]).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "presented before");

    app.advance(Duration::from_mins(1));
    app.store.sweep(100).await.unwrap();
    let response = for_itself(&app, &first).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "presented before");
    app.advance(Duration::from_secs(1));
    for_itself(&app, &first)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "use_dpop_nonce");
}

/// Of many that present the same proof at once, one gets a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_45_of_many_with_one_proof_one_gets_a_token() {
    let app = TestApp::with_shop_and_ada().await;
    let proof = proof(&app, TOKEN, "1");
    let all = futures::future::join_all((0..32).map(|_| for_itself(&app, &proof))).await;
    let given = all.iter().filter(|response| response.status == StatusCode::OK);
    assert_eq!(given.count(), 1);
}

/// What was presented before a restart, or at another replica of the same store, is known after it.
#[tokio::test]
async fn rule_45_a_restart_forgets_no_proof() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::new());
    let open = || {
        let settings = SledSettings::at(folder.path().join("store"));
        let on_failure = Box::new(|reason: &str| panic!("the store failed: {reason}"));
        Arc::new(SledStore::open(settings, clock.clone(), on_failure).unwrap())
    };
    let store = open();
    let app = TestApp::over(ISSUER, clock.clone(), FaultyStore::over(store.clone()));
    app.store.mark_provisioned().await.unwrap();
    app.register_client("shop", |_| ()).await;
    let (first, second) = (proof(&app, TOKEN, "1"), proof(&app, TOKEN, "2"));
    tokens(&for_itself(&app, &first).await);
    store.close().await.unwrap();
    drop((app, store));

    let store = open();
    let app = TestApp::over(ISSUER, clock.clone(), FaultyStore::over(store.clone()));
    let replica = TestApp::over(ISSUER, clock.clone(), FaultyStore::over(store.clone()));
    let response = for_itself(&app, &first).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "presented before");
    tokens(&for_itself(&app, &second).await);
    let response = for_itself(&replica, &second).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "presented before");
}

/// A replayed proof that comes with a good code or refresh token gets nothing, and leaves no grant behind that nobody holds
/// a token of. The audit log says so (`rule_87`).
#[tokio::test]
async fn rule_45_a_replayed_proof_leaves_nothing_behind() {
    let app = TestApp::with_shop_and_ada().await;
    let spent = proof(&app, TOKEN, "1");
    tokens(&for_itself(&app, &spent).await);
    let issued = app.issue(Issue::default()).await;
    let (log, _guard) = Log::capture();
    let response = redeem(&app, &issued.code, &[&spent]).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "presented before");
    let audit = log.audit();
    let events: Vec<_> = audit.iter().map(|line| text(&line["fields"], "event")).collect();
    assert_eq!(
        events,
        ["dpop_proof_replayed", "dpop_proof_replayed_grant_revoked"]
    );
    assert!(app.store.live_grant(&issued.grant).await.unwrap().is_none());
}

/// A stolen token is of no use: not as a bearer token, in the header or the form, and not with the thief's own proof, or one
/// of the owner's for something else. A bearer token is none that the scheme DPoP takes.
#[tokio::test]
async fn rule_45_a_token_is_of_no_use_without_its_key() {
    let app = TestApp::with_shop_and_ada().await;
    let stolen = bound_token(&app, "1").await;
    let in_form = client_request(USERINFO, None, &[("access_token", &*stolen)]);
    for response in [show(&app, "Bearer", &stolen, &[]).await, app.send(in_form).await] {
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert_eq!(response.json()["error"], "invalid_token");
        let challenge = challenge(&response);
        assert!(challenge.starts_with(r#"Bearer realm="claviger", error="invalid_token""#));
        assert!(
            challenge.ends_with(r#", DPoP algs="RS256 PS256 ES256 EdDSA""#),
            "{challenge}"
        );
    }
    let by_thief = signed(&OTHER_KEYS, &userinfo_claims(&app, &stolen, "2"));
    let by_owner = signed(&KEYS, &userinfo_claims(&app, &stolen, "3"));
    let response = show(&app, "Bearer", &stolen, &[&by_owner]).await;
    assert_eq!(response.json()["error"], "invalid_token");
    let response = show(&app, "DPoP", &stolen, &[&by_thief]).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(response.json()["error"], "invalid_token");
    assert_eq!(
        challenge(&response),
        r#"DPoP algs="RS256 PS256 ES256 EdDSA", error="invalid_token", error_description="the access token is not valid", Bearer realm="claviger""#
    );

    let another = bound_token(&app, "4").await;
    let bearer = app.tokens("openid").await;
    let bearer = text(&bearer, "access_token");
    let response = show(
        &app,
        "DPoP",
        bearer,
        &[&signed(&KEYS, &userinfo_claims(&app, bearer, "5"))],
    )
    .await;
    assert_eq!(response.json()["error"], "invalid_token");

    for (name, value, why) in [
        ("ath", Value::Null, "ath"),
        ("ath", json!(ath(&another)), "ath"),
        ("ath", json!(ath("")), "ath"),
        ("ath", json!(stolen), "ath"),
        ("htm", json!("POST"), "htm"),
        ("htu", json!(format!("{ISSUER}{TOKEN}")), "htu"),
    ] {
        let mut claims = userinfo_claims(&app, &stolen, "6");
        claims[name] = value;
        let response = show(&app, "DPoP", &stolen, &[&signed(&KEYS, &claims)]).await;
        assert_not_accepted(&response, StatusCode::UNAUTHORIZED, why);
    }
    let response = show(&app, "DPoP", &stolen, &[]).await;
    assert_not_accepted(&response, StatusCode::UNAUTHORIZED, "header DPoP");
    tokens(&show(&app, "dpop", &stolen, &[&by_owner]).await);
}

/// A request without a token hears of both schemes.
#[tokio::test]
async fn rule_45_both_schemes_are_offered() {
    let app = TestApp::new().await;
    let response = app.get(USERINFO).await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        challenge(&response),
        r#"Bearer realm="claviger", DPoP algs="RS256 PS256 ES256 EdDSA""#
    );
    let document = app.get("/.well-known/openid-configuration").await.json();
    assert_eq!(
        document["dpop_signing_alg_values_supported"],
        json!(["RS256", "PS256", "ES256", "EdDSA"])
    );
}

/// The refresh token of a public client needs the key of its first proof ever after: with another or none nothing is
/// spent, and a stolen one is no reason to end the grant.
#[tokio::test]
async fn rule_45_a_public_clients_refresh_token_is_bound_to_its_key() {
    let app = TestApp::with_shop_and_ada().await;
    let answer = public_tokens(&app, &[&proof(&app, TOKEN, "1")]).await;
    let mut refresh_token = text(&answer, "refresh_token").to_owned();
    for round in 0..2 {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*refresh_token),
        ];
        let other = signed(&OTHER_KEYS, &claims(&app, TOKEN, &format!("other {round}")));
        for proofs in [&[&*other][..], &[]] {
            let response = ask_as_public(&app, &form, proofs).await;
            response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
            // What it is good for is told to nobody else, either.
            let wider = [&form[..], &[("scope", "openid email")]].concat();
            let response = ask_as_public(&app, &wider, proofs).await;
            response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        let own = proof(&app, TOKEN, &format!("own {round}"));
        let next = tokens(&ask_as_public(&app, &form, &[&own]).await);
        assert_eq!(next["token_type"], "DPoP");
        // Spent: without the key it still ends nothing.
        let response = ask_as_public(&app, &form, &[&other]).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        refresh_token = text(&next, "refresh_token").to_owned();
    }
}

/// One that was given without a proof takes any, and is bound from then on.
#[tokio::test]
async fn rule_45_a_refresh_token_is_bound_when_a_key_is_proved() {
    let app = TestApp::with_shop_and_ada().await;
    let answer = public_tokens(&app, &[]).await;
    assert_eq!(answer["token_type"], "Bearer");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&answer, "refresh_token")),
    ];
    let answer = tokens(&ask_as_public(&app, &refresh, &[&proof(&app, TOKEN, "1")]).await);
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&answer, "refresh_token")),
    ];
    let response = ask_as_public(&app, &refresh, &[]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    tokens(&ask_as_public(&app, &refresh, &[&proof(&app, TOKEN, "2")]).await);
}

/// A confidential client authenticates, so its refresh tokens take any key: each access token is bound to that of its
/// own request.
#[tokio::test]
async fn rule_45_a_confidential_client_may_change_its_key() {
    let app = TestApp::with_shop_and_ada().await;
    let code = app.issue(Issue::default()).await.code;
    let mut answer = tokens(&redeem(&app, &code, &[&proof(&app, TOKEN, "1")]).await);
    let other = signed(&OTHER_KEYS, &claims(&app, TOKEN, "2"));
    for (proofs, cnf) in [
        (&[&*other][..], json!({"jkt": OTHER_KEYS.thumbprint("ES256")})),
        (&[], Value::Null),
    ] {
        let refresh_token = text(&answer, "refresh_token").to_owned();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*refresh_token),
        ];
        answer = tokens(&ask(&app, TOKEN, &form, proofs).await);
        assert_eq!(part(text(&answer, "access_token"), 1)["cnf"], cnf);
    }
}

/// A client that is registered so gets no token without a proof, by no grant, and what it presented is not spent.
#[tokio::test]
async fn rule_45_a_client_may_be_held_to_proofs() {
    let app = TestApp::with_shop_and_ada().await;
    let answer = app.tokens("openid").await;
    app.register_client("shop", |registration| {
        registration.client.dpop_bound_access_tokens = true;
    })
    .await;
    let code = app.issue(Issue::default()).await.code;
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&answer, "refresh_token")),
    ];
    for (number, form) in [
        &code_form(&code)[..],
        &refresh,
        &[("grant_type", "client_credentials")],
    ]
    .into_iter()
    .enumerate()
    {
        let response = ask(&app, TOKEN, form, &[]).await;
        assert_not_accepted(&response, StatusCode::BAD_REQUEST, "send a proof");
        let proof = proof(&app, TOKEN, &number.to_string());
        assert_eq!(
            tokens(&ask(&app, TOKEN, form, &[&proof]).await)["token_type"],
            "DPoP"
        );
    }
}

fn nonce(response: &TestResponse) -> String {
    response.header("dpop-nonce").unwrap().to_owned()
}

/// A proof whose time is not of now is asked for a nonce, which then vouches for it whatever its time says: at each
/// endpoint, for five minutes, and at every replica. Apps that use nonces get the next one with each answer.
#[tokio::test]
async fn rule_45_a_nonce_takes_the_place_of_the_time() {
    let app = app_with_ada().await;
    let now = app.now().as_second();
    let access_token = bound_token(&app, "first").await;
    for (number, iat) in [now - 61, now + 31, 0, i64::MIN, i64::MAX]
        .into_iter()
        .enumerate()
    {
        let jti = number.to_string();
        let mut at_token = claims(&app, TOKEN, &jti);
        let mut at_par = claims(&app, PAR, &format!("par {jti}"));
        let mut at_userinfo = userinfo_claims(&app, &access_token, &format!("userinfo {jti}"));
        for claims in [&mut at_token, &mut at_par, &mut at_userinfo] {
            claims["iat"] = json!(iat);
        }
        let response = for_itself(&app, &signed(&KEYS, &at_token)).await;
        response.assert_error(StatusCode::BAD_REQUEST, "use_dpop_nonce");
        at_token["nonce"] = json!(nonce(&response));
        let response = for_itself(&app, &signed(&KEYS, &at_token)).await;
        tokens(&response);

        let response = ask(&app, PAR, &request_with(&[]), &[&signed(&KEYS, &at_par)]).await;
        response.assert_error(StatusCode::BAD_REQUEST, "use_dpop_nonce");
        at_par["nonce"] = json!(nonce(&response));
        let response = ask(&app, PAR, &request_with(&[]), &[&signed(&KEYS, &at_par)]).await;
        assert_eq!(response.status, StatusCode::CREATED);

        let response = show(&app, "DPoP", &access_token, &[&signed(&KEYS, &at_userinfo)]).await;
        assert_eq!(response.json()["error"], "use_dpop_nonce");
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert!(challenge(&response).contains(r#"error="use_dpop_nonce""#));
        at_userinfo["nonce"] = json!(nonce(&response));
        let response = show(&app, "DPoP", &access_token, &[&signed(&KEYS, &at_userinfo)]).await;
        tokens(&response);
        assert_ne!(nonce(&response), at_userinfo["nonce"]);
        let response = show(&app, "DPoP", &access_token, &[&signed(&KEYS, &at_userinfo)]).await;
        response_is_replay(&response);
    }
}

#[track_caller]
fn response_is_replay(response: &TestResponse) {
    assert_eq!(response.json()["error"], "invalid_dpop_proof");
    assert!(
        response.text().contains("presented before"),
        "{}",
        response.text()
    );
}

/// A nonce is good for five minutes, and one that is not ours is good for nothing: a right time does not make up for it.
#[tokio::test]
async fn rule_45_a_nonce_is_ours_and_of_now() {
    let app = app_with_ada().await;
    let mut stale = claims(&app, TOKEN, "1");
    stale["iat"] = json!(0);
    let given = nonce(&for_itself(&app, &signed(&KEYS, &stale)).await);
    let with = |nonce: &str, jti: &str| {
        let mut claims = claims(&app, TOKEN, jti);
        claims["nonce"] = json!(nonce);
        signed(&KEYS, &claims)
    };
    let sealed_for_another = {
        let page = Browser::new(&app).authorize(&[]).await;
        crate::browser::Form::of(&page).field("interaction").to_owned()
    };
    let mut altered = given.clone();
    altered.replace_range(..1, if given.starts_with('A') { "B" } else { "A" });
    for (number, wrong) in ["", "x", &altered, &given[1..], &sealed_for_another]
        .into_iter()
        .enumerate()
    {
        let response = for_itself(&app, &with(wrong, &format!("wrong {number}"))).await;
        response.assert_error(StatusCode::BAD_REQUEST, "use_dpop_nonce");
        nonce(&response);
    }
    app.advance(Duration::from_secs(299));
    let replayed = with(&given, "2");
    tokens(&for_itself(&app, &replayed).await);
    app.advance(Duration::from_secs(1));
    let response = for_itself(&app, &with(&given, "3")).await;
    response.assert_error(StatusCode::BAD_REQUEST, "use_dpop_nonce");
    for_itself(&app, &replayed)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "use_dpop_nonce");
    tokens(&for_itself(&app, &with(&nonce(&response), "4")).await);
}

/// `dpop_jkt` binds the code to a key before anybody has proved it, in the address or pushed; another key or none gets
/// nothing and spends nothing.
#[tokio::test]
async fn rule_45_a_code_is_bound_to_dpop_jkt() {
    let app = app_with_ada().await;
    let jkt = KEYS.thumbprint("ES256");
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let pushed = ask(&app, PAR, &request_with(&[("dpop_jkt", &jkt)]), &[]).await;
    let pushed_by_proof = ask(&app, PAR, &request_with(&[]), &[&proof(&app, PAR, "1")]).await;
    let both = request_with(&[("dpop_jkt", &jkt)]);
    let pushed_by_both = ask(&app, PAR, &both, &[&proof(&app, PAR, "2")]).await;
    let mut responses = vec![browser.authorize(&[("dpop_jkt", &jkt)]).await];
    for pushed in [pushed, pushed_by_proof, pushed_by_both] {
        let pushed = pushed.json();
        let by_name = [
            ("client_id", "team-a.shop"),
            ("request_uri", text(&pushed, "request_uri")),
        ];
        responses.push(browser.get(&authorize_path(&by_name)).await);
    }
    for (number, response) in responses.iter().enumerate() {
        let code = &answered(response)["code"];
        let other = signed(&OTHER_KEYS, &claims(&app, TOKEN, &number.to_string()));
        for proofs in [&[&*other][..], &[]] {
            let response = redeem(&app, code, proofs).await;
            response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        }
        let own = proof(&app, TOKEN, &format!("own {number}"));
        let answer = tokens(&redeem(&app, code, &[&own]).await);
        assert_eq!(answer["token_type"], "DPoP");
    }
}

/// `dpop_jkt` is a thumbprint, comes once, and is that of the proof that is pushed with it.
#[tokio::test]
async fn rule_45_a_wrong_dpop_jkt_is_refused() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let jkt = KEYS.thumbprint("ES256");
    for wrong in ["x", &jkt[1..], &format!("{jkt}="), &format!("+{}", &jkt[1..])] {
        let response = browser.authorize(&[("dpop_jkt", wrong)]).await;
        assert_redirected_error(&response, "invalid_request");
    }
    let mut twice = request_with(&[("dpop_jkt", &jkt)]);
    twice.push(("dpop_jkt", &jkt));
    let response = browser.get(&authorize_path(&twice)).await;
    assert_redirected_error(&response, "invalid_request");

    let request = request_with(&[("dpop_jkt", &jkt)]);
    let other = signed(&OTHER_KEYS, &claims(&app, PAR, "1"));
    let response = ask(&app, PAR, &request, &[&other]).await;
    response.assert_error(StatusCode::BAD_REQUEST, "invalid_request");
    // A bad proof is refused when it is pushed, as one for another endpoint.
    let response = ask(&app, PAR, &request, &[&proof(&app, TOKEN, "2")]).await;
    assert_not_accepted(&response, StatusCode::BAD_REQUEST, "htu");
}

/// Scripts of a registered origin may send proofs, and read the nonce and the challenge.
#[tokio::test]
async fn rule_79_scripts_may_use_dpop() {
    const OWN: &str = "https://app.example.org";
    let app = TestApp::with_shop_and_ada().await;
    app.register_client("shop", |registration| {
        registration.client.allowed_origins = vec![OWN.to_owned()];
    })
    .await;
    let access_token = bound_token(&app, "1").await;
    let mut stale = userinfo_claims(&app, &access_token, "2");
    stale["iat"] = json!(0);
    let request = |origin: &str| {
        let request = Request::get(USERINFO)
            .header(AUTHORIZATION, format!("DPoP {access_token}"))
            .header(ORIGIN, origin);
        with_proofs(request.body(Body::empty()).unwrap(), &[&signed(&KEYS, &stale)])
    };
    let response = app.send(request(OWN)).await;
    nonce(&response);
    assert_eq!(response.header("access-control-allow-origin"), Some(OWN));
    assert_eq!(
        response.header("access-control-expose-headers"),
        Some("dpop-nonce, www-authenticate")
    );
    let response = app.send(request("https://other.example.org")).await;
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert_eq!(response.header("access-control-expose-headers"), None);
}

/// A proof of which the store cannot say whether it was presented before is not accepted, and not spent.
#[tokio::test]
async fn rule_82_without_the_store_no_proof_counts() {
    let app = TestApp::with_shop_and_ada().await;
    let proof = proof(&app, TOKEN, "1");
    app.store.fail("spend_jti", Fault::Unavailable);
    let response = for_itself(&app, &proof).await;
    response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    app.store.heal();
    tokens(&for_itself(&app, &proof).await);
}

/// A public client's proof binds what it is pushed with, and is not kept: anybody can send any number of them. Sent again it
/// makes another request for the same key, even while no proof could be spent. One of a client that authenticates is kept.
#[tokio::test]
async fn rule_88_pushing_keeps_no_proof_of_a_public_client() {
    let app = app_with_ada().await;
    register_public(&app).await;
    let again = proof(&app, PAR, "1");
    app.store.fail("spend_jti", Fault::Unavailable);
    let mut pushed = Vec::new();
    for _ in 0..3 {
        let response = push_as_public(&app, &again).await;
        assert_eq!(response.status, StatusCode::CREATED, "{}", response.text());
        pushed.push(response.json());
    }
    let response = ask(&app, PAR, &request_with(&[]), &[&proof(&app, PAR, "2")]).await;
    response.assert_error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    app.store.heal();

    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for pushed in &pushed {
        let by_name = [
            ("client_id", "team-a.public"),
            ("request_uri", text(pushed, "request_uri")),
        ];
        let answer = browser.get(&authorize_path(&by_name)).await;
        let code = answered(&answer)["code"].clone();
        let other = signed(&OTHER_KEYS, &claims(&app, TOKEN, &code));
        let response = ask_as_public(&app, &code_form(&code), &[&other]).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
        tokens(&ask_as_public(&app, &code_form(&code), &[&proof(&app, TOKEN, &code)]).await);
    }
}

/// What is left of what a public client pushed are the requests, and of a client that authenticates the proofs, too.
#[tokio::test]
async fn rule_88_pushing_leaves_the_request_and_no_proof() {
    let app = TestApp::with_shop_and_ada().await;
    register_public(&app).await;
    for number in 0..3 {
        let proof = proof(&app, PAR, &number.to_string());
        let response = push_as_public(&app, &proof).await;
        assert_eq!(response.status, StatusCode::CREATED);
    }
    app.advance(Duration::from_mins(10));
    assert_eq!(app.store.sweep(100).await.unwrap(), 3);
    for number in 0..3 {
        let proof = proof(&app, PAR, &number.to_string());
        let response = ask(&app, PAR, &request_with(&[]), &[&proof]).await;
        assert_eq!(response.status, StatusCode::CREATED);
    }
    app.advance(Duration::from_mins(10));
    assert_eq!(app.store.sweep(100).await.unwrap(), 6);
}

/// Proofs alone fill nothing: whoever gets no token leaves none behind, and can send the same one again. A key has room
/// for ten thousand, of which its tokens and userinfo do not take from each other.
#[tokio::test]
async fn rule_88_proofs_cannot_fill_the_store() {
    let app = TestApp::with_shop_and_ada().await;
    register_public(&app).await;
    let again = proof(&app, TOKEN, "1");
    for _ in 0..3 {
        let response = ask_as_public(&app, &code_form("clv_ac_x"), &[&again]).await;
        response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    app.advance(Duration::from_mins(10));
    assert_eq!(app.store.sweep(100).await.unwrap(), 0);
    let access_token = bound_token(&app, "2").await;
    let signer = format!("dpop {TOKEN} {}", KEYS.thumbprint("ES256"));
    let signer = claviger::oidc::identifier::ResourceUid::new(signer);
    let forget_at = claviger::clock::later(app.now(), Duration::from_secs(40));
    for number in 0..9_999_u32 {
        let jti = crate::fixtures::hash(&number.to_string());
        app.store
            .spend_jti(&signer, &jti, forget_at, 10_000)
            .await
            .unwrap();
    }
    let response = for_itself(&app, &proof(&app, TOKEN, "3")).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.header("retry-after"), Some("40"));
    let shown = signed(&KEYS, &userinfo_claims(&app, &access_token, "4"));
    tokens(&show(&app, "DPoP", &access_token, &[&shown]).await);
}
