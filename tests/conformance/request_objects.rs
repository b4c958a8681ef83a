//! Request objects by value, and what is no request object of the client's.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::clients::{App, CALLBACK, CALLBACK_WITH_QUERY};
use crate::flow::{Request, Visitor};
use crate::signing::{Key, unsigned};
use crate::stage::Stage;
use crate::tokens::code_form;
use crate::wire::same;

tests![
    unsigned_request_object_is_refused_and_not_ignored,
    request_object_of_another_key_is_refused,
    signed_request_object_is_taken,
    redirect_uri_in_the_request_object_wins,
    request_object_of_another_client_or_response_type_is_refused,
    request_uri_is_refused_by_name,
    request_and_request_uri_exclude_each_other,
];

/// The claims of an object that asks what `request` asks.
fn claims(stage: &Stage, app: &App, request: &Request) -> Result<Value> {
    let now = seconds()?;
    let mut claims = json!({
        "iss": app.client_id, "aud": stage.issuer(), "iat": now, "exp": now + 300,
    });
    for (name, value) in request.parameters() {
        claims[name] = json!(value);
    }
    Ok(claims)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an app tells the time by the machine's clock"
)]
fn seconds() -> Result<u64> {
    let now = std::time::SystemTime::now();
    let since = now
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(Duration::as_secs(&since))
}

/// What stands outside an object: what OpenID Connect Core wants there, and where errors go.
fn outside(request: &Request, object: &str) -> Request {
    request
        .clone()
        .without("state")
        .without("nonce")
        .with("request", object)
}

async fn unsigned_request_object_is_refused_and_not_ignored(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let inside = Request::new(app)?;
    let object = unsigned(&claims(stage, app, &inside)?);
    let request = outside(&inside, &object);
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    let answer = visitor.open(&request).await?.answer()?;
    answer.is_error(&request, "invalid_request_object")
}

async fn request_object_of_another_key_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let inside = Request::new(app)?;
    let claims = claims(stage, app, &inside)?;
    let other = Key::generate()?;
    let visitor = Visitor::ada(stage)?;
    let forged = other.sign(json!({ "kid": "app" }), &claims)?;
    let brought = other.sign(json!({ "jwk": other.public() }), &claims)?;
    for object in [forged, brought] {
        let request = outside(&inside, &object);
        let answer = visitor.open(&request).await?.answer()?;
        answer.is_error(&request, "invalid_request_object")?;
    }
    Ok(())
}

async fn signed_request_object_is_taken(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let inside = Request::new(app)?.with("scope", "openid email");
    let object = stage
        .key
        .sign(json!({ "kid": "app" }), &claims(stage, app, &inside)?)?;
    let request = outside(&inside, &object).with("scope", "openid");
    let visitor = Visitor::ada(stage)?;
    let answer = visitor.answer(&request).await?;
    // State, nonce and scope stand inside only.
    same("the state", answer.get("state"), inside.get("state"))?;
    let signed_in = visitor.redeem(app, &inside, answer.code()?).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    same("email", &userinfo["email"], &json!("ada@example.org"))
}

async fn redirect_uri_in_the_request_object_wins(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let inside = Request::new(app)?.with("redirect_uri", CALLBACK_WITH_QUERY);
    let object = stage.key.sign(json!({}), &claims(stage, app, &inside)?)?;
    let visitor = Visitor::ada(stage)?;
    for elsewhere in [CALLBACK, "https://rp.example.org/not-registered"] {
        let request = outside(&inside, &object).with("redirect_uri", elsewhere);
        let answer = visitor.answer(&request).await?;
        same("the URI's own parameter", answer.get("tenant"), Some("a b"))?;
        let mut form = code_form(answer.code()?);
        form[2].1 = CALLBACK_WITH_QUERY;
        app.token(stage, &form).await?.success()?;
    }
    Ok(())
}

async fn request_object_of_another_client_or_response_type_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let inside = Request::new(app)?;
    let visitor = Visitor::ada(stage)?;
    for (name, value) in [
        ("client_id", stage.apps.other.client_id.as_str()),
        ("iss", &stage.apps.other.client_id),
        ("response_type", "id_token"),
        ("aud", "https://elsewhere.example.org"),
    ] {
        let mut claims = claims(stage, app, &inside)?;
        claims[name] = json!(value);
        let object = stage.key.sign(json!({}), &claims)?;
        let request = outside(&inside, &object);
        let answer = visitor.open(&request).await?.answer()?;
        answer
            .is_error(&request, "invalid_request_object")
            .context(name)?;
    }
    Ok(())
}

async fn request_uri_is_refused_by_name(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    for uri in ["https://rp.example.org/request.jwt", "urn:made-up"] {
        let request = Request::new(app)?.with("request_uri", uri);
        let answer = visitor.open(&request).await?.answer()?;
        answer.is_error(&request, "request_uri_not_supported")?;
    }
    Ok(())
}

async fn request_and_request_uri_exclude_each_other(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let inside = Request::new(app)?;
    let object = stage.key.sign(json!({}), &claims(stage, app, &inside)?)?;
    let request = outside(&inside, &object).with("request_uri", "https://rp.example.org/request.jwt");
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    let answer = visitor.open(&request).await?.answer()?;
    anyhow::ensure!(
        answer.get("error").is_some() && answer.get("code").is_none(),
        "both are taken: {:?}",
        answer.parameters
    );
    Ok(())
}
