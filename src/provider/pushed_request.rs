//! Pushed authorization requests (RFC 9126): the client sends its request itself, and the browser only brings a name for it.
//!
//! Everything that the authorization endpoint checks of a request is checked when it is pushed, and what is stored is the
//! checked request: no credentials, no unknown parameters, no hint. The name is good for a minute, for its client and for
//! one use, which is when the interaction begins.

use std::time::Duration;

use crate::clock::later;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::authorization_request::validate::{Displayable, Invalid};
use crate::oidc::client::Client;
use crate::oidc::discovery::PUSHED_AUTHORIZATION_REQUEST_PATH;
use crate::oidc::error::ErrorCode;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::store::records::PushedRequestRecord;

use super::Provider;
use super::answer::{Answer, Failure, refused};
use super::client_request::{ClientRequest, Identified, single};
use super::dpop::Shown;
use super::fault::Fault;

/// What a `request_uri` begins with (RFC 9126 section 2.2).
const URN: &str = "urn:ietf:params:oauth:request_uri:";
/// A pushed request can be used for this long (RFC 9126 section 2.2: between 5 and 600 seconds).
pub const PUSHED_REQUEST_LIFETIME: Duration = Duration::from_mins(1);
/// The parameters of the endpoint itself; those of the request are known where it is checked.
const PARAMETERS: [&str; 2] = ["request", "request_uri"];

/// A pushed request, by name.
pub struct PushedRequest {
    name: OpaqueToken,
    /// For how long it can be used.
    pub expires_in: Duration,
}

impl PushedRequest {
    /// `request_uri`, for the response that carries it and nothing else.
    pub fn request_uri(&self) -> String {
        format!("{URN}{}", self.name.expose())
    }
}

/// A `request_uri` of the form that this endpoint gives.
pub(super) struct PushedName(Option<OpaqueToken>);

impl PushedName {
    /// The name in the parameters of an authorization request, if there is one that begins as ours do. Any other
    /// `request_uri` is refused with the rest.
    pub(super) fn in_parameters(parameters: &Parameters) -> Option<Self> {
        let request_uri = parameters.single("request_uri").ok().flatten()?;
        // Names that other servers gave begin with the URN, too.
        let name = request_uri.strip_prefix(URN)?;
        name.starts_with(TokenKind::PushedRequest.prefix())
            .then(|| Self(OpaqueToken::parse(TokenKind::PushedRequest, name)))
    }
}

impl Provider {
    /// Checks and keeps an authorization request of a client.
    pub async fn push_authorization_request(&self, request: ClientRequest<'_>) -> Answer<PushedRequest> {
        match self.identify(&request, &PARAMETERS).await {
            Ok(Identified {
                client,
                origin_allowed,
            }) => Answer {
                result: self.push(&client, &request).await,
                origin_allowed,
            },
            Err(failure) => Answer::to_no_origin(failure),
        }
    }

    async fn push(&self, client: &Client, request: &ClientRequest<'_>) -> Result<PushedRequest, Failure> {
        // RFC 9126 section 2.1.
        if single(request.parameters, "request_uri")?.is_some() {
            return Err(refused(
                ErrorCode::InvalidRequest,
                "request_uri cannot be pushed; push the request itself",
            ));
        }
        let proof = self.verify_proof(
            client,
            request.dpop,
            &Shown::posted_to(PUSHED_AUTHORIZATION_REQUEST_PATH),
        )?;
        let checked = self
            .opened(request.parameters, client)
            .and_then(|parameters| self.checked(&parameters, client));
        let mut request = checked.map_err(told)?;
        if let Some(proof) = proof {
            // RFC 9449 section 10.1.
            if request.dpop_jkt.as_ref().is_some_and(|jkt| jkt != proof.jkt()) {
                return Err(refused(
                    ErrorCode::InvalidRequest,
                    "dpop_jkt is not the thumbprint of the key in the header DPoP",
                ));
            }
            request.dpop_jkt = Some(proof.jkt().clone());
            // Of a public client anybody can send as many proofs as they make keys, and one that is sent again only makes
            // another request for the same key.
            if !client.is_public() {
                self.spend_proof(client, &proof).await?;
            }
        }
        let name = OpaqueToken::generate(TokenKind::PushedRequest, &*self.random);
        let record = PushedRequestRecord {
            hash: name.hash(),
            request,
            expires_at: later(self.clock.now(), PUSHED_REQUEST_LIFETIME),
        };
        self.store
            .push_authorization_request(record)
            .await
            .map_err(Fault::store("store a pushed authorization request"))?;
        Ok(PushedRequest {
            name,
            expires_in: PUSHED_REQUEST_LIFETIME,
        })
    }

    /// The request behind a name, which is gone then. Whatever stands beside the name is ignored: RFC 9126 section 4 has it
    /// used as RFC 9101 says, whose section 6.3 takes the parameters of the request alone. Nothing there is trusted to say
    /// where an error may go, either, so that a name that is none gets a page.
    pub(super) async fn take_pushed(
        &self,
        PushedName(name): &PushedName,
        parameters: &Parameters,
        client: &Client,
    ) -> Result<Result<AuthorizationRequest, Invalid>, Fault> {
        if !matches!(parameters.single("request"), Ok(None)) {
            return Ok(Err(Invalid::Displayable(Displayable::RequestBesideRequestUri)));
        }
        let taken = match name {
            None => None,
            Some(name) => self
                .store
                .take_pushed_request(&name.hash(), &client.uid)
                .await
                .map_err(Fault::store("take a pushed authorization request"))?,
        };
        Ok(taken.ok_or(Invalid::Displayable(Displayable::PushedRequestGone)))
    }
}

/// RFC 9126 section 2.3: the client is told itself, whatever a browser would have been shown.
fn told(invalid: Invalid) -> Failure {
    match invalid {
        Invalid::Displayable(Displayable::RequestObject(reason)) => refused(
            ErrorCode::InvalidRequestObject,
            format!("the request object is not accepted: {reason}"),
        ),
        Invalid::Displayable(reason) => refused(ErrorCode::InvalidRequest, reason.to_string()),
        Invalid::Redirectable(refused) => refused.error.into(),
    }
}
