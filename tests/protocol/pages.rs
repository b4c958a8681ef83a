//! Pages: the headers that guard them, and that nothing breaks out of a value.

use claviger::store::Store;
use claviger::store::records::ClientRegistration;

use crate::app::{ISSUER, TestApp, TestResponse};
use crate::browser::{Browser, Form, PASSWORD, app_with_ada, authorize_path, request_with};
use crate::fixtures;

/// One page of each kind that has a form and leads to the app, and one of each kind that does not.
struct Pages {
    to_the_app: Vec<TestResponse>,
    here: Vec<TestResponse>,
    without_form: Vec<TestResponse>,
}

async fn pages(browser: &Browser<'_>) -> Pages {
    let signed_out = browser.get("/logout").await;
    let nobody = browser.get("/").await;
    let sign_in_here = browser.get("/account").await;
    let error = browser.authorize(&[("client_id", "unknown")]).await;
    let sign_in = browser.authorize(&[]).await;
    let refused = browser.sign_in(&sign_in, "ada", "wrong").await;
    let redirect = browser.sign_in(&sign_in, "ada", PASSWORD).await;
    let consent = browser.follow(&redirect).await;
    let account_choice = browser.authorize(&[("prompt", "select_account")]).await;
    let confirm = browser.get("/logout").await;
    let home = browser.get("/").await;
    let account = browser.get("/account").await;
    let password = browser.get("/account/password").await;
    Pages {
        to_the_app: vec![sign_in, refused, consent, account_choice],
        here: vec![confirm, sign_in_here, account, password],
        without_form: vec![signed_out, nobody, error, home],
    }
}

/// The Content Security Policy admits our stylesheet and nothing else, forms lead here and to where the flow goes on, and
/// nobody frames a page.
#[tokio::test]
async fn rule_76_the_content_security_policy_is_tight() {
    let app = app_with_ada().await;
    let pages = pages(&Browser::new(&app)).await;
    let check = |page: &TestResponse, form_action: &str| {
        let policy = page.header("content-security-policy").unwrap();
        let mut directives: Vec<_> = policy.split("; ").collect();
        let style = directives.remove(1);
        assert!(
            style.starts_with("style-src 'sha256-") && style.ends_with('\''),
            "{style}"
        );
        let form_action = format!("form-action {form_action}");
        let expected = [
            "default-src 'none'",
            &form_action,
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ];
        assert_eq!(directives, expected);
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_style_is_admitted(page, style);
    };
    for page in &pages.to_the_app {
        check(page, "'self' https://shop.example.org");
    }
    for page in &pages.here {
        check(page, "'self'");
    }
    for page in &pages.without_form {
        check(page, "'none'");
    }
}

/// The browser hashes what is between the tags; so does this.
fn assert_style_is_admitted(page: &TestResponse, directive: &str) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use claviger::oidc::opaque_token::TokenHash;
    let text = page.text();
    let (_, style) = text.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = STANDARD.encode(TokenHash::of(style.as_bytes()).as_bytes());
    assert_eq!(directive, format!("style-src 'sha256-{hash}'"));
}

/// `form-action` follows the redirect URI of the flow: its origin, or its scheme where it has none that the policy's
/// grammar knows.
#[tokio::test]
async fn rule_76_form_action_follows_the_flow() {
    let app = app_with_ada().await;
    for (redirect_uri, source) in [
        (
            "https://shop.example.org:8443/cb",
            "https://shop.example.org:8443",
        ),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1:5000"),
        ("http://[::1]:5000/cb", "http:"),
        ("org.example.shop:/cb", "org.example.shop:"),
    ] {
        app.register_client("shop", |registration| {
            registration.client.redirect_uris = vec![redirect_uri.to_owned()];
        })
        .await;
        let page = Browser::new(&app)
            .authorize(&[("redirect_uri", redirect_uri)])
            .await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains(&format!("form-action 'self' {source};")),
            "{policy}"
        );
    }
}

/// `no-referrer` on redirects and error pages, `same-origin` on pages with a form; nothing is stored or sniffed; nothing
/// of a third party is on a page; https is kept for a year, where the issuer has it.
#[tokio::test]
async fn rule_77_pages_give_nothing_away() {
    let app = app_with_ada().await;
    let browser = Browser::new(&app);
    let pages = pages(&browser).await;
    let redirect = browser.authorize(&[("response_type", "token")]).await;
    let posted = browser.post("/authorize", &request_with(&[])).await;
    let with_form = pages
        .to_the_app
        .iter()
        .chain(&pages.here)
        .map(|page| (page, "same-origin"));
    let without = pages
        .without_form
        .iter()
        .chain([&redirect, &posted])
        .map(|page| (page, "no-referrer"));
    for (page, referrer_policy) in with_form.chain(without) {
        assert_eq!(page.header("referrer-policy"), Some(referrer_policy));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
        let text = page.text();
        for foreign in [
            "<script", "<img", "<link", "<iframe", "src=", "url(", "@import", "http:", "https:",
        ] {
            assert!(!text.contains(foreign), "{foreign} in {text}");
        }
    }
    let plain = TestApp::with_issuer("http://127.0.0.1:8080").await;
    let page = Browser::new(&plain).get("/").await;
    assert_eq!(page.header("strict-transport-security"), None);
}

