//! The public port before the keyring is there: every request is answered 503 at once, so that a browser, an app or a
//! load balancer is told instead of kept waiting, and the listener is bound from the first moment.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

/// Opens once.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<OnceLock<Router>>);

impl Gate {
    /// From now on, requests reach `router`. A second call changes nothing.
    pub(super) fn open(&self, router: Router) {
        let _opened_before = self.0.set(router);
    }

    /// The router to serve.
    pub(super) fn router(&self) -> Router {
        let gate = self.clone();
        Router::new().fallback(move |request: Request| async move { gate.answer(request).await })
    }

    async fn answer(&self, request: Request) -> Response {
        let Some(router) = self.0.get() else {
            let headers = [(header::RETRY_AFTER, "2"), (header::CACHE_CONTROL, "no-store")];
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                headers,
                "claviger is starting; try again in a moment\n",
            )
                .into_response();
        };
        router.clone().oneshot(request).await.into_response()
    }
}
