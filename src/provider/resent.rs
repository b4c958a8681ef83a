//! Parameters of a POST that the browser is to bring back by GET: a POST from another site comes without the session cookie
//! (`SameSite=Lax`), and the person would seem signed out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::interaction::{BrowserError, Refusal};
use super::{INTERACTION_LIFETIME, Provider};
use crate::clock::later;
use crate::oidc::parameters::Parameters;

/// The endpoint that they were posted to, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The authorization endpoint.
    Authorization,
    /// The end session endpoint.
    EndSession,
}

impl Endpoint {
    /// The purpose under which the parameters are sealed.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Authorization => "browser/posted-request",
            Self::EndSession => "browser/posted-sign-out",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct PostedRequest {
    parameters: String,
    at: Timestamp,
}

impl Provider {
    /// Seals the parameters of a POST.
    pub fn seal_posted_request(
        &self,
        endpoint: Endpoint,
        parameters: &Parameters,
    ) -> Result<String, BrowserError> {
        let posted = PostedRequest {
            parameters: parameters.encode().to_string(),
            at: self.clock.now(),
        };
        Ok(self.seal(endpoint.purpose(), &posted)?)
    }

    /// Opens what [`Provider::seal_posted_request`] sealed for the same endpoint.
    pub fn open_posted_request(&self, endpoint: Endpoint, sealed: &str) -> Result<Parameters, BrowserError> {
        self.open::<PostedRequest>(endpoint.purpose(), sealed)
            .filter(|posted| self.clock.now() < later(posted.at, INTERACTION_LIFETIME))
            .and_then(|posted| Parameters::parse(posted.parameters.as_bytes()).ok())
            .ok_or(BrowserError::Refused(Refusal::InteractionGone, None))
    }
}
