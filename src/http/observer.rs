//! Who is told of every request that was answered. Declared here and implemented by whoever counts.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use tracing::Span;

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Its method, which may be any word.
    pub method: &'a Method,
    /// The pattern of its route, never its path.
    pub route: &'a str,
    /// What was answered.
    pub status: StatusCode,
    /// How long that took.
    pub took: Duration,
    /// What a token request came to.
    pub token_request: Option<TokenRequest>,
}

/// Whoever asks may write any word in place of a method.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"];

impl Answered<'_> {
    /// The method if it is one of HTTP's usual ones, else `other`.
    pub fn method_name(&self) -> &'static str {
        METHODS
            .into_iter()
            .find(|known| self.method == known)
            .unwrap_or("other")
    }
}

/// What a token request came to; its handler leaves it in the extensions of the response.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest {
    /// The grant type, or `unknown`.
    pub grant_type: &'static str,
    /// `issued`, `limited` (429), `fault`, or the error code.
    pub outcome: &'static str,
}

/// Is told of requests. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// A request begins. Its head may say of which trace `span` is a part; `route` is the pattern of its route.
    fn begins(&self, _span: &Span, _headers: &HeaderMap, _route: &str) {}

    /// A request was answered. The current span is that which was given when it began.
    fn answered(&self, answered: &Answered<'_>);
}

/// Takes no notice.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn answered(&self, _: &Answered<'_>) {}
}
