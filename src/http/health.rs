//! The second port: whether the process lives and whether it is ready.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Asks whether traffic should come here; what is waited for, in words, where it should not. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>);

impl Readiness {
    /// Asks `check` at every request.
    pub fn new(check: impl Fn() -> Result<(), Vec<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

/// The routes of the second port.
pub fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let (status, waiting) = match (readiness.0)() {
        Ok(()) => (StatusCode::OK, Vec::new()),
        Err(waiting) => (StatusCode::SERVICE_UNAVAILABLE, waiting),
    };
    let report = serde_json::json!({ "ready": status == StatusCode::OK, "waiting": waiting });
    (status, [(CONTENT_TYPE, "application/json")], report.to_string()).into_response()
}
