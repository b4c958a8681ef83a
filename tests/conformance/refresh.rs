//! Refresh tokens.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;
use url::Url;

use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{number, same, text};

tests![
    refresh_gives_another_access_token_that_works,
    refreshed_id_token_is_about_the_same_sign_in,
    refresh_token_is_bound_to_its_client,
    refresh_token_that_nobody_issued_is_refused,
    refreshed_scope_may_be_narrower_and_not_wider,
    offline_access_outlives_the_session_and_nothing_else_does,
    offline_access_is_asked_for_at_the_consent,
];

async fn signed_in(stage: &'static Stage) -> Result<SignedIn> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?
        .with("scope", "openid email")
        .with("max_age", "10000");
    Visitor::ada(stage)?.sign_in(app, &request).await
}

async fn refresh_gives_another_access_token_that_works(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let first = signed_in(stage).await?;
    let reply = app.refresh(stage, first.refresh_token()?).await?;
    let tokens = reply.success()?;
    same("cache-control", reply.header("cache-control")?, "no-store")?;
    let claims = app.verify(stage, &tokens, None).await?;
    let second = SignedIn { tokens, claims };
    anyhow::ensure!(
        second.access_token()? != first.access_token()?,
        "the access token is the same"
    );
    anyhow::ensure!(
        number(&second.tokens, "expires_in")? > 0,
        "{}",
        second.tokens["expires_in"]
    );
    let userinfo = second.userinfo(stage).await?;
    same("sub at userinfo", text(&userinfo, "sub")?, first.sub()?)?;
    same("email", text(&userinfo, "email")?, "ada@example.org")
}

async fn refreshed_id_token_is_about_the_same_sign_in(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let first = signed_in(stage).await?;
    sleep(Duration::from_millis(1_100)).await;
    let tokens = app.refresh(stage, first.refresh_token()?).await?.success()?;
    let claims = app.verify(stage, &tokens, None).await?;
    for name in ["iss", "sub", "aud", "auth_time", "azp", "sid"] {
        same(name, &claims[name], &first.claims[name])?;
    }
    anyhow::ensure!(
        number(&claims, "iat")? > number(&first.claims, "iat")?,
        "iat is that of the first ID token"
    );
    anyhow::ensure!(claims.get("nonce").is_none(), "it has a nonce: {claims}");
    Ok(())
}

async fn refresh_token_is_bound_to_its_client(stage: &'static Stage) -> Result<()> {
    let first = signed_in(stage).await?;
    let refresh_token = first.refresh_token()?;
    let reply = stage.apps.other.refresh(stage, refresh_token).await?;
    reply.refuses(400, "invalid_grant")?;
    // Whoever tried has not spent it.
    let reply = stage.apps.basic.refresh(stage, refresh_token).await?;
    reply.success()?;
    Ok(())
}

async fn refresh_token_that_nobody_issued_is_refused(stage: &'static Stage) -> Result<()> {
    let first = signed_in(stage).await?;
    let refresh_token = first.refresh_token()?;
    for wrong in [
        &refresh_token[..refresh_token.len() - 1],
        first.access_token()?,
        first.id_token()?,
        "made-up",
    ] {
        let reply = stage.apps.basic.refresh(stage, wrong).await?;
        reply.refuses(400, "invalid_grant")?;
    }
    Ok(())
}

async fn refreshed_scope_may_be_narrower_and_not_wider(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let first = signed_in(stage).await?;
    let refresh_token = first.refresh_token()?;
    let form = |scope| {
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("scope", scope),
        ]
    };
    let reply = app.token(stage, &form("openid email phone")).await?;
    reply.refuses(400, "invalid_scope")?;
    let tokens = app.token(stage, &form("openid")).await?.success()?;
    same("the scope that is given", text(&tokens, "scope")?, "openid")?;
    let reply = stage
        .http
        .get_with_token(
            stage.endpoint("userinfo_endpoint")?,
            text(&tokens, "access_token")?,
        )
        .await?;
    anyhow::ensure!(reply.success()?.get("email").is_none(), "{}", reply.body);
    Ok(())
}

async fn offline_access_outlives_the_session_and_nothing_else_does(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let online = visitor.sign_in(app, &Request::new(app)?).await?;
    let request = Request::new(app)?
        .with("scope", "openid offline_access")
        .with("prompt", "consent");
    let offline = visitor.sign_in(app, &request).await?;
    let mut url: Url = stage.endpoint("end_session_endpoint")?.parse()?;
    url.query_pairs_mut()
        .append_pair("id_token_hint", offline.id_token()?);
    visitor.open_url(&url).await?.signed_out()?;
    let reply = app.refresh(stage, online.refresh_token()?).await?;
    reply.refuses(400, "invalid_grant")?;
    let reply = app.refresh(stage, offline.refresh_token()?).await?;
    reply.success()?;
    Ok(())
}

/// The person sees that it is asked for, at a client that nobody has allowed anything.
async fn offline_access_is_asked_for_at_the_consent(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.stranger;
    let visitor = Visitor::ada(stage)?;
    let mut said = Vec::new();
    for scope in ["openid", "openid offline_access"] {
        let request = Request::new(app)?.with("scope", scope);
        let shown = match visitor.open(&request).await? {
            crate::flow::Shown::SignIn(page, form) => visitor.type_password(&page, form).await?,
            shown => shown,
        };
        let (page, form) = shown.consent()?;
        said.push(page.text());
        let answer = visitor.press(&page, &form, "deny").await?.answer()?;
        answer.is_error(&request, "access_denied")?;
    }
    anyhow::ensure!(
        said[1].len() > said[0].len(),
        "the page says nothing of it: {}",
        said[1]
    );
    Ok(())
}
