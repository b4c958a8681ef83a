//! `POST /api/revoke` (RFC 7009).

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::client_request::{ClientLimits, Received};
use crate::http::json::empty;
use crate::provider::Provider;

/// The handler. Section 2.2: the status says everything, and clients ignore the body.
pub(super) async fn revoke(
    State(provider): State<Provider>,
    Extension(limits): Extension<ClientLimits>,
    request: Request,
) -> Response {
    let received = match Received::read(request, limits).await {
        Ok(received) => received,
        Err(response) => return response,
    };
    let answer = provider.revoke(received.as_request()).await;
    received.respond(&provider, &answer, |()| empty(StatusCode::OK))
}
