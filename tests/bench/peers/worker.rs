//! A person at a browser and the apps that they use, as load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::browser::{Arrival, Browser};
use testbed::relying_party::{RelyingParty, Tokens};

use super::check::Check;
use super::provider::{Provider, REDIRECT_URI};

/// Access tokens that a worker asks about in turn. claviger keeps at most a hundred of a person at a client.
const TOKENS: usize = 4;
/// One answer in so many is verified, the others are only looked at.
const SAMPLE: u64 = 100;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    ClientCredentials,
    /// Authorization request with a session, and the redemption of the code.
    CodeFlow,
    Refresh,
    IntrospectJwt,
    IntrospectOpaque,
    UserinfoJwt,
    UserinfoOpaque,
    Jwks,
}

impl Operation {
    pub(crate) const ALL: [Self; 8] = [
        Self::ClientCredentials,
        Self::CodeFlow,
        Self::Refresh,
        Self::IntrospectJwt,
        Self::IntrospectOpaque,
        Self::UserinfoJwt,
        Self::UserinfoOpaque,
        Self::Jwks,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client credentials",
            Self::CodeFlow => "code flow with PKCE and a session",
            Self::Refresh => "refresh with rotation",
            Self::IntrospectJwt => "introspection of a JWT",
            Self::IntrospectOpaque => "introspection of an opaque token",
            Self::UserinfoJwt => "userinfo with a JWT",
            Self::UserinfoOpaque => "userinfo with an opaque token",
            Self::Jwks => "JWK Set",
        }
    }

    /// Whether a provider does it.
    pub(crate) fn is_offered_by(self, provider: &Provider) -> bool {
        match self {
            Self::IntrospectJwt | Self::UserinfoJwt => provider.about.takes_jwts,
            Self::IntrospectOpaque | Self::UserinfoOpaque => provider.about.clients.opaque.is_some(),
            _ => true,
        }
    }
}

/// One connection's worth of load on a provider.
pub(crate) struct Worker<'a> {
    provider: &'a Provider,
    browser: Browser,
    http: reqwest::Client,
    service: RelyingParty,
    app: RelyingParty,
    refresher: RelyingParty,
    opaque: Option<RelyingParty>,
    refresh_token: String,
    access_tokens: Vec<String>,
    done: u64,
}

impl<'a> Worker<'a> {
    /// Somebody who has been nowhere yet.
    pub(crate) async fn new(provider: &'a Provider) -> Result<Self> {
        let clients = &provider.about.clients;
        let opaque = match &clients.opaque {
            Some(client) => Some(provider.relying_party(client).await?),
            None => None,
        };
        Ok(Self {
            provider,
            browser: Browser::new()?,
            http: reqwest::Client::builder().no_proxy().build()?,
            service: provider.relying_party(&clients.service).await?,
            app: provider.relying_party(&clients.app).await?,
            refresher: provider.relying_party(&clients.refresher).await?,
            opaque,
            refresh_token: String::new(),
            access_tokens: Vec::new(),
            done: 0,
        })
    }

    /// Gets what an operation needs and does not count. Whoever forgot the session in the meantime is signed in to again.
    pub(crate) async fn prepare(&mut self, operation: Operation) -> Result<()> {
        let about = &self.provider.about;
        if operation == Operation::Refresh {
            let tokens = self.sign_in(&self.refresher, about.refresh_scope).await?;
            self.refresh_token = tokens.refresh_token.context("no refresh token")?;
        }
        self.access_tokens.clear();
        let wanted = match operation {
            Operation::ClientCredentials | Operation::Refresh | Operation::Jwks => 0,
            Operation::CodeFlow => 1,
            _ => TOKENS,
        };
        while self.access_tokens.len() < wanted {
            let tokens = self.sign_in(self.asking(operation)?, about.scope).await?;
            self.access_tokens.push(tokens.access_token);
        }
        Ok(())
    }

    /// Does it for so long; gives how often.
    pub(crate) async fn run_for(&mut self, operation: Operation, time: Duration) -> Result<u64> {
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < time {
            self.once(operation)
                .await
                .with_context(|| format!("{}: {}", self.provider.about.name, operation.name()))?;
            count += 1;
        }
        Ok(count)
    }

