//! What a person's browser meets: `/authorize`, sign-in, consent, sign-out and their pages.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::request_id::RequestId;
use crate::provider::Provider;

/// The routes.
pub fn routes() -> Router<Provider> {
    Router::new()
}

/// The page when a handler panicked.
pub fn server_error(id: &RequestId) -> Response {
    let text = format!("The request failed inside the server. Its id is {id}.\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
