//! A provider under load: who it is, its clients, and how somebody signs in to it.

use std::any::Any;
use std::time::Duration;

use anyhow::{Context, Result};
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use testbed::browser::{Arrival, Browser};
use testbed::poll;
use testbed::relying_party::{Registration, RelyingParty};
use url::Url;

/// Nothing listens there: codes are read from the redirect.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:1/callback";

/// A client and its secret.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A client for each kind of load.
pub(crate) struct Clients {
    /// Acts for itself.
    pub(crate) service: Client,
    /// Signs people in; its access tokens are JWTs.
    pub(crate) app: Client,
    /// The same, and gets refresh tokens.
    pub(crate) refresher: Client,
    /// Signs people in; its access tokens are random values. Not every provider has such.
    pub(crate) opaque: Option<Client>,
}

/// What the `aud` of an access token has to be.
#[derive(Clone, Copy)]
pub(crate) enum Audience {
    Issuer,
    Api(&'static str),
    Client,
}

/// How somebody signs in.
pub(crate) enum SignIn {
    /// By forms like ours, or without any.
    Ours { username: String, password: String },
    /// By Keycloak's form.
    Keycloak {
        username: &'static str,
        password: &'static str,
    },
}

/// What is different from one provider to the next.
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// Version, store, and how client secrets are kept.
    pub(crate) lines: Vec<String>,
    pub(crate) process: u32,
    /// How long each operation runs before it counts.
    pub(crate) warm_up: Duration,
    pub(crate) clients: Clients,
    pub(crate) audience: Audience,
    /// Whether userinfo and introspection take access tokens that are JWTs.
    pub(crate) takes_jwts: bool,
    pub(crate) scope: &'static str,
    pub(crate) refresh_scope: &'static str,
    pub(crate) sign_in: SignIn,
}

/// A running provider. Dropping it ends the process.
pub(crate) struct Provider {
    pub(crate) about: About,
    pub(crate) endpoints: Endpoints,
    pub(crate) keys: JwkSet,
    _running: Box<dyn Any>,
}

/// What discovery tells.
#[derive(Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) issuer: String,
    pub(crate) introspection_endpoint: String,
    pub(crate) userinfo_endpoint: String,
    pub(crate) jwks_uri: String,
}

impl Provider {
    /// One whose process runs already; `running` is what keeps it.
    pub(crate) async fn discover(issuer: &str, about: About, running: Box<dyn Any>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let endpoints: Endpoints = http.get(discovery(issuer)).send().await?.json().await?;
        let keys = http.get(&endpoints.jwks_uri).send().await?.json().await?;
        Ok(Self {
            about,
            endpoints,
            keys,
            _running: running,
        })
    }

    /// An app of its own connections.
    pub(crate) async fn relying_party(&self, client: &Client) -> Result<RelyingParty> {
        RelyingParty::discover(Registration {
            issuer: self.endpoints.issuer.clone(),
            client_id: client.id.clone(),
            client_secret: Some(client.secret.clone()),
            redirect_uri: REDIRECT_URI.to_owned(),
        })
        .await
    }

    /// The `aud` of access tokens of a client.
    pub(crate) fn audience<'a>(&'a self, client_id: &'a str) -> &'a str {
        match self.about.audience {
            Audience::Issuer => &self.endpoints.issuer,
            Audience::Api(name) => name,
            Audience::Client => client_id,
        }
    }

    /// Goes from an authorization request to the redirect URI, and signs in if that is asked for.
    pub(crate) async fn sign_in(&self, browser: &Browser, request: &Url) -> Result<Url> {
        match &self.about.sign_in {
            SignIn::Ours { username, password } => {
                browser.sign_in(request, REDIRECT_URI, username, password).await
            }
            SignIn::Keycloak { username, password } => {
                let page = browser.get(request).await?;
                let page = match browser.follow(page, REDIRECT_URI).await? {
                    Arrival::Callback(url) => return Ok(url),
                    Arrival::Page(page) => page,
                };
                let forms = page.forms();
                let form = forms.into_iter().find(|form| form.has_button("kc-login"));
                let mut form = form.context("Keycloak shows no form to sign in by")?;
                form.fill("username", username)?;
                form.fill("password", password)?;
                let page = browser.submit(&page, &form, Some("kc-login")).await?;
                match browser.follow(page, REDIRECT_URI).await? {
                    Arrival::Callback(url) => Ok(url),
                    Arrival::Page(page) => anyhow::bail!("Keycloak answers {}: {}", page.status, page.text()),
                }
            }
        }
    }
}

/// Waits until a provider that was started answers.
pub(crate) async fn wait_for(issuer: &str, patience: Duration) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    poll::until(issuer, patience, async || {
        let answer = http.get(discovery(issuer)).send().await?;
        Ok(answer.status().is_success().then_some(()))
    })
    .await
}

fn discovery(issuer: &str) -> String {
    format!("{issuer}/.well-known/openid-configuration")
}
