//! The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).

use std::borrow::Cow;

use super::Provider;
use super::browser::Browser;
use super::fault::Fault;
use super::interaction::{BrowserError, Errand, Interaction, Refusal, SignedIn, Stage, Step};
use super::pushed_request::PushedName;
use crate::clock::Timestamp;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::authorization_request::validate::{
    Displayable, Invalid, Redirectable, client_id, refuse_request_object, validate,
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
        let request = match self.request_of(parameters, &client).await? {
            Ok(request) => request,
            Err(Invalid::Displayable(reason)) => return Err(displayable(reason, Some(&client))),
            Err(Invalid::Redirectable(refused)) => {
                let response = AuthorizationResponse::error((&*refused).into(), &self.issuer, &refused.error);
                return Ok(Step::Respond(response));
            }
        };
        self.begin(browser, request).await
    }

    /// The request that the client pushed before, if the parameters name one, or else the one that they are.
    async fn request_of(
        &self,
        parameters: &Parameters,
        client: &ClientRecord,
    ) -> Result<Result<AuthorizationRequest, Invalid>, Fault> {
        if let Some(pushed) = PushedName::in_parameters(parameters) {
            return self.take_pushed(&pushed, parameters, &client.client).await;
        }
        let opened = match self.opened(parameters, &client.client) {
            Ok(opened) => opened,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let checked = self.checked(&opened, &client.client);
        if let Err(Invalid::Displayable(reason)) = &checked {
            self.tell(*reason, &opened, client);
        }
        Ok(checked.and_then(|request| unless_it_must_be_pushed(request, &client.client)))
    }

    /// The parameters that count: those of the request object, where there is one.
    pub(super) fn opened<'a>(
        &self,
        parameters: &'a Parameters,
        client: &Client,
    ) -> Result<Cow<'a, Parameters>, Invalid> {
        match self.request_object(parameters, client) {
            Ok(None) => Ok(Cow::Borrowed(parameters)),
            Ok(Some(inside)) => Ok(Cow::Owned(inside)),
            Err(rejected) => Err(refuse_request_object(parameters, client, rejected)),
        }
    }

    /// Everything that is checked of a request before anybody is asked anything. `parameters` are [`Self::opened`].
    pub(super) fn checked(
        &self,
        parameters: &Parameters,
        client: &Client,
    ) -> Result<AuthorizationRequest, Invalid> {
        let mut request = validate(parameters, client)?;
        request.subject_hint = self
            .subject_of_hint(parameters, client)
            .map_err(|error| Invalid::Redirectable(Box::new(Redirectable::of(&request, error))))?;
        Ok(request)
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

    /// Goes on with what the sign-in form carries, where the browser comes without having filled it in: the address of a
    /// form whose request can be used only once can be loaded again.
    pub async fn resume(&self, sealed: &str, browser: &Browser) -> Result<Step, BrowserError> {
        self.require_provisioned().await?;
        match self.open_errand(browser, sealed)? {
            Errand::App(request, started_at) => self.begin_at(browser, *request, started_at).await,
            Errand::Account => Ok(Step::Account),
        }
    }

    pub(super) async fn begin(
        &self,
        browser: &Browser,
        request: AuthorizationRequest,
    ) -> Result<Step, BrowserError> {
        self.begin_at(browser, request, self.clock.now()).await
    }

    async fn begin_at(
        &self,
        browser: &Browser,
        request: AuthorizationRequest,
        started_at: Timestamp,
    ) -> Result<Step, BrowserError> {
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
            started_at,
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

/// RFC 9126 section 5: what stands in the browser's address is no request of a client that always pushes.
fn unless_it_must_be_pushed(
    request: AuthorizationRequest,
    client: &Client,
) -> Result<AuthorizationRequest, Invalid> {
    if client.requires_pushed_requests() {
        let description =
            "this client pushes its requests (RFC 9126) and comes with the request_uri that it got";
        let error = Error::new(ErrorCode::InvalidRequest, description);
        return Err(Invalid::Redirectable(Box::new(Redirectable::of(&request, error))));
    }
    Ok(request)
}

fn refused(refusal: Refusal, client: Option<&ClientRecord>) -> BrowserError {
    BrowserError::Refused(refusal, client.map(|client| Box::new(client.into())))
}
