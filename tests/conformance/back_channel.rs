//! Back-Channel Logout: what an app is posted when a session ends that it took part in.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::relying_party::id_token;
use testbed::tls_receiver::{Answer, Posted, TlsReceiver};

use crate::clients::{SIGNED_OUT, Told};
use crate::flow::{Request, Visitor};
use crate::logout::end_session;
use crate::signing::part;
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{number, same, text};

tests![
    back_channel_is_advertised_with_sessions,
    back_channel_posts_one_form_field,
    back_channel_token_has_every_required_claim,
    back_channel_token_names_the_person_and_the_session,
    back_channel_token_has_no_nonce,
    back_channel_token_is_signed_like_id_tokens,
    back_channel_tokens_are_told_apart,
    back_channel_tells_who_took_part_and_nobody_else,
    back_channel_tells_of_a_sign_out_that_no_app_asked_for,
    back_channel_leaves_the_browser_signed_out_at_the_app,
    back_channel_ends_refresh_tokens_of_the_session,
];

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// An app that hears of sign-outs, and Ada, who has signed in to it.
struct Listening {
    told: &'static Told,
    receiver: TlsReceiver,
    visitor: Visitor,
    signed_in: SignedIn,
}

impl Listening {
    /// `number` is this test's own.
    async fn start(stage: &'static Stage, number: usize) -> Result<Self> {
        let told = &stage.apps.told[number];
        let receiver =
            TlsReceiver::start_at(told.address, &stage.app_certificate, Answer::Status(200)).await?;
        let visitor = Visitor::ada(stage)?;
        let signed_in = visitor.sign_in(&told.app, &Request::new(&told.app)?).await?;
        Ok(Self {
            told,
            receiver,
            visitor,
            signed_in,
        })
    }

    /// Signs out as the app asks, and gives what is posted.
    async fn sign_out(&mut self) -> Result<Posted> {
        let stage = self.visitor.stage;
        let url = end_session(stage, &[("id_token_hint", self.signed_in.id_token()?)])?;
        self.visitor.open_url(&url).await?.signed_out()?;
        self.receiver.next().await
    }

    /// The claims of the logout token that is posted then, which is verified as the specification has an app do it.
    async fn claims(&mut self) -> Result<Value> {
        let posted = self.sign_out().await?;
        self.verify(&posted).await
    }

    async fn verify(&self, posted: &Posted) -> Result<Value> {
        let stage = self.visitor.stage;
        let keys = stage.keys().await?;
        let client_id = &self.told.app.client_id;
        id_token::verify_logout_token(&token(posted)?, &keys, &stage.issuer(), client_id)
    }
}

fn token(posted: &Posted) -> Result<String> {
    posted
        .field("logout_token")
        .with_context(|| format!("not the one field logout_token: {}", posted.head))
}

async fn back_channel_is_advertised_with_sessions(stage: &'static Stage) -> Result<()> {
    for name in [
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
    ] {
        same(name, &stage.metadata[name], &json!(true))?;
    }
    // And an ID token of such an app says which session it is of.
    let listening = Listening::start(stage, 0).await?;
    anyhow::ensure!(
        !text(&listening.signed_in.claims, "sid")?.is_empty(),
        "sid is empty"
    );
    Ok(())
}

async fn back_channel_posts_one_form_field(stage: &'static Stage) -> Result<()> {
    let posted = Listening::start(stage, 1).await?.sign_out().await?;
    let line = posted.head.lines().next().unwrap_or_default();
    // The query of the registered URI is kept.
    anyhow::ensure!(
        line.starts_with("POST /backchannel-logout?tenant=a "),
        "the request is {line}"
    );
    same(
        "the media type",
        posted.header("content-type"),
        Some("application/x-www-form-urlencoded"),
    )?;
    token(&posted)?;
    Ok(())
}

async fn back_channel_token_has_every_required_claim(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 2).await?;
    let claims = listening.claims().await?;
    same("iss", text(&claims, "iss")?, stage.issuer().as_str())?;
    same("aud", &claims["aud"], &json!(listening.told.app.client_id))?;
    anyhow::ensure!(!text(&claims, "jti")?.is_empty(), "jti is empty");
    same("events", &claims["events"], &json!({ EVENT: {} }))?;
    let (iat, exp) = (number(&claims, "iat")?, number(&claims, "exp")?);
    anyhow::ensure!((1..=120).contains(&(exp - iat)), "it lives for {} s", exp - iat);
    anyhow::ensure!(
        iat >= number(&listening.signed_in.claims, "iat")?,
        "it is older than the sign-in"
    );
    Ok(())
}

