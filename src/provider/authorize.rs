//! The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::fault::Fault;
use super::interaction::{BrowserError, Interaction, Refusal, SignedIn, Stage, Step};
use super::{INTERACTION_LIFETIME, Provider};
use crate::clock::later;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::authorization_request::validate::{Displayable, Invalid, client_id, validate};
use crate::oidc::authorization_response::AuthorizationResponse;
use crate::oidc::client::Client;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::identifier::Subject;
use crate::oidc::parameters::Parameters;
use crate::oidc::redirect_uri;
use crate::store::records::ClientRecord;

/// The purpose under which the parameters of a POST are sealed.
const POSTED: &str = "browser/posted-request";

#[derive(Serialize, Deserialize)]
struct PostedRequest {
    parameters: String,
    at: Timestamp,
}

impl Provider {
    /// Answers an authorization request.
    pub async fn authorize(&self, parameters: &Parameters, browser: &Browser) -> Result<Step, BrowserError> {
        self.require_provisioned().await?;
        let displayable = |reason, client: Option<&ClientRecord>| -> BrowserError {
            refused(Refusal::Request(reason), client)
        };
        let client_id = client_id(parameters).map_err(|reason| displayable(reason, None))?;
        let client = self
            .store
            .client(&client_id)
            .await
            .map_err(Fault::store("read the client of a request"))?
            .ok_or_else(|| displayable(Displayable::ClientUnknown, None))?;
        if !client.is_live() {
            return Err(refused(Refusal::ClientRefused, Some(&client)));
        }
        let mut request = match validate(parameters, &client.client) {
            Ok(request) => request,
            Err(Invalid::Displayable(reason)) => {
                self.tell(reason, parameters, &client);
                return Err(displayable(reason, Some(&client)));
            }
            Err(Invalid::Redirectable(refused)) => {
                let response = AuthorizationResponse::error((&*refused).into(), &self.issuer, &refused.error);
                return Ok(Step::Respond(response));
            }
        };
        match self.subject_of_hint(parameters, &client.client) {
            Ok(subject) => request.subject_hint = subject,
            Err(error) => return Ok(Step::Respond(self.error_response(&request, &error))),
        }
        self.begin(browser, request).await
    }

    /// The owner of a client cannot see the error page that their users see.
    fn tell(&self, reason: Displayable, parameters: &Parameters, client: &ClientRecord) {
        if reason == Displayable::RedirectUriUnregistered
            && let Ok(Some(requested)) = parameters.single("redirect_uri")
        {
            self.notices
                .redirect_uri_rejected(client, &redirect_uri::shown(requested));
        }
    }

    async fn begin(&self, browser: &Browser, request: AuthorizationRequest) -> Result<Step, BrowserError> {
        let stage = match self.session(browser).await? {
            None => Stage::ANONYMOUS,
            Some((session, user)) => Stage::SignedIn(Box::new(SignedIn {
                session,
                user,
                authenticated_here: false,
                account_chosen: false,
                allowed_here: false,
                handle: None,
            })),
        };
        let interaction = Interaction {
            request,
            started_at: self.clock.now(),
            stage,
        };
        self.advance(browser, interaction).await
    }

    /// Who alone may answer, if the request says so.
    fn subject_of_hint(&self, parameters: &Parameters, client: &Client) -> Result<Option<Subject>, Error> {
        let Some(hint) = parameters.single("id_token_hint").unwrap_or_default() else {
            return Ok(None);
        };
        self.verify_id_token_hint(hint)
            .filter(|claims| claims.aud == client.client_id)
            .map(|claims| Some(claims.sub))
            .ok_or_else(|| {
                let description = "id_token_hint is not an ID token of this issuer for this client";
                Error::new(ErrorCode::InvalidRequest, description)
            })
    }

    /// Seals the parameters of a POST, so that the browser can bring them back by GET: a POST from another site comes
    /// without the session cookie (`SameSite=Lax`), and the person would seem signed out.
    pub fn seal_posted_request(&self, parameters: &Parameters) -> Result<String, BrowserError> {
        let posted = PostedRequest {
            parameters: parameters.encode().to_string(),
            at: self.clock.now(),
        };
        Ok(self.seal(POSTED, &posted)?)
    }

    /// Opens what [`Provider::seal_posted_request`] sealed.
    pub fn open_posted_request(&self, sealed: &str) -> Result<Parameters, BrowserError> {
        self.open::<PostedRequest>(POSTED, sealed)
            .filter(|posted| self.clock.now() < later(posted.at, INTERACTION_LIFETIME))
            .and_then(|posted| Parameters::parse(posted.parameters.as_bytes()).ok())
            .ok_or(BrowserError::Refused(Refusal::InteractionGone, None))
    }
}

fn refused(refusal: Refusal, client: Option<&ClientRecord>) -> BrowserError {
    BrowserError::Refused(refusal, client.map(|client| Box::new(client.into())))
}
