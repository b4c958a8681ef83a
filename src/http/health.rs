//! The second port: whether the process lives and whether it is ready.
//!
//! Who waits for what is said in a word each. Errors in full, which may quote what another server answered, are in the log
//! only: whoever probes need not authenticate.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Asks something that is well, or else what is wrong or waited for, in a word each. Cheap to clone.
#[derive(Clone)]
pub struct Check(Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>);

impl Check {
    /// Asks `check` at every request.
    pub fn new(check: impl Fn() -> Result<(), Vec<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

/// The two questions.
#[derive(Clone)]
pub struct Checks {
    /// Whether only a new start would help where this fails. A process that cannot even answer is noticed by that.
    pub live: Check,
    /// Whether traffic should come here.
    pub ready: Check,
}

/// The routes of the second port.
pub fn router(checks: Checks) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(checks)
}

async fn livez(State(checks): State<Checks>) -> Response {
    match (checks.live.0)() {
        Ok(()) => "ok\n".into_response(),
        Err(wrong) => {
            let text = format!("{}\n", wrong.join(", "));
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

async fn readyz(State(checks): State<Checks>) -> Response {
    let (status, waiting) = match (checks.ready.0)() {
        Ok(()) => (StatusCode::OK, Vec::new()),
        Err(waiting) => (StatusCode::SERVICE_UNAVAILABLE, waiting),
    };
    let report = serde_json::json!({ "ready": status == StatusCode::OK, "waiting": waiting });
    (status, [(CONTENT_TYPE, "application/json")], report.to_string()).into_response()
}
