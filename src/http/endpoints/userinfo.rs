//! `GET` and `POST /api/userinfo` (OpenID Connect Core section 5.3, RFC 6750).

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::single_header;
use crate::http::cors;
use crate::http::form;
use crate::http::json::{failure, json, refusal};
use crate::http::limits::BodyTimeout;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;

/// `GET`: the token is in the header.
pub(super) async fn get(State(provider): State<Provider>, request: Request) -> Response {
    answer(&provider, request.uri().query(), request.headers(), None).await
}

/// `POST`: the token is in the header or in a form body, never in both.
pub(super) async fn post(State(provider): State<Provider>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = if form::is_form(&parts.headers) {
        match form::read(body, BodyTimeout::of(&parts.extensions)).await {
            Ok(parameters) => Some(parameters),
            Err(rejection) => return rejection.into_response(),
        }
    } else {
        None
    };
    answer(&provider, parts.uri.query(), &parts.headers, form.as_ref()).await
}

async fn answer(
    provider: &Provider,
    query: Option<&str>,
    headers: &HeaderMap,
    form: Option<&Parameters>,
) -> Response {
    let token = match access_token(query, headers, form) {
        Ok(Some(token)) => token,
        Ok(None) => return no_token(),
        Err(error) => return challenged(refusal(StatusCode::BAD_REQUEST, &error), &error),
    };
    let origin = headers.get(ORIGIN);
    let answer = provider.userinfo(token, cors::origin_text(origin)).await;
    let mut response = match &answer.result {
        Ok(userinfo) => json(StatusCode::OK, &userinfo.claims()),
        Err(cause) => {
            let response = failure(cause, status);
            match cause.refusal() {
                Some(refused) => challenged(response, &refused.error),
                None => response,
            }
        }
    };
    cors::allow_origin(&mut response, origin, answer.origin_allowed);
    response
}

/// RFC 6750 section 3.1.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The token of RFC 6750 section 2.1 or 2.2; the query of section 2.3 is refused, since it ends in logs.
fn access_token<'a>(
    query: Option<&str>,
    headers: &'a HeaderMap,
    form: Option<&'a Parameters>,
) -> Result<Option<&'a str>, Error> {
    let invalid = |description| Error::new(ErrorCode::InvalidRequest, description);
    if query.is_some_and(names_access_token) {
        return Err(invalid("an access token must not be in the query"));
    }
    let in_header = single_header(headers, &AUTHORIZATION)?.and_then(bearer);
    let in_form = match form.map(|form| form.single("access_token")) {
        None => None,
        Some(Ok(token)) => token,
        Some(Err(_)) => return Err(invalid("the parameter access_token is repeated")),
    };
    if in_header.is_some() && in_form.is_some() {
        return Err(invalid("the access token was sent in two ways"));
    }
    Ok(in_header.or(in_form))
}

/// Unreadable queries count as naming it: a refusal is the safe side.
fn names_access_token(query: &str) -> bool {
    Parameters::parse(query.as_bytes()).map_or(true, |parameters| {
        parameters.iter().any(|(name, _)| name == "access_token")
    })
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then(|| token.trim_matches(' '))
}

/// RFC 6750 section 3.1: a request without any token gets a challenge without an error code.
fn no_token() -> Response {
    let mut response = refusal(
        StatusCode::UNAUTHORIZED,
        &Error::new(ErrorCode::InvalidToken, "an access token is required"),
    );
    response.headers_mut().insert(
        WWW_AUTHENTICATE,
        HeaderValue::from_static(r#"Bearer realm="claviger""#),
    );
    response
}

/// RFC 6750 section 3. Descriptions hold neither `"` nor `\`.
fn challenged(mut response: Response, error: &Error) -> Response {
    let challenge = format!(
        r#"Bearer realm="claviger", error="{}", error_description="{}""#,
        error.code, error.description
    );
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
