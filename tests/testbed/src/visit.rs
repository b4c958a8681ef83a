//! A whole visit of a person to an app, from `/authorize` to the refresh of what the app was given.

use anyhow::{Context, Result};

use crate::browser::Browser;
use crate::relying_party::{RelyingParty, Tokens};

/// What an app asks for that wants everything.
pub const SCOPE: &str = "openid profile email groups offline_access";

/// Signs a person in with a browser that has never been anywhere: password, consent, code, ID token, userinfo, refresh.
/// Gives the tokens of the refresh. Fails if any answer is not what the specifications say.
pub async fn whole(app: &RelyingParty, username: &str, password: &str) -> Result<Tokens> {
    whole_by(&Browser::new()?, app, username, password).await
}

/// The same with this browser.
pub async fn whole_by(
    browser: &Browser,
    app: &RelyingParty,
    username: &str,
    password: &str,
) -> Result<Tokens> {
    let tokens = sign_in(app, browser, username, password).await?;
    let claims = app.verify_id_token(&tokens, None).await?;
    let subject = claims["sub"].as_str().context("the ID token has no sub")?;
    app.userinfo(&tokens.access_token, subject).await?;
    let refresh_token = tokens
        .refresh_token
        .as_deref()
        .context("the token endpoint gave no refresh token")?;
    let fresh = app.refresh(refresh_token).await??;
    let again = app.verify_id_token(&fresh, None).await?;
    anyhow::ensure!(again["sub"] == subject, "the refresh is about somebody else");
    app.userinfo(&fresh.access_token, subject).await?;
    Ok(fresh)
}

/// Signs a person in and redeems the code.
pub async fn sign_in(
    app: &RelyingParty,
    browser: &Browser,
    username: &str,
    password: &str,
) -> Result<Tokens> {
    let request = app.authorization_request(SCOPE, &[])?;
    let redirect_uri = &app.registration().redirect_uri;
    let callback = browser
        .sign_in(&request.url, redirect_uri, username, password)
        .await?;
    let code = app.code(&request, &callback)?;
    let tokens = app.redeem(&request, &code).await??;
    app.verify_id_token(&tokens, Some(&request.nonce)).await?;
    Ok(tokens)
}
