//! `/authorize`: what is refused on a page, what is told to the app, and what the app gets.

use std::time::Duration;

use axum::body::Body;
use claviger::oidc::client::{ClientAuthenticationMethod, Pkce};
use claviger::oidc::grant_type::GrantType;
use claviger::oidc::scope::ScopeSet;
use http::{Request, StatusCode};

use crate::app::{ISSUER, TestApp, code_form};
use crate::browser::{
    Browser, Form, PASSWORD, REQUEST, answered, app_with_ada, assert_error_page, assert_redirected_error,
    assert_sign_in_page, authorize_path, location, request_with,
};

/// An unknown client, or a redirect URI that is missing, malformed or not registered, gets an error page with status 400,
/// never a redirect, and nothing of the request is repeated on it.
#[tokio::test]
async fn rule_01_bad_clients_and_redirect_uris_get_an_error_page() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    for changes in [
        &[("client_id", "no-such-marker")][..],
        &[("client_id", "")],
        &[("client_id", "TEAM-A.SHOP")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://marker.example/cb")],
        &[("redirect_uri", "not a uri marker")],
        &[("redirect_uri", "javascript:marker()")],
        // Whatever else is wrong, a bad redirect URI is never redirected to.
        &[
            ("redirect_uri", "https://marker.example/cb"),
            ("response_type", "token"),
        ],
        &[("redirect_uri", "https://marker.example/cb"), ("prompt", "none")],
        &[
            ("redirect_uri", "https://marker.example/cb"),
            ("request_uri", "https://marker.example/r"),
        ],
    ] {
        let response = browser.authorize(changes).await;
        assert_error_page(&response, StatusCode::BAD_REQUEST, &["marker"]);
    }
}

/// The error page says which app it is about, the id to ask with, and what an administrator can look at.
#[tokio::test]
async fn rule_01_the_error_page_helps() {
    let app = app_with_ada().await;
    let response = Browser::new(&app)
        .authorize(&[("redirect_uri", "https://evil.example/cb")])
        .await;
    let text = response.text();
    assert!(text.contains("shop asked to send you to an address"), "{text}");
    assert!(text.contains("kubectl get oidcclient shop -n team-a"), "{text}");
    let request_id = response.header("x-request-id").unwrap();
    assert!(
        text.contains(&format!("<code id=\"request-id\">{request_id}</code>")),
        "{text}"
    );
}

/// `redirect_uri` is required, with one registered too: there is no default.
#[tokio::test]
async fn rule_05_a_redirect_uri_is_required() {
    let app = app_with_ada().await;
    let response = Browser::new(&app).authorize(&[("redirect_uri", "")]).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);
    assert!(response.text().contains("did not say where to send you"));
}

/// A repeated parameter is `invalid_request`; a repeated `client_id` or `redirect_uri` gets the error page, even with the
/// same value twice.
#[tokio::test]
async fn rule_06_repeated_parameters_are_refused() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    for (name, value) in REQUEST {
        for other in [value, "other-marker"] {
            let mut parameters = REQUEST.to_vec();
            parameters.push((name, other));
            let response = browser.get(&authorize_path(&parameters)).await;
            match name {
                "client_id" | "redirect_uri" => {
                    assert_error_page(&response, StatusCode::BAD_REQUEST, &["marker"]);
                }
                _ => assert_redirected_error(&response, "invalid_request"),
            }
        }
    }
    for name in [
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "response_mode",
        "request",
    ] {
        let mut parameters = REQUEST.to_vec();
        parameters.extend([(name, "1"), (name, "1")]);
        let response = browser.get(&authorize_path(&parameters)).await;
        assert_redirected_error(&response, "invalid_request");
    }
}

/// A repeated `state` is not returned: which of the two would it be?
#[tokio::test]
async fn rule_06_a_repeated_state_is_not_returned() {
    let app = app_with_ada().await;
    let mut parameters = REQUEST.to_vec();
    parameters.push(("state", "other"));
    let response = Browser::new(&app).get(&authorize_path(&parameters)).await;
    assert_eq!(answered(&response).get("state"), None);
}

/// Unknown parameters are ignored, repeated or not, and a parameter with an empty value counts as absent.
#[tokio::test]
async fn rule_07_unknown_parameters_are_ignored_and_empty_ones_absent() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let mut parameters = REQUEST.to_vec();
    parameters.extend([
        ("unknown", "a"),
        ("unknown", "b"),
        ("display", "popup"),
        ("x", "y"),
    ]);
    assert_sign_in_page(&browser.get(&authorize_path(&parameters)).await);

    let empty = "&prompt=&max_age=&request=&request_uri=&registration=&response_mode=&id_token_hint=";
    assert_sign_in_page(&browser.get(&format!("{}{empty}", authorize_path(&REQUEST))).await);
    let response = browser
        .get(&format!(
            "{}&scope=",
            authorize_path(&request_with(&[("scope", "")]))
        ))
        .await;
    assert_redirected_error(&response, "invalid_scope");
}

