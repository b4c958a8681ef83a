//! Authorization requests that lead to a code, and how it is answered.

use anyhow::{Context, Result};

use crate::clients::{CALLBACK, CALLBACK_WITH_QUERY};
use crate::flow::{Answer, Request, Visitor};
use crate::stage::Stage;
use crate::tokens::code_form;
use crate::wire::{same, text};

tests![
    code_and_state_are_answered_and_nothing_else,
    answer_has_no_tokens,
    answer_names_the_issuer,
    state_comes_back_byte_for_byte,
    state_is_not_made_up,
    query_of_the_redirect_uri_is_kept,
    request_may_be_posted,
    unknown_parameters_are_ignored,
    empty_parameters_count_as_absent,
    unknown_scopes_are_ignored,
    scopes_may_come_in_any_order,
    nonce_is_optional,
    nonce_comes_back_unchanged,
    display_page_is_no_error,
    display_popup_is_no_error,
    ui_locales_are_no_error,
    claims_locales_are_no_error,
    login_hint_is_offered_as_the_username,
    acr_values_are_answered_with_one_of_them,
    acr_values_that_there_are_not_are_no_error,
];

fn has_exactly(answer: &Answer, names: &[&str]) -> Result<()> {
    let found: Vec<_> = answer.parameters.keys().map(String::as_str).collect();
    same("the parameters of the answer", found.as_slice(), names)
}

async fn code_and_state_are_answered_and_nothing_else(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?;
    let visitor = Visitor::ada(stage)?;
    let answer = visitor.answer(&request).await?;
    same("where the answer goes", answer.target.as_str(), CALLBACK)?;
    has_exactly(&answer, &["code", "iss", "state"])?;
    same("the state", answer.get("state"), request.get("state"))?;
    visitor.redeem(app, &request, answer.code()?).await?;
    Ok(())
}

/// Not in the query either; that there is no fragment is looked at for every answer.
async fn answer_has_no_tokens(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    for response_type in ["code", "code id_token", "token", "id_token token"] {
        let request = Request::new(app)?.with("response_type", response_type);
        let answer = visitor.open(&request).await?.answer()?;
        for name in ["access_token", "id_token", "token_type", "expires_in"] {
            anyhow::ensure!(
                answer.get(name).is_none(),
                "{name} is in the answer to {response_type}"
            );
        }
    }
    Ok(())
}

async fn answer_names_the_issuer(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let issuer = stage.issuer();
    let silent = visitor
        .open(&Request::new(app)?.with("prompt", "none"))
        .await?
        .answer()?;
    same("iss of an error", silent.get("iss"), Some(issuer.as_str()))?;
    let answer = visitor.answer(&Request::new(app)?).await?;
    answer.code()?;
    same("iss of a code", answer.get("iss"), Some(issuer.as_str()))
}

async fn state_comes_back_byte_for_byte(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let every_character: String = (0x20_u8..0x7f).map(char::from).collect();
    let long = "0123456789abcdef".repeat(8);
    let visitor = Visitor::ada(stage)?;
    for state in [every_character.as_str(), &long, "%41+%20", "é"] {
        let request = Request::new(app)?.with("state", state);
        let answer = visitor.answer(&request).await?;
        answer.code()?;
        same("the state", answer.get("state"), Some(state))?;
        let refused = request.with("response_type", "token");
        let answer = visitor.open(&refused).await?.answer()?;
        same("the state of an error", answer.get("state"), Some(state))?;
    }
    Ok(())
}

async fn state_is_not_made_up(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let answer = visitor.answer(&Request::new(app)?.without("state")).await?;
    has_exactly(&answer, &["code", "iss"])
}

async fn query_of_the_redirect_uri_is_kept(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("redirect_uri", CALLBACK_WITH_QUERY);
    let answer = Visitor::ada(stage)?.answer(&request).await?;
    has_exactly(&answer, &["code", "iss", "state", "tenant"])?;
    same("the URI's own parameter", answer.get("tenant"), Some("a b"))?;
    let mut form = code_form(answer.code()?);
    form[2].1 = CALLBACK_WITH_QUERY;
    app.token(stage, &form).await?.success()?;
    Ok(())
}

/// With an HTTP client; what a browser makes of it, which sends no cookie along, is a test in Chromium.
async fn request_may_be_posted(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?;
    let visitor = Visitor::ada(stage)?;
    let endpoint = stage.endpoint("authorization_endpoint")?.parse()?;
    let page = visitor
        .browser
        .post_from("https://rp.example.org", &endpoint, request.parameters())
        .await?;
    let shown = visitor.show(page).await?;
    let (page, form) = shown.sign_in()?;
    let shown = visitor.type_password(&page, form).await?;
    let answer = visitor.go_on(shown).await?;
    same("the state", answer.get("state"), request.get("state"))?;
    visitor.redeem(app, &request, answer.code()?).await?;
    Ok(())
}

