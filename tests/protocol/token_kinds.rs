//! A value of every kind that claviger hands out or takes, presented wherever a value is taken: each place takes its own
//! kind, and answers every other as it answers nonsense.

use axum::body::Body;
use claviger::oidc::client::{AccessTokenFormat, ClientAuthenticationMethod, ServiceAccount};
use claviger::oidc::client_assertion::TYPE;
use claviger::oidc::service_account_token::ClusterIssuer;
use claviger::store::Store;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{ISSUER, Issue, TestApp, TestResponse, basic, encode, secret, token_request};
use crate::browser::{Browser, Form, PASSWORD, REQUEST, answered, app_with_ada, authorize_path, location};
use crate::client_keys::{KEYS, OTHER_KEYS};
use crate::fixtures;

const URN: &str = "urn:ietf:params:oauth:request_uri:";
const AFTER: &str = "https://shop.example.org/signed-out";
const CLUSTER: &str = "https://kubernetes.default.svc";

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Code,
    RefreshToken,
    JwtAccessToken,
    OpaqueAccessToken,
    IdToken,
    Session,
    Browser,
    KnownBrowser,
    Interaction,
    SealedSignIn,
    SealedSignOut,
    SealedRequest,
    CsrfToken,
    ClientSecret,
    ClientAssertion,
    ServiceAccountToken,
    RequestObject,
    DpopProof,
    PushedRequest,
    DeviceCode,
    UserCode,
}

const KINDS: [Kind; 21] = [
    Kind::Code,
    Kind::RefreshToken,
    Kind::JwtAccessToken,
    Kind::OpaqueAccessToken,
    Kind::IdToken,
    Kind::Session,
    Kind::Browser,
    Kind::KnownBrowser,
    Kind::Interaction,
    Kind::SealedSignIn,
    Kind::SealedSignOut,
    Kind::SealedRequest,
    Kind::CsrfToken,
    Kind::ClientSecret,
    Kind::ClientAssertion,
    Kind::ServiceAccountToken,
    Kind::RequestObject,
    Kind::DpopProof,
    Kind::PushedRequest,
    Kind::DeviceCode,
    Kind::UserCode,
];

/// Where a value is taken, and what anything else is answered there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Code,
    RefreshToken,
    Userinfo,
    Introspection,
    Revocation,
    HintAtAuthorize,
    HintAtLogout,
    SessionCookie,
    BrowserCookie,
    Interaction,
    SignInForm,
    SignOutForm,
    PostedRequest,
    CsrfToken,
    ClientSecret,
    ClientAssertion,
    RequestObject,
    DpopProof,
    PushedRequest,
    DeviceCode,
    UserCode,
}

/// Every place, what it takes, and its answer to the rest.
const PLACES: [(Place, &[Kind], &str); 21] = [
    (Place::Code, &[Kind::Code], "400 invalid_grant"),
    (Place::RefreshToken, &[Kind::RefreshToken], "400 invalid_grant"),
    (
        Place::Userinfo,
        &[Kind::JwtAccessToken, Kind::OpaqueAccessToken],
        "401 invalid_token",
    ),
    (
        Place::Introspection,
        &[Kind::JwtAccessToken, Kind::OpaqueAccessToken, Kind::RefreshToken],
        "inactive",
    ),
    (
        Place::Revocation,
        &[Kind::JwtAccessToken, Kind::OpaqueAccessToken, Kind::RefreshToken],
        "nothing ended",
    ),
    (Place::HintAtAuthorize, &[Kind::IdToken], "invalid_request"),
    (Place::HintAtLogout, &[Kind::IdToken], "asked"),
    (Place::SessionCookie, &[Kind::Session], "login_required"),
    (Place::BrowserCookie, &[Kind::Browser], "403 page"),
    (Place::Interaction, &[Kind::Interaction], "400 page"),
    (Place::SignInForm, &[Kind::SealedSignIn], "400 page"),
    (Place::SignOutForm, &[Kind::SealedSignOut], "leads nowhere"),
    (Place::PostedRequest, &[Kind::SealedRequest], "400 page"),
    (Place::CsrfToken, &[Kind::CsrfToken], "403 page"),
    (Place::ClientSecret, &[Kind::ClientSecret], "401 invalid_client"),
    (
        Place::ClientAssertion,
        &[Kind::ClientAssertion, Kind::ServiceAccountToken],
        "401 invalid_client",
    ),
    (
        Place::RequestObject,
        &[Kind::RequestObject],
        "invalid_request_object",
    ),
    (Place::DpopProof, &[Kind::DpopProof], "400 invalid_dpop_proof"),
    (Place::PushedRequest, &[Kind::PushedRequest], "400 page"),
    (Place::DeviceCode, &[Kind::DeviceCode], "400 invalid_grant"),
    (Place::UserCode, &[Kind::UserCode], "400 page"),
];

