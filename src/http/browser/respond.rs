//! The authorization response on its way through the browser: a redirect, or a page whose form the browser posts to the
//! app (OAuth 2.0 Form Post Response Mode section 2).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::page::{FormAction, page, redirect};
use crate::http::boundary::Cause;
use crate::oidc::authorization_response::AuthorizationResponse;
use crate::oidc::response_mode::ResponseMode;
use crate::provider::Provider;
use crate::random;

#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPostPage<'a> {
    redirect_uri: &'a str,
    parameters: Vec<(&'static str, &'a str)>,
    nonce: &'a str,
}

/// The answer as the app wants it. Why there is no code is for the log too: few apps show `error_description`.
pub(super) fn to_the_app(provider: &Provider, response: &AuthorizationResponse) -> Response {
    let mut answer = match response.response_mode() {
        ResponseMode::Query => redirect(provider.issuer(), &response.location()),
        ResponseMode::FormPost => form_post(provider, response),
    };
    if let Some(error) = response.refusal() {
        answer.extensions_mut().insert(Cause::new(error));
    }
    answer
}

fn form_post(provider: &Provider, response: &AuthorizationResponse) -> Response {
    // Content Security Policy Level 3 section 7.1: at least 128 bits, in base64.
    let nonce = STANDARD.encode(random::bytes::<16>(&*provider.random()));
    let template = FormPostPage {
        redirect_uri: response.redirect_uri(),
        parameters: response.parameters().collect(),
        nonce: &nonce,
    };
    let action = FormAction::Away(response.redirect_uri(), &nonce);
    page(provider.issuer(), StatusCode::OK, action, &template)
}
