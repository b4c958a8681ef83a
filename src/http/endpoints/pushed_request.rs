//! `POST /api/par` (RFC 9126).

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::client_request::{ClientLimits, Received};
use crate::http::json::json;
use crate::provider::Provider;
use crate::provider::pushed_request::PushedRequest;

/// The handler.
pub(super) async fn push(
    State(provider): State<Provider>,
    Extension(limits): Extension<ClientLimits>,
    request: Request,
) -> Response {
    let received = match Received::read(request, limits).await {
        Ok(received) => received,
        Err(response) => return response,
    };
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
