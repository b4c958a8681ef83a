//! What apps get for a code, and what they do with it.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testbed::relying_party::id_token;

use crate::clients::{App, CALLBACK};
use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::wire::{Reply, text};

/// The header of `client_secret_basic`; the names of our clients need no encoding.
pub(crate) fn basic(client_id: &str, client_secret: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{client_id}:{client_secret}"))
    )
}

/// The form that redeems a code.
pub(crate) fn code_form(code: &str) -> [(&str, &str); 3] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
    ]
}

impl App {
    /// A token request by `client_secret_basic`.
    pub(crate) async fn token(&self, stage: &Stage, form: &[(&str, &str)]) -> Result<Reply> {
        let authorization = basic(&self.client_id, &self.client_secret);
        stage
            .http
            .post(
                stage.endpoint("token_endpoint")?,
                &[("authorization", &authorization)],
                form,
            )
            .await
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, stage: &Stage, code: &str) -> Result<Reply> {
        self.token(stage, &code_form(code)).await
    }

    /// Redeems a refresh token.
    pub(crate) async fn refresh(&self, stage: &Stage, refresh_token: &str) -> Result<Reply> {
        self.token(
            stage,
            &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)],
        )
        .await
    }

    /// Verifies the ID token of an answer of the token endpoint and gives its claims.
    pub(crate) async fn verify(&self, stage: &Stage, tokens: &Value, nonce: Option<&str>) -> Result<Value> {
        let issuer = stage.issuer();
        let expected = id_token::Expected {
            issuer: &issuer,
            client_id: &self.client_id,
            nonce,
            access_token: text(tokens, "access_token")?,
        };
        id_token::verify(text(tokens, "id_token")?, &stage.keys().await?, &expected)
    }
}

/// What an app holds of somebody who signed in.
pub(crate) struct SignedIn {
    /// The answer of the token endpoint.
    pub(crate) tokens: Value,
    /// The claims of the ID token, which is verified.
    pub(crate) claims: Value,
}

impl SignedIn {
    /// The access token.
    pub(crate) fn access_token(&self) -> Result<&str> {
        text(&self.tokens, "access_token")
    }

    /// The ID token.
    pub(crate) fn id_token(&self) -> Result<&str> {
        text(&self.tokens, "id_token")
    }

    /// The refresh token.
    pub(crate) fn refresh_token(&self) -> Result<&str> {
        text(&self.tokens, "refresh_token")
    }

    /// Who it is.
    pub(crate) fn sub(&self) -> Result<&str> {
        text(&self.claims, "sub")
    }

    /// What userinfo says.
    pub(crate) async fn userinfo(&self, stage: &Stage) -> Result<Value> {
        let endpoint = stage.endpoint("userinfo_endpoint")?;
        stage
            .http
            .get_with_token(endpoint, self.access_token()?)
            .await?
            .success()
            .context("userinfo does not answer")
    }
}

impl Visitor {
    /// Goes the whole way of a request, whatever is asked, and redeems the code.
    pub(crate) async fn sign_in(&self, app: &App, request: &Request) -> Result<SignedIn> {
        let answer = self.answer(request).await?;
        self.redeem(app, request, answer.code()?).await
    }

    /// The same where nobody may be asked anything.
    pub(crate) async fn sign_in_silently(&self, app: &App, request: &Request) -> Result<SignedIn> {
        let answer = self.open(request).await?.answer()?;
        self.redeem(app, request, answer.code()?).await
    }

    /// Redeems the code of a request and verifies the ID token.
    pub(crate) async fn redeem(&self, app: &App, request: &Request, code: &str) -> Result<SignedIn> {
        let tokens = app.redeem(self.stage, code).await?.success()?;
        let claims = app.verify(self.stage, &tokens, request.get("nonce")).await?;
        Ok(SignedIn { tokens, claims })
    }
}
