//! From the parameters that a browser sent to an [`AuthorizationRequest`], or to one of two kinds of refusal.
//!
//! RFC 6749 section 4.1.2.1 forbids to redirect while client and redirect URI are not both known to be good, so the two
//! kinds are two types: [`Displayable`] becomes an error page, [`Redirectable`] goes back to the app. The checks of the
//! second kind are [`CHECKS`], in their order. Looking up the client and verifying `id_token_hint` are the caller's.
//!
//! Decisions where the specifications leave the choice:
//! - a request without the scope `openid` is `invalid_scope`: claviger signs people in, and an app that forgot the scope
//!   would otherwise wait for an ID token that never comes;
//! - scopes that are unknown, or that the client may not ask for, are left out (RFC 6749 section 3.3);
//! - `offline_access` is left out where the client did not register the grant type `refresh_token`;
//! - of the optional parameters of OpenID Connect Core, `display`, `ui_locales`, `claims_locales`, `acr_values` and
//!   `claims` have no effect.

use std::time::Duration;

use thiserror::Error as ThisError;

use super::{AuthorizationRequest, Prompt};
use crate::oidc::client::Client;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::ClientId;
use crate::oidc::parameters::Parameters;
use crate::oidc::scope::{OFFLINE_ACCESS, OPENID, ScopeSet};
use crate::oidc::{pkce, redirect_uri};

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
    /// The `redirect_uri` is none of those registered.
    #[error("the redirect URI is not registered for this app")]
    RedirectUriUnregistered,
}

/// What is told to the app at its redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirectable {
    /// The checked redirect URI.
    pub redirect_uri: String,
    /// `state`, if one was sent once and is not too long.
    pub state: Option<String>,
    /// The error.
    pub error: Error,
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

/// Checks everything that needs no look-up. `client` is the one registered under [`client_id`].
pub fn validate(parameters: &Parameters, client: &Client) -> Result<AuthorizationRequest, Invalid> {
    let redirect_uri = registered_redirect_uri(parameters, client).map_err(Invalid::Displayable)?;
    // A `state` that cannot be returned as it came is not returned at all.
    let state = parameters
        .single("state")
        .unwrap_or_default()
        .filter(|state| state.len() <= MAX_STATE_BYTES)
        .map(str::to_owned);
    let mut request = AuthorizationRequest {
        client_uid: client.uid.clone(),
        client_id: client.client_id.clone(),
        redirect_uri,
        scope: ScopeSet::default(),
        state,
        nonce: None,
        code_challenge: None,
        prompt: Prompt::default(),
        max_age: None,
        auth_time_requested: false,
        login_hint: None,
        subject_hint: None,
    };
    for check in CHECKS {
        if let Err(error) = check(parameters, client, &mut request) {
            return Err(Invalid::Redirectable(Box::new(Redirectable {
                redirect_uri: request.redirect_uri,
                state: request.state,
                error,
            })));
        }
    }
    Ok(request)
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
    client
        .redirect_uris
        .iter()
        .any(|registered| redirect_uri::matches(registered, redirect_uri))
}

type Check = fn(&Parameters, &Client, &mut AuthorizationRequest) -> Result<(), Error>;

/// Everything that is told to the app, in the order in which it is checked.
const CHECKS: [Check; 12] = [
    no_parameter_is_repeated,
    no_request_object,
    no_registration,
    state_is_bounded,
    response_type_is_code,
    response_mode_is_query,
    client_may_use_codes,
    scope,
    code_challenge,
    nonce,
    prompt,
    max_age_and_login_hint,
];

/// What this endpoint reads. RFC 6749 section 3.1: a parameter must not be repeated. Unknown ones are ignored.
const KNOWN: [&str; 17] = [
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "display",
    "ui_locales",
    "acr_values",
    "request",
    "request_uri",
    "registration",
];

fn no_parameter_is_repeated(
    parameters: &Parameters,
    _: &Client,
    _: &mut AuthorizationRequest,
) -> Result<(), Error> {
    match parameters.first_repeated(&KNOWN) {
        None => Ok(()),
        Some(name) => Err(invalid_request(format!("the parameter {name} is repeated"))),
    }
}

/// OpenID Connect Core section 3.1.2.6: refused with codes of their own, and never fetched.
fn no_request_object(parameters: &Parameters, _: &Client, _: &mut AuthorizationRequest) -> Result<(), Error> {
    if optional(parameters, "request_uri").is_some() {
        let description = "request_uri is not supported; send the parameters themselves";
        return Err(Error::new(ErrorCode::RequestUriNotSupported, description));
    }
    if optional(parameters, "request").is_some() {
        let description = "request is not supported; send the parameters themselves";
        return Err(Error::new(ErrorCode::RequestNotSupported, description));
    }
    Ok(())
}

fn no_registration(parameters: &Parameters, _: &Client, _: &mut AuthorizationRequest) -> Result<(), Error> {
    if optional(parameters, "registration").is_some() {
        let description = "registration is not supported; apps are registered as OidcClient resources";
        return Err(Error::new(ErrorCode::RegistrationNotSupported, description));
    }
    Ok(())
}

