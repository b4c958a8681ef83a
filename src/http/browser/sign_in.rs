//! `/login`.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::page::{FormAction, page, redirect};
use super::posted::Posted;
use super::visit::{Visit, set_known_browser, set_session};
use super::{answer, error_page};
use crate::http::wait::{in_words, whole_seconds};
use crate::oidc::parameters::Parameters;
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

/// The parameter and field that carries what the person signs in for.
const INTERACTION: &str = "interaction";
/// Browsers, proxies and our own limit of 16 KiB take addresses up to this length.
const MAX_LOCATION: usize = 15 * 1024;

/// Sends the browser to the form at an address that it can load again, where the request's own is used up. A request that is
/// too long for any address is answered where it came.
pub(super) fn at_its_own_address(provider: &Provider, visit: &Visit, shown: &SignInForm) -> Response {
    let issuer = provider.issuer();
    let location = format!("{}/login?{INTERACTION}={}", issuer.path(), shown.sealed);
    if location.len() > MAX_LOCATION {
        return form(provider, visit, shown);
    }
    let mut response = redirect(issuer, &location);
    visit.remember_browser(issuer, &mut response);
    response
}

/// The form lives at `/authorize`, where a request says what it is for, and at the account page; who comes here otherwise is
/// told so, unless the address says what the form is for.
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let step = match parameters.single(INTERACTION) {
        Ok(Some(sealed)) => provider.resume(sealed, &visit.browser).await,
        _ => Err(BrowserError::Refused(Refusal::InteractionGone, None)),
    };
    answer(&provider, &visit, step)
}

/// Username and password.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let field = |name| fields.single(name).unwrap_or_default().unwrap_or_default();
    let attempt = Attempt {
        sealed: field(INTERACTION).to_owned(),
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
