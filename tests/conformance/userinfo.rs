//! Userinfo.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::clients::ORIGIN;
use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{Reply, same, text};

tests![
    userinfo_answers_get_with_the_token_in_the_header,
    userinfo_answers_post_with_the_token_in_the_header,
    userinfo_answers_post_with_the_token_in_the_body,
    userinfo_is_about_who_the_id_token_is_about,
    userinfo_claims_are_of_their_types,
    userinfo_dates_are_written_as_they_should_be,
    userinfo_leaves_out_what_is_not_known,
    userinfo_refuses_a_token_that_is_none,
    userinfo_asks_for_a_token_without_an_error,
    userinfo_takes_a_token_in_one_way_only,
    userinfo_lets_scripts_of_the_client_read_it,
];

const EVERYTHING: &str = "openid profile email address phone";

async fn signed_in(stage: &'static Stage, scope: &str) -> Result<SignedIn> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", scope);
    Visitor::ada(stage)?.sign_in(app, &request).await
}

fn is_about(reply: &Reply, signed_in: &SignedIn) -> Result<()> {
    same(
        "sub at userinfo",
        text(&reply.success()?, "sub")?,
        signed_in.sub()?,
    )
}

async fn userinfo_answers_get_with_the_token_in_the_header(stage: &'static Stage) -> Result<()> {
    let signed_in = signed_in(stage, "openid").await?;
    let endpoint = stage.endpoint("userinfo_endpoint")?;
    let reply = stage
        .http
        .get_with_token(endpoint, signed_in.access_token()?)
        .await?;
    is_about(&reply, &signed_in)
}

async fn userinfo_answers_post_with_the_token_in_the_header(stage: &'static Stage) -> Result<()> {
    let signed_in = signed_in(stage, "openid").await?;
    let endpoint = stage.endpoint("userinfo_endpoint")?;
    let bearer = format!("Bearer {}", signed_in.access_token()?);
    let reply = stage
        .http
        .post(endpoint, &[("authorization", &bearer)], &[])
        .await?;
    is_about(&reply, &signed_in)
}

async fn userinfo_answers_post_with_the_token_in_the_body(stage: &'static Stage) -> Result<()> {
    let signed_in = signed_in(stage, "openid").await?;
    let endpoint = stage.endpoint("userinfo_endpoint")?;
    let form = [("access_token", signed_in.access_token()?)];
    let reply = stage.http.post(endpoint, &[], &form).await?;
    is_about(&reply, &signed_in)
}

async fn userinfo_is_about_who_the_id_token_is_about(stage: &'static Stage) -> Result<()> {
    for scope in ["openid", EVERYTHING] {
        let signed_in = signed_in(stage, scope).await?;
        let userinfo = signed_in.userinfo(stage).await?;
        same("sub at userinfo", text(&userinfo, "sub")?, signed_in.sub()?)?;
    }
    Ok(())
}

async fn userinfo_claims_are_of_their_types(stage: &'static Stage) -> Result<()> {
    let userinfo = signed_in(stage, EVERYTHING).await?.userinfo(stage).await?;
    for (name, value) in userinfo.as_object().context("not an object")? {
        let is_right = match name.as_str() {
            "email_verified" | "phone_number_verified" => value.is_boolean(),
            "updated_at" => value.is_number(),
            "address" => value
                .as_object()
                .is_some_and(|address| address.values().all(Value::is_string)),
            _ => value.is_string(),
        };
        anyhow::ensure!(is_right, "{name} is {value}");
    }
    for name in ["email_verified", "phone_number_verified"] {
        same(name, &userinfo[name], &json!(true))?;
    }
    anyhow::ensure!(userinfo["address"].is_object(), "no address in {userinfo}");
    Ok(())
}

async fn userinfo_dates_are_written_as_they_should_be(stage: &'static Stage) -> Result<()> {
    let userinfo = signed_in(stage, EVERYTHING).await?.userinfo(stage).await?;
    same("birthdate", text(&userinfo, "birthdate")?, "1815-12-10")?;
    same("zoneinfo", text(&userinfo, "zoneinfo")?, "Europe/London")?;
    same("locale", text(&userinfo, "locale")?, "en-GB")?;
    // In seconds: neither zero nor milliseconds.
    let updated_at = crate::wire::number(&userinfo, "updated_at")?;
    anyhow::ensure!(
        (1_600_000_000..10_000_000_000).contains(&updated_at),
        "updated_at is {updated_at}"
    );
    Ok(())
}

async fn userinfo_leaves_out_what_is_not_known(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", EVERYTHING);
    let signed_in = Visitor::grace(stage)?.sign_in(app, &request).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    let names: Vec<_> = userinfo.as_object().context("not an object")?.keys().collect();
    same(
        "the claims of somebody of whom only the username is known",
        names,
        vec!["preferred_username", "sub", "updated_at"],
    )
}

async fn userinfo_refuses_a_token_that_is_none(stage: &'static Stage) -> Result<()> {
    let signed_in = signed_in(stage, "openid").await?;
    let endpoint = stage.endpoint("userinfo_endpoint")?;
    let token = signed_in.access_token()?;
    for wrong in [
        "made-up",
        &token[..token.len() - 1],
        signed_in.id_token()?,
        signed_in.refresh_token()?,
    ] {
        let reply = stage.http.get_with_token(endpoint, wrong).await?;
        same("the status", reply.status.as_u16(), 401)?;
        let challenge = reply.header("www-authenticate")?;
        anyhow::ensure!(
            challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""),
            "the challenge is {challenge}"
        );
        anyhow::ensure!(
            reply.json()?.get("sub").is_none(),
            "a refusal says who it is about"
        );
    }
    Ok(())
}

async fn userinfo_asks_for_a_token_without_an_error(stage: &'static Stage) -> Result<()> {
    let reply = stage.http.get(stage.endpoint("userinfo_endpoint")?).await?;
    same("the status", reply.status.as_u16(), 401)?;
    let challenge = reply.header("www-authenticate")?;
    anyhow::ensure!(
        challenge.starts_with("Bearer ") && !challenge.contains("error"),
        "the challenge is {challenge}"
    );
    Ok(())
}

async fn userinfo_takes_a_token_in_one_way_only(stage: &'static Stage) -> Result<()> {
    let signed_in = signed_in(stage, "openid").await?;
    let token = signed_in.access_token()?;
    let endpoint = stage.endpoint("userinfo_endpoint")?;
    let bearer = format!("Bearer {token}");
    let twice = stage
        .http
        .post(
            endpoint,
            &[("authorization", &bearer)],
            &[("access_token", token)],
        )
        .await?;
    same("the status of two ways", twice.status.as_u16(), 400)?;
    same("the error", &twice.json()?["error"], &json!("invalid_request"))
}

async fn userinfo_lets_scripts_of_the_client_read_it(stage: &'static Stage) -> Result<()> {
    let signed_in = signed_in(stage, "openid").await?;
    let bearer = format!("Bearer {}", signed_in.access_token()?);
    let endpoint = stage.endpoint("userinfo_endpoint")?;
    let read = async |origin: &str| {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        stage.http.get_with(endpoint, &headers).await
    };
    let reply = read(ORIGIN).await?;
    is_about(&reply, &signed_in)?;
    same(
        "access-control-allow-origin",
        reply.header("access-control-allow-origin")?,
        ORIGIN,
    )?;
    let reply = read("https://elsewhere.example.org").await?;
    anyhow::ensure!(
        reply.headers.get("access-control-allow-origin").is_none(),
        "any site's scripts may read it"
    );
    Ok(())
}
