//! The adapter for browsers and apps: routes, forms, cookies, pages, limits.

use axum::Router;

use crate::provider::Provider;

pub mod browser;
pub mod endpoints;

/// Every route of the public port, under the issuer's path.
pub fn router(provider: Provider) -> Router {
    let _ = (browser::routes(), endpoints::routes());
    Router::new().with_state(provider)
}