const ACCEPTED: &str = "accepted";

/// The answer that a value of this kind must get.
fn wanted(place: Place, takes: &[Kind], otherwise: &'static str, kind: Kind) -> &'static str {
    if takes.contains(&kind) {
        return ACCEPTED;
    }
    match (place, kind) {
        // RFC 7009 section 2.2.1: tokens of ours that no revocation ends are told apart from nonsense.
        (Place::Revocation, Kind::Code | Kind::IdToken) => "400 unsupported_token_type",
        _ => otherwise,
    }
}

/// One value of each kind, all good, and the browser that they were made in.
struct Values<'app> {
    browser: Browser<'app>,
    all: Vec<(Kind, String)>,
}

impl Values<'_> {
    fn get(&self, kind: Kind) -> &str {
        &self.all.iter().find(|(known, _)| *known == kind).unwrap().1
    }
}

async fn app() -> TestApp {
    let app = app_with_ada().await;
    let cluster = ClusterIssuer {
        issuer: CLUSTER.to_owned(),
        jwks: OTHER_KEYS.jwks(),
    };
    app.store.note_cluster_issuer(cluster).await.unwrap();
    register(&app, AccessTokenFormat::Jwt).await;
    app
}

async fn register(app: &TestApp, format: AccessTokenFormat) {
    app.register_client("shop", |registration| {
        registration.client.access_token_format = format;
        registration.client.post_logout_redirect_uris = vec![AFTER.to_owned()];
        registration.client.jwks = KEYS.jwks();
        registration.client.service_accounts = vec![ServiceAccount {
            name: "shop".to_owned(),
            uid: Some("1".to_owned()),
        }];
        registration
            .client
            .token_endpoint_auth_methods
            .insert(ClientAuthenticationMethod::PrivateKeyJwt);
    })
    .await;
}

fn text(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap().to_owned()
}

fn request_object(app: &TestApp) -> String {
    let now = app.now().as_second();
    let mut claims = json!({ "iss": "team-a.shop", "aud": ISSUER, "iat": now, "exp": now + 300 });
    for (name, value) in REQUEST {
        claims[name] = json!(value);
    }
    KEYS.sign(&json!({ "alg": "ES256", "typ": "oauth-authz-req+jwt" }), &claims)
}

fn dpop_proof(app: &TestApp, jti: &str) -> String {
    let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": KEYS.public_jwk("ES256") });
    let claims = json!({
        "jti": jti, "htm": "POST", "htu": format!("{ISSUER}/api/token/v2"), "iat": app.now().as_second(),
    });
    KEYS.sign(&header, &claims)
}

fn client_assertion(app: &TestApp, jti: &str) -> String {
    let now = app.now().as_second();
    let claims =
        json!({ "iss": "team-a.shop", "sub": "team-a.shop", "aud": ISSUER, "exp": now + 60, "jti": jti });
    KEYS.sign(&json!({ "alg": "ES256", "kid": "ec" }), &claims)
}