async fn back_channel_token_names_the_person_and_the_session(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 3).await?;
    let claims = listening.claims().await?;
    for name in ["sub", "sid"] {
        same(name, &claims[name], &listening.signed_in.claims[name])?;
        text(&claims, name)?;
    }
    Ok(())
}

async fn back_channel_token_has_no_nonce(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 4).await?;
    let posted = listening.sign_out().await?;
    let claims = part(&token(&posted)?, 1)?;
    anyhow::ensure!(claims.get("nonce").is_none(), "it has a nonce: {claims}");
    Ok(())
}

async fn back_channel_token_is_signed_like_id_tokens(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 5).await?;
    let posted = listening.sign_out().await?;
    listening.verify(&posted).await?;
    let header = part(&token(&posted)?, 0)?;
    let of_id_token = part(listening.signed_in.id_token()?, 0)?;
    same("alg", &header["alg"], &of_id_token["alg"])?;
    same("typ", text(&header, "typ")?, "logout+jwt")
}

async fn back_channel_tokens_are_told_apart(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 6).await?;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let claims = listening.claims().await?;
        let name = format!("{} {}", text(&claims, "jti")?, text(&claims, "sid")?);
        for part in name.split(' ') {
            anyhow::ensure!(seen.insert(part.to_owned()), "{part} comes again");
        }
        let app = &listening.told.app;
        listening.signed_in = listening.visitor.sign_in(app, &Request::new(app)?).await?;
    }
    Ok(())
}

async fn back_channel_tells_who_took_part_and_nobody_else(stage: &'static Stage) -> Result<()> {
    let mut first = Listening::start(stage, 7).await?;
    let mut second = Listening::start(stage, 8).await?;
    // The second app was signed in to from another browser; now from this one too.
    let other_session = text(&second.signed_in.claims, "sid")?.to_owned();
    let app = &second.told.app;
    let here = first.visitor.sign_in(app, &Request::new(app)?).await?;
    first.claims().await?;
    let posted = second.receiver.next().await?;
    let claims = second.verify(&posted).await?;
    same("sid at the second app", &claims["sid"], &here.claims["sid"])?;
    anyhow::ensure!(
        claims["sid"] != other_session,
        "the session in the other browser is named"
    );
    // The other browser's session goes on, and nobody is told of anything else.
    second.visitor.stays_signed_in(app).await?;
    second.claims().await?;
    anyhow::ensure!(
        first.receiver.waiting().is_none(),
        "the first app is told of a session that it had no part in"
    );
    Ok(())
}

async fn back_channel_tells_of_a_sign_out_that_no_app_asked_for(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 9).await?;
    let (page, form) = listening
        .visitor
        .open_url(&end_session(stage, &[])?)
        .await?
        .sign_out()?;
    anyhow::ensure!(
        listening.receiver.waiting().is_none(),
        "told before the person has said yes"
    );
    listening
        .visitor
        .press(&page, &form, "confirm-logout")
        .await?
        .signed_out()?;
    let posted = listening.receiver.next().await?;
    let claims = listening.verify(&posted).await?;
    same("sid", &claims["sid"], &listening.signed_in.claims["sid"])
}

async fn back_channel_leaves_the_browser_signed_out_at_the_app(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 10).await?;
    let parameters = [
        ("id_token_hint", listening.signed_in.id_token()?),
        ("post_logout_redirect_uri", SIGNED_OUT),
        ("state", "s"),
    ];
    let url = end_session(stage, &parameters)?;
    let away = listening.visitor.open_url(&url).await?.away()?;
    same(
        "where the browser is sent",
        away.as_str(),
        format!("{SIGNED_OUT}?state=s").as_str(),
    )?;
    let posted = listening.receiver.next().await?;
    listening.verify(&posted).await?;
    listening.visitor.is_signed_out(&listening.told.app).await
}

async fn back_channel_ends_refresh_tokens_of_the_session(stage: &'static Stage) -> Result<()> {
    let mut listening = Listening::start(stage, 11).await?;
    let app = &listening.told.app;
    let request = Request::new(app)?
        .with("scope", "openid offline_access")
        .with("prompt", "consent");
    let offline = listening.visitor.sign_in(app, &request).await?;
    listening.claims().await?;
    let online = listening.signed_in.refresh_token()?;
    app.refresh(stage, online).await?.refuses(400, "invalid_grant")?;
    app.refresh(stage, offline.refresh_token()?).await?.success()?;
    Ok(())
}
