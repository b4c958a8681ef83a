//! Cross-origin reads by scripts (CORS; RFC 9700 section 2.6).
//!
//! Discovery and JWKS are public: any origin, without credentials. Token, revocation, pushed requests, devices and userinfo
//! answer only origins that the client in question registered. A preflight does not say which client asks, so it is granted
//! when any live client registered the origin; the answer itself can be read only when that very client did. Nothing else,
//! the authorization endpoint above all, has CORS headers.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::json;
use crate::provider::Provider;

/// Any origin may read this response.
pub fn allow_any_origin(response: &mut Response) {
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// `origin` may read this response when `allowed`. Caches must keep the answers apart either way.
pub fn allow_origin(response: &mut Response, origin: Option<&HeaderValue>, allowed: bool) {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin.filter(|_| allowed) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // What a script needs to make its next proof (RFC 9449 sections 7.1 and 8).
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("dpop-nonce, www-authenticate"),
        );
    }
}

/// `Origin` as text, for the comparison with what is registered.
pub fn origin_text(origin: Option<&HeaderValue>) -> Option<&str> {
    origin.and_then(|origin| origin.to_str().ok())
}

/// The preflight of the public documents.
pub async fn preflight_any() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow_any_origin(&mut response);
    let headers = response.headers_mut();
    allow(headers, "GET", "*");
    response
}

/// The preflight of token, revocation, pushed requests, devices and userinfo.
pub async fn preflight_registered(State(provider): State<Provider>, request: Request) -> Response {
    let origin = request.headers().get(ORIGIN);
    let allowed = match origin_text(origin) {
        None => false,
        Some(origin) => match provider.origin_is_registered(origin).await {
            Ok(allowed) => allowed,
            Err(fault) => return json::fault(&fault),
        },
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow_origin(&mut response, origin, allowed);
    if allowed {
        allow(
            response.headers_mut(),
            "GET, POST",
            "authorization, content-type, dpop",
        );
    }
    response
}

fn allow(headers: &mut HeaderMap, methods: &'static str, names: &'static str) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
