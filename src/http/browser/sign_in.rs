//! `/login`.

use std::borrow::Cow;

use askama::Template;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::page::{FormAction, page};
use super::posted::Posted;
use super::visit::{Visit, set_known_browser, set_session};
use super::{answer, error_page};
use crate::http::wait::{in_words, whole_seconds};
use crate::oidc::password::Password;
use crate::provider::Provider;
use crate::provider::interaction::{BrowserError, ClientFacts, Notice, Refusal, SignInForm};
use crate::provider::sign_in::Attempt;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    base: &'a str,
    client: Option<&'a ClientFacts>,
    message: Option<Cow<'static, str>>,
    refused: bool,
    csrf_token: &'a str,
    sealed: &'a str,
    username: &'a str,
}

/// The form.
pub(super) fn form(provider: &Provider, visit: &Visit, form: &SignInForm) -> Response {
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(token) => token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let (status, message) = match form.notice {
        None => (StatusCode::OK, None),
        Some(Notice::Refused) => (
            StatusCode::FORBIDDEN,
            Some("Username or password is not right. Please try again.".into()),
        ),
        Some(Notice::Busy) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Some("Many people are signing in right now. Please try again in a moment.".into()),
        ),
        Some(Notice::Wait(wait)) => (
            StatusCode::TOO_MANY_REQUESTS,
            Some(
                format!(
                    "Too many sign-ins have failed. Please try again in {}.",
                    in_words(wait)
                )
                .into(),
            ),
        ),
    };
    let template = SignInPage {
        base: provider.issuer().path(),
        client: form.client.as_ref(),
        message,
        refused: form.notice == Some(Notice::Refused),
        csrf_token: &csrf_token,
        sealed: &form.sealed,
        username: &form.username,
    };
    let action = FormAction::leading_to(form.redirect_uri.as_deref());
    let mut response = page(provider.issuer(), status, action, &template);
    let retry_after = match form.notice {
        Some(Notice::Busy) => Some(2),
        // RFC 6585 section 4.
        Some(Notice::Wait(wait)) => Some(whole_seconds(wait)),
        Some(Notice::Refused) | None => None,
    };
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

/// The form lives at `/authorize`, where a request says what it is for, and at the account page; who comes here otherwise is
/// told so.
pub(super) async fn get(State(provider): State<Provider>, visit: Visit) -> Response {
    let error = BrowserError::Refused(Refusal::InteractionGone, None);
    error_page::of(&provider, &visit, &error)
}

/// Username and password.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let field = |name| fields.single(name).unwrap_or_default().unwrap_or_default();
    let attempt = Attempt {
        sealed: field("interaction").to_owned(),
        username: field("username").to_owned(),
        password: Password::new(field("password")),
    };
    match provider.sign_in(attempt, &visit.browser).await {
        Ok(outcome) => {
            let mut response = answer(&provider, &visit, Ok(outcome.step));
            if let Some(session) = outcome.session {
                set_session(provider.issuer(), &mut response, &session);
            }
            if let Some(known) = outcome.known_browser {
                set_known_browser(provider.issuer(), &mut response, &known);
            }
            response
        }
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}
