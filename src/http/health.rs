//! The second port: whether the process lives and whether it is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Named checks that must all hold before traffic should come here. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<RwLock<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// Nothing is ready yet: each check waits with its reason.
    pub fn waiting_for<const N: usize>(checks: [(&'static str, &str); N]) -> Self {
        let readiness = Self::default();
        for (check, reason) in checks {
            readiness.set_waiting(check, reason);
        }
        readiness
    }

    /// The check holds.
    pub fn set_ready(&self, check: &'static str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(check);
    }

    /// The check does not hold (any more). The reason is shown to whoever reaches the second port.
    pub fn set_waiting(&self, check: &'static str, reason: impl Into<String>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(check, reason.into());
    }

    /// The checks that do not hold, with their reasons.
    pub fn waiting(&self) -> BTreeMap<&'static str, String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
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
    let waiting = readiness.waiting();
    let ready = waiting.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let report = serde_json::json!({ "ready": ready, "waiting": waiting });
    (status, [(CONTENT_TYPE, "application/json")], report.to_string()).into_response()
}
