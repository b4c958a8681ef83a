//! The public port before the keyring is there: every request is answered 503 at once, so that a browser, an app or a
//! load balancer is told instead of kept waiting, and the listener is bound from the first moment.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

/// Opens once.
#[derive(Clone)]
pub(super) struct Gate {
    closed: Router,
    open: Arc<OnceLock<Router>>,
}

impl Gate {
    /// Until it opens, requests reach `closed`.
    pub(super) fn new(closed: Router) -> Self {
        Self {
            closed,
            open: Arc::default(),
        }
    }

    /// From now on, requests reach `router`. A second call changes nothing.
    pub(super) fn open(&self, router: Router) {
        let _opened_before = self.open.set(router);
    }

    /// The router to serve.
    pub(super) fn router(&self) -> Router {
        let gate = self.clone();
        Router::new().fallback(move |request: Request| async move { gate.answer(request).await })
    }

    async fn answer(&self, request: Request) -> Response {
        let router = self.open.get().unwrap_or(&self.closed);
        router.clone().oneshot(request).await.into_response()
    }
}