/// What a `request_uri` ends with: the rest is the same for all.
fn name_of(request_uri: &str) -> String {
    request_uri.strip_prefix(URN).unwrap().to_owned()
}

fn service_account_token(app: &TestApp) -> String {
    let now = app.now().as_second();
    let claims = json!({
        "iss": CLUSTER, "sub": "system:serviceaccount:team-a:shop", "aud": [ISSUER], "iat": now, "exp": now + 3600,
        "kubernetes.io": { "namespace": "team-a", "serviceaccount": { "name": "shop", "uid": "1" } },
    });
    OTHER_KEYS.sign(&json!({ "alg": "RS256", "kid": "rsa" }), &claims)
}

async fn values(app: &TestApp) -> Values<'_> {
    let browser = Browser::new(app);
    let sign_in = Form::of(&browser.authorize(&[]).await);
    let code = browser.sign_in_as_ada().await["code"].clone();
    let tokens = app.redeem("shop", &code).await.json();
    register(app, AccessTokenFormat::Opaque).await;
    let opaque = app.tokens("openid").await;
    register(app, AccessTokenFormat::Jwt).await;
    let consent = location(&browser.authorize(&[("prompt", "consent")]).await);
    let (_, interaction) = consent.split_once("interaction=").unwrap();
    let sign_out = encode(&[("client_id", "team-a.shop"), ("post_logout_redirect_uri", AFTER)]);
    let sign_out = Form::of(&browser.get(&format!("/logout?{sign_out}")).await);
    let posted = browser
        .post_from(Some("https://shop.example.org"), "/authorize", &REQUEST)
        .await;
    let posted = location(&posted);
    let (_, posted) = posted.split_once("claviger_posted=").unwrap();
    let pushed = app.ask("/api/par", "shop", &REQUEST).await.json();
    let device = app
        .ask("/api/device", "shop", &[("scope", "openid")])
        .await
        .json();
    let cookie = |what| browser.cookie(what).unwrap();
    let all = vec![
        (Kind::Code, app.issue(Issue::default()).await.code),
        (Kind::RefreshToken, text(&tokens, "refresh_token")),
        (Kind::JwtAccessToken, text(&tokens, "access_token")),
        (Kind::OpaqueAccessToken, text(&opaque, "access_token")),
        (Kind::IdToken, text(&tokens, "id_token")),
        (Kind::Session, cookie("session")),
        (Kind::Browser, cookie("browser")),
        (Kind::KnownBrowser, cookie("known")),
        (Kind::Interaction, interaction.to_owned()),
        (Kind::SealedSignIn, sign_in.field("interaction").to_owned()),
        (Kind::SealedSignOut, sign_out.field("request").to_owned()),
        (Kind::SealedRequest, posted.to_owned()),
        (Kind::CsrfToken, sign_out.field("csrf_token").to_owned()),
        (Kind::ClientSecret, secret("shop")),
        (Kind::ClientAssertion, client_assertion(app, &code)),
        (Kind::ServiceAccountToken, service_account_token(app)),
        (Kind::RequestObject, request_object(app)),
        (Kind::DpopProof, dpop_proof(app, &code)),
        (Kind::PushedRequest, name_of(&text(&pushed, "request_uri"))),
        (Kind::DeviceCode, text(&device, "device_code")),
        (Kind::UserCode, text(&device, "user_code")),
    ];
    Values { browser, all }
}

