//! What apps call: token, revocation, introspection, pushed authorization requests, devices,
//! userinfo, discovery, JWKS.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};

use self::client_request::ClientLimits;
use super::cors;
use super::json::refusal;
use super::rate_limit::RateLimiters;
use crate::oidc;
use crate::oidc::discovery::{
    AUTHORIZATION_SERVER_PATH, CONFIGURATION_PATH, DEVICE_AUTHORIZATION_PATH, INTROSPECTION_PATH, JWKS_PATH,
    PUSHED_AUTHORIZATION_REQUEST_PATH, REVOCATION_PATH, TOKEN_PATH, USERINFO_PATH,
};
use crate::oidc::error::ErrorCode;
use crate::provider::Provider;

mod client_request;
mod device_authorization;
mod documents;
mod dpop;
mod introspection;
mod pushed_request;
mod revocation;
mod token;
mod userinfo;

/// The routes.
pub(super) fn routes(limiters: &RateLimiters) -> Router<Provider> {
    let configuration = get(documents::configuration).options(cors::preflight_any);
    let token_limits = ClientLimits {
        stranger: Arc::clone(&limiters.token),
        client: Arc::clone(&limiters.client),
    };
    // A resource server may ask at each of its requests, and neither waits for the token requests of its own app nor
    // makes them wait.
    let introspection_limits = ClientLimits {
        client: Arc::clone(&limiters.introspection),
        ..token_limits.clone()
    };
    Router::new()
        .route(CONFIGURATION_PATH, configuration.clone())
        .route(AUTHORIZATION_SERVER_PATH, configuration)
        .route(JWKS_PATH, get(documents::jwks).options(cors::preflight_any))
        .route(
            TOKEN_PATH,
            post(token::token)
                .options(cors::preflight_registered)
                .fallback(method_not_allowed)
                .layer(Extension(token_limits.clone())),
        )
        .route(
            REVOCATION_PATH,
            post(revocation::revoke)
                .options(cors::preflight_registered)
                .fallback(method_not_allowed)
                .layer(Extension(token_limits.clone())),
        )
        .route(
            PUSHED_AUTHORIZATION_REQUEST_PATH,
            post(pushed_request::push)
                .options(cors::preflight_registered)
                .fallback(method_not_allowed)
                .layer(Extension(token_limits.clone())),
        )
        .route(
            DEVICE_AUTHORIZATION_PATH,
            post(device_authorization::authorize)
                .options(cors::preflight_registered)
                .fallback(method_not_allowed)
                .layer(Extension(token_limits)),
        )
        .route(
            INTROSPECTION_PATH,
            post(introspection::introspect)
                .fallback(method_not_allowed)
                .layer(Extension(introspection_limits)),
        )
        .route(
            USERINFO_PATH,
            get(userinfo::get)
                .post(userinfo::post)
                .options(cors::preflight_registered)
                .fallback(method_not_allowed),
        )
}

/// The form of RFC 8414 section 3.1, with the well-known part before the issuer's path.
pub fn well_known_before(path: &str) -> Router<Provider> {
    let configuration = get(documents::configuration).options(cors::preflight_any);
    Router::new()
        .without_v07_checks()
        .route(&format!("{CONFIGURATION_PATH}{path}"), configuration.clone())
        .route(&format!("{AUTHORIZATION_SERVER_PATH}{path}"), configuration)
}

/// Another method than the endpoint has; axum adds `Allow`.
async fn method_not_allowed() -> Response {
    refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        &oidc::error::Error::new(
            ErrorCode::InvalidRequest,
            "this endpoint does not have that method",
        ),
    )
}

/// A header that may come once.
fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, oidc::error::Error> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(oidc::error::Error::new(
            ErrorCode::InvalidRequest,
            format!("the header {name} is repeated"),
        ));
    }
    Ok(first)
}