/// GET and form POST are accepted. The POST comes from another site and without the session cookie; it is answered by a
/// redirect to GET, which brings the parameters back sealed.
#[tokio::test]
async fn rule_08_get_and_post_are_accepted() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let shop = Some("https://shop.example.org");
    let without_cookies = Browser::new(&app);
    let redirect = without_cookies.post_from(shop, "/authorize", &REQUEST).await;
    let path = location(&redirect);
    assert!(path.starts_with("/authorize?claviger_posted="), "{path}");
    assert!(
        !path.contains("team-a.shop"),
        "the parameters travel readable: {path}"
    );

    let answer = answered(&browser.get(&path).await);
    assert_eq!(answer["state"], "state");
    assert!(answer.contains_key("code"));
    assert_sign_in_page(&without_cookies.get(&path).await);

    // Sealed for ten minutes, and unalterable.
    let mut altered = path.clone();
    let last = if altered.pop() == Some('A') { 'B' } else { 'A' };
    altered.insert(altered.len() - 30, last);
    assert_error_page(&browser.get(&altered).await, StatusCode::BAD_REQUEST, &[]);
    app.advance(Duration::from_mins(10));
    assert_error_page(&browser.get(&path).await, StatusCode::BAD_REQUEST, &[]);
}

/// A POST of another media type is refused on a page, and so is one of more than eight KiB; one that just fits comes back
/// within the limit of a request target.
#[tokio::test]
async fn rule_08_posts_are_forms_of_at_most_8_kib() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let request = Request::post("/authorize").header("content-type", "application/json");
    let response = browser.send(request, Body::from("{}")).await;
    assert_error_page(&response, StatusCode::BAD_REQUEST, &[]);

    let padding = "x".repeat(8 * 1024);
    let large = browser
        .post("/authorize", &request_with(&[("padding", &padding)]))
        .await;
    assert_error_page(&large, StatusCode::PAYLOAD_TOO_LARGE, &["xxx"]);
    let fits = browser
        .post(
            "/authorize",
            &request_with(&[("padding", &padding[..7 * 1024 + 600])]),
        )
        .await;
    assert_sign_in_page(&browser.follow(&fits).await);
}

/// Only `response_type=code`: everything else is told to the app as `unsupported_response_type`, and no token is ever in
/// a front channel.
#[tokio::test]
async fn rule_09_the_only_response_type_is_code() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for response_type in [
        "token",
        "id_token",
        "code id_token",
        "code token",
        "none",
        "CODE",
        "code ",
    ] {
        let response = browser.authorize(&[("response_type", response_type)]).await;
        assert_redirected_error(&response, "unsupported_response_type");
        assert!(!location(&response).contains('#'));
    }
    assert_redirected_error(
        &browser.authorize(&[("response_type", "")]).await,
        "invalid_request",
    );
}

/// PKCE is required of confidential and public clients alike, with S256 and nothing else.
#[tokio::test]
async fn rule_11_pkce_with_s256_is_required() {
    let app = app_with_ada().await;
    app.register_client("spa", |registration| {
        registration.client.token_endpoint_auth_methods = [ClientAuthenticationMethod::None].into();
        registration.initial_secret_versions.clear();
    })
    .await;
    let browser = Browser::new(&app);
    for client_id in ["team-a.shop", "team-a.spa"] {
        for changes in [
            &[("code_challenge", ""), ("code_challenge_method", "")][..],
            &[("code_challenge", "")],
            &[("code_challenge_method", "")],
            &[("code_challenge_method", "plain")],
            &[("code_challenge_method", "s256")],
            &[("code_challenge", "too-short")],
            &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=")],
            &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")],
        ] {
            let changes = [changes, &[("client_id", client_id)]].concat();
            assert_redirected_error(&browser.authorize(&changes).await, "invalid_request");
        }
    }
}

const WITHOUT_PKCE: [(&str, &str); 2] = [("code_challenge", ""), ("code_challenge_method", "")];

