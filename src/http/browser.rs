//! What a person's browser meets: `/authorize`, sign-in, consent, sign-out and their pages.

use axum::Router;

use crate::provider::Provider;

/// The routes.
pub fn routes() -> Router<Provider> {
    Router::new()
}
