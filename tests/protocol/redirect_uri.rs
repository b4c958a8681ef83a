//! Which redirect URIs a request may name.

use http::StatusCode;
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::app::{TestApp, TestResponse};
use crate::browser::{Browser, app_with_ada, assert_error_page, assert_sign_in_page};
use crate::fixtures::REDIRECT_URI;

async fn register(app: &TestApp, redirect_uris: &[&str]) {
    app.register_client("shop", |registration| {
        registration.client.redirect_uris = redirect_uris.iter().map(|uri| (*uri).to_owned()).collect();
    })
    .await;
}

async fn ask(app: &TestApp, redirect_uri: &str) -> TestResponse {
    Browser::new(app)
        .authorize(&[("redirect_uri", redirect_uri)])
        .await
}

/// The redirect URI is compared byte for byte. The corpus holds a row for each advisory of other products.
#[tokio::test]
async fn rule_02_redirect_uris_are_compared_byte_for_byte() {
    let app = app_with_ada().await;
    assert_sign_in_page(&ask(&app, REDIRECT_URI).await);
    for wrong in [
        "https://shop.example.org/callback/",
        "https://shop.example.org/callback?",
        "https://shop.example.org/callback?a=b",
        "https://shop.example.org/callback#",
        "https://shop.example.org/callback/../callback",
        "https://shop.example.org/./callback",
        "https://shop.example.org//callback",
        "https://shop.example.org/callback%2f",
        "https://shop.example.org/call%62ack",
        "https://shop.example.org/call%2562ack",
        "https://shop.example.org/callback..;/",
        "https://shop.example.org/..;/callback",
        "https://shop.example.org/callbackmore",
        "https://shop.example.org/",
        "https://shop.example.org",
        "https://shop.example.org:443/callback",
        "https://shop.example.org:444/callback",
        "https://shop.example.org./callback",
        "https://shop.example.org\\@evil.example/callback",
        "https://shop.example.org@evil.example/callback",
        "https://user@shop.example.org/callback",
        "https://shop.example.org.evil.example/callback",
        "https://shopXexample.org/callback",
        "https://evil.example/https://shop.example.org/callback",
        "https://SHOP.example.org/callback",
        "HTTPS://shop.example.org/callback",
        "https://shop.example.org/Callback",
        "http://shop.example.org/callback",
        "//shop.example.org/callback",
        "https:shop.example.org/callback",
        "https:/shop.example.org/callback",
        " https://shop.example.org/callback",
        "https://shop.example.org/callback ",
        "https://shop.example.org/callback\n",
        "https://shop.example.org/callback\0",
        "https://shop.example.org/\tcallback",
        "https://*.example.org/callback",
        "https://shop.example.org/*",
    ] {
        assert_error_page(&ask(&app, wrong).await, StatusCode::BAD_REQUEST, &[wrong]);
    }
}

/// Any change of one byte is refused.
#[test]
fn rule_02_any_change_of_one_byte_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let app = runtime.block_on(app_with_ada());
    let edits = prop::sample::select((0..REDIRECT_URI.len()).collect::<Vec<_>>())
        .prop_flat_map(|position| (proptest::prelude::Just(position), any::<u8>(), 0..3));
    let mut runner = TestRunner::new(Config::with_cases(200));
    runner
        .run(&edits, |(position, byte, how)| {
            let mut changed = REDIRECT_URI.as_bytes().to_vec();
            match how {
                0 => changed[position] = byte,
                1 => changed.insert(position, byte),
                _ => drop(changed.remove(position)),
            }
            let Ok(changed) = String::from_utf8(changed) else {
                return Ok(());
            };
            if changed == REDIRECT_URI {
                return Ok(());
            }
            let response = runtime.block_on(ask(&app, &changed));
            if response.status == StatusCode::BAD_REQUEST && response.header("location").is_none() {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{changed} is accepted")))
            }
        })
        .unwrap();
}

/// The only exception: a registered loopback IP literal may differ in its port, and in nothing else. `localhost` may not.
#[tokio::test]
async fn rule_03_only_loopback_ip_literals_may_differ_in_the_port() {
    let app = app_with_ada().await;
    register(
        &app,
        &[
            "http://127.0.0.1/callback?a=b",
            "http://[::1]:8000/callback",
            "http://localhost:8000/callback",
        ],
    )
    .await;
    for accepted in [
        "http://127.0.0.1/callback?a=b",
        "http://127.0.0.1:1/callback?a=b",
        "http://127.0.0.1:65535/callback?a=b",
        "http://[::1]/callback",
        "http://[::1]:49152/callback",
        "http://localhost:8000/callback",
    ] {
        assert_sign_in_page(&ask(&app, accepted).await);
    }
    for refused in [
        "http://127.0.0.1:49152/callback",
        "http://127.0.0.1:49152/callback?a=c",
        "http://127.0.0.1:49152/callback?a=b&c=d",
        "http://127.0.0.1:49152/other?a=b",
        "http://127.0.0.1:49152/callback/?a=b",
        "https://127.0.0.1:49152/callback?a=b",
        "http://127.0.0.2:49152/callback?a=b",
        "http://127.1:49152/callback?a=b",
        "http://127.0.0.1:/callback?a=b",
        "http://127.0.0.1:65536/callback?a=b",
        "http://127.0.0.1:+80/callback?a=b",
        "http://127.0.0.1:49152@evil.example/callback?a=b",
        "http://127.0.0.1:49152.evil.example/callback?a=b",
        "http://user@127.0.0.1:49152/callback?a=b",
        "http://[::1%25lo]:49152/callback",
        "http://[0:0:0:0:0:0:0:1]:49152/callback",
        "http://[::1]:49152/Callback",
        "http://localhost/callback",
        "http://localhost:49152/callback",
        "http://LOCALHOST:8000/callback",
    ] {
        assert_error_page(&ask(&app, refused).await, StatusCode::BAD_REQUEST, &[]);
    }
}