/// A client with a secret may be let off PKCE. Nothing else changes: `plain` is refused, and so is a method without a
/// challenge; a code that was asked for with a challenge needs the verifier, and one without refuses any (`rule_12`).
#[tokio::test]
async fn rule_11_pkce_may_be_optional_for_a_client_with_a_secret() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| registration.client.pkce = Pkce::Optional)
        .await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    for changes in [
        &[("code_challenge_method", "plain")][..],
        &[("code_challenge_method", "")],
        &[("code_challenge", "")],
        &[("code_challenge", ""), ("code_challenge_method", "plain")],
        &[("code_challenge", "too-short")],
    ] {
        assert_redirected_error(&browser.authorize(changes).await, "invalid_request");
    }
    for (changes, with_verifier) in [(&WITHOUT_PKCE[..], false), (&[], true)] {
        for verifier in [false, true] {
            let code = answered(&browser.authorize(changes).await)["code"].clone();
            let form = code_form(&code);
            let form = if verifier { &form[..] } else { &form[..3] };
            let response = app.token("shop", form).await;
            if verifier == with_verifier {
                assert_eq!(response.status, StatusCode::OK, "{}", response.text());
            } else {
                response.assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
            }
        }
    }
}

/// A public client cannot be let off PKCE, whatever its record says; nor can one that is let off no more by the time the
/// code would be issued.
#[tokio::test]
async fn rule_11_a_public_client_is_never_let_off_pkce() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    app.register_client("shop", |registration| registration.client.pkce = Pkce::Optional)
        .await;
    let page = browser.authorize(&WITHOUT_PKCE).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    app.register_client("shop", |_| ()).await;
    assert_redirected_error(&browser.follow(&redirect).await, "invalid_request");

    app.register_client("shop", |registration| {
        registration.client.pkce = Pkce::Optional;
        registration.client.token_endpoint_auth_methods = [ClientAuthenticationMethod::None].into();
    })
    .await;
    assert_redirected_error(&browser.authorize(&WITHOUT_PKCE).await, "invalid_request");
}

/// `nonce` comes back unchanged in the ID token; it is optional, and at most 1024 bytes long.
#[tokio::test]
async fn rule_13_the_nonce_comes_back_unchanged() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let longest = "n".repeat(1024);
    for nonce in ["n-0S6_WzA2Mj", "a b+c%20&=\"'<é", &longest] {
        let answer = answered(&browser.authorize(&[("nonce", nonce)]).await);
        let tokens = app.redeem("shop", &answer["code"]).await.json();
        assert_eq!(claims(&tokens)["nonce"], nonce);
    }
    let answer = answered(&browser.authorize(&[("nonce", "")]).await);
    let tokens = app.redeem("shop", &answer["code"]).await.json();
    assert_eq!(claims(&tokens).get("nonce"), None);
    let response = browser.authorize(&[("nonce", &format!("{longest}n"))]).await;
    assert_redirected_error(&response, "invalid_request");
}

fn claims(tokens: &serde_json::Value) -> serde_json::Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let id_token = tokens["id_token"].as_str().unwrap();
    let payload = id_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// `state` comes back byte for byte, with success and with an error, whatever its characters and up to 2048 bytes.
#[tokio::test]
async fn rule_14_the_state_comes_back_byte_for_byte() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    let every_character: String = (0x20..0x7f).map(char::from).collect();
    let longest = "s".repeat(2048);
    for state in [
        &every_character,
        &longest,
        "a+b c%2Bd&e=f#g;h",
        "é\u{202e}中",
        "\t\r\n\0",
    ] {
        let success = answered(&browser.authorize(&[("state", state)]).await);
        assert_eq!(success["state"], *state);
        assert!(success.contains_key("code"));
        let error = answered(
            &browser
                .authorize(&[("state", state), ("response_type", "token")])
                .await,
        );
        assert_eq!(error["state"], *state);
    }
    let too_long = browser.authorize(&[("state", &format!("{longest}s"))]).await;
    assert_redirected_error(&too_long, "invalid_request");
    assert_eq!(answered(&too_long).get("state"), None);
    let none = answered(&browser.authorize(&[("state", "")]).await);
    assert_eq!(none.get("state"), None);
}

/// `iss` is in every response to an app, errors included (RFC 9207).
#[tokio::test]
async fn rule_15_every_response_says_who_answers() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let success = browser.sign_in_as_ada().await;
    assert_eq!(success["iss"], ISSUER);
    let page = browser.authorize(&[("prompt", "consent")]).await;
    let denied = answered(&browser.answer_consent(&page, "deny").await);
    assert_eq!(
        (denied["error"].as_str(), denied["iss"].as_str()),
        ("access_denied", ISSUER)
    );
}

