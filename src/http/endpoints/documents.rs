//! Discovery and JWKS: bytes made once, read by everybody.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::cors;
use crate::provider::{JWKS_MAX_AGE, Provider};

/// Signing keys are published for longer than this before they sign (OpenID Connect Core section 10.1.1).
static CACHE: LazyLock<HeaderValue> = LazyLock::new(|| {
    HeaderValue::try_from(format!("public, max-age={}", JWKS_MAX_AGE.as_secs()))
        .unwrap_or(HeaderValue::from_static("no-store"))
});

/// `/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`.
pub(super) async fn configuration(State(provider): State<Provider>) -> Response {
    document(provider.configuration_document(), "application/json")
}

/// `/.well-known/jwks.json` (RFC 7517 section 8.5.2 names the media type).
pub(super) async fn jwks(State(provider): State<Provider>) -> Response {
    document(provider.jwks_document(), "application/jwk-set+json")
}

fn document(bytes: Bytes, media_type: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CACHE_CONTROL, CACHE.clone()),
    ];
    let mut response = (headers, bytes).into_response();
    cors::allow_any_origin(&mut response);
    response
}
