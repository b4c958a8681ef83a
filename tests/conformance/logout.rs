//! RP-Initiated Logout that leads back to the app, or ends at a page that says so.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;
use url::Url;

use crate::clients::SIGNED_OUT;
use crate::flow::{Request, Shown, Visitor};
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{number, same};

tests![
    end_session_endpoint_is_advertised,
    logout_leads_back_with_the_state,
    logout_without_state_adds_none,
    logout_keeps_a_long_state,
    logout_without_a_uri_ends_at_a_page,
    logout_without_parameters_asks_the_person,
    logout_with_state_alone_asks_the_person,
    logout_may_be_posted,
    logout_takes_a_hint_that_has_expired,
    logout_takes_client_id_beside_its_hint,
    logout_with_client_id_alone_asks_first,
    logout_hint_and_ui_locales_are_no_error,
];

/// A request to sign out.
pub(crate) fn end_session(stage: &Stage, parameters: &[(&str, &str)]) -> Result<Url> {
    let mut url: Url = stage.endpoint("end_session_endpoint")?.parse()?;
    url.query_pairs_mut().extend_pairs(parameters);
    // A query that is empty is none.
    if parameters.is_empty() {
        url.set_query(None);
    }
    Ok(url)
}

/// Ada, who has signed in to the app.
pub(crate) async fn signed_in(stage: &'static Stage) -> Result<(Visitor, SignedIn)> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let signed_in = visitor.sign_in(app, &Request::new(app)?).await?;
    visitor.stays_signed_in(app).await?;
    Ok((visitor, signed_in))
}

async fn end_session_endpoint_is_advertised(stage: &'static Stage) -> Result<()> {
    let url: Url = stage.endpoint("end_session_endpoint")?.parse()?;
    same("the scheme", url.scheme(), "https")?;
    let shown = Visitor::ada(stage)?.open_url(&url).await?;
    shown.signed_out()
}

async fn logout_leads_back_with_the_state(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let url = end_session(
        stage,
        &[
            ("id_token_hint", signed_in.id_token()?),
            ("post_logout_redirect_uri", SIGNED_OUT),
            ("state", "a b&c=%2B"),
        ],
    )?;
    let away = visitor.open_url(&url).await?.away()?;
    let (target, query) = away.as_str().split_once('?').unwrap_or((away.as_str(), ""));
    same("where the browser is sent", target, SIGNED_OUT)?;
    let parameters: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    same(
        "what it brings",
        parameters,
        vec![("state".to_owned(), "a b&c=%2B".to_owned())],
    )?;
    visitor.is_signed_out(&stage.apps.basic).await
}

async fn logout_without_state_adds_none(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let url = end_session(
        stage,
        &[
            ("id_token_hint", signed_in.id_token()?),
            ("post_logout_redirect_uri", SIGNED_OUT),
        ],
    )?;
    let away = visitor.open_url(&url).await?.away()?;
    same("where the browser is sent", away.as_str(), SIGNED_OUT)?;
    visitor.is_signed_out(&stage.apps.basic).await
}

async fn logout_keeps_a_long_state(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let every_character: String = (0x20_u8..0x7f).map(char::from).collect();
    let long = format!("{every_character}{}", "s".repeat(128));
    let url = end_session(
        stage,
        &[
            ("id_token_hint", signed_in.id_token()?),
            ("post_logout_redirect_uri", SIGNED_OUT),
            ("state", &long),
        ],
    )?;
    let away = visitor.open_url(&url).await?.away()?;
    let found = away.query_pairs().find(|(name, _)| name == "state");
    same(
        "the state",
        found.map(|(_, value)| value.into_owned()),
        Some(long),
    )
}

async fn logout_without_a_uri_ends_at_a_page(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let parameters = [("id_token_hint", signed_in.id_token()?), ("state", "s")];
    let url = end_session(stage, &parameters)?;
    visitor.open_url(&url).await?.signed_out()?;
    visitor.is_signed_out(&stage.apps.basic).await
}

