//! Faults of ours as responses: a page or a JSON error says that something failed, the log says what.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::boundary::Cause;
use crate::provider::fault::Fault;

/// The status of a fault: 503 where trying again may help, else 500.
pub fn status(fault: &Fault) -> StatusCode {
    if fault.is_temporary() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// Makes `response`, whose body the caller rendered, the answer to `fault`: status, `Retry-After` and the cause for the
/// log.
pub fn answer(fault: &Fault, mut response: Response) -> Response {
    *response.status_mut() = status(fault);
    if fault.is_temporary() {
        // Seconds: about what a store needs to come back, and slow enough for those who obey.
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response.extensions_mut().insert(Cause::of(fault));
    response
}
