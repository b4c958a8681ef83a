//! What the endpoints for tokens, revocation, introspection, pushed requests and devices have in common: a form that a client
//! sends in its own name.

use std::time::Duration;

use crate::oidc::client::Client;
use crate::oidc::dpop_proof::ProofHeader;
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::ClientId;
use crate::oidc::parameters::{Parameters, Repeated};

use super::Provider;
use super::answer::{Failure, refused};

/// How a client says who it is: checked at every endpoint, whatever else is known there.
pub const AUTHENTICATION_PARAMETERS: [&str; 4] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

/// A request.
pub struct ClientRequest<'a> {
    /// The form.
    pub parameters: &'a Parameters,
    /// What came as header `DPoP`; of no meaning but for tokens and pushed requests.
    pub dpop: ProofHeader<'a>,
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The value of the `Origin` header.
    pub origin: Option<&'a str>,
    /// Who may go on.
    pub admission: &'a dyn Admission,
}

/// Who may go on, asked once it is known whether the client is who it says it is. An error says how long to wait.
pub trait Admission: Sync {
    /// A client that has authenticated.
    fn client(&self, client: &ClientId) -> Result<(), Duration>;

    /// Somebody who has not: a public client is whoever says so.
    fn stranger(&self) -> Result<(), Duration>;
}

/// A client that has authenticated.
pub(super) struct Identified {
    pub(super) client: Client,
    /// Whether it registered the origin of the script that asks.
    pub(super) origin_allowed: bool,
}

impl Provider {
    /// The client behind a request. Neither [`AUTHENTICATION_PARAMETERS`] nor the endpoint's own `parameters` may come twice
    /// (RFC 6749 section 3.2).
    pub(super) async fn identify(
        &self,
        request: &ClientRequest<'_>,
        parameters: &[&'static str],
    ) -> Result<Identified, Failure> {
        self.require_provisioned().await?;
        let form = request.parameters;
        let twice = form
            .first_repeated(&AUTHENTICATION_PARAMETERS)
            .or_else(|| form.first_repeated(parameters));
        if let Some(name) = twice {
            request.admission.stranger().map_err(Failure::Limited)?;
            return Err(repeated(&Repeated(name)));
        }
        let client = self
            .authenticate_client(request.authorization, form, request.admission)
            .await?
            .client;
        // Anybody may send the id of a public client, and must not use up what its people are allowed.
        let admitted = if client.is_public() {
            request.admission.stranger()
        } else {
            request.admission.client(&client.client_id)
        };
        admitted.map_err(Failure::Limited)?;
        Ok(Identified {
            origin_allowed: request.origin.is_some_and(|origin| client.allows_origin(origin)),
            client,
        })
    }
}

/// A parameter that may come once.
pub(super) fn single<'a>(form: &'a Parameters, name: &'static str) -> Result<Option<&'a str>, Failure> {
    form.single(name).map_err(|error| repeated(&error))
}

/// A parameter that must come once.
pub(super) fn required<'a>(form: &'a Parameters, name: &'static str) -> Result<&'a str, Failure> {
    single(form, name)?.ok_or_else(|| {
        refused(
            ErrorCode::InvalidRequest,
            format!("the parameter {name} is missing"),
        )
    })
}

fn repeated(error: &Repeated) -> Failure {
    refused(ErrorCode::InvalidRequest, error.to_string())
}
