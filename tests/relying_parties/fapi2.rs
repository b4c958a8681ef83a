//! An app that is held to the FAPI 2.0 Security Profile, by what a library does by itself; and thieves on its way.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::AUTHORIZATION;
use reqwest::{Certificate, Client, StatusCode};
use serde_json::Value;
use testbed::tls_receiver::{Answer, Posted, TlsReceiver};
use url::Url;

use crate::app::App;
use crate::stage::Stage;
use crate::visit::Visitor;
use crate::{OWN, shows};

pub(crate) const PAGE: &str = "openid-client-fapi2";

/// Starts the app of the page, and an API for it to call.
pub(crate) async fn start(stage: &Stage, packages: &Path) -> Result<(App, TlsReceiver)> {
    let api = TlsReceiver::start(&stage.certificate, Answer::Status(204)).await?;
    let url = format!("https://{}", api.address()).parse()?;
    let app = App::start(stage, PAGE, packages, Some(&url)).await?;
    Ok((app, api))
}

/// Somebody signs in, past an answer that was tampered with; the app calls an API, which is a thief, and refreshes.
pub(crate) async fn visit(stage: &Stage, app: &App, api: &mut TlsReceiver) -> Result<()> {
    let visitor = Visitor::new(stage)?;
    let home = app.url(OWN.home)?;
    sign_in(stage, app, &visitor).await?;

    let mut tokens = vec![call_api(app, &visitor, api).await?];
    // Twice with the one refresh token that there is.
    for _ in 0..2 {
        visitor.open(&app.url("/refresh")?).await?;
        tokens.push(call_api(app, &visitor, api).await?);
    }
    for (number, stolen) in tokens.iter().enumerate() {
        anyhow::ensure!(
            tokens.iter().filter(|other| other.token == stolen.token).count() == 1,
            "a refresh gave the access token that was there"
        );
        stolen
            .is_useless(stage)
            .await
            .with_context(|| format!("access token {number}"))?;
    }
    // It was not the token that was refused: its owner goes on with the last one.
    let page = visitor.open(&home).await?;
    shows(&page, stage, OWN.shown)
}

/// The browser's way carries nothing but the name of a request, and an answer of somebody else is not taken, nor one that
/// does not say whose it is.
async fn sign_in(stage: &Stage, app: &App, visitor: &Visitor<'_>) -> Result<()> {
    let (home, begin, callback) = (app.url(OWN.home)?, app.url(OWN.sign_in)?, app.url("/callback")?);
    let browser = visitor.browser();
    let sent = browser.get(&begin).await?;
    let sent = sent.location().context("the app sends nobody to claviger")?;
    let mut names: Vec<_> = sent.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    anyhow::ensure!(
        names == ["client_id", "request_uri"],
        "the app sends people to {sent}"
    );

    let person = &stage.person;
    let answer = browser
        .sign_in(&begin, callback.as_str(), person.username, &person.password)
        .await?;
    for (iss, told) in [
        (Some("https://evil.example"), r#"unexpected "iss""#),
        (None, r#"response parameter "iss" (issuer) missing"#),
    ] {
        let page = browser.get(&with_iss(&answer, iss)).await?;
        anyhow::ensure!(
            page.status.is_server_error(),
            "with iss {iss:?} the app answers {}",
            page.status
        );
        let log = app.tail();
        anyhow::ensure!(
            log.contains(told),
            "with iss {iss:?} the app does not say {told}: {log}"
        );
        anyhow::ensure!(
            !visitor.is_known(&home).await?,
            "the app takes an answer with iss {iss:?}"
        );
    }
    visitor.open(&answer).await?;
    anyhow::ensure!(
        visitor.is_known(&home).await?,
        "the app does not know who signed in"
    );
    Ok(())
}

/// The same answer with another `iss`, or without one.
fn with_iss(answer: &Url, iss: Option<&str>) -> Url {
    let mut pairs: Vec<(String, String)> = answer.query_pairs().into_owned().collect();
    pairs.retain(|(name, _)| name != "iss");
    pairs.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
    let mut tampered = answer.clone();
    tampered.query_pairs_mut().clear().extend_pairs(pairs);
    tampered
}

/// What an API is sent, and could send on.
struct Stolen {
    token: String,
    proof: String,
}

async fn call_api(app: &App, visitor: &Visitor<'_>, api: &mut TlsReceiver) -> Result<Stolen> {
    let page = visitor.open(&app.url("/api")?).await?;
    anyhow::ensure!(page.body == "the API answers 204", "the app says {}", page.text());
    let sent = api.next().await?;
    let header = |name| {
        let value = sent.header(name);
        value.with_context(|| format!("the API is sent no {name}: {}", request_line(&sent)))
    };
    let authorization = header("authorization")?;
    let token = authorization.strip_prefix("DPoP ");
    Ok(Stolen {
        token: token.context("the app sends no DPoP token")?.to_owned(),
        proof: header("dpop")?.to_owned(),
    })
}

fn request_line(sent: &Posted) -> &str {
    sent.head.lines().next().unwrap_or_default()
}

impl Stolen {
    /// The token is for userinfo too, and bound: claviger takes it neither as a bearer token, nor by DPoP without a proof, nor
    /// with the proof that was for the API. [`visit`] shows that its owner can use it.
    async fn is_useless(&self, stage: &Stage) -> Result<()> {
        let claims = self.claims()?;
        let audiences = claims["aud"].as_array().context("the token has one audience")?;
        anyhow::ensure!(audiences.contains(&stage.issuer().into()), "aud is {audiences:?}");
        anyhow::ensure!(claims["cnf"]["jkt"].is_string(), "the token is bound to no key");

        let authority = Certificate::from_pem(stage.authority.as_bytes())?;
        let http = Client::builder().tls_certs_only([authority]).no_proxy().build()?;
        let userinfo = format!("{}/api/userinfo", stage.issuer());
        let by = |scheme: &str| {
            let authorization = format!("{scheme} {}", self.token);
            http.get(&userinfo).header(AUTHORIZATION, authorization)
        };
        for (what, request, error) in [
            ("a bearer token", by("Bearer"), "invalid_token"),
            ("a DPoP token without a proof", by("DPoP"), "invalid_dpop_proof"),
            (
                "a DPoP token with the API's proof",
                by("DPoP").header("DPoP", &self.proof),
                "invalid_dpop_proof",
            ),
        ] {
            let answer = request.send().await?;
            let status = answer.status();
            let told: Value = answer.json().await?;
            anyhow::ensure!(
                status == StatusCode::UNAUTHORIZED && told["error"] == error,
                "as {what} it is answered {status}, {}",
                told["error"]
            );
        }
        Ok(())
    }

    fn claims(&self) -> Result<Value> {
        let claims = self.token.split('.').nth(1).context("the token is no JWT")?;
        Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?)
    }
}
