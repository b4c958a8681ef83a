//! `/metrics` of the second port. What is in it, this module does not know.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Writes all metrics as text. Cheap to clone.
#[derive(Clone)]
pub struct Exposition {
    content_type: &'static str,
    render: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Exposition {
    /// Asks `render` at every request.
    pub fn new(content_type: &'static str, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            content_type,
            render: Arc::new(render),
        }
    }
}

/// The route.
pub fn router(exposition: Exposition) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(exposition)
}

async fn metrics(State(exposition): State<Exposition>) -> Response {
    ([(CONTENT_TYPE, exposition.content_type)], (exposition.render)()).into_response()
}