    async fn once(&mut self, operation: Operation) -> Result<()> {
        self.done += 1;
        let sampled = self.done % SAMPLE == 1;
        let check = Check(self.provider);
        match operation {
            Operation::ClientCredentials => {
                let form = [("grant_type", "client_credentials")];
                let tokens = self.service.token_request(&form).await??;
                if sampled {
                    check.access_token(&tokens.access_token, &self.service.registration().client_id)?;
                }
            }
            Operation::CodeFlow => {
                self.code_flow(&self.app, sampled).await?;
            }
            Operation::Refresh => {
                let tokens = self.refresher.refresh(&self.refresh_token).await??;
                if sampled {
                    check.tokens(&tokens, &self.refresher.registration().client_id, None)?;
                }
                anyhow::ensure!(tokens.id_token.is_some(), "no ID token");
                let next = tokens.refresh_token.context("no refresh token")?;
                anyhow::ensure!(next != self.refresh_token, "the refresh token is the same");
                self.refresh_token = next;
            }
            Operation::IntrospectJwt | Operation::IntrospectOpaque => {
                let registration = self.asking(operation)?.registration();
                let request = self
                    .http
                    .post(&self.provider.endpoints.introspection_endpoint)
                    .basic_auth(&registration.client_id, registration.client_secret.as_ref())
                    .form(&[("token", self.token())]);
                let answer = json(request).await?;
                anyhow::ensure!(answer["active"] == true, "not active: {answer}");
                if sampled {
                    check.introspection(&answer, &registration.client_id)?;
                }
            }
            Operation::UserinfoJwt | Operation::UserinfoOpaque => {
                let request = self
                    .http
                    .get(&self.provider.endpoints.userinfo_endpoint)
                    .bearer_auth(self.token());
                Check::userinfo(&json(request).await?)?;
            }
            Operation::Jwks => {
                let answer = self.http.get(&self.provider.endpoints.jwks_uri).send().await?;
                let body = answer.error_for_status()?.bytes().await?;
                if sampled {
                    check.jwks(&body)?;
                }
            }
        }
        Ok(())
    }

    /// The claims of the tokens of one sign-in, for people to compare.
    pub(crate) async fn claims(&mut self) -> Result<Vec<String>> {
        self.prepare(Operation::CodeFlow).await?;
        let tokens = self.code_flow(&self.app, true).await?;
        let names = |token: &str| Check::claim_names(token);
        Ok(vec![
            format!("access token: {}", names(&tokens.access_token)?),
            format!(
                "ID token: {}",
                names(tokens.id_token.as_deref().unwrap_or_default())?
            ),
        ])
    }

    async fn sign_in(&self, app: &RelyingParty, scope: &str) -> Result<Tokens> {
        let request = app.authorization_request(scope, &[])?;
        let callback = self.provider.sign_in(&self.browser, &request.url).await?;
        let code = app.code(&request, &callback)?;
        Ok(app.redeem(&request, &code).await??)
    }

    async fn code_flow(&self, app: &RelyingParty, sampled: bool) -> Result<Tokens> {
        let request = app.authorization_request(self.provider.about.scope, &[])?;
        let page = self.browser.get(&request.url).await?;
        let callback = match page.location() {
            Some(url) if url.as_str().starts_with(REDIRECT_URI) => url,
            // Some look at the session in a step of its own.
            _ => match self.browser.follow(page, REDIRECT_URI).await? {
                Arrival::Callback(url) => url,
                Arrival::Page(page) => anyhow::bail!("{} answers {}", page.url, page.status),
            },
        };
        let code = app.code(&request, &callback)?;
        let tokens = app.redeem(&request, &code).await??;
        if sampled {
            let client_id = &app.registration().client_id;
            Check(self.provider).tokens(&tokens, client_id, Some(&request.nonce))?;
        }
        Ok(tokens)
    }

    fn asking(&self, operation: Operation) -> Result<&RelyingParty> {
        match operation {
            Operation::IntrospectOpaque | Operation::UserinfoOpaque => {
                self.opaque.as_ref().context("there are no opaque tokens")
            }
            _ => Ok(&self.app),
        }
    }

    fn token(&self) -> &str {
        let turn = usize::try_from(self.done).unwrap_or_default() % self.access_tokens.len().max(1);
        self.access_tokens.get(turn).map_or("", String::as_str)
    }
}

async fn json(request: reqwest::RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}
