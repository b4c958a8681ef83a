//! The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).

use super::Provider;
use super::browser::Browser;
use super::fault::Fault;
use super::interaction::{BrowserError, Interaction, Refusal, SignedIn, Stage, Step};
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::authorization_request::validate::{
    Displayable, Invalid, client_id, refuse_request_object, validate,
};
use crate::oidc::authorization_response::AuthorizationResponse;
use crate::oidc::client::Client;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::identifier::Subject;
use crate::oidc::jws::Rejected;
use crate::oidc::parameters::Parameters;
use crate::oidc::redirect_uri;
use crate::oidc::request_object;
use crate::store::records::ClientRecord;

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
        let object = self.request_object(parameters, &client.client);
        let checked = match &object {
            Ok(None) => validate(parameters, &client.client),
            Ok(Some(inside)) => validate(inside, &client.client),
            Err(rejected) => Err(refuse_request_object(parameters, &client.client, *rejected)),
        };
        let parameters = object
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .unwrap_or(parameters);
        let mut request = match checked {
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

    /// What stands in the request object, if there is one and nothing else is wrong with how it came.
    fn request_object(
        &self,
        parameters: &Parameters,
        client: &Client,
    ) -> Result<Option<Parameters>, Rejected> {
        let Ok(Some(object)) = parameters.single("request") else {
            // RFC 9101 section 10.5.
            return if client.require_signed_request_object {
                Err(Rejected("there is none, and this client must send one"))
            } else {
                Ok(None)
            };
        };
        // OpenID Connect Core section 6: never both; which of the two is refused, validation says.
        if !matches!(parameters.single("request_uri"), Ok(None)) {
            return Ok(None);
        }
        let now = self.clock.now().as_second();
        request_object::open(object, parameters, client, &self.issuer, now).map(Some)
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
}

fn refused(refusal: Refusal, client: Option<&ClientRecord>) -> BrowserError {
    BrowserError::Refused(refusal, client.map(|client| Box::new(client.into())))
}
