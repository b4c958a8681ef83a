//! Headers in which proxies, or whoever pretends to be one, tell who asked for what.

use serde_json::json;
use testbed::browser::form::Form;
use testbed::browser::{Arrival, Browser};

use crate::harness::{PASSWORD, REDIRECT_URI, SCOPE, StoreKind, USERNAME, World};
use crate::wire::{self, Reply};

/// One lie each: well-formed, malformed, and in the spellings that some servers take for the same.
const LIES: &[(&str, &str)] = &[
    ("Host", "evil.example"),
    ("Host", "evil.example:443"),
    ("Host", "127.0.0.1:1@evil.example"),
    ("Forwarded", "for=192.0.2.1;host=evil.example;proto=https"),
    ("Forwarded", "host=\"evil.example"),
    ("Forwarded", ";;;=,"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Host", "evil.example, 127.0.0.1"),
    ("X_Forwarded_Host", "evil.example"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Proto", "javascript"),
    ("X-Forwarded-Scheme", "https"),
    ("X-Forwarded-Ssl", "on"),
    ("Front-End-Https", "on"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Path", "/evil"),
    ("X-Forwarded-Uri", "/api/userinfo"),
    ("X_Forwarded_Uri", "/api/userinfo"),
    ("X-Forwarded-Method", "POST"),
    ("X-HTTP-Method-Override", "POST"),
    ("X-Original-URL", "/logout"),
    ("X-Rewrite-URL", "/logout"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-For", "not an address"),
    ("X_Forwarded_For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("True-Client-IP", "127.0.0.1"),
    ("CF-Connecting-IP", "127.0.0.1"),
    ("Via", "1.1 evil.example"),
    ("X-Forwarded-User", "ada"),
    ("X-Forwarded-Email", "ada@example.org"),
    ("X-Auth-Request-User", "ada"),
    ("Remote-User", "ada"),
    ("X-Forwarded-Client-Cert", "By=spiffe://evil;Hash=0"),
];

/// What of an answer could differ.
fn essence(reply: &Reply) -> (u16, Vec<String>, Vec<String>, String) {
    let lines = |name| reply.headers(name).into_iter().map(ToOwned::to_owned).collect();
    // Cookies and sealed values are new each time: their names and attributes are not.
    let cookies: Vec<String> = lines("set-cookie");
    let cookies = cookies
        .iter()
        .map(|cookie| {
            let (name, rest) = cookie.split_once('=').unwrap();
            format!(
                "{name}={}",
                rest.split_once(';').map_or("", |(_, attributes)| attributes)
            )
        })
        .collect();
    let mut body = reply.body.clone();
    for name in ["csrf_token", "interaction"] {
        for form in testbed::browser::form::forms(&reply.body) {
            if let Some(field) = form.field(name) {
                body = body.replace(&field.value, "");
            }
        }
    }
    if let Some(id) = reply.headers("x-request-id").first() {
        body = body.replace(id, "");
    }
    let locations: Vec<String> = lines("location");
    let locations = locations
        .iter()
        .map(|location| location.split('=').next().unwrap().to_owned())
        .collect();
    (reply.status, cookies, locations, body)
}

/// Headers about who forwarded what for whom are believed from nobody: issuer, endpoints, cookies, redirects and pages are
/// the same whatever they say, they neither sign anybody in nor stand for another path or method. `rule_55` over TCP.
#[tokio::test]
async fn rule_69_forwarded_headers_change_nothing() {
    let served = World::shared().serve(StoreKind::Memory).await;
    let app = served.app("shop", json!({})).await;
    let port = served.port();
    let request = app.authorization_request(SCOPE, &[]).unwrap();
    let authorize = format!("/authorize?{}", request.url.query().unwrap());
    let silent = app.authorization_request(SCOPE, &[("prompt", "none")]).unwrap();
    let silent = format!("/authorize?{}", silent.url.query().unwrap());
    for target in [
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/",
        "/nothing-here",
        "/authorize?client_id=unknown",
        "/api/userinfo",
        "/api/token/v2",
        &authorize,
        &silent,
    ] {
        let honest = essence(&wire::send(port, &wire::get(port, target, &[])).await);
        for lie in LIES {
            let reply = wire::send(port, &wire::get(port, target, &[*lie])).await;
            assert_eq!(essence(&reply), honest, "{target} {lie:?}");
            assert!(!reply.body.contains("evil"), "{target} {lie:?}: {reply:?}");
        }
    }
}

/// A form of another site stays one, whatever it says of who forwarded it; and an honest sign-in through a proxy that
/// rewrites `Host` and adds its headers works.
#[tokio::test]
async fn rule_69_no_header_makes_another_site_ours() {
    let served = World::shared().serve(StoreKind::Memory).await;
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();
    let port = served.port();
    let request = app.authorization_request(SCOPE, &[]).unwrap();
    let page = browser.get(&request.url).await.unwrap();
    let cookie = page.headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let Arrival::Page(page) = browser.follow(page, REDIRECT_URI).await.unwrap() else {
        panic!("nobody was asked to sign in");
    };
    let mut form = page.forms().into_iter().find(Form::asks_for_sign_in).unwrap();
    form.fill("username", USERNAME).unwrap();
    form.fill("password", PASSWORD).unwrap();
    let fields = form.submission(Some("sign-in")).unwrap();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    for lie in LIES {
        let headers = [
            *lie,
            ("Cookie", cookie.as_str()),
            ("Origin", "https://evil.example"),
        ];
        let reply = wire::send(port, &wire::post(port, "/login", &headers, &fields)).await;
        assert_eq!(reply.status, 403, "{lie:?}: {reply:?}");
        assert_eq!(reply.headers("set-cookie"), [""; 0], "{lie:?}");
    }
    let origin = served.claviger.issuer();
    let headers = [
        ("Host", "claviger.claviger.svc"),
        ("X-Forwarded-Host", "id.example.org"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "192.0.2.1, 198.51.100.2"),
        ("Cookie", cookie.as_str()),
        ("Origin", origin.as_str()),
    ];
    let reply = wire::send(port, &wire::post(port, "/login", &headers, &fields)).await;
    assert_eq!(reply.status, 303, "{reply:?}");
    assert!(reply.header("location").starts_with("/consent?"), "{reply:?}");
}
