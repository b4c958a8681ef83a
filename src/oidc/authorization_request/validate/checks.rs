//! The checks whose failure is told to the app, one function each.

use std::time::Duration;

use super::{MAX_LOGIN_HINT_BYTES, MAX_NONCE_BYTES, MAX_STATE_BYTES};
use crate::oidc::audience;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::claims_request::{ClaimsRequest, ClaimsRequestError};
use crate::oidc::client::Client;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::grant_type::GrantType;
use crate::oidc::parameters::Parameters;
use crate::oidc::pkce;
use crate::oidc::redirect_uri;
use crate::oidc::response_mode::ResponseMode;
use crate::oidc::scope::{OFFLINE_ACCESS, OPENID, ScopeSet};
use crate::oidc::thumbprint::Thumbprint;

pub(super) type Check = fn(&Parameters, &Client, &mut AuthorizationRequest) -> Result<(), Error>;

/// Everything that is told to the app, in the order in which it is checked.
pub(super) const CHECKS: [Check; 15] = [
    no_parameter_is_repeated,
    no_request_uri,
    no_registration,
    state_is_bounded,
    response_type_is_code,
    response_mode_is_ours,
    client_may_use_codes,
    scope,
    resources,
    code_challenge,
    dpop_jkt,
    nonce,
    prompt,
    max_age_and_login_hint,
    claims,
];

/// What is checked of a device's request, which has nothing else.
pub(super) const CHECKS_FOR_DEVICES: [Check; 4] =
    [no_parameter_is_repeated, scope, resources, max_age_and_login_hint];

/// What this endpoint reads. RFC 6749 section 3.1: a parameter must not be repeated. Unknown ones are ignored. `resource` is
/// not among them: RFC 8707 section 2 lets it come more than once.
const KNOWN: [&str; 20] = [
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "display",
    "ui_locales",
    "claims_locales",
    "acr_values",
    "claims",
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

/// OpenID Connect Core section 3.1.2.6: refused with a code of its own, and never fetched.
fn no_request_uri(parameters: &Parameters, _: &Client, _: &mut AuthorizationRequest) -> Result<(), Error> {
    if optional(parameters, "request_uri").is_some() {
        let description = "request_uri takes what the pushed authorization request endpoint gave, and nothing else; nothing is fetched";
        return Err(Error::new(ErrorCode::RequestUriNotSupported, description));
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

fn state_is_bounded(
    parameters: &Parameters,
    _: &Client,
    request: &mut AuthorizationRequest,
) -> Result<(), Error> {
    match optional(parameters, "state") {
        Some(state) => state_is_returnable(state, request.response_mode).map_err(invalid_request),
        None => Ok(()),
    }
}

/// Whether a `state` can be returned byte for byte; else why not.
pub(super) fn state_is_returnable(state: &str, mode: ResponseMode) -> Result<(), String> {
    if state.len() > MAX_STATE_BYTES {
        return Err(format!("state is longer than {MAX_STATE_BYTES} bytes"));
    }
    // In a field of a form, HTML turns a NUL into another character and every line break into CR LF.
    if mode == ResponseMode::FormPost && state.contains(|character: char| character.is_ascii_control()) {
        return Err("state has control characters, which form_post cannot carry".to_owned());
    }
    Ok(())
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

fn response_mode_is_ours(
    parameters: &Parameters,
    _: &Client,
    request: &mut AuthorizationRequest,
) -> Result<(), Error> {
    response_mode(parameters, &request.redirect_uri)
        .map(|_| ())
        .map_err(invalid_request)
}

/// How the response is to travel; else why it cannot.
pub(super) fn response_mode(
    parameters: &Parameters,
    redirect_uri: &str,
) -> Result<ResponseMode, &'static str> {
    let mode = match optional(parameters, "response_mode") {
        None => ResponseMode::default(),
        Some(text) => ResponseMode::parse(text).ok_or("the response_mode is neither query nor form_post")?,
    };
    if mode == ResponseMode::FormPost && !redirect_uri::takes_forms(redirect_uri) {
        return Err("form_post needs a redirect_uri of https or http; browsers post to no other scheme");
    }
    Ok(mode)
}

fn client_may_use_codes(_: &Parameters, client: &Client, _: &mut AuthorizationRequest) -> Result<(), Error> {
    if client.may_use(GrantType::AuthorizationCode) {
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
    let has_refresh_tokens = client.may_use(GrantType::RefreshToken);
    request.scope = requested
        .intersection(&client.scopes)
        .iter()
        // OpenID Connect Core section 11: for a client that may have refresh tokens at all.
        .filter(|scope| *scope != OFFLINE_ACCESS || has_refresh_tokens)
        .collect();
    Ok(())
}

/// RFC 8707 section 2.1.
fn resources(
    parameters: &Parameters,
    client: &Client,
    request: &mut AuthorizationRequest,
) -> Result<(), Error> {
    request.resources = audience::authorize(audience::requested(parameters), &client.audiences)?;
    Ok(())
}

/// RFC 9700 section 2.1.1; of the two methods of RFC 7636 section 4.2 only S256, and `plain` is what an absent method
/// means.
fn code_challenge(
    parameters: &Parameters,
    client: &Client,
    request: &mut AuthorizationRequest,
) -> Result<(), Error> {
    let method = optional(parameters, "code_challenge_method");
    let Some(challenge) = optional(parameters, "code_challenge") else {
        // A method alone is a challenge that was lost on the way.
        return if client.requires_pkce() || method.is_some() {
            Err(invalid_request("code_challenge is missing; PKCE is required"))
        } else {
            Ok(())
        };
    };
    if method != Some("S256") {
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

/// RFC 9449 section 10.
fn dpop_jkt(parameters: &Parameters, _: &Client, request: &mut AuthorizationRequest) -> Result<(), Error> {
    let Some(text) = optional(parameters, "dpop_jkt") else {
        return Ok(());
    };
    let jkt = Thumbprint::parse(text)
        .ok_or_else(|| invalid_request("dpop_jkt is not the base64url form of a SHA-256 thumbprint"))?;
    request.dpop_jkt = Some(jkt);
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

/// OpenID Connect Core section 5.5.
fn claims(parameters: &Parameters, client: &Client, request: &mut AuthorizationRequest) -> Result<(), Error> {
    let Some(text) = optional(parameters, "claims") else {
        return Ok(());
    };
    let ClaimsRequest {
        requested,
        auth_time,
        subjects,
    } = ClaimsRequest::parse(text).map_err(|why| {
        let code = match why {
            ClaimsRequestError::TooLong | ClaimsRequestError::Malformed => ErrorCode::InvalidRequest,
            ClaimsRequestError::AcrUnmet => ErrorCode::UnmetAuthenticationRequirements,
        };
        Error::new(code, why.to_string())
    })?;
    request.claims = requested.within(&client.scopes);
    request.auth_time_requested |= auth_time;
    request.subjects = subjects;
    Ok(())
}

/// The value of a parameter that is known not to be repeated.
fn optional<'a>(parameters: &'a Parameters, name: &'static str) -> Option<&'a str> {
    parameters.single(name).ok().flatten()
}

fn invalid_request(description: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::InvalidRequest, description)
}
