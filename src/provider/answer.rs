//! What the use cases of apps answer: a result, and whether the calling script's origin may read it.

use std::borrow::Cow;
use std::time::Duration;

use crate::oidc::error::{Error, ErrorCode};

use super::fault::Fault;

/// The answer to an app.
pub struct Answer<T> {
    /// What came of it.
    pub result: Result<T, Failure>,
    /// Whether the client behind the request registered the origin that it came from (CORS). False as long as no client
    /// is known, so that nothing is told about clients to scripts of others.
    pub origin_allowed: bool,
}

impl<T> Answer<T> {
    /// An answer that no script of another origin may read.
    pub(crate) fn to_no_origin(failure: impl Into<Failure>) -> Self {
        Self {
            result: Err(failure.into()),
            origin_allowed: false,
        }
    }
}

/// Why there is no result.
#[derive(Debug)]
pub enum Failure {
    /// The request is at fault.
    Refused(Refusal),
    /// Whoever asks, asks too often: the next request is answered after this time.
    Limited(Duration),
    /// We are.
    Fault(Fault),
}

impl Failure {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Limited(_) | Self::Fault(_) => None,
        }
    }
}

/// A refusal in two forms: what the app is told and what the administrator reads.
#[derive(Debug)]
pub struct Refusal {
    /// On the wire.
    pub error: Error,
    /// For the log; never holds secrets or raw input.
    pub reason: Cow<'static, str>,
}

/// A refusal whose reason may be told.
pub(crate) fn refused(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Failure {
    let description = description.into();
    Failure::Refused(Refusal {
        reason: description.clone(),
        error: Error::new(code, description),
    })
}

/// A refusal that tells the app less than the log.
pub(crate) fn refused_because(
    code: ErrorCode,
    description: &'static str,
    reason: impl Into<Cow<'static, str>>,
) -> Failure {
    Failure::Refused(Refusal {
        error: Error::new(code, description),
        reason: reason.into(),
    })
}

impl From<Error> for Failure {
    /// A refusal whose reason may be told.
    fn from(error: Error) -> Self {
        Self::Refused(Refusal {
            reason: error.description.clone(),
            error,
        })
    }
}

impl From<Fault> for Failure {
    // Not a blanket conversion that loses the step: a fault names it already.
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
