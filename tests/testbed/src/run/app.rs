//! Plays the app and the person: the authorization code flow, step by step.

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::browser::form::Form;
use testbed::browser::{Arrival, Browser, Page};
use testbed::relying_party::{AuthorizationRequest, RelyingParty, Tokens};
use testbed::sample_app::SampleApp;
use url::Url;

use crate::run::setup::Setup;
use crate::steps::Steps;

/// What the app asks for.
pub(super) const SCOPE: &str = "openid profile email groups offline_access";

/// Fails if any answer is not what the specifications say.
pub(super) async fn sign_somebody_in(
    steps: &Steps,
    setup: &Setup,
    browser: &Browser,
) -> Result<RelyingParty> {
    steps.heading("Ada signs in to the shop: the authorization code flow");
    let relying_party = steps
        .step(
            "Reading the discovery document",
            |_| {
                "The app read claviger's discovery document: it is for the issuer that the Secret names"
                    .to_owned()
            },
            RelyingParty::discover(setup.registration.clone()),
        )
        .await?;
    let request = relying_party.authorization_request(SCOPE, &[])?;
    let callback = walk(steps, setup, browser, &request).await?;
    let tokens = redeem(steps, &relying_party, &request, &callback).await?;
    use_tokens(steps, &relying_party, &request, &tokens).await?;
    Ok(relying_party)
}

/// The browser's way, from the app to the app.
async fn walk(
    steps: &Steps,
    setup: &Setup,
    browser: &Browser,
    request: &AuthorizationRequest,
) -> Result<Url> {
    let redirect_uri = setup.registration.redirect_uri.as_str();
    let sign_in = steps
        .step(
            "Sending the browser to /authorize",
            |_| "The app sent the browser to /authorize, which asks for a username and a password".to_owned(),
            async {
                let page = open(browser, browser.get(&request.url).await?, redirect_uri).await?;
                page.forms()
                    .iter()
                    .any(Form::asks_for_sign_in)
                    .then_some(page)
                    .context("it asks for neither")
            },
        )
        .await?;
    let consent = steps
        .step(
            "Signing in",
            |_| "Ada signed in, and is asked whether the shop may know who she is".to_owned(),
            async {
                let form = sign_in.forms().into_iter().find(Form::asks_for_sign_in);
                let mut form = form.context("the page has no form")?;
                form.fill("username", &setup.username)?;
                form.fill("password", &setup.password)?;
                let answer = browser.submit(&sign_in, &form, Some("sign-in")).await?;
                open(browser, answer, redirect_uri).await
            },
        )
        .await?;
    steps
        .step(
            "Allowing it",
            |_| "Ada allowed it, and claviger sent the browser back to the app with a code".to_owned(),
            async {
                let form = consent.forms().into_iter().find(|form| form.has_button("allow"));
                let form =
                    form.with_context(|| format!("expected the consent page, got: {}", consent.text()))?;
                let answer = browser.submit(&consent, &form, Some("allow")).await?;
                match browser.follow(answer, redirect_uri).await? {
                    Arrival::Callback(callback) => Ok(callback),
                    Arrival::Page(page) => {
                        anyhow::bail!("expected to go back to the app, got: {}", page.text())
                    }
                }
            },
        )
        .await
}

/// Follows redirects to a page of claviger's.
async fn open(browser: &Browser, answer: Page, redirect_uri: &str) -> Result<Page> {
    match browser.follow(answer, redirect_uri).await? {
        Arrival::Page(page) => Ok(page),
        Arrival::Callback(url) => anyhow::bail!("claviger went back to the app at once, to {url}"),
    }
}

