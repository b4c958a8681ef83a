//! The adapter for browsers and apps: routes, forms, cookies, pages, limits.
//!
//! Owns what HTTP is about and nothing of the protocol: use cases live in [`crate::provider`]. Every response passes
//! [`boundary`], which gives the request its id, logs once and sets the headers that every response has.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;

use self::boundary::Boundary;
use self::observer::Observer;
use crate::provider::Provider;
use crate::random::Random;
use client_address::TrustedProxies;
use rate_limit::{RateLimiters, RateLimits};

pub mod boundary;
pub mod browser;
pub mod client_address;
pub mod cors;
pub mod endpoints;
pub mod fault;
pub mod form;
pub mod health;
pub mod json;
pub mod limits;
pub mod metrics;
pub mod observer;
pub mod rate_limit;
pub mod request_id;
pub mod server;
pub mod tls;

mod wait;

/// What the adapter is told.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whose word about the client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// How often one network, or one client, may ask.
    pub rate_limits: RateLimits,
}

/// Every route of the public port, under the issuer's path. `observer` is told of every request.
pub fn router(provider: Provider, observer: Arc<dyn Observer>, settings: Settings) -> Router {
    let path = provider.issuer().path().to_owned();
    let limiters = RateLimiters::new(&settings.rate_limits, provider.clock(), &*provider.random());
    let pages = browser::routes(&provider, &limiters).layer(from_fn_with_state(
        browser::server_error as boundary::PanicResponse,
        boundary::catch_panics,
    ));
    let apis = endpoints::routes(&limiters).layer(from_fn_with_state(
        json::server_error as boundary::PanicResponse,
        boundary::catch_panics,
    ));
    let issuer_routes = pages.merge(apis);
    let routes = if path.is_empty() {
        issuer_routes
    } else {
        // A path such as `/:tenant` is legal in an issuer and means itself.
        Router::new()
            .without_v07_checks()
            .nest(&path, issuer_routes)
            .merge(endpoints::well_known_before(&path))
    };
    routes
        .fallback(not_found)
        .layer(from_fn(limits::refuse_oversized))
        .layer(from_fn_with_state(
            settings.trusted_proxies,
            client_address::identify,
        ))
        .layer(from_fn_with_state(
            Boundary::new(provider.random(), observer),
            boundary::observe,
        ))
        .with_state(provider)
}

/// What the public port answers until there is a provider: a browser, an app or a load balancer is told instead of kept
/// waiting.
pub fn starting(random: Arc<dyn Random>, observer: Arc<dyn Observer>) -> Router {
    Router::new()
        .fallback(async || {
            let headers = [(header::RETRY_AFTER, "2")];
            let text = "claviger is starting; try again in a moment\n";
            (StatusCode::SERVICE_UNAVAILABLE, headers, text)
        })
        .layer(from_fn_with_state(
            Boundary::new(random, observer),
            boundary::observe,
        ))
}

/// No route; the path is not repeated.
async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "not found\n")
}
