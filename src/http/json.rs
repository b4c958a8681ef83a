//! JSON responses: what an endpoint for apps answers, and errors as RFC 6749 section 5.2 has them. No cache stores them.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::boundary::Cause;
use super::fault as http_fault;
use super::request_id::RequestId;
use super::wait::whole_seconds;
use crate::oidc;
use crate::oidc::error::ErrorCode;
use crate::provider::answer::{Failure, Refusal};
use crate::provider::fault::Fault;

/// A JSON response that no cache keeps (RFC 6749 section 5.1).
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
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

/// A response without a body that no cache keeps.
pub fn empty(status: StatusCode) -> Response {
    (status, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response()
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

/// The answer to whoever asks too often (RFC 6585 section 4).
fn limited(wait: Duration) -> Response {
    let error = oidc::error::Error::new(
        ErrorCode::TemporarilyUnavailable,
        "too many requests; try again after the time in Retry-After",
    );
    let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, &error);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    response.extensions_mut().insert(Cause::new("asked too often"));
    response
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
pub fn failure(failure: &Failure, status: impl FnOnce(ErrorCode) -> StatusCode) -> Response {
    match failure {
        Failure::Fault(cause) => fault(cause),
        Failure::Limited(wait) => limited(*wait),
        Failure::Refused(Refusal { error, reason }) => {
            let mut response = refusal(status(error.code), error);
            response.extensions_mut().insert(Cause::new(&**reason));
            response
        }
    }
}
