//! How much one request may be: what is larger is refused before a handler sees it.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Extensions, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::boundary::Cause;

/// The most bytes of a body (413).
pub const MAX_BODY: usize = 64 * 1024;
/// The most bytes of the request target (414).
pub const MAX_URI: usize = 16 * 1024;
/// The most bytes of all header names and values together (431).
pub const MAX_HEADERS: usize = 16 * 1024;
/// The most header fields (431).
pub const MAX_HEADER_FIELDS: usize = 64;
/// Under TLS, the handshake must be complete by then.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The head of a request must be complete by then (408); a connection that is idle this long is closed.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The body must be complete by then (408), unless the request carries another [`BodyTimeout`].
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that takes nothing of its answer for this long is cut off.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most connections of one port at once; beyond, those that wait longest make way. Each may hold 64 KiB of an unfinished
/// head, so that without a bound strangers decide how much memory the process takes.
pub const MAX_CONNECTIONS: usize = 2048;
/// The most of them from one network. An office behind one address has fewer: browsers hold up to six, for half a minute.
pub const MAX_CONNECTIONS_OF_NETWORK: usize = 512;

/// By when the body of this request must be complete; the server puts it into the extensions.
#[derive(Debug, Clone, Copy)]
pub struct BodyTimeout(pub Duration);

impl BodyTimeout {
    /// That of a request.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(BODY_TIMEOUT))
    }
}

/// Refuses by what the head says. The server's own buffer is larger than these limits, so that the status names what was
/// too large.
pub async fn refuse_oversized(request: Request, next: Next) -> Response {
    match excess(&request) {
        None => next.run(request).await,
        Some((status, message)) => {
            let mut response = (status, message).into_response();
            response.extensions_mut().insert(Cause::new(message.trim_end()));
            response
        }
    }
}

fn excess(request: &Request) -> Option<(StatusCode, &'static str)> {
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if target > MAX_URI {
        return Some((StatusCode::URI_TOO_LONG, "the request target is too long\n"));
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > MAX_HEADER_FIELDS || bytes > MAX_HEADERS {
        return Some((
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the header fields are too many or too large\n",
        ));
    }
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > MAX_BODY as u64) {
        return Some((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"));
    }
    None
}
