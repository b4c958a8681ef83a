//! The `claims` parameter.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{number, same, text, texts};

tests![
    claims_for_userinfo_come_from_userinfo,
    claims_for_the_id_token_come_in_it,
    claims_that_are_not_known_are_no_error,
    claims_with_a_sub_are_answered_for_that_person_only,
    claims_with_an_essential_acr_are_met_or_refused,
    claims_with_a_voluntary_acr_are_no_error,
    claims_with_auth_time_are_answered,
];

fn asking(request: Request, claims: &Value) -> Request {
    request.with("claims", &claims.to_string())
}

async fn ada(stage: &'static Stage, claims: &Value) -> Result<SignedIn> {
    let app = &stage.apps.basic;
    let request = asking(Request::new(app)?, claims);
    Visitor::ada(stage)?.sign_in(app, &request).await
}

async fn claims_for_userinfo_come_from_userinfo(stage: &'static Stage) -> Result<()> {
    let claims = json!({ "userinfo": { "name": { "essential": true }, "nickname": null } });
    let signed_in = ada(stage, &claims).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    same("name", text(&userinfo, "name")?, "Ada Lovelace")?;
    same("nickname", text(&userinfo, "nickname")?, "Enchantress")?;
    // And nothing else, since no scope asks for more.
    let count = userinfo.as_object().context("not an object")?.len();
    same("the number of claims", count, 3)?;
    anyhow::ensure!(
        signed_in.claims.get("name").is_none(),
        "the ID token has what was for userinfo"
    );
    Ok(())
}

async fn claims_for_the_id_token_come_in_it(stage: &'static Stage) -> Result<()> {
    let claims = json!({ "id_token": { "email": { "essential": true }, "email_verified": null } });
    let signed_in = ada(stage, &claims).await?;
    same("email", text(&signed_in.claims, "email")?, "ada@example.org")?;
    same(
        "email_verified",
        &signed_in.claims["email_verified"],
        &json!(true),
    )?;
    let userinfo = signed_in.userinfo(stage).await?;
    anyhow::ensure!(
        userinfo.get("email").is_none(),
        "userinfo has what was for the ID token"
    );
    Ok(())
}

/// Grace has no website, and nobody has the other.
async fn claims_that_are_not_known_are_no_error(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let essential = json!({ "essential": true });
    let claims = json!({
        "userinfo": { "website": essential, "http://example.org/shoe_size": essential },
        "id_token": { "birthdate": essential },
    });
    let request = asking(Request::new(app)?, &claims);
    let signed_in = Visitor::grace(stage)?.sign_in(app, &request).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    let names: Vec<_> = userinfo.as_object().context("not an object")?.keys().collect();
    same("the claims of userinfo", names, vec!["sub"])?;
    anyhow::ensure!(
        signed_in.claims.get("birthdate").is_none(),
        "{}",
        signed_in.claims
    );
    Ok(())
}

async fn claims_with_a_sub_are_answered_for_that_person_only(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let first = visitor.sign_in(app, &Request::new(app)?).await?;
    let wanting = |sub: &str| -> Result<Request> {
        let claims = json!({ "id_token": { "sub": { "value": sub } } });
        Ok(asking(Request::new(app)?, &claims).with("prompt", "none"))
    };
    let same_person = visitor.sign_in_silently(app, &wanting(first.sub()?)?).await?;
    same("sub", same_person.sub()?, first.sub()?)?;
    let request = wanting("somebody-else")?;
    let answer = visitor.open(&request).await?.answer()?;
    answer.is_error(&request, "login_required")
}

async fn claims_with_an_essential_acr_are_met_or_refused(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let acr = texts(&stage.metadata, "acr_values_supported")?[0];
    let wanting = |values: Value| json!({ "id_token": { "acr": { "essential": true, "values": values } } });
    let signed_in = ada(stage, &wanting(json!(["made-up", acr]))).await?;
    same("acr", text(&signed_in.claims, "acr")?, acr)?;
    let request = asking(Request::new(app)?, &wanting(json!(["made-up"])));
    let visitor = Visitor::ada(stage)?;
    let answer = visitor.open(&request).await?.answer()?;
    answer.is_error(&request, "unmet_authentication_requirements")
}

async fn claims_with_a_voluntary_acr_are_no_error(stage: &'static Stage) -> Result<()> {
    let claims = json!({ "id_token": { "acr": { "values": ["made-up"] } } });
    let signed_in = ada(stage, &claims).await?;
    anyhow::ensure!(
        text(&signed_in.claims, "acr")? != "made-up",
        "the ID token says what was wished for"
    );
    Ok(())
}

async fn claims_with_auth_time_are_answered(stage: &'static Stage) -> Result<()> {
    let claims = json!({ "id_token": { "auth_time": { "essential": true } } });
    let signed_in = ada(stage, &claims).await?;
    let auth_time = number(&signed_in.claims, "auth_time")?;
    let iat = number(&signed_in.claims, "iat")?;
    anyhow::ensure!(
        (iat - 300..=iat).contains(&auth_time),
        "auth_time {auth_time}, iat {iat}"
    );
    // Who did not ask is not told.
    let plain = ada(stage, &json!({})).await?;
    anyhow::ensure!(plain.claims.get("auth_time").is_none(), "{}", plain.claims);
    Ok(())
}
