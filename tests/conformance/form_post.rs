//! `response_mode=form_post`, as an HTTP client sees it; what a browser makes of it is a test in Chromium.

use anyhow::{Context, Result};
use serde_json::json;
use testbed::browser::Page;

use crate::clients::CALLBACK;
use crate::flow::{Answer, Request, Visitor};
use crate::signing::unsigned;
use crate::stage::Stage;
use crate::wire::same;

tests![
    form_post_answers_with_a_form_for_the_redirect_uri,
    form_post_answers_errors_in_the_same_way,
    form_post_answers_denial_in_the_same_way,
    form_post_answers_silently_in_the_same_way,
    form_post_keeps_state_whatever_is_in_it,
    form_post_page_is_not_cached,
    form_post_is_not_for_unregistered_uris,
    form_post_answers_a_missing_response_type,
    form_post_answers_a_bad_request_object,
    form_post_is_offered,
    query_is_the_default,
    unknown_response_mode_is_refused,
];

fn form_post(request: Request) -> Request {
    request.with("response_mode", "form_post")
}

/// The page, from which the answer is posted to the redirect URI and not sent in its query.
fn page(answer: &Answer) -> Result<&Page> {
    let page = answer
        .page
        .as_ref()
        .context("the answer is in a redirect, not in a form")?;
    same("the status of the page", page.status.as_u16(), 200)?;
    same("where the form leads", answer.target.as_str(), CALLBACK)?;
    Ok(page)
}

async fn form_post_answers_with_a_form_for_the_redirect_uri(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = form_post(Request::new(app)?);
    let visitor = Visitor::ada(stage)?;
    let answer = visitor.answer(&request).await?;
    let page = page(&answer)?;
    let media_type = page
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    anyhow::ensure!(
        media_type.is_some_and(|media_type| media_type.starts_with("text/html")),
        "the media type is {media_type:?}"
    );
    let names: Vec<_> = answer.parameters.keys().map(String::as_str).collect();
    same(
        "the parameters of the answer",
        names,
        vec!["code", "iss", "state"],
    )?;
    same("the state", answer.get("state"), request.get("state"))?;
    visitor.redeem(app, &request, answer.code()?).await?;
    Ok(())
}

async fn form_post_answers_errors_in_the_same_way(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    for (name, value, error) in [
        ("prompt", "none", "login_required"),
        ("prompt", "none login", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        (
            "request_uri",
            "https://rp.example.org/r",
            "request_uri_not_supported",
        ),
        ("registration", "{}", "registration_not_supported"),
    ] {
        let request = form_post(Request::new(app)?).with(name, value);
        let answer = visitor.open(&request).await?.answer()?;
        page(&answer)?;
        answer.is_error(&request, error)?;
        same("iss", answer.get("iss"), Some(stage.issuer().as_str()))?;
    }
    Ok(())
}

async fn form_post_answers_denial_in_the_same_way(stage: &'static Stage) -> Result<()> {
    let request = form_post(Request::new(&stage.apps.basic)?).with("prompt", "consent");
    let visitor = Visitor::ada(stage)?;
    let (sign_in, form) = visitor.open(&request).await?.sign_in()?;
    let (consent, form) = visitor.type_password(&sign_in, form).await?.consent()?;
    let answer = visitor.press(&consent, &form, "deny").await?.answer()?;
    page(&answer)?;
    answer.is_error(&request, "access_denied")
}

async fn form_post_answers_silently_in_the_same_way(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let first = visitor.sign_in(app, &form_post(Request::new(app)?)).await?;
    let request = form_post(Request::new(app)?)
        .with("prompt", "none")
        .with("id_token_hint", first.id_token()?);
    let answer = visitor.open(&request).await?.answer()?;
    page(&answer)?;
    let second = visitor.redeem(app, &request, answer.code()?).await?;
    same("sub", second.sub()?, first.sub()?)
}

async fn form_post_keeps_state_whatever_is_in_it(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let every_character: String = (0x20_u8..0x7f).map(char::from).collect();
    for state in [
        every_character.as_str(),
        "\"'><script>alert(1)</script>&amp;",
        "é中",
    ] {
        let request = form_post(Request::new(app)?).with("state", state);
        let answer = visitor.answer(&request).await?;
        let page = page(&answer)?;
        same("the state", answer.get("state"), Some(state))?;
        anyhow::ensure!(
            !page.body.contains("<script>alert"),
            "the state became part of the page: {}",
            page.body
        );
    }
    Ok(())
}

async fn form_post_page_is_not_cached(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let answer = Visitor::ada(stage)?
        .answer(&form_post(Request::new(app)?))
        .await?;
    let header = page(&answer)?.headers.get("cache-control");
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    anyhow::ensure!(header.contains("no-store"), "cache-control is {header:?}");
    Ok(())
}

async fn form_post_is_not_for_unregistered_uris(stage: &'static Stage) -> Result<()> {
    let request = form_post(Request::new(&stage.apps.basic)?);
    let visitor = Visitor::ada(stage)?;
    for uri in [
        "https://rp.example.org/elsewhere",
        "https://rp.example.org/callback?foo=bar",
        "javascript:alert(1)",
    ] {
        let request = request.clone().with("redirect_uri", uri);
        visitor.open(&request).await?.error_page()?;
    }
    Ok(())
}

async fn form_post_answers_a_missing_response_type(stage: &'static Stage) -> Result<()> {
    let request = form_post(Request::new(&stage.apps.basic)?).without("response_type");
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    page(&answer)?;
    answer.is_error(&request, "invalid_request")
}

async fn form_post_answers_a_bad_request_object(stage: &'static Stage) -> Result<()> {
    let request = form_post(Request::new(&stage.apps.basic)?);
    let request = request.with("request", &unsigned(&json!({ "state": "inside" })));
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    page(&answer)?;
    answer.is_error(&request, "invalid_request_object")
}

async fn form_post_is_offered(stage: &'static Stage) -> Result<()> {
    let modes = crate::wire::texts(&stage.metadata, "response_modes_supported")?;
    for mode in ["query", "form_post"] {
        anyhow::ensure!(modes.contains(&mode), "no {mode} in {modes:?}");
    }
    Ok(())
}

async fn query_is_the_default(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let plain = Request::new(app)?;
    for request in [plain.clone(), plain.with("response_mode", "query")] {
        let answer = visitor.answer(&request).await?;
        answer.code()?;
        anyhow::ensure!(answer.page.is_none(), "the answer is in a form");
    }
    Ok(())
}

async fn unknown_response_mode_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    for mode in ["fragment", "FORM_POST", "made-up"] {
        let request = Request::new(app)?.with("response_mode", mode);
        let answer = visitor.open(&request).await?.answer()?;
        answer.is_error(&request, "invalid_request")?;
    }
    Ok(())
}
