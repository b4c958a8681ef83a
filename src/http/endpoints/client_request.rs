//! The HTTP form of what a client asks in its own name: how the endpoints for tokens, revocation, introspection, pushed requests
//! and devices read a request and answer it (RFC 6749 section 3.2).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::{AUTHORIZATION, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestExt};

use super::{dpop, single_header};
use crate::http::client_address;
use crate::http::cors;
use crate::http::form::Form;
use crate::http::json::{failure, refusal};
use crate::http::rate_limit::Limiter;
use crate::login::network::Network;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::identifier::ClientId;
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::answer::Answer;
use crate::provider::client_request::{Admission, ClientRequest};

/// How often whom is answered.
#[derive(Clone)]
pub(super) struct ClientLimits {
    pub(super) stranger: Arc<Limiter>,
    pub(super) client: Arc<Limiter>,
}

/// The limits for one request. A client that has authenticated is counted by itself, so that no other one behind the same
/// address makes it wait; the network pays for requests of which nobody knows whose they are.
struct Asker {
    limits: ClientLimits,
    network: Network,
}

impl Admission for Asker {
    fn client(&self, client: &ClientId) -> Result<(), Duration> {
        self.limits.client.admit_client(client)
    }

    fn stranger(&self) -> Result<(), Duration> {
        self.limits.stranger.admit_network(self.network)
    }
}

/// A request as it was received.
pub(super) struct Received {
    pub(super) parameters: Parameters,
    dpop: Vec<HeaderValue>,
    authorization: Option<HeaderValue>,
    origin: Option<HeaderValue>,
    asker: Asker,
}

impl Received {
    /// What is asked of the provider.
    pub(super) fn as_request(&self) -> ClientRequest<'_> {
        ClientRequest {
            parameters: &self.parameters,
            dpop: dpop::header(&self.dpop),
            authorization: self.authorization.as_ref().map(HeaderValue::as_bytes),
            origin: cors::origin_text(self.origin.as_ref()),
            admission: &self.asker,
        }
    }

    /// The response to `answer`, for which `success` makes the body.
    pub(super) fn respond<T>(
        &self,
        provider: &Provider,
        answer: &Answer<T>,
        success: impl FnOnce(&T) -> Response,
    ) -> Response {
        let mut response = match &answer.result {
            Ok(result) => success(result),
            Err(cause) => failure(cause, status),
        };
        // RFC 6749 section 5.2: the challenge answers the scheme that the client used.
        if response.status() == StatusCode::UNAUTHORIZED && self.authorization.is_some() {
            response.headers_mut().insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Basic realm="claviger", charset="UTF-8""#),
            );
        }
        let header = dpop::header(&self.dpop);
        let mut response = dpop::with_nonce(response, provider, header, answer);
        cors::allow_origin(&mut response, self.origin.as_ref(), answer.origin_allowed);
        response
    }
}

/// The handler's only argument beside the provider, so that no endpoint reads its requests another way. The route says by
/// which limits, as an [`Extension`].
impl<S: Send + Sync> FromRequest<S> for Received {
    type Rejection = Response;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Response> {
        let Extension(limits) = request
            .extract_parts::<Extension<ClientLimits>>()
            .await
            .map_err(IntoResponse::into_response)?;
        // RFC 6749 section 2.3.1: credentials, and with them all parameters, never in the request URI, which ends in logs.
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(refusal(
                StatusCode::BAD_REQUEST,
                &Error::new(
                    ErrorCode::InvalidRequest,
                    "parameters belong into the body, not into the query",
                ),
            ));
        }
        let authorization = single_header(request.headers(), &AUTHORIZATION)
            .map_err(|error| refusal(StatusCode::BAD_REQUEST, &error))?
            .cloned();
        let dpop = dpop::values(request.headers());
        let origin = request.headers().get(ORIGIN).cloned();
        let network = client_address::network(request.extensions());
        let Form(parameters) = Form::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(Self {
            parameters,
            dpop,
            authorization,
            origin,
            asker: Asker { limits, network },
        })
    }
}

/// RFC 6749 section 5.2.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    }
}