fn state_is_bounded(parameters: &Parameters, _: &Client, _: &mut AuthorizationRequest) -> Result<(), Error> {
    match optional(parameters, "state") {
        Some(state) if state.len() > MAX_STATE_BYTES => Err(invalid_request(format!(
            "state is longer than {MAX_STATE_BYTES} bytes"
        ))),
        _ => Ok(()),
    }
}

fn response_type_is_code(
    parameters: &Parameters,
    _: &Client,
    _: &mut AuthorizationRequest,
) -> Result<(), Error> {
    match optional(parameters, "response_type") {
        Some("code") => Ok(()),
        None => Err(invalid_request("response_type is missing; send code")),
        // RFC 9700 section 2.1.2: no tokens in the front channel.
        Some(_) => {
            let description = "the only response_type is code";
            Err(Error::new(ErrorCode::UnsupportedResponseType, description))
        }
    }
}

fn response_mode_is_query(
    parameters: &Parameters,
    _: &Client,
    _: &mut AuthorizationRequest,
) -> Result<(), Error> {
    match optional(parameters, "response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(invalid_request("the only response_mode is query")),
    }
}

fn client_may_use_codes(_: &Parameters, client: &Client, _: &mut AuthorizationRequest) -> Result<(), Error> {
    if client.grant_types.contains(&GrantType::AuthorizationCode) {
        Ok(())
    } else {
        let description = "this client is not registered for the grant type authorization_code";
        Err(Error::new(ErrorCode::UnauthorizedClient, description))
    }
}

fn scope(parameters: &Parameters, client: &Client, request: &mut AuthorizationRequest) -> Result<(), Error> {
    let requested = ScopeSet::parse(optional(parameters, "scope").unwrap_or_default());
    if !requested.contains(OPENID) {
        return Err(Error::new(ErrorCode::InvalidScope, "scope must contain openid"));
    }
    if !client.scopes.contains(OPENID) {
        let description = "this client is not registered for the scope openid";
        return Err(Error::new(ErrorCode::InvalidScope, description));
    }
    let has_refresh_tokens = client.grant_types.contains(&GrantType::RefreshToken);
    request.scope = requested
        .intersection(&client.scopes)
        .iter()
        // OpenID Connect Core section 11: for a client that may have refresh tokens at all.
        .filter(|scope| *scope != OFFLINE_ACCESS || has_refresh_tokens)
        .collect();
    Ok(())
}

/// RFC 9700 section 2.1.1; of the two methods of RFC 7636 section 4.2 only S256, and `plain` is what an absent method
/// means.
fn code_challenge(
    parameters: &Parameters,
    _: &Client,
    request: &mut AuthorizationRequest,
) -> Result<(), Error> {
    let Some(challenge) = optional(parameters, "code_challenge") else {
        return Err(invalid_request("code_challenge is missing; PKCE is required"));
    };
    if optional(parameters, "code_challenge_method") != Some("S256") {
        return Err(invalid_request("the only code_challenge_method is S256"));
    }
    if !pkce::is_code_challenge(challenge) {
        return Err(invalid_request(
            "code_challenge is not the base64url form of a SHA-256",
        ));
    }
    request.code_challenge = Some(challenge.to_owned());
    Ok(())
}

fn nonce(parameters: &Parameters, _: &Client, request: &mut AuthorizationRequest) -> Result<(), Error> {
    let nonce = optional(parameters, "nonce");
    if nonce.is_some_and(|nonce| nonce.len() > MAX_NONCE_BYTES) {
        return Err(invalid_request(format!(
            "nonce is longer than {MAX_NONCE_BYTES} bytes"
        )));
    }
    request.nonce = nonce.map(str::to_owned);
    Ok(())
}

fn prompt(parameters: &Parameters, _: &Client, request: &mut AuthorizationRequest) -> Result<(), Error> {
    let prompt = &mut request.prompt;
    let values = optional(parameters, "prompt").unwrap_or_default();
    for value in values.split(' ').filter(|value| !value.is_empty()) {
        match value {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            _ => {
                let description = "prompt knows none, login, consent and select_account";
                return Err(invalid_request(description));
            }
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
        return Err(invalid_request("prompt=none excludes every other value"));
    }
    Ok(())
}

fn max_age_and_login_hint(
    parameters: &Parameters,
    client: &Client,
    request: &mut AuthorizationRequest,
) -> Result<(), Error> {
    let requested = match optional(parameters, "max_age") {
        None => None,
        Some(seconds) => Some(
            seconds
                .parse()
                .map(Duration::from_secs)
                .map_err(|_| invalid_request("max_age is not a number of seconds"))?,
        ),
    };
    request.max_age = requested.or(client.default_max_age);
    request.auth_time_requested = request.max_age.is_some();
    // A hint that cannot be a username is no error.
    request.login_hint = optional(parameters, "login_hint")
        .filter(|hint| hint.len() <= MAX_LOGIN_HINT_BYTES && !hint.contains(char::is_control))
        .map(str::to_owned);
    Ok(())
}

/// The value of a parameter that is known not to be repeated.
fn optional<'a>(parameters: &'a Parameters, name: &'static str) -> Option<&'a str> {
    parameters.single(name).ok().flatten()
}

fn invalid_request(description: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::InvalidRequest, description)
}
