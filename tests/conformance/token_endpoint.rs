//! The token endpoint: authentication of clients, and codes.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::clients::{CALLBACK, CALLBACK_WITH_QUERY};
use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::tokens::{basic, code_form};
use crate::wire::{number, same, text};

tests![
    code_used_again_after_thirty_seconds_ends_the_access_token,
    code_is_used_once,
    tokens_are_answered_as_rfc_6749_has_it,
    client_secret_basic_is_accepted,
    client_secret_post_is_accepted,
    client_is_held_to_its_method,
    wrong_secret_is_told_with_a_challenge,
    unauthenticated_client_gets_nothing,
    two_ways_of_authentication_are_refused,
    code_of_another_client_is_refused,
    code_that_nobody_issued_is_refused,
    code_with_another_redirect_uri_is_refused,
    code_without_a_redirect_uri_is_refused,
    grant_type_is_required,
    grant_type_that_there_is_not_is_refused,
    repeated_token_parameter_is_refused,
    token_endpoint_takes_post_only,
    token_errors_are_not_cached,
];

async fn code(stage: &'static Stage) -> Result<String> {
    let request = Request::new(&stage.apps.basic)?;
    let answer = Visitor::ada(stage)?.answer(&request).await?;
    Ok(answer.code()?.to_owned())
}

async fn code_is_used_once(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    app.redeem(stage, &code).await?.success()?;
    app.redeem(stage, &code).await?.refuses(400, "invalid_grant")
}

/// The wait is the suite's: a provider that forgets used codes soon would take it for one that nobody issued.
async fn code_used_again_after_thirty_seconds_ends_the_access_token(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    let tokens = app.redeem(stage, &code).await?.success()?;
    let userinfo = stage.endpoint("userinfo_endpoint")?;
    let access_token = text(&tokens, "access_token")?;
    stage
        .http
        .get_with_token(userinfo, access_token)
        .await?
        .success()?;
    sleep(Duration::from_secs(30)).await;
    app.redeem(stage, &code).await?.refuses(400, "invalid_grant")?;
    let reply = stage.http.get_with_token(userinfo, access_token).await?;
    same("the status of userinfo afterwards", reply.status.as_u16(), 401)?;
    app.refresh(stage, text(&tokens, "refresh_token")?)
        .await?
        .refuses(400, "invalid_grant")
}

async fn tokens_are_answered_as_rfc_6749_has_it(stage: &'static Stage) -> Result<()> {
    let reply = stage.apps.basic.redeem(stage, &code(stage).await?).await?;
    let tokens = reply.success()?;
    same("cache-control", reply.header("cache-control")?, "no-store")?;
    same("pragma", reply.header("pragma")?, "no-cache")?;
    anyhow::ensure!(
        text(&tokens, "token_type")?.eq_ignore_ascii_case("bearer"),
        "the token type is {}",
        tokens["token_type"]
    );
    anyhow::ensure!(
        number(&tokens, "expires_in")? > 0,
        "expires_in is {}",
        tokens["expires_in"]
    );
    for name in ["access_token", "id_token", "refresh_token"] {
        // RFC 6749 appendices A.12 and A.17.
        let may_be = |byte: u8| matches!(byte, 0x20..=0x7e);
        let value = text(&tokens, name)?;
        anyhow::ensure!(
            value.len() >= 22 && value.bytes().all(may_be),
            "{name} is not written as tokens are, or can be guessed"
        );
    }
    Ok(())
}

async fn client_secret_basic_is_accepted(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let authorization = basic(&app.client_id, &app.client_secret);
    let code = code(stage).await?;
    let endpoint = stage.endpoint("token_endpoint")?;
    stage
        .http
        .post(endpoint, &[("authorization", &authorization)], &code_form(&code))
        .await?
        .success()?;
    Ok(())
}

async fn client_secret_post_is_accepted(stage: &'static Stage) -> Result<()> {
    let endpoint = stage.endpoint("token_endpoint")?;
    // Of a client with both methods, and of one with this alone.
    for app in [&stage.apps.basic, &stage.apps.posting] {
        let answer = Visitor::ada(stage)?.answer(&Request::new(app)?).await?;
        let form = [
            &code_form(answer.code()?)[..],
            &[
                ("client_id", &app.client_id),
                ("client_secret", &app.client_secret),
            ],
        ]
        .concat();
        stage.http.post(endpoint, &[], &form).await?.success()?;
    }
    Ok(())
}

async fn client_is_held_to_its_method(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.posting;
    let answer = Visitor::ada(stage)?.answer(&Request::new(app)?).await?;
    let reply = app.redeem(stage, answer.code()?).await?;
    reply.refuses(401, "invalid_client")
}