/// Nothing has happened before the person says yes; then it ends at a page.
async fn asks_the_person(stage: &'static Stage, parameters: &[(&str, &str)]) -> Result<Shown> {
    let app = &stage.apps.basic;
    let (visitor, _) = signed_in(stage).await?;
    let url = end_session(stage, parameters)?;
    let (page, form) = visitor.open_url(&url).await?.sign_out()?;
    visitor.stays_signed_in(app).await?;
    let shown = visitor.press(&page, &form, "confirm-logout").await?;
    visitor.is_signed_out(app).await?;
    Ok(shown)
}

async fn logout_without_parameters_asks_the_person(stage: &'static Stage) -> Result<()> {
    asks_the_person(stage, &[]).await?.signed_out()
}

async fn logout_with_state_alone_asks_the_person(stage: &'static Stage) -> Result<()> {
    asks_the_person(stage, &[("state", "s")]).await?.signed_out()
}

async fn logout_may_be_posted(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let fields = [
        ("id_token_hint", signed_in.id_token()?),
        ("post_logout_redirect_uri", SIGNED_OUT),
        ("state", "s"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let page = visitor
        .browser
        .post_from("https://rp.example.org", &end_session(stage, &[])?, &fields)
        .await?;
    let away = visitor.show(page).await?.away()?;
    same(
        "where the browser is sent",
        away.as_str(),
        format!("{SIGNED_OUT}?state=s").as_str(),
    )?;
    visitor.is_signed_out(&stage.apps.basic).await
}

async fn logout_takes_a_hint_that_has_expired(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.brief;
    let visitor = Visitor::ada(stage)?;
    let signed_in = visitor.sign_in(app, &Request::new(app)?).await?;
    let (iat, exp) = (
        number(&signed_in.claims, "iat")?,
        number(&signed_in.claims, "exp")?,
    );
    same("the life of the ID token", exp - iat, 1)?;
    sleep(Duration::from_secs(3)).await;
    let url = end_session(
        stage,
        &[
            ("id_token_hint", signed_in.id_token()?),
            ("post_logout_redirect_uri", SIGNED_OUT),
        ],
    )?;
    let away = visitor.open_url(&url).await?.away()?;
    same("where the browser is sent", away.as_str(), SIGNED_OUT)?;
    visitor.is_signed_out(app).await
}

async fn logout_takes_client_id_beside_its_hint(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let url = end_session(
        stage,
        &[
            ("id_token_hint", signed_in.id_token()?),
            ("client_id", &stage.apps.basic.client_id),
            ("post_logout_redirect_uri", SIGNED_OUT),
        ],
    )?;
    let away = visitor.open_url(&url).await?.away()?;
    same("where the browser is sent", away.as_str(), SIGNED_OUT)
}

async fn logout_with_client_id_alone_asks_first(stage: &'static Stage) -> Result<()> {
    let parameters = [
        ("client_id", stage.apps.basic.client_id.as_str()),
        ("post_logout_redirect_uri", SIGNED_OUT),
        ("state", "s"),
    ];
    let away = asks_the_person(stage, &parameters).await?.away()?;
    same(
        "where the browser is sent",
        away.as_str(),
        format!("{SIGNED_OUT}?state=s").as_str(),
    )
}

async fn logout_hint_and_ui_locales_are_no_error(stage: &'static Stage) -> Result<()> {
    let (visitor, signed_in) = signed_in(stage).await?;
    let url = end_session(
        stage,
        &[
            ("id_token_hint", signed_in.id_token()?),
            ("logout_hint", "ada"),
            ("ui_locales", "fr-CA se"),
            ("extra", "foobar"),
            ("post_logout_redirect_uri", SIGNED_OUT),
        ],
    )?;
    let away = visitor.open_url(&url).await?.away()?;
    same("where the browser is sent", away.as_str(), SIGNED_OUT)
}
