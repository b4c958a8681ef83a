//! A strict OpenID Connect relying party: it checks everything that the specifications tell an app to check.

pub mod id_token;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::random;

/// An app's registration, as its Secret tells it.
#[derive(Clone)]
pub struct Registration {
    /// `OIDC_ISSUER`
    pub issuer: String,
    /// `OIDC_CLIENT_ID`
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET`; a public client has none.
    pub client_secret: Option<String>,
    /// The redirect URI to use.
    pub redirect_uri: String,
}

/// An app that signs people in.
#[derive(Clone)]
pub struct RelyingParty {
    registration: Registration,
    provider: ProviderMetadata,
    http: Client,
}

/// What discovery tells and this app uses.
#[derive(Clone, Debug, Deserialize)]
pub struct ProviderMetadata {
    issuer: String,
    #[serde(deserialize_with = "url")]
    authorization_endpoint: Url,
    #[serde(deserialize_with = "url")]
    token_endpoint: Url,
    #[serde(deserialize_with = "url")]
    userinfo_endpoint: Url,
    #[serde(deserialize_with = "url")]
    jwks_uri: Url,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// One attempt to sign somebody in, and what the app has to remember about it.
#[derive(Clone)]
pub struct AuthorizationRequest {
    /// Where the browser is sent.
    pub url: Url,
    /// Binds the answer to this attempt.
    pub state: String,
    /// Binds the ID token to this attempt.
    pub nonce: String,
    /// Binds the code to this app's instance.
    pub code_verifier: String,
}

/// What the token endpoint gave.
#[derive(Clone, Deserialize)]
pub struct Tokens {
    /// For userinfo and APIs.
    pub access_token: String,
    /// `Bearer`
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
    /// Who signed in.
    pub id_token: Option<String>,
    /// For new tokens.
    pub refresh_token: Option<String>,
    /// Given if it differs from what was asked for.
    pub scope: Option<String>,
}

/// A refusal of the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// The code, for example `invalid_grant`.
    pub error: String,
    /// For people.
    #[serde(default)]
    pub error_description: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "the token endpoint refused: {} ({})",
            self.error, self.error_description
        )
    }
}

impl std::error::Error for Refusal {}

impl RelyingParty {
    /// Reads the provider's metadata and checks that they are this issuer's (OpenID Connect Discovery §4.3).
    pub async fn discover(registration: Registration) -> Result<Self> {
        Self::discover_by(Client::builder(), registration).await
    }

    /// The same, and trusts this certificate in PEM and no other.
    pub async fn discover_trusting(authority: &str, registration: Registration) -> Result<Self> {
        let authority = Certificate::from_pem(authority.as_bytes()).context("not a certificate in PEM")?;
        Self::discover_by(Client::builder().tls_certs_only([authority]), registration).await
    }

    async fn discover_by(builder: ClientBuilder, registration: Registration) -> Result<Self> {
        let http = builder
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("failed to build an HTTP client")?;
        let url = format!("{}/.well-known/openid-configuration", registration.issuer);
        let provider: ProviderMetadata = json(http.get(&url))
            .await
            .with_context(|| format!("failed to read {url}"))?;
        anyhow::ensure!(
            provider.issuer == registration.issuer,
            "discovery names the issuer {}, expected {}",
            provider.issuer,
            registration.issuer
        );
        anyhow::ensure!(
            provider
                .code_challenge_methods_supported
                .iter()
                .any(|method| method == "S256"),
            "the provider does not offer PKCE with S256"
        );
        Ok(Self {
            registration,
            provider,
            http,
        })
    }

    /// The app's registration.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Where a person ends the session with the provider.
    pub fn sign_out_url(&self) -> String {
        format!("{}/logout", self.provider.issuer)
    }

    /// The token endpoint.
    pub fn token_endpoint(&self) -> &Url {
        &self.provider.token_endpoint
    }

    /// A new attempt: state, nonce and PKCE are fresh. `more` are further parameters, such as `prompt`.
    pub fn authorization_request(&self, scope: &str, more: &[(&str, &str)]) -> Result<AuthorizationRequest> {
        let (state, nonce, code_verifier) = (random::token()?, random::token()?, random::token()?);
        let mut url = self.provider.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", &self.registration.redirect_uri)
            .append_pair("scope", scope)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair(
                "code_challenge",
                &URL_SAFE_NO_PAD.encode(Sha256::digest(&code_verifier)),
            )
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        Ok(AuthorizationRequest {
            url,
            state,
            nonce,
            code_verifier,
        })
    }

    /// Takes the code out of the authorization response, if the response is to this request (RFC 6749 §10.12) and from
    /// this issuer (RFC 9207 §2.4).
    pub fn code(&self, request: &AuthorizationRequest, callback: &Url) -> Result<String> {
        anyhow::ensure!(
            single(callback, "state")? == request.state,
            "the response has another state"
        );
        if self.provider.authorization_response_iss_parameter_supported {
            let issuer = single(callback, "iss")?;
            anyhow::ensure!(
                issuer == self.provider.issuer,
                "the response is from another issuer: {issuer}"
            );
        }
        if let Ok(error) = single(callback, "error") {
            let description = single(callback, "error_description").unwrap_or_default();
            bail!("the provider answered {error}: {description}");
        }
        single(callback, "code")
    }

    /// Redeems a code; the outer failure is one of transport, the inner one the provider's answer.
    pub async fn redeem(
        &self,
        request: &AuthorizationRequest,
        code: &str,
    ) -> Result<Result<Tokens, Refusal>> {
        self.token_request(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.registration.redirect_uri),
            ("code_verifier", &request.code_verifier),
        ])
        .await
    }

    /// Redeems a refresh token.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Result<Tokens, Refusal>> {
        self.token_request(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
            .await
    }

    /// Whether the provider knows the app by its secret: redeems a code that nobody has issued, which is looked at only once
    /// the client has authenticated.
    pub async fn authenticates(&self) -> Result<bool> {
        let answer = self
            .token_request(&[
                ("grant_type", "authorization_code"),
                ("code", "made-up"),
                ("redirect_uri", &self.registration.redirect_uri),
                ("code_verifier", "0123456789012345678901234567890123456789012"),
            ])
            .await?;
        match answer {
            Err(refusal) if refusal.error == "invalid_grant" => Ok(true),
            Err(refusal) if refusal.error == "invalid_client" => Ok(false),
            Err(refusal) => Err(refusal.into()),
            Ok(_) => bail!("a made-up code was good for tokens"),
        }
    }

    /// Any token request, with this client's authentication.
    pub async fn token_request(&self, form: &[(&str, &str)]) -> Result<Result<Tokens, Refusal>> {
        let mut form = form.to_vec();
        let mut request = self.http.post(self.provider.token_endpoint.clone());
        match &self.registration.client_secret {
            Some(secret) => {
                // RFC 6749 §2.3.1: both are encoded as in a form first.
                let encoded =
                    |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(&self.registration.client_id), Some(encoded(secret)));
            }
            None => form.push(("client_id", &self.registration.client_id)),
        }
        let answer = request
            .form(&form)
            .send()
            .await
            .context("failed to reach the token endpoint")?;
        let status = answer.status();
        let uncached = answer
            .headers()
            .get("cache-control")
            .is_some_and(|value| value == "no-store");
        let body = answer
            .text()
            .await
            .context("failed to read the token endpoint's answer")?;
        // RFC 6749 §5.1
        anyhow::ensure!(
            uncached,
            "the token endpoint answered without `Cache-Control: no-store`"
        );
        let odd = || format!("the token endpoint answered {status} with something odd: {body}");
        if status == StatusCode::OK {
            let tokens: Tokens = serde_json::from_str(&body).with_context(odd)?;
            anyhow::ensure!(
                tokens.token_type.eq_ignore_ascii_case("bearer"),
                "the token type is not Bearer"
            );
            return Ok(Ok(tokens));
        }
        Ok(Err(serde_json::from_str(&body).with_context(odd)?))
    }

    /// The provider's public keys.
    pub async fn jwks(&self) -> Result<JwkSet> {
        json(self.http.get(self.provider.jwks_uri.clone()))
            .await
            .context("failed to read the JWKS")
    }

    /// Verifies an ID token (OpenID Connect Core §3.1.3.7) and gives its claims. A refreshed one has no nonce to check.
    pub async fn verify_id_token(&self, tokens: &Tokens, nonce: Option<&str>) -> Result<Value> {
        let token = tokens
            .id_token
            .as_deref()
            .context("the token endpoint gave no ID token")?;
        let expected = id_token::Expected {
            issuer: &self.provider.issuer,
            client_id: &self.registration.client_id,
            nonce,
            access_token: &tokens.access_token,
        };
        id_token::verify(token, &self.jwks().await?, &expected)
    }

    /// Verifies a logout token (OpenID Connect Back-Channel Logout §2.6) and gives its claims.
    pub async fn verify_logout_token(&self, token: &str) -> Result<Value> {
        let keys = self.jwks().await?;
        id_token::verify_logout_token(token, &keys, &self.provider.issuer, &self.registration.client_id)
    }

    /// Asks userinfo and checks that it is about the same person (OpenID Connect Core §5.3.2).
    pub async fn userinfo(&self, access_token: &str, subject: &str) -> Result<Value> {
        let request = self
            .http
            .get(self.provider.userinfo_endpoint.clone())
            .bearer_auth(access_token);
        let claims: Value = json(request).await.context("failed to ask userinfo")?;
        anyhow::ensure!(
            claims["sub"] == subject,
            "userinfo is about {}, expected {subject}",
            claims["sub"]
        );
        Ok(claims)
    }
}

/// The one value of a parameter that may not be repeated (RFC 6749 §3.1).
fn single(url: &Url, name: &str) -> Result<String> {
    let mut values = url
        .query_pairs()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned());
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => bail!("the response has no `{name}`"),
        (Some(_), Some(_)) => bail!("the response has `{name}` twice"),
    }
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    anyhow::ensure!(status == StatusCode::OK, "answered {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("not the JSON that was expected: {body}"))
}
