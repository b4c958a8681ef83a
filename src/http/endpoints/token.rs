//! `POST /api/token/v2` (RFC 6749 section 3.2).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::client_request::Received;
use crate::http::json::json;
use crate::http::observer;
use crate::oidc::grant_type::GrantType;
use crate::oidc::opaque_token::OpaqueToken;
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::answer::Failure;
use crate::provider::token::TokenResponse;

/// The handler.
pub(super) async fn token(State(provider): State<Provider>, received: Received) -> Response {
    let answer = provider.token(received.as_request()).await;
    let mut response = received.respond(&provider, &answer, success);
    response
        .extensions_mut()
        .insert(noted(&received.parameters, &answer.result));
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
        #[serde(skip_serializing_if = "str::is_empty")]
        scope: &'a str,
    }
    json(
        StatusCode::OK,
        &Body {
            access_token: &tokens.access_token,
            token_type: tokens.token_type.as_str(),
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token.as_ref().map(OpaqueToken::expose),
            id_token: tokens.id_token.as_ref().map(|token| token.as_str()),
            scope: &tokens.scope,
        },
    )
}
