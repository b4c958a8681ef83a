//! How patient a request to the Kubernetes API is: no answer is waited for without a limit, and `Retry-After` is kept.
//!
//! Nothing else is tried again here. Whoever asked knows how soon the same is worth asking again: the queue of the
//! controller, the watch, the start.

use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, header};
use kube::client::Body;
use tokio::time::Sleep;
use tower::BoxError;
use tower::retry::Policy;

/// An API server answers within its own limit of a minute, with a 504 if nothing else.
const LONGEST_ANSWER: Duration = Duration::from_secs(65);
/// A watch that was silent for longer than it should last is given up by the watcher first.
const SILENCE: Duration = Duration::from_secs(10);
/// A request is made again this often at most when the API server says when.
const RETRIES: u32 = 10;
/// No longer than this, whatever the API server says.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

/// The configuration of a client that notices a connection that was silently dropped.
pub(super) fn configure(config: &mut kube::Config, watch_timeout: Duration) {
    // kube's own policy begins with 5 ms, which is a burst of requests for one object.
    config.default_retry = false;
    config.read_timeout = Some(watch_timeout + SILENCE);
    config.reset_reader_on_write = true;
}

/// How long an answer is waited for: as long as a watch, and never longer than an API server takes.
pub(super) fn longest_answer(watch_timeout: Duration) -> Duration {
    watch_timeout.min(LONGEST_ANSWER)
}

/// An answer within this time, or a failure that says so.
pub(super) async fn within<B, E: Into<BoxError>>(
    limit: Duration,
    answer: impl Future<Output = Result<Response<B>, E>>,
) -> Result<Response<B>, BoxError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs()).into()),
    }
}

/// Waits as long as the API server says, then asks again.
#[derive(Clone, Default)]
pub(super) struct KeepRetryAfter {
    retries: u32,
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for KeepRetryAfter {
    type Future = Sleep;

    fn retry(&mut self, _: &mut Request<Body>, answer: &mut Result<Response<B>, BoxError>) -> Option<Sleep> {
        let answer = answer.as_ref().ok()?;
        let wait = retry_after(answer.status(), answer.headers())?;
        self.retries += 1;
        (self.retries <= RETRIES).then(|| tokio::time::sleep(wait))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut again = Request::new(request.body().try_clone()?);
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.version_mut() = request.version();
        *again.headers_mut() = request.headers().clone();
        *again.extensions_mut() = request.extensions().clone();
        Some(again)
    }
}

/// When the same may be asked again, where the API server says so (RFC 9110 section 10.2.3; it always writes seconds).
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return None;
    }
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    let wait = Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER);
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_overloaded_or_failing_server_is_asked_again() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(header::RETRY_AFTER, header::HeaderValue::from_static(value))])
        };
        for (status, value, expected) in [
            (429, "1", Some(1)),
            (503, "30", Some(30)),
            (500, "2", Some(2)),
            (429, "86400", Some(300)),
            (429, "0", None),
            (429, "Wed, 21 Oct 2026 07:28:00 GMT", None),
            (409, "1", None),
            (200, "1", None),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(
                retry_after(status, &headers(value)),
                expected.map(Duration::from_secs),
                "{status} {value}"
            );
        }
        assert_eq!(
            retry_after(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new()),
            None
        );
    }
}
