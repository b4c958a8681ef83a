//! `/device`: where a person types the code that a device shows, and how that ends.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::page::{FormAction, page};
use super::posted::Posted;
use super::visit::Visit;
use super::{answer, error_page, sign_in};
use crate::http::wait::{in_words, whole_seconds};
use crate::oidc::parameters::Parameters;
use crate::oidc::user_code::UserCode;
use crate::provider::Provider;
use crate::provider::device::{DeviceEnd, UserCodeOutcome};
use crate::provider::interaction::Step;

/// The parameter of `verification_uri_complete` (RFC 8628 section 3.3.1) and the field of the form.
const USER_CODE: &str = "user_code";

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    base: &'a str,
    message: Option<Cow<'static, str>>,
    user_code: String,
    csrf_token: &'a str,
}

#[derive(Template)]
#[template(path = "device_end.html")]
struct DeviceEndPage {
    id: &'static str,
    title: &'static str,
    text: &'static str,
}

/// The form. A code in the address only fills it in: the person looks whether it is the one that their device shows (RFC 8628
/// section 5.4).
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let given = parameters.single(USER_CODE).unwrap_or_default();
    let user_code = given.and_then(UserCode::parse).map(|code| code.shown());
    form(
        &provider,
        &visit,
        StatusCode::OK,
        None,
        user_code.unwrap_or_default(),
    )
}

/// Takes the code.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let typed = fields.single(USER_CODE).unwrap_or_default().unwrap_or_default();
    match provider.enter_user_code(typed, &visit.browser).await {
        Ok(UserCodeOutcome::GoesOn(step)) => match *step {
            // An address that can be loaded again, without sending the code once more.
            Step::SignIn(shown) => sign_in::at_its_own_address(&provider, &visit, &shown),
            step => answer(&provider, &visit, Ok(step)),
        },
        Ok(UserCodeOutcome::Unknown) => form(
            &provider,
            &visit,
            StatusCode::BAD_REQUEST,
            Some(
                "No device waits with this code. Look at the code again, or start anew on the device.".into(),
            ),
            String::new(),
        ),
        Ok(UserCodeOutcome::Wait(wait)) => {
            let message = format!(
                "Too many codes were wrong. Please try again in {}.",
                in_words(wait)
            );
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut response = form(&provider, &visit, status, Some(message.into()), String::new());
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            response
        }
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

fn form(
    provider: &Provider,
    visit: &Visit,
    status: StatusCode,
    message: Option<Cow<'static, str>>,
    user_code: String,
) -> Response {
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(token) => token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let template = DevicePage {
        base: provider.issuer().path(),
        message,
        user_code,
        csrf_token: &csrf_token,
    };
    let mut response = page(provider.issuer(), status, FormAction::Here, &template);
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

/// The last page: the rest happens on the device.
pub(super) fn end(provider: &Provider, end: DeviceEnd) -> Response {
    let (status, template) = match end {
        DeviceEnd::Allowed => (
            StatusCode::OK,
            DeviceEndPage {
                id: "device-allowed",
                title: "Your device is signed in",
                text: "Go on there; it takes a few seconds to notice. You can close this page.",
            },
        ),
        DeviceEnd::Denied => (
            StatusCode::OK,
            DeviceEndPage {
                id: "device-denied",
                title: "Your device is not signed in",
                text: "You said no, and it gets nothing. You can close this page.",
            },
        ),
        DeviceEnd::Refused => (
            StatusCode::FORBIDDEN,
            DeviceEndPage {
                id: "device-refused",
                title: "You may not use this app",
                text: "The device gets nothing. If you need the app, ask whoever runs it.",
            },
        ),
    };
    page(provider.issuer(), status, FormAction::Nowhere, &template)
}
