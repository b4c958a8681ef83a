//! RP-Initiated Logout that leads nowhere: the app has not proved enough.

use anyhow::{Context, Result};
use serde_json::json;

use crate::clients::{CALLBACK, SIGNED_OUT, SIGNED_OUT_OF_OTHER};
use crate::flow::{Request, Shown, Visitor};
use crate::logout::{end_session, signed_in};
use crate::signing::{part, unsigned};
use crate::stage::Stage;

tests![
    logout_does_not_lead_to_an_unregistered_uri,
    logout_does_not_lead_to_a_uri_with_an_added_query,
    logout_does_not_lead_to_a_uri_of_another_client,
    logout_does_not_lead_anywhere_without_hint_and_client,
    logout_does_not_believe_an_unsigned_hint,
    logout_does_not_believe_a_hint_of_another_key,
    logout_does_not_believe_a_hint_of_another_issuer,
    logout_does_not_believe_a_hint_of_another_client,
    logout_asks_where_the_hint_is_of_another_session,
    logout_asks_where_the_hint_is_of_somebody_else,
];

/// Whatever is shown, the browser stays at claviger: the person is asked, or told.
fn stays(shown: &Shown) -> Result<()> {
    anyhow::ensure!(
        matches!(shown, Shown::SignOut(..) | Shown::SignedOut(_)),
        "the browser does not stay at a page about signing out: {shown}"
    );
    Ok(())
}

/// Ada signs out with a good hint and this URI; the browser stays, now and after the person has said yes.
async fn is_not_led_to(stage: &'static Stage, uri: &str) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let parameters = [
        ("id_token_hint", signed_in.id_token()?),
        ("post_logout_redirect_uri", uri),
        ("state", "state-of-the-app"),
    ];
    let shown = visitor.open_url(&end_session(stage, &parameters)?).await?;
    stays(&shown)?;
    if let Shown::SignOut(page, form) = &shown {
        let after = visitor.press(page, form, "confirm-logout").await?;
        stays(&after)?;
    }
    Ok(())
}

async fn logout_does_not_lead_to_an_unregistered_uri(stage: &'static Stage) -> Result<()> {
    for uri in [
        "https://rp.example.org/not-registered",
        "https://evil.example.org/",
        // Registered for signing in, not for this.
        CALLBACK,
        "https://RP.example.org/signed-out",
        "//evil.example.org",
    ] {
        is_not_led_to(stage, uri).await.context(uri)?;
    }
    Ok(())
}

async fn logout_does_not_lead_to_a_uri_with_an_added_query(stage: &'static Stage) -> Result<()> {
    is_not_led_to(stage, &format!("{SIGNED_OUT}?foo=bar")).await
}

async fn logout_does_not_lead_to_a_uri_of_another_client(stage: &'static Stage) -> Result<()> {
    is_not_led_to(stage, SIGNED_OUT_OF_OTHER).await
}

/// The person is asked, nothing has happened yet, and what they say leads nowhere either.
async fn asks_and_stays(stage: &'static Stage, visitor: &Visitor, parameters: &[(&str, &str)]) -> Result<()> {
    let app = &stage.apps.basic;
    let parameters = [parameters, &[("state", "s")]].concat();
    let shown = visitor.open_url(&end_session(stage, &parameters)?).await?;
    let (page, form) = shown.sign_out()?;
    visitor.stays_signed_in(app).await?;
    visitor
        .press(&page, &form, "confirm-logout")
        .await?
        .signed_out()?;
    visitor.is_signed_out(app).await
}

async fn logout_does_not_lead_anywhere_without_hint_and_client(stage: &'static Stage) -> Result<()> {
    let (visitor, _) = signed_in(stage).await?;
    asks_and_stays(stage, &visitor, &[("post_logout_redirect_uri", SIGNED_OUT)]).await
}

async fn with_hint(stage: &'static Stage, visitor: &Visitor, hint: &str) -> Result<()> {
    let parameters = [("id_token_hint", hint), ("post_logout_redirect_uri", SIGNED_OUT)];
    asks_and_stays(stage, visitor, &parameters).await
}

async fn logout_does_not_believe_an_unsigned_hint(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let hint = unsigned(&part(signed_in.id_token()?, 1)?);
    with_hint(stage, &visitor, &hint).await
}

async fn logout_does_not_believe_a_hint_of_another_key(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    // As good as a forgery gets: the kid of a key of ours of that very algorithm.
    let set = stage.jwks().await?;
    let keys = set["keys"].as_array().context("no keys")?;
    let ours = keys
        .iter()
        .find(|key| key["alg"] == "ES256")
        .context("no key of ES256")?;
    let header = json!({ "typ": "JWT", "kid": ours["kid"] });
    let hint = stage.key.sign(header, &part(signed_in.id_token()?, 1)?)?;
    with_hint(stage, &visitor, &hint).await
}

/// Signed by a key of this app's, and by an issuer that claviger does not know.
async fn logout_does_not_believe_a_hint_of_another_issuer(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let mut claims = part(signed_in.id_token()?, 1)?;
    claims["iss"] = json!("https://elsewhere.example.org");
    let hint = stage
        .key
        .sign(json!({ "jwk": stage.key.public(), "kid": "app" }), &claims)?;
    with_hint(stage, &visitor, &hint).await
}

async fn logout_does_not_believe_a_hint_of_another_client(stage: &'static Stage) -> Result<()> {
    let (visitor, _) = signed_in(stage).await?;
    let other = &stage.apps.other;
    let of_other = visitor.sign_in(other, &Request::new(other)?).await?;
    // `client_id` is this client's and the hint is not: they have to agree.
    let parameters = [
        ("id_token_hint", of_other.id_token()?),
        ("client_id", stage.apps.basic.client_id.as_str()),
        ("post_logout_redirect_uri", SIGNED_OUT),
    ];
    asks_and_stays(stage, &visitor, &parameters).await
}

/// The person is asked before anything happens; the hint is ours, so that the app gets the browser back afterwards.
async fn asks_before_leading_back(stage: &'static Stage, visitor: &Visitor, hint: &str) -> Result<()> {
    let app = &stage.apps.basic;
    let parameters = [("id_token_hint", hint), ("post_logout_redirect_uri", SIGNED_OUT)];
    let shown = visitor.open_url(&end_session(stage, &parameters)?).await?;
    let (page, form) = shown.sign_out()?;
    visitor.stays_signed_in(app).await?;
    let shown = visitor.press(&page, &form, "confirm-logout").await?;
    anyhow::ensure!(
        matches!(&shown, Shown::SignedOut(_))
            || matches!(&shown, Shown::Away(url) if url.as_str() == SIGNED_OUT),
        "{shown}"
    );
    visitor.is_signed_out(app).await
}

async fn logout_asks_where_the_hint_is_of_another_session(stage: &'static Stage) -> Result<()> {
    let (_, earlier) = signed_in(stage).await?;
    let (visitor, _) = signed_in(stage).await?;
    asks_before_leading_back(stage, &visitor, earlier.id_token()?).await
}

async fn logout_asks_where_the_hint_is_of_somebody_else(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let of_grace = Visitor::grace(stage)?.sign_in(app, &Request::new(app)?).await?;
    let (visitor, _) = signed_in(stage).await?;
    asks_before_leading_back(stage, &visitor, of_grace.id_token()?).await
}