/// Presents a value, and says in a few words what it was answered.
async fn present(app: &TestApp, values: &Values<'_>, place: Place, value: &str) -> String {
    let browser = &values.browser;
    match place {
        Place::Code => json_answer(&app.redeem("shop", value).await),
        Place::RefreshToken => json_answer(&app.refresh("shop", value).await),
        Place::Userinfo => {
            let request = Request::get("/api/userinfo").header(AUTHORIZATION, format!("Bearer {value}"));
            json_answer(&app.send(request.body(Body::empty()).unwrap()).await)
        }
        Place::Introspection => {
            let answer = app.introspect("shop", value).await;
            if answer == json!({ "active": false }) {
                return "inactive".to_owned();
            }
            assert_eq!(answer["active"], true);
            ACCEPTED.to_owned()
        }
        Place::Revocation => revocation(app, values, value).await,
        Place::HintAtAuthorize => {
            let page = Browser::new(app).authorize(&[("id_token_hint", value)]).await;
            page_or_error(&page)
        }
        Place::HintAtLogout => {
            let path = format!("/logout?{}", encode(&[("id_token_hint", value)]));
            let page = browser.get(&path).await;
            if page.status == StatusCode::SEE_OTHER {
                return ACCEPTED.to_owned();
            }
            assert!(page.text().contains("id=\"confirm-logout\""), "{}", page.text());
            "asked".to_owned()
        }
        Place::SessionCookie => {
            with_cookie(browser, "session", value);
            page_or_error(&browser.authorize(&[("prompt", "none")]).await)
        }
        Place::BrowserCookie => {
            with_cookie(browser, "browser", value);
            sign_in(values, values.get(Kind::SealedSignIn)).await
        }
        Place::Interaction => {
            let page = browser
                .get(&format!("/consent?{}", encode(&[("interaction", value)])))
                .await;
            page_answer(&page)
        }
        Place::SignInForm => sign_in(values, value).await,
        Place::SignOutForm => {
            let fields = [("csrf_token", values.get(Kind::CsrfToken)), ("request", value)];
            match location(&browser.post("/logout/confirm", &fields).await).as_str() {
                AFTER => ACCEPTED.to_owned(),
                "/logout" => "leads nowhere".to_owned(),
                elsewhere => elsewhere.to_owned(),
            }
        }
        Place::PostedRequest => {
            let path = format!("/authorize?{}", encode(&[("claviger_posted", value)]));
            page_answer(&browser.get(&path).await)
        }
        Place::CsrfToken => {
            let response = browser.post("/logout/confirm", &[("csrf_token", value)]).await;
            page_answer(&response)
        }
        Place::ClientSecret => {
            let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
            let authorization = basic("shop", value);
            let answer = json_answer(&app.send(token_request(Some(&authorization), &form)).await);
            // Whoever is who they say hears of the token.
            answer.replace("400 invalid_grant", ACCEPTED)
        }
        Place::ClientAssertion => {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", "x"),
                ("client_id", "team-a.shop"),
                ("client_assertion_type", TYPE),
                ("client_assertion", value),
            ];
            let answer = json_answer(&app.send(token_request(None, &form)).await);
            answer.replace("400 invalid_grant", ACCEPTED)
        }
        Place::DpopProof => {
            let form = [("grant_type", "client_credentials")];
            let mut request = token_request(Some(&basic("shop", &secret("shop"))), &form);
            request.headers_mut().insert("dpop", value.parse().unwrap());
            json_answer(&app.send(request).await)
        }
        Place::RequestObject => {
            let parameters = [
                ("client_id", "team-a.shop"),
                ("redirect_uri", fixtures::REDIRECT_URI),
                ("request", value),
            ];
            page_or_error(&Browser::new(app).get(&authorize_path(&parameters)).await)
        }
        Place::PushedRequest | Place::DeviceCode | Place::UserCode => {
            present_where_devices_and_names_are_taken(app, values, place, value).await
        }
    }
}

async fn present_where_devices_and_names_are_taken(
    app: &TestApp,
    values: &Values<'_>,
    place: Place,
    value: &str,
) -> String {
    match place {
        Place::DeviceCode => {
            let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
            let form = [("grant_type", grant_type), ("device_code", value)];
            // Nobody has answered, which nobody else is told.
            json_answer(&app.token("shop", &form).await).replace("400 authorization_pending", ACCEPTED)
        }
        Place::UserCode => {
            let fields = [("csrf_token", values.get(Kind::CsrfToken)), ("user_code", value)];
            page_answer(&values.browser.post("/device", &fields).await)
        }
        _ => {
            let request_uri = format!("{URN}{value}");
            let parameters = [("client_id", "team-a.shop"), ("request_uri", &request_uri)];
            page_or_refusal(&Browser::new(app).get(&authorize_path(&parameters)).await)
        }
    }
}

