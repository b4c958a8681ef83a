//! What apps call: token, userinfo, discovery, JWKS. Errors are JSON (RFC 6749 section 5.2) and never stored by caches.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use super::boundary::Cause;
use super::request_id::RequestId;
use super::{cors, fault as http_fault};
use crate::oidc;
use crate::oidc::discovery::{
    AUTHORIZATION_SERVER_PATH, CONFIGURATION_PATH, JWKS_PATH, TOKEN_PATH, USERINFO_PATH,
};
use crate::oidc::error::ErrorCode;
use crate::provider::Provider;
use crate::provider::answer::{Failure, Refusal};
use crate::provider::fault::Fault;

mod documents;
mod token;
mod userinfo;

/// The routes.
pub fn routes() -> Router<Provider> {
    let configuration = get(documents::configuration).options(cors::preflight_any);
    Router::new()
        .route(CONFIGURATION_PATH, configuration.clone())
        .route(AUTHORIZATION_SERVER_PATH, configuration)
        .route(JWKS_PATH, get(documents::jwks).options(cors::preflight_any))
        .route(
            TOKEN_PATH,
            post(token::token)
                .options(cors::preflight_registered)
                .fallback(method_not_allowed),
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

/// The JSON form of an error.
pub fn refusal(status: StatusCode, error: &oidc::error::Error) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        error: &'a str,
        error_description: &'a str,
    }
    let body = Body {
        error: error.code.as_str(),
        error_description: &error.description,
    };
    json(status, &body)
}

/// The answer to a fault of ours.
pub fn fault(fault: &Fault) -> Response {
    let error = if fault.is_temporary() {
        oidc::error::Error::new(
            ErrorCode::TemporarilyUnavailable,
            "the request cannot be answered now; try again later",
        )
    } else {
        oidc::error::Error::new(ErrorCode::ServerError, "the request failed inside the server")
    };
    http_fault::answer(fault, refusal(http_fault::status(fault), &error))
}

/// The answer when a handler panicked.
pub fn server_error(id: &RequestId) -> Response {
    let description = format!("the request failed inside the server; its id is {id}");
    refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        &oidc::error::Error::new(ErrorCode::ServerError, description),
    )
}

/// The answer to whatever a use case could not do; `status` names the status of a refusal.
fn failure(failure: &Failure, status: impl FnOnce(ErrorCode) -> StatusCode) -> Response {
    match failure {
        Failure::Fault(cause) => fault(cause),
        Failure::Refused(Refusal { error, reason }) => {
            let mut response = refusal(status(error.code), error);
            response.extensions_mut().insert(Cause::new(&**reason));
            response
        }
    }
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

/// A JSON response that no cache keeps (RFC 6749 section 5.1).
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (PRAGMA, HeaderValue::from_static("no-cache")),
            ];
            (status, headers, body).into_response()
        }
        // Strings and numbers always serialise; without this arm that would have to be a panic.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
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
