//! `POST /api/introspect` (RFC 7662).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::client_request::Received;
use crate::clock::Timestamp;
use crate::http::json::json;
use crate::oidc::access_token::{Confirmation, TokenType};
use crate::oidc::audience::Audience;
use crate::provider::Provider;
use crate::provider::introspection::ActiveToken;

/// The handler.
pub(super) async fn introspect(State(provider): State<Provider>, received: Received) -> Response {
    let answer = provider.introspect(received.as_request()).await;
    received.respond(&provider, &answer, |token| match token {
        Some(token) => active(provider.issuer().as_str(), token),
        None => inactive(),
    })
}

/// Section 2.2: `active` and nothing else, so that nothing is told.
fn inactive() -> Response {
    #[derive(Serialize)]
    struct Body {
        active: bool,
    }
    json(StatusCode::OK, &Body { active: false })
}

fn active(issuer: &str, token: &ActiveToken) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        active: bool,
        #[serde(skip_serializing_if = "String::is_empty")]
        scope: String,
        client_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        username: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        token_type: Option<&'a str>,
        exp: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        iat: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        nbf: Option<i64>,
        sub: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<&'a Audience>,
        iss: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        jti: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        auth_time: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        groups: Option<&'a [String]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cnf: Option<&'a Confirmation>,
    }
    let details = token.access_token.as_ref();
    let issued_at = token.issued_at.map(Timestamp::as_second);
    json(
        StatusCode::OK,
        &Body {
            active: true,
            scope: token.scope.to_string(),
            client_id: token.client_id.as_str(),
            username: token.username.as_deref(),
            // A refresh token has no type in the sense of RFC 6749 section 5.1.
            token_type: details.map(|details| TokenType::of(details.cnf.as_ref()).as_str()),
            exp: token.expires_at.as_second(),
            iat: issued_at,
            nbf: issued_at,
            sub: &token.subject,
            aud: details.map(|details| &details.audience),
            iss: issuer,
            jti: details.map(|details| details.jti.as_str()),
            auth_time: details.and_then(|details| details.auth_time),
            groups: details.and_then(|details| details.groups.as_deref()),
            cnf: details.and_then(|details| details.cnf.as_ref()),
        },
    )
}