/// Every page is a whole document: language, title, viewport, one heading, labels for its fields.
#[tokio::test]
async fn rule_77_pages_are_whole_documents() {
    let app = app_with_ada().await;
    let pages = pages(&Browser::new(&app)).await;
    let all = pages
        .to_the_app
        .iter()
        .chain(&pages.here)
        .chain(&pages.without_form);
    let mut titles = std::collections::BTreeSet::new();
    for page in all {
        let text = page.text();
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(text.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{text}");
        assert!(text.contains("name=\"viewport\" content=\"width=device-width, initial-scale=1\""));
        assert_eq!(text.matches("<h1").count(), 1, "{text}");
        let (_, title) = text.split_once("<title>").unwrap();
        let (title, _) = title.split_once("</title>").unwrap();
        assert!(!title.is_empty());
        titles.insert(title.to_owned());
        for id in [
            "username",
            "password",
            "current-password",
            "new-password",
            "repeat-password",
        ] {
            if text.contains(&format!("id=\"{id}\"")) {
                assert!(text.contains(&format!("<label for=\"{id}\">")), "{text}");
            }
        }
    }
    assert!(titles.len() >= 6, "{titles:?}");
    let sign_in = pages.to_the_app[0].text();
    assert!(sign_in.contains("autocomplete=\"username\""));
    assert!(sign_in.contains("autocomplete=\"current-password\""));
}

/// What tries to break out of text, attribute, tag, style and URL.
const MARKUP: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</title><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "javascript:alert(1)//\"><b>",
    "&lt;script&gt;&#60;script>",
    "<\0script>",
    "{{ 1234567*9 }}<b>",
];

/// No markup got in: the text holds it escaped or not at all.
#[track_caller]
fn assert_harmless(response: &TestResponse, markup: &str) {
    let text = response.text();
    for raw in [
        "<script",
        "<img",
        "<svg onload",
        "<b>",
        "<\0script",
        "onerror=alert(1)>",
        "' onmouseover='",
        "\" autofocus onfocus=\"",
    ] {
        assert!(!text.contains(raw), "{markup} came out as {raw} in {text}");
    }
    assert!(!text.contains("11111103"), "{markup} was evaluated");
}

/// Markup in any parameter of a request or field of a form comes out escaped or not at all, on every page and in every
/// redirect.
#[tokio::test]
async fn rule_78_markup_in_parameters_stays_text() {
    let app = app_with_ada().await;
    let names = [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
        "registration",
        "claviger_posted",
        "unknown",
    ];
    for markup in MARKUP {
        let browser = Browser::new(&app);
        for name in names {
            let response = browser
                .get(&authorize_path(&request_with(&[(name, markup)])))
                .await;
            assert_harmless(&response, markup);
            if let Some(location) = response.header("location") {
                assert!(
                    location.starts_with(&format!("{}?", fixtures::REDIRECT_URI)),
                    "{location}"
                );
                assert!(!location.contains(['<', '"', '\'', '\0']), "{location}");
            }
        }
        let page = browser.authorize(&[]).await;
        assert_harmless(&browser.sign_in(&page, markup, markup).await, markup);
        let form = Form::of(&page);
        for name in ["csrf_token", "interaction"] {
            let filled = [(name, markup), ("username", "ada"), ("password", PASSWORD)];
            assert_harmless(&browser.submit(&form, &filled).await, markup);
        }
        for path in ["/login", "/consent", "/logout", "/"] {
            let query = crate::app::encode(&[("interaction", markup), ("next", markup)]);
            assert_harmless(&browser.get(&format!("{path}?{query}")).await, markup);
        }
    }
}

/// Names that an administrator wrote into a resource are text as well, on every page that shows them.
#[tokio::test]
async fn rule_78_markup_in_names_stays_text() {
    for markup in MARKUP {
        let app = app_with_ada().await;
        let named = |registration: &mut ClientRegistration| {
            registration.client.client_name = markup.to_owned();
            registration.client.description = Some(markup.to_owned());
        };
        app.register_client("shop", named).await;
        let ada = app.store.user_by_username("ada").await.unwrap().unwrap();
        app.register_user_with("ada", |registration| {
            registration.user.name = Some(markup.to_owned());
            registration.password = ada.password;
        })
        .await;
        let browser = Browser::new(&app);
        let pages = pages(&browser).await;
        for page in pages
            .to_the_app
            .iter()
            .chain(&pages.here)
            .chain(&pages.without_form)
        {
            assert_harmless(page, markup);
        }
        let error = browser
            .authorize(&[("redirect_uri", "https://evil.example")])
            .await;
        assert_harmless(&error, markup);
    }
}

/// Cross-origin scripts read nothing of the pages: no CORS header, whatever origin asks.
#[tokio::test]
async fn rule_79_pages_have_no_cors() {
    let app = app_with_ada().await;
    app.register_client("shop", |registration| {
        registration.client.allowed_origins = vec!["https://shop.example.org".to_owned()];
    })
    .await;
    for path in [
        authorize_path(&request_with(&[])),
        "/".to_owned(),
        "/logout".to_owned(),
        "/account".to_owned(),
        "/account/password".to_owned(),
        "/consent".to_owned(),
    ] {
        for origin in ["https://shop.example.org", "null", ISSUER] {
            let request = http::Request::get(&path).header("origin", origin);
            let response = Browser::new(&app).send(request, axum::body::Body::empty()).await;
            for name in response.headers.keys() {
                assert!(!name.as_str().starts_with("access-control"), "{path}: {name}");
            }
        }
    }
}
