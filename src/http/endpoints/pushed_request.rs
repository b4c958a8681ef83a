//! `POST /api/par` (RFC 9126).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::client_request::Received;
use crate::http::json::json;
use crate::provider::Provider;
use crate::provider::pushed_request::PushedRequest;

/// The handler.
pub(super) async fn push(State(provider): State<Provider>, received: Received) -> Response {
    let answer = provider.push_authorization_request(received.as_request()).await;
    received.respond(&provider, &answer, success)
}

fn success(pushed: &PushedRequest) -> Response {
    /// RFC 9126 section 2.2.
    #[derive(Serialize)]
    struct Body {
        request_uri: String,
        expires_in: u64,
    }
    json(
        StatusCode::CREATED,
        &Body {
            request_uri: pushed.request_uri(),
            expires_in: pushed.expires_in.as_secs(),
        },
    )
}
