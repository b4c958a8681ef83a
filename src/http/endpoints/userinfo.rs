//! `GET` and `POST /api/userinfo` (OpenID Connect Core section 5.3, RFC 6750, RFC 9449 section 7).

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{dpop, single_header};
use crate::http::cors;
use crate::http::form;
use crate::http::json::{failure, json, refusal};
use crate::http::limits::BodyTimeout;
use crate::oidc::access_token::TokenType;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::userinfo::{Scheme, ShownToken};

/// `GET`: the token is in the header.
pub(super) async fn get(State(provider): State<Provider>, request: Request) -> Response {
    answer(
        &provider,
        &Method::GET,
        request.uri().query(),
        request.headers(),
        None,
    )
    .await
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
    answer(
        &provider,
        &Method::POST,
        parts.uri.query(),
        &parts.headers,
        form.as_ref(),
    )
    .await
}

async fn answer(
    provider: &Provider,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
    form: Option<&Parameters>,
) -> Response {
    let (token_type, token) = match access_token(query, headers, form) {
        Ok(Some(found)) => found,
        Ok(None) => return no_token(),
        Err(error) => {
            return challenged(
                refusal(StatusCode::BAD_REQUEST, &error),
                TokenType::Bearer,
                &error,
            );
        }
    };
    let values = dpop::values(headers);
    let proof = dpop::header(&values);
    let shown = ShownToken {
        token,
        scheme: match token_type {
            TokenType::Bearer => Scheme::Bearer,
            TokenType::Dpop => Scheme::Dpop {
                proof,
                method: method.as_str(),
            },
        },
    };
    let origin = headers.get(ORIGIN);
    let answer = provider.userinfo(&shown, cors::origin_text(origin)).await;
    let response = match &answer.result {
        Ok(userinfo) => json(StatusCode::OK, &userinfo.claims()),
        Err(cause) => {
            let response = failure(cause, status);
            match cause.refusal() {
                Some(refused) => challenged(response, token_type, &refused.error),
                None => response,
            }
        }
    };
    let mut response = dpop::with_nonce(response, provider, proof, &answer);
    cors::allow_origin(&mut response, origin, answer.origin_allowed);
    response
}

/// RFC 6750 section 3.1, RFC 9449 section 7.1.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidToken | ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The token of RFC 6750 section 2.1 or 2.2, or of RFC 9449 section 7.1; the query of section 2.3 is refused, since it ends in logs.
fn access_token<'a>(
    query: Option<&str>,
    headers: &'a HeaderMap,
    form: Option<&'a Parameters>,
) -> Result<Option<(TokenType, &'a str)>, Error> {
    let invalid = |description| Error::new(ErrorCode::InvalidRequest, description);
    if query.is_some_and(names_access_token) {
        return Err(invalid("an access token must not be in the query"));
    }
    let in_header = single_header(headers, &AUTHORIZATION)?.and_then(credentials);
    let in_form = match form.map(|form| form.single("access_token")) {
        None => None,
        Some(Ok(token)) => token,
        Some(Err(_)) => return Err(invalid("the parameter access_token is repeated")),
    };
    if in_header.is_some() && in_form.is_some() {
        return Err(invalid("the access token was sent in two ways"));
    }
    Ok(in_header.or(in_form.map(|token| (TokenType::Bearer, token))))
}

/// Unreadable queries count as naming it: a refusal is the safe side.
fn names_access_token(query: &str) -> bool {
    Parameters::parse(query.as_bytes()).map_or(true, |parameters| {
        parameters.iter().any(|(name, _)| name == "access_token")
    })
}

/// Another scheme is as good as none.
fn credentials(value: &HeaderValue) -> Option<(TokenType, &str)> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    [TokenType::Bearer, TokenType::Dpop]
        .into_iter()
        .find(|token_type| scheme.eq_ignore_ascii_case(token_type.as_str()))
        .map(|token_type| (token_type, token.trim_matches(' ')))
}

/// RFC 6750 section 3.1: a request without any token gets a challenge without an error code.
fn no_token() -> Response {
    let mut response = refusal(
        StatusCode::UNAUTHORIZED,
        &Error::new(ErrorCode::InvalidToken, "an access token is required"),
    );
    let both = format!(
        "{}, {}",
        challenge(TokenType::Bearer, ""),
        challenge(TokenType::Dpop, "")
    );
    insert_challenge(&mut response, &both);
    response
}

/// RFC 6750 section 3 and RFC 9449 section 7.1: the challenge of the scheme that was used says what is wrong, and a request
/// that is not authorized hears of the other scheme too (section 7.2). Descriptions hold neither `"` nor `\`.
fn challenged(mut response: Response, used: TokenType, error: &Error) -> Response {
    let why = format!(
        r#", error="{}", error_description="{}""#,
        error.code, error.description
    );
    let mut challenges = challenge(used, &why);
    if response.status() == StatusCode::UNAUTHORIZED {
        let other = match used {
            TokenType::Bearer => TokenType::Dpop,
            TokenType::Dpop => TokenType::Bearer,
        };
        challenges = format!("{challenges}, {}", challenge(other, ""));
    }
    insert_challenge(&mut response, &challenges);
    response
}

fn challenge(token_type: TokenType, why: &str) -> String {
    match token_type {
        TokenType::Bearer => format!(r#"Bearer realm="claviger"{why}"#),
        TokenType::Dpop => format!(r#"DPoP algs="{}"{why}"#, *dpop::ALGORITHMS),
    }
}

fn insert_challenge(response: &mut Response, challenges: &str) {
    if let Ok(challenges) = HeaderValue::from_str(challenges) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenges);
    }
}
