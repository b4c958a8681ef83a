//! The id of a request: what a person reads out to an administrator, who finds it in the log.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderName;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random::{self, Random};

/// The response header that carries it. One that comes with a request is ignored: whoever asks does not choose what is
/// written to the log.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A random id. Every request has one in its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Draws one of 96 bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::bytes::<12>(random)).into())
    }

    /// Stands for the id where the layer that gives one was left out.
    pub(super) fn unknown() -> Self {
        Self("unknown".into())
    }

    /// The text: base64url, safe in headers and pages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