async fn redeem(
    steps: &Steps,
    relying_party: &RelyingParty,
    request: &AuthorizationRequest,
    callback: &Url,
) -> Result<Tokens> {
    let code = steps
        .step(
            "Checking the answer",
            |_| {
                "The answer carries the app's own state and names the issuer: nobody has mixed it up"
                    .to_owned()
            },
            async { relying_party.code(request, callback) },
        )
        .await?;
    let token_endpoint = relying_party.token_endpoint().path();
    steps
        .step(
            "Redeeming the code",
            |tokens: &Tokens| {
                format!(
                    "The app redeemed the code at {token_endpoint}, and has tokens for {} s",
                    tokens.expires_in
                )
            },
            async { Ok(relying_party.redeem(request, &code).await??) },
        )
        .await
}

async fn use_tokens(
    steps: &Steps,
    relying_party: &RelyingParty,
    request: &AuthorizationRequest,
    tokens: &Tokens,
) -> Result<()> {
    let claims = steps
        .step(
            "Verifying the ID token",
            |_| {
                "The ID token holds: signature by a key of the JWKS, issuer, audience, expiry, nonce"
                    .to_owned()
            },
            relying_party.verify_id_token(tokens, Some(&request.nonce)),
        )
        .await?;
    let subject = claims["sub"].as_str().context("the ID token has no sub")?;
    steps
        .step(
            "Asking userinfo",
            |claims: &Value| {
                format!(
                    "Userinfo says who it is: {} <{}>",
                    text(claims, "name"),
                    text(claims, "email")
                )
            },
            async {
                let claims = relying_party.userinfo(&tokens.access_token, subject).await?;
                anyhow::ensure!(
                    claims["email"] == "ada@example.org",
                    "userinfo has another e-mail address: {claims}"
                );
                anyhow::ensure!(
                    claims["groups"] == serde_json::json!(["engineers"]),
                    "the groups are odd: {claims}"
                );
                Ok(claims)
            },
        )
        .await?;
    steps
        .step(
            "Refreshing",
            |()| {
                "The app refreshed: new tokens for the same person, and the old refresh token is refused now"
                    .to_owned()
            },
            refresh(relying_party, tokens, subject),
        )
        .await
}

async fn refresh(relying_party: &RelyingParty, tokens: &Tokens, subject: &str) -> Result<()> {
    let first = tokens
        .refresh_token
        .as_deref()
        .context("the token endpoint gave no refresh token")?;
    let fresh = relying_party.refresh(first).await??;
    let claims = relying_party.verify_id_token(&fresh, None).await?;
    anyhow::ensure!(
        claims["sub"] == subject,
        "the refreshed ID token is about somebody else"
    );
    relying_party.userinfo(&fresh.access_token, subject).await?;
    let second = fresh
        .refresh_token
        .context("the refresh gave no new refresh token")?;
    anyhow::ensure!(second != first, "the refresh token was not rotated");
    match relying_party.refresh(first).await? {
        Err(refusal) if refusal.error == "invalid_grant" => Ok(()),
        Err(refusal) => Err(refusal).context("expected invalid_grant for a spent refresh token"),
        Ok(_) => anyhow::bail!("a spent refresh token was good for new tokens"),
    }
}

/// The same browser at the sample app that a person will see: claviger remembers who she is and what she allowed.
pub(super) async fn visit(steps: &Steps, app: &SampleApp, browser: &Browser) -> Result<()> {
    steps
        .step(
            "Visiting the sample app",
            |()| "A second visit, to the sample app below, signed her in without asking anything".to_owned(),
            async {
                let begin = app.url().parse::<Url>()?.join("sign-in")?;
                let Arrival::Page(page) = browser.follow(browser.get(&begin).await?, "nowhere").await? else {
                    anyhow::bail!("redirected nowhere");
                };
                let shows_her = page.body.contains("id=claims") && page.body.contains("ada@example.org");
                anyhow::ensure!(shows_her, "{} shows: {}", page.url, page.text());
                Ok(())
            },
        )
        .await
}

fn text<'a>(claims: &'a Value, name: &str) -> &'a str {
    claims[name].as_str().unwrap_or("?")
}