/// Everything that is wrong with a request whose client and redirect URI are right is told to the app with its own code.
#[tokio::test]
async fn rule_15_errors_are_told_to_the_app() {
    let app = app_with_ada().await;
    app.register_client("bare", |registration| {
        registration.client.grant_types = [GrantType::RefreshToken].into();
    })
    .await;
    app.register_client("plain", |registration| {
        registration.client.scopes = ScopeSet::parse("profile");
    })
    .await;
    let browser = Browser::new(&app);
    for (changes, error) in [
        (&[("scope", "profile")][..], "invalid_scope"),
        (&[("scope", "")], "invalid_scope"),
        (&[("scope", "OPENID")], "invalid_scope"),
        (&[("client_id", "team-a.plain")], "invalid_scope"),
        (&[("client_id", "team-a.bare")], "unauthorized_client"),
        (&[("prompt", "create")], "invalid_request"),
        (&[("max_age", "-1")], "invalid_request"),
        (&[("max_age", "soon")], "invalid_request"),
        (&[("max_age", "99999999999999999999")], "invalid_request"),
    ] {
        assert_redirected_error(&browser.authorize(changes).await, error);
    }
}

/// `request_uri`, `registration` and an unsigned `request` are refused with codes of their own, and nothing is fetched.
#[tokio::test]
async fn rule_19_request_uri_and_registration_are_refused() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    for (name, value, error) in [
        (
            "request_uri",
            "https://shop.example.org/request.jwt",
            "request_uri_not_supported",
        ),
        (
            "request_uri",
            "urn:ietf:params:oauth:request_uri:abc",
            "request_uri_not_supported",
        ),
        ("request", "eyJhbGciOiJub25lIn0.e30.", "invalid_request_object"),
        ("registration", "{}", "registration_not_supported"),
    ] {
        assert_redirected_error(&browser.authorize(&[(name, value)]).await, error);
    }
}

/// A code is dead after sixty seconds.
#[tokio::test]
async fn rule_23_a_code_lives_for_sixty_seconds() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let code = browser.sign_in_as_ada().await["code"].clone();
    app.advance(Duration::from_secs(59));
    assert_eq!(app.redeem("shop", &code).await.status, StatusCode::OK);
    let code = answered(&browser.authorize(&[]).await)["code"].clone();
    app.advance(Duration::from_mins(1));
    app.redeem("shop", &code)
        .await
        .assert_error(StatusCode::BAD_REQUEST, "invalid_grant");
}

/// `offline_access` is honoured for a client that may have it and refresh tokens at all, and only with consent, asked now
/// or remembered for exactly that.
#[tokio::test]
async fn rule_40_offline_access_needs_consent_and_permission() {
    const OFFLINE: (&str, &str) = ("scope", "openid profile offline_access");
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    browser.sign_in_as_ada().await;
    // What was allowed so far does not cover it.
    let silent = browser.authorize(&[OFFLINE, ("prompt", "none")]).await;
    assert_redirected_error(&silent, "consent_required");
    let redirect = browser.authorize(&[OFFLINE]).await;
    let page = browser.follow(&redirect).await;
    assert!(page.text().contains("while you are away"), "{}", page.text());
    let form = Form::of(&page);
    let answer = answered(&browser.submit(&form, &[("answer", "allow")]).await);
    assert_eq!(
        granted_scope(&app, "shop", &answer["code"]).await,
        "offline_access openid profile"
    );
    // Remembered from now on.
    let answer = answered(&browser.authorize(&[OFFLINE, ("prompt", "none")]).await);
    assert_eq!(
        granted_scope(&app, "shop", &answer["code"]).await,
        "offline_access openid profile"
    );

    app.register_client("forgetful", |registration| {
        registration.client.grant_types = [GrantType::AuthorizationCode].into();
    })
    .await;
    app.register_client("modest", |registration| {
        registration.client.scopes = ScopeSet::parse("openid profile");
    })
    .await;
    for client in ["forgetful", "modest"] {
        let client_id = format!("team-a.{client}");
        let redirect = browser.authorize(&[OFFLINE, ("client_id", &client_id)]).await;
        let answer = answered(&browser.answer_consent(&redirect, "allow").await);
        assert_eq!(
            granted_scope(&app, client, &answer["code"]).await,
            "openid profile"
        );
    }
}

async fn granted_scope(app: &TestApp, client: &str, code: &str) -> String {
    let tokens = app.redeem(client, code).await.json();
    let mut scopes: Vec<_> = tokens["scope"].as_str().unwrap().split(' ').collect();
    scopes.sort_unstable();
    scopes.join(" ")
}