/// A page that refuses, or whatever else an authorization request comes to.
fn page_or_refusal(response: &TestResponse) -> String {
    if response.status == StatusCode::SEE_OTHER && !location(response).starts_with('/') {
        return page_or_error(response);
    }
    page_answer(response)
}

/// What an endpoint for apps answers.
fn json_answer(response: &TestResponse) -> String {
    if response.status == StatusCode::OK {
        return ACCEPTED.to_owned();
    }
    let error = response.json()["error"].as_str().unwrap().to_owned();
    format!("{} {error}", response.status.as_u16())
}

/// What a page is.
fn page_answer(response: &TestResponse) -> String {
    match response.status {
        StatusCode::OK | StatusCode::SEE_OTHER => ACCEPTED.to_owned(),
        status => {
            assert!(response.text().contains("id=\"error\""), "{}", response.text());
            format!("{} page", status.as_u16())
        }
    }
}

/// What an authorization request comes to: a page, a code, or an error for the app.
fn page_or_error(response: &TestResponse) -> String {
    if response.status == StatusCode::OK {
        return ACCEPTED.to_owned();
    }
    let answer = answered(response);
    answer.get("error").map_or(ACCEPTED, String::as_str).to_owned()
}

/// What ends is told by nothing in the answer: the tokens are looked at.
async fn revocation(app: &TestApp, values: &Values<'_>, value: &str) -> String {
    let response = app.revoke("shop", value).await;
    if response.status != StatusCode::OK {
        return json_answer(&response);
    }
    for kind in [Kind::JwtAccessToken, Kind::OpaqueAccessToken, Kind::RefreshToken] {
        if app.introspect("shop", values.get(kind)).await["active"] != true {
            return ACCEPTED.to_owned();
        }
    }
    assert_eq!(
        app.redeem("shop", values.get(Kind::Code)).await.status,
        StatusCode::OK
    );
    "nothing ended".to_owned()
}

async fn sign_in(values: &Values<'_>, sealed: &str) -> String {
    let fields = [
        ("csrf_token", values.get(Kind::CsrfToken)),
        ("interaction", sealed),
        ("username", "ada"),
        ("password", PASSWORD),
    ];
    page_answer(&values.browser.post("/login", &fields).await)
}

fn with_cookie(browser: &Browser<'_>, what: &str, value: &str) {
    let (name, _) = browser.named_cookie(what);
    browser.cookies.borrow_mut().insert(name, value.to_owned());
}

/// Each place takes its own kind and nothing else, and gives the rest the answer that it gives nonsense (CVE-2026-4282,
/// CVE-2026-4325; `rule_48`).
#[tokio::test]
async fn rule_54_every_kind_is_refused_where_another_is_wanted() {
    for (place, takes, otherwise) in PLACES {
        let app = app().await;
        let nonsense = present(&app, &values(&app).await, place, "nonsense").await;
        assert_eq!(nonsense, otherwise, "nonsense as {place:?}");
        for kind in KINDS {
            // Wrong user codes are counted, and soon nobody looks at the next one.
            let fresh = (place == Place::UserCode).then_some(self::app());
            let app = match fresh {
                Some(fresh) => &fresh.await,
                None => &app,
            };
            // Values are spent by being accepted, and sessions by being ended: each attempt has its own.
            let values = values(app).await;
            let answer = present(app, &values, place, values.get(kind)).await;
            assert_eq!(
                answer,
                wanted(place, takes, otherwise, kind),
                "{kind:?} as {place:?}"
            );
        }
    }
}