async fn unknown_parameters_are_ignored(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.and("extra", "foobar").and("extra", "again");
    let answer = Visitor::ada(stage)?.answer(&request).await?;
    has_exactly(&answer, &["code", "iss", "state"])
}

/// `prompt` and `max_age` would be refused for what they say, if an empty value said anything.
async fn empty_parameters_count_as_absent(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let mut request = Request::new(app)?;
    for name in [
        "prompt",
        "max_age",
        "claims",
        "id_token_hint",
        "request",
        "request_uri",
    ] {
        request = request.and(name, "");
    }
    let answer = Visitor::ada(stage)?.answer(&request).await?;
    answer.code()?;
    let request = Request::new(app)?.with("response_type", "");
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    answer.is_error(&request, "invalid_request")
}

async fn unknown_scopes_are_ignored(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", "openid email made-up:scope");
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let scope = text(&signed_in.tokens, "scope")?;
    anyhow::ensure!(!scope.contains("made-up"), "the scope that is given is {scope}");
    let userinfo = signed_in.userinfo(stage).await?;
    same("email", text(&userinfo, "email")?, "ada@example.org")
}

async fn scopes_may_come_in_any_order(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", "email openid");
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    same("email", text(&userinfo, "email")?, "ada@example.org")
}

async fn nonce_is_optional(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.without("nonce");
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    anyhow::ensure!(
        signed_in.claims.get("nonce").is_none(),
        "a nonce that nobody sent: {}",
        signed_in.claims
    );
    Ok(())
}

async fn nonce_comes_back_unchanged(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let long = "n".repeat(128);
    for nonce in [long.as_str(), " \"'<>&%41+\\", "é中"] {
        let request = Request::new(app)?.with("nonce", nonce);
        let signed_in = visitor.sign_in(app, &request).await?;
        same("the nonce", text(&signed_in.claims, "nonce")?, nonce)?;
    }
    Ok(())
}

/// A request with one more parameter goes the whole way.
async fn is_no_error(stage: &'static Stage, name: &str, value: &str) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with(name, value);
    let visitor = Visitor::ada(stage)?;
    let (page, form) = visitor.open(&request).await?.sign_in()?;
    same("the status of the page", page.status.as_u16(), 200)?;
    let shown = visitor.type_password(&page, form).await?;
    let answer = visitor.go_on(shown).await?;
    visitor.redeem(app, &request, answer.code()?).await?;
    Ok(())
}

async fn display_page_is_no_error(stage: &'static Stage) -> Result<()> {
    is_no_error(stage, "display", "page").await
}

async fn display_popup_is_no_error(stage: &'static Stage) -> Result<()> {
    is_no_error(stage, "display", "popup").await
}

async fn ui_locales_are_no_error(stage: &'static Stage) -> Result<()> {
    is_no_error(stage, "ui_locales", "se fr-CA no-such-locale").await
}

async fn claims_locales_are_no_error(stage: &'static Stage) -> Result<()> {
    is_no_error(stage, "claims_locales", "se fr-CA no-such-locale").await
}

async fn login_hint_is_offered_as_the_username(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    for hint in ["ada", "buffy@127.0.0.1"] {
        let request = Request::new(app)?.with("login_hint", hint);
        let visitor = Visitor::ada(stage)?;
        let (page, form) = visitor.open(&request).await?.sign_in()?;
        let field = form.field("username").context("no field for the username")?;
        same("the username that is offered", field.value.as_str(), hint)?;
        // It is an offer: whoever signs in is who signs in.
        let shown = visitor.type_password(&page, form).await?;
        visitor.go_on(shown).await?.code()?;
    }
    Ok(())
}

async fn acr_values_are_answered_with_one_of_them(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let values = crate::wire::texts(&stage.metadata, "acr_values_supported")?;
    let request = Request::new(app)?.with("acr_values", &format!("made-up {}", values.join(" ")));
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let acr = text(&signed_in.claims, "acr")?;
    anyhow::ensure!(values.contains(&acr), "the acr is {acr}");
    Ok(())
}

async fn acr_values_that_there_are_not_are_no_error(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("acr_values", "1 2");
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    // What is true is said, not what was wished for.
    let acr = text(&signed_in.claims, "acr")?;
    anyhow::ensure!(!["1", "2"].contains(&acr), "the acr is {acr}");
    Ok(())
}
