//! `POST /api/revoke` (RFC 7009).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::client_request::Received;
use crate::http::json::empty;
use crate::provider::Provider;

/// The handler. Section 2.2: the status says everything, and clients ignore the body.
pub(super) async fn revoke(State(provider): State<Provider>, received: Received) -> Response {
    let answer = provider.revoke(received.as_request()).await;
    received.respond(&provider, &answer, |()| empty(StatusCode::OK))
}
