//! From the parameters that a browser sent to an [`AuthorizationRequest`], or to one of two kinds of refusal.
//!
//! RFC 6749 section 4.1.2.1 forbids to redirect while client and redirect URI are not both known to be good, so the two
//! kinds are two types: [`Displayable`] becomes an error page, [`Redirectable`] goes back to the app. The checks of the
//! second kind are in `checks`, in their order. Looking up the client, opening a request object and
//! verifying `id_token_hint` are the caller's.
//!
//! Decisions where the specifications leave the choice:
//! - a request without the scope `openid` is `invalid_scope`: claviger signs people in, and an app that forgot the scope
//!   would otherwise wait for an ID token that never comes;
//! - scopes that are unknown, or that the client may not ask for, are left out (RFC 6749 section 3.3);
//! - `offline_access` is left out where the client did not register the grant type `refresh_token`;
//! - a request whose `response_mode` is none of ours is told so in the query, the default of `response_type=code`;
//! - with `form_post` a `state` has no control characters: RFC 6749 appendix A.5 has none in any `state`, and a form cannot
//!   carry them unchanged;
//! - a `prompt` with a value that is none of ours is `invalid_request`, as Initiating User Registration via OpenID Connect
//!   wants it, which defines `prompt_values_supported`;
//! - every ID token has its `acr`, so `acr_values` has no further effect;
//! - of the optional parameters of OpenID Connect Core, `display`, `ui_locales` and `claims_locales` have no effect: there is
//!   one form of pages and one language.

mod checks;

use thiserror::Error as ThisError;

use super::{AuthorizationRequest, Prompt, WaitingDevice};
use crate::oidc::claims_request::RequestedClaims;
use crate::oidc::client::Client;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::identifier::ClientId;
use crate::oidc::jws::Rejected;
use crate::oidc::parameters::Parameters;
use crate::oidc::redirect_uri;
use crate::oidc::response_mode::ResponseMode;
use crate::oidc::scope::ScopeSet;
use checks::{CHECKS, CHECKS_FOR_DEVICES, response_mode, state_is_returnable};

/// The longest `state` that is carried, in bytes.
pub const MAX_STATE_BYTES: usize = 2048;
/// The longest `nonce` that is carried, in bytes.
pub const MAX_NONCE_BYTES: usize = 1024;
/// The longest `login_hint` that is shown, in bytes.
pub const MAX_LOGIN_HINT_BYTES: usize = 256;

/// What is said on a page, since there is no app that could be trusted with it. It carries nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum Displayable {
    /// Too many parameters, or not UTF-8.
    #[error("the parameters cannot be read")]
    Malformed,
    /// `client_id` or `redirect_uri` came more than once.
    #[error("the parameter {0} is repeated")]
    Repeated(&'static str),
    /// No `client_id`.
    #[error("the parameter client_id is missing")]
    ClientIdMissing,
    /// Nobody registered this `client_id`.
    #[error("no app is registered under this client_id")]
    ClientUnknown,
    /// No `redirect_uri`; OpenID Connect Core section 3.1.2.1 requires it, and there is no default.
    #[error("the parameter redirect_uri is missing")]
    RedirectUriMissing,
    /// The request object counts for nothing, and outside it nobody said where to send the app's error.
    #[error("its request object is not accepted: {0}")]
    RequestObject(&'static str),
    /// The `request_uri` is of a pushed request, and names none that this client has.
    #[error("the request behind request_uri is used, expired or not of this app")]
    PushedRequestGone,
    /// Beside the `request_uri` of a pushed request stands `request`, and never both may (RFC 9101 section 5).
    #[error("request stands beside request_uri")]
    RequestBesideRequestUri,
    /// The `redirect_uri` is none of those registered.
    #[error("the redirect URI is not registered for this app")]
    RedirectUriUnregistered,
}

/// What is told to the app at its redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirectable {
    /// The checked redirect URI.
    pub redirect_uri: String,
    /// How the error travels: as the request wants it, if it can be told what that is.
    pub response_mode: ResponseMode,
    /// `state`, if one was sent once and can be returned as it came.
    pub state: Option<String>,
    /// The error.
    pub error: Error,
}

impl Redirectable {
    /// The refusal of a request that was valid until then.
    pub fn of(request: &AuthorizationRequest, error: Error) -> Self {
        Self {
            redirect_uri: request.redirect_uri.clone(),
            response_mode: request.response_mode,
            state: request.state.clone(),
            error,
        }
    }
}

