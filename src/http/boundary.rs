//! What every request passes: its id, one log line, the headers that every response has, and the net under panics.
//!
//! Errors are logged here and nowhere else. A handler that knows more than it may tell the client leaves a [`Cause`] in
//! the response's extensions. Paths are logged as the routes' patterns and never with a query: a query may hold a code.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use tracing::Instrument;
use tracing::field::Empty;

use super::observer::{Answered, Observer};
use super::request_id::{self, RequestId};
use crate::random::Random;

/// Why a request failed, for the log: put it into the extensions of the response. Without secrets and raw input.
#[derive(Debug, Clone)]
pub struct Cause(Arc<str>);

impl Cause {
    /// Takes the text as it is.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// An error with everything that caused it.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        Self::new(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In place of the pattern, where no route matched.
const NO_ROUTE: &str = "(no route)";

/// Makes the response to a request whose handler panicked.
pub type PanicResponse = fn(&RequestId) -> Response;

/// What the outermost layer needs. Cheap to clone.
#[derive(Clone)]
pub struct Boundary {
    random: Arc<dyn Random>,
    observer: Arc<dyn Observer>,
}

impl Boundary {
    /// Ids come from `random`; `observer` is told of every request.
    pub fn new(random: Arc<dyn Random>, observer: Arc<dyn Observer>) -> Self {
        Self { random, observer }
    }
}

/// The outermost layer.
pub async fn observe(State(boundary): State<Boundary>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::generate(&*boundary.random);
    // At level error, so that the id is in the lines of every level, whatever the filter lets through.
    // What is empty is filled in by whoever sends traces; here it would only be formatted, for nobody.
    let span = tracing::error_span!(
        "request",
        request_id = %id,
        otel.name = Empty,
        otel.kind = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
    );
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let pattern = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    boundary.observer.begins(&span, request.headers(), pattern);
    request.extensions_mut().insert(id.clone());
    async move {
        let mut response = next.run(request).await;
        let answered = Answered {
            method: &method,
            route: route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str),
            status: response.status(),
            took: began.elapsed(),
            token_request: response.extensions().get().copied(),
        };
        log(&answered, response.extensions().get::<Cause>());
        boundary.observer.answered(&answered);
        complete(&mut response, &id);
        response
    }
    .instrument(span)
    .await
}

/// One line: server errors are for the administrator, refusals for whoever looks into one (a refusal that the browser takes
/// to the app is a 303, and has a cause), the rest for debugging (what happened is in the audit log).
fn log(answered: &Answered<'_>, cause: Option<&Cause>) {
    let Answered {
        method,
        route: path,
        status,
        took,
        token_request: _,
    } = *answered;
    let code = status.as_u16();
    let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    // `?` writes control characters escaped, so that no input can forge a line.
    let cause = cause.map(Cause::as_str);
    if status.is_server_error() {
        tracing::error!(%method, path, status = code, microseconds, cause, "request failed");
    } else if status.is_client_error() || cause.is_some() {
        tracing::info!(%method, path, status = code, microseconds, cause, "request refused");
    } else {
        tracing::debug!(%method, path, status = code, microseconds, "request answered");
    }
}

/// Headers that every response has unless its handler set its own.
fn complete(response: &mut Response, id: &RequestId) {
    const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        ),
    ];
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(request_id::HEADER, value);
    }
}

/// A panic in a handler is a 500 with the request's id, and the process stays up. What panicked holds no lock of ours and
/// no half-done state: each change is one operation of the store.
pub async fn catch_panics(State(render): State<PanicResponse>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await else {
        // The payload of a panic may quote what it stumbled over, so it is not logged here.
        let mut response = render(&id.unwrap_or_else(RequestId::unknown));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.extensions_mut().insert(Cause::new("a handler panicked"));
        return response;
    };
    response
}
