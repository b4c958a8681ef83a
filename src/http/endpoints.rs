//! What apps call: token, userinfo, discovery, JWKS.

use axum::Router;

use crate::provider::Provider;

/// The routes.
pub fn routes() -> Router<Provider> {
    Router::new()
}