/// Why a request is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// An error page, never a redirect.
    Displayable(Displayable),
    /// A redirect to the app.
    Redirectable(Box<Redirectable>),
}

/// Reads `client_id`, which decides everything else.
pub fn client_id(parameters: &Parameters) -> Result<ClientId, Displayable> {
    parameters
        .single("client_id")
        .map_err(|repeated| Displayable::Repeated(repeated.0))?
        .map(ClientId::new)
        .ok_or(Displayable::ClientIdMissing)
}

/// The refusal of a request whose request object counts for nothing. It goes to the app if what stands outside the object
/// says where, by a redirect URI that is registered like any other.
pub fn refuse_request_object(
    parameters: &Parameters,
    client: &Client,
    Rejected(reason): Rejected,
) -> Invalid {
    let Ok(redirect_uri) = registered_redirect_uri(parameters, client) else {
        return Invalid::Displayable(Displayable::RequestObject(reason));
    };
    let response_mode = response_mode(parameters, &redirect_uri).unwrap_or_default();
    Invalid::Redirectable(Box::new(Redirectable {
        state: returnable_state(parameters, response_mode),
        redirect_uri,
        response_mode,
        error: Error::new(
            ErrorCode::InvalidRequestObject,
            format!("the request object is not accepted: {reason}"),
        ),
    }))
}

/// A `state` that cannot be returned as it came is not returned at all.
fn returnable_state(parameters: &Parameters, response_mode: ResponseMode) -> Option<String> {
    parameters
        .single("state")
        .unwrap_or_default()
        .filter(|state| state_is_returnable(state, response_mode).is_ok())
        .map(str::to_owned)
}

/// Checks everything that needs no look-up; a request object is opened already. `client` is the one registered under [`client_id`].
pub fn validate(parameters: &Parameters, client: &Client) -> Result<AuthorizationRequest, Invalid> {
    let redirect_uri = registered_redirect_uri(parameters, client).map_err(Invalid::Displayable)?;
    let response_mode = response_mode(parameters, &redirect_uri).unwrap_or_default();
    let mut request = AuthorizationRequest {
        response_mode,
        state: returnable_state(parameters, response_mode),
        ..blank(client, redirect_uri)
    };
    for check in CHECKS {
        if let Err(error) = check(parameters, client, &mut request) {
            return Err(Invalid::Redirectable(Box::new(Redirectable::of(&request, error))));
        }
    }
    Ok(request)
}

/// Checks what a device asks for (RFC 8628 section 3.1). `resource` works as in every other request (RFC 8707); the client's
/// `default_max_age` holds for the person who answers.
pub fn validate_for_device(
    parameters: &Parameters,
    client: &Client,
    device: WaitingDevice,
) -> Result<AuthorizationRequest, Error> {
    let mut request = AuthorizationRequest {
        device: Some(device),
        ..blank(client, String::new())
    };
    for check in CHECKS_FOR_DEVICES {
        check(parameters, client, &mut request)?;
    }
    Ok(request)
}

fn blank(client: &Client, redirect_uri: String) -> AuthorizationRequest {
    AuthorizationRequest {
        client_uid: client.uid.clone(),
        client_id: client.client_id.clone(),
        redirect_uri,
        response_mode: ResponseMode::default(),
        scope: ScopeSet::default(),
        resources: Vec::new(),
        state: None,
        nonce: None,
        code_challenge: None,
        dpop_jkt: None,
        prompt: Prompt::default(),
        max_age: None,
        auth_time_requested: false,
        login_hint: None,
        subject_hint: None,
        claims: RequestedClaims::default(),
        device: None,
        subjects: None,
    }
}

fn registered_redirect_uri(parameters: &Parameters, client: &Client) -> Result<String, Displayable> {
    let requested = parameters
        .single("redirect_uri")
        .map_err(|repeated| Displayable::Repeated(repeated.0))?
        .ok_or(Displayable::RedirectUriMissing)?;
    if is_registered(requested, client) {
        Ok(requested.to_owned())
    } else {
        Err(Displayable::RedirectUriUnregistered)
    }
}

/// Whether `redirect_uri` is one of the client's. Asked again before a code is issued, since the registration may have
/// changed while the person was signing in.
pub fn is_registered(redirect_uri: &str, client: &Client) -> bool {
    client.may_redirect_to(redirect_uri)
        && client
            .redirect_uris
            .iter()
            .any(|registered| redirect_uri::matches(registered, redirect_uri))
}
