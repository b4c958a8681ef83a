//! `POST /api/token/v2` (RFC 6749 section 3.2).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::single_header;
use crate::http::client_address;
use crate::http::cors;
use crate::http::form::Form;
use crate::http::json::{failure, json, refusal};
use crate::http::observer;
use crate::http::rate_limit::{Limiter, RateLimiters};
use crate::login::network::Network;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::ClientId;
use crate::oidc::opaque_token::OpaqueToken;
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::answer::Failure;
use crate::provider::token::{Admission, TokenRequest, TokenResponse};

/// How often whom is answered.
#[derive(Clone)]
pub(super) struct TokenLimits {
    stranger: Arc<Limiter>,
    client: Arc<Limiter>,
}

impl TokenLimits {
    pub(super) fn of(limiters: &RateLimiters) -> Self {
        Self {
            stranger: Arc::clone(&limiters.token),
            client: Arc::clone(&limiters.client),
        }
    }
}

/// The limits for one request. A client that has authenticated is counted by itself, so that no other one behind the same
/// address makes it wait; the network pays for requests of which nobody knows whose they are.
struct Asker<'a> {
    limits: &'a TokenLimits,
    network: Network,
}

impl Admission for Asker<'_> {
    fn client(&self, client: &ClientId) -> Result<(), Duration> {
        self.limits.client.admit_client(client)
    }

    fn stranger(&self) -> Result<(), Duration> {
        self.limits.stranger.admit_network(self.network)
    }
}

/// The handler.
pub(super) async fn token(
    State(provider): State<Provider>,
    Extension(limits): Extension<TokenLimits>,
    request: Request,
) -> Response {
    // RFC 6749 section 2.3.1: credentials, and with them all parameters, never in the request URI, which ends in logs.
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return refusal(
            StatusCode::BAD_REQUEST,
            &Error::new(
                ErrorCode::InvalidRequest,
                "parameters belong into the body, not into the query",
            ),
        );
    }
    let authorization = match single_header(request.headers(), &AUTHORIZATION) {
        Ok(authorization) => authorization.cloned(),
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error),
    };
    let origin = request.headers().get(ORIGIN).cloned();
    let network = client_address::network(request.extensions());
    let Form(parameters) = match Form::from_request(request, &()).await {
        Ok(form) => form,
        Err(rejection) => return rejection.into_response(),
    };
    let answer = provider
        .token(TokenRequest {
            parameters: &parameters,
            authorization: authorization.as_ref().map(HeaderValue::as_bytes),
            origin: cors::origin_text(origin.as_ref()),
            admission: &Asker {
                limits: &limits,
                network,
            },
        })
        .await;
    let mut response = match &answer.result {
        Ok(tokens) => success(tokens),
        Err(cause) => failure(cause, status),
    };
    // RFC 6749 section 5.2: the challenge answers the scheme that the client used.
    if response.status() == StatusCode::UNAUTHORIZED && authorization.is_some() {
        response.headers_mut().insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static(r#"Basic realm="claviger", charset="UTF-8""#),
        );
    }
    cors::allow_origin(&mut response, origin.as_ref(), answer.origin_allowed);
    response
        .extensions_mut()
        .insert(noted(&parameters, &answer.result));
    response
}

/// For whoever counts: which grant type, and what came of it.
fn noted(parameters: &Parameters, result: &Result<TokenResponse, Failure>) -> observer::TokenRequest {
    let grant_type = parameters.single("grant_type").ok().flatten();
    observer::TokenRequest {
        grant_type: grant_type
            .and_then(GrantType::parse)
            .map_or("unknown", GrantType::as_str),
        outcome: match result {
            Ok(_) => "issued",
            Err(Failure::Refused(refusal)) => refusal.error.code.as_str(),
            Err(Failure::Limited(_)) => "limited",
            Err(Failure::Fault(_)) => "fault",
        },
    }
}

/// RFC 6749 section 5.2.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn success(tokens: &TokenResponse) -> Response {
    /// RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3. Lives only for the length of this function.
    #[derive(Serialize)]
    struct Body<'a> {
        access_token: &'a str,
        token_type: &'a str,
        expires_in: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id_token: Option<&'a str>,
        scope: &'a str,
    }
    json(
        StatusCode::OK,
        &Body {
            access_token: &tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token.as_ref().map(OpaqueToken::expose),
            id_token: tokens.id_token.as_ref().map(|token| token.as_str()),
            scope: &tokens.scope,
        },
    )
}