async fn wrong_secret_is_told_with_a_challenge(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    let endpoint = stage.endpoint("token_endpoint")?;
    let authorization = basic(&app.client_id, "wrong");
    let reply = stage
        .http
        .post(endpoint, &[("authorization", &authorization)], &code_form(&code))
        .await?;
    reply.refuses(401, "invalid_client")?;
    let challenge = reply.header("www-authenticate")?;
    anyhow::ensure!(challenge.starts_with("Basic "), "the challenge is {challenge}");
    // And the code is still good for the client itself.
    app.redeem(stage, &code).await?.success()?;
    Ok(())
}

async fn unauthenticated_client_gets_nothing(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    let endpoint = stage.endpoint("token_endpoint")?;
    let named = [&code_form(&code)[..], &[("client_id", &app.client_id)]].concat();
    for form in [&code_form(&code)[..], &named] {
        let reply = stage.http.post(endpoint, &[], form).await?;
        reply.refuses(401, "invalid_client")?;
    }
    Ok(())
}

async fn two_ways_of_authentication_are_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    let form = [
        &code_form(&code)[..],
        &[
            ("client_id", &app.client_id),
            ("client_secret", &app.client_secret),
        ],
    ]
    .concat();
    app.token(stage, &form).await?.refuses(400, "invalid_request")
}

async fn code_of_another_client_is_refused(stage: &'static Stage) -> Result<()> {
    let code = code(stage).await?;
    stage
        .apps
        .other
        .redeem(stage, &code)
        .await?
        .refuses(400, "invalid_grant")?;
    // It is still good for its own.
    stage.apps.basic.redeem(stage, &code).await?.success()?;
    Ok(())
}

async fn code_that_nobody_issued_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    for wrong in [&code[..code.len() - 1], &format!("{code}x"), "made-up"] {
        app.redeem(stage, wrong).await?.refuses(400, "invalid_grant")?;
    }
    Ok(())
}

async fn code_with_another_redirect_uri_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    for other in [
        CALLBACK_WITH_QUERY,
        "https://rp.example.org/callback/",
        "https://elsewhere.example.org",
    ] {
        let mut form = code_form(&code);
        form[2].1 = other;
        app.token(stage, &form).await?.refuses(400, "invalid_grant")?;
    }
    Ok(())
}

async fn code_without_a_redirect_uri_is_refused(stage: &'static Stage) -> Result<()> {
    let code = code(stage).await?;
    let form = &code_form(&code)[..2];
    let reply = stage.apps.basic.token(stage, form).await?;
    let body = reply.json()?;
    let error = text(&body, "error")?;
    anyhow::ensure!(
        ["invalid_request", "invalid_grant"].contains(&error),
        "the error is {error}"
    );
    reply.refuses(400, error)
}

async fn grant_type_is_required(stage: &'static Stage) -> Result<()> {
    let code = code(stage).await?;
    let form = [("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let reply = stage.apps.basic.token(stage, &form).await?;
    reply.refuses(400, "invalid_request")
}

async fn grant_type_that_there_is_not_is_refused(stage: &'static Stage) -> Result<()> {
    let code = code(stage).await?;
    for grant_type in ["password", "implicit", "Authorization_Code", "urn:made-up"] {
        let mut form = code_form(&code);
        form[0].1 = grant_type;
        let reply = stage.apps.basic.token(stage, &form).await?;
        reply.refuses(400, "unsupported_grant_type")?;
    }
    Ok(())
}

async fn repeated_token_parameter_is_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    for twice in code_form(&code) {
        let form = [&code_form(&code)[..], &[twice]].concat();
        app.token(stage, &form).await?.refuses(400, "invalid_request")?;
    }
    app.redeem(stage, &code).await?.success()?;
    Ok(())
}

async fn token_endpoint_takes_post_only(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let code = code(stage).await?;
    let mut url: url::Url = stage.endpoint("token_endpoint")?.parse()?;
    url.query_pairs_mut().extend_pairs(code_form(&code));
    let authorization = basic(&app.client_id, &app.client_secret);
    let headers = [("authorization", authorization.as_str())];
    let reply = stage.http.get_with(url.as_str(), &headers).await?;
    same("the status of GET", reply.status.as_u16(), 405)?;
    // In the query of a POST either.
    let reply = stage.http.post(url.as_str(), &headers, &[]).await?;
    reply.refuses(400, "invalid_request")?;
    app.redeem(stage, &code).await?.success()?;
    Ok(())
}

async fn token_errors_are_not_cached(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    for reply in [
        app.redeem(stage, "made-up").await?,
        app.token(stage, &[]).await?,
        stage
            .http
            .post(stage.endpoint("token_endpoint")?, &[], &[("client_id", "nobody")])
            .await?,
    ] {
        anyhow::ensure!(reply.json()?["error"].is_string(), "no error: {}", reply.body);
        same("cache-control", reply.header("cache-control")?, "no-store")?;
        same("pragma", reply.header("pragma")?, "no-cache")?;
    }
    Ok(())
}
