//! Authorization requests that are refused, to the app or on a page.

use anyhow::{Context, Result};

use crate::clients::CALLBACK;
use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::wire::same;

tests![
    unregistered_redirect_uri_is_an_error_page,
    query_that_is_added_to_the_redirect_uri_is_an_error_page,
    other_query_in_the_redirect_uri_is_an_error_page,
    missing_redirect_uri_is_an_error_page,
    redirect_uris_are_compared_as_strings,
    unknown_client_is_an_error_page,
    missing_client_id_is_an_error_page,
    missing_response_type_is_told_to_the_app,
    unsupported_response_type_is_told_to_the_app,
    repeated_parameter_is_told_to_the_app,
    denial_is_told_to_the_app,
    errors_are_written_as_rfc_6749_has_them,
    registration_parameter_is_refused_by_name,
];

/// Asked by a stranger and by somebody who is signed in.
async fn is_an_error_page(stage: &'static Stage, request: &Request) -> Result<()> {
    let visitor = Visitor::ada(stage)?;
    visitor.open(request).await?.error_page()?;
    let app = &stage.apps.basic;
    visitor.sign_in(app, &Request::new(app)?).await?;
    visitor.open(request).await?.error_page()
}

async fn unregistered_redirect_uri_is_an_error_page(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?;
    is_an_error_page(
        stage,
        &request.with("redirect_uri", "https://rp.example.org/elsewhere"),
    )
    .await
}

async fn query_that_is_added_to_the_redirect_uri_is_an_error_page(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?;
    is_an_error_page(
        stage,
        &request.with("redirect_uri", &format!("{CALLBACK}?foo=bar")),
    )
    .await
}

async fn other_query_in_the_redirect_uri_is_an_error_page(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?;
    is_an_error_page(
        stage,
        &request.with("redirect_uri", &format!("{CALLBACK}?tenant=a%20c")),
    )
    .await
}

async fn missing_redirect_uri_is_an_error_page(stage: &'static Stage) -> Result<()> {
    is_an_error_page(stage, &Request::new(&stage.apps.basic)?.without("redirect_uri")).await
}

async fn redirect_uris_are_compared_as_strings(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    for uri in [
        "https://rp.example.org/callback/",
        "https://rp.example.org:443/callback",
        "https://RP.example.org/callback",
        "https://rp.example.org/%63allback",
        "https://rp.example.org/x/../callback",
        "https://rp.example.org/callback#",
        "https://rp.example.org/callback?",
        "https://rp.example.org/callback?tenant=a+b",
    ] {
        let request = Request::new(app)?.with("redirect_uri", uri);
        visitor.open(&request).await?.error_page().context(uri)?;
    }
    Ok(())
}

async fn unknown_client_is_an_error_page(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?;
    is_an_error_page(stage, &request.with("client_id", "nobody")).await
}

async fn missing_client_id_is_an_error_page(stage: &'static Stage) -> Result<()> {
    is_an_error_page(stage, &Request::new(&stage.apps.basic)?.without("client_id")).await
}

async fn missing_response_type_is_told_to_the_app(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?.without("response_type");
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    answer.is_error(&request, "invalid_request")
}

async fn unsupported_response_type_is_told_to_the_app(stage: &'static Stage) -> Result<()> {
    for response_type in ["id_token", "token", "code id_token", "made-up"] {
        let request = Request::new(&stage.apps.basic)?.with("response_type", response_type);
        let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
        answer.is_error(&request, "unsupported_response_type")?;
    }
    Ok(())
}

async fn repeated_parameter_is_told_to_the_app(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    for name in ["scope", "nonce", "prompt", "max_age", "response_type", "display"] {
        let request = Request::new(app)?.without(name);
        let twice = request.clone().and(name, "1").and(name, "1");
        let answer = Visitor::ada(stage)?.open(&twice).await?.answer()?;
        answer.is_error(&request, "invalid_request").context(name)?;
    }
    Ok(())
}

async fn denial_is_told_to_the_app(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("prompt", "consent");
    let visitor = Visitor::ada(stage)?;
    let (page, form) = visitor.open(&request).await?.sign_in()?;
    let (page, form) = visitor.type_password(&page, form).await?.consent()?;
    let answer = visitor.press(&page, &form, "deny").await?.answer()?;
    answer.is_error(&request, "access_denied")
}

/// RFC 6749 section 4.1.2.1 and appendices A.7 and A.8.
async fn errors_are_written_as_rfc_6749_has_them(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    for (name, value) in [
        ("prompt", "none"),
        ("prompt", "none login"),
        ("response_type", "\"\\<é>"),
        ("id_token_hint", "\"\\<é>"),
        ("max_age", "\"\\<é>"),
        ("request", "\"\\<é>"),
        ("claims", "\"\\<é>"),
    ] {
        let answer = visitor
            .open(&Request::new(app)?.with(name, value))
            .await?
            .answer()?;
        for parameter in ["error", "error_description"] {
            let value = answer
                .get(parameter)
                .with_context(|| format!("{parameter} is missing"))?;
            let may_be = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            anyhow::ensure!(
                !value.is_empty() && value.bytes().all(may_be),
                "{parameter} is {value:?}"
            );
        }
        let names: Vec<_> = answer.parameters.keys().map(String::as_str).collect();
        same(
            "the parameters of the answer",
            names,
            vec!["error", "error_description", "iss", "state"],
        )?;
    }
    Ok(())
}

async fn registration_parameter_is_refused_by_name(stage: &'static Stage) -> Result<()> {
    let request = Request::new(&stage.apps.basic)?.with("registration", "{\"client_name\":\"x\"}");
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    answer.is_error(&request, "registration_not_supported")
}
