//! `/logout`: the end of the session at claviger, asked for by the person or by an app.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::error_page;
use super::page::{FormAction, page, redirect, who};
use super::posted::Posted;
use super::resent;
use super::visit::{Visit, clear_session};
use crate::http::form::{Form, FormRejection};
use crate::oidc::discovery::END_SESSION_PATH;
use crate::provider::Provider;
use crate::provider::interaction::{BrowserError, ClientFacts, Refusal};
use crate::provider::resent::Endpoint;
use crate::provider::sign_out::{SignOut, SignOutForm};

/// Where the page that asks leads, below the issuer. Apps post to `/logout` itself, and have no token of ours.
pub(super) const CONFIRM_PATH: &str = "/logout/confirm";

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOutPage<'a> {
    base: &'a str,
    client: Option<&'a ClientFacts>,
    who: String,
    csrf_token: &'a str,
    sealed: &'a str,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage;

/// Signs out, or asks whoever is signed in; a link alone signs nobody out (RP-Initiated Logout section 2).
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = match resent::parameters(&provider, &visit, Endpoint::EndSession, query) {
        Ok(parameters) => parameters,
        Err(refused) => return *refused,
    };
    match provider.end_session(&parameters, &visit.browser).await {
        Ok(SignOut::Ask(form)) => ask(&provider, &visit, &form),
        Ok(SignOut::Done { location, ended }) => done(&provider, &visit, location, ended),
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

/// The same by POST, from an app's site.
pub(super) async fn post(
    State(provider): State<Provider>,
    visit: Visit,
    form: Result<Form, FormRejection>,
) -> Response {
    resent::by_get(&provider, &visit, Endpoint::EndSession, form)
}

/// Takes the person's yes.
pub(super) async fn confirm(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let sealed = fields.single("request").unwrap_or_default().unwrap_or_default();
    match provider.confirm_sign_out(sealed, &visit.browser).await {
        Ok(location) => done(&provider, &visit, location, true),
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

fn ask(provider: &Provider, visit: &Visit, form: &SignOutForm) -> Response {
    let issuer = provider.issuer();
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(csrf_token) => csrf_token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let template = SignOutPage {
        base: issuer.path(),
        client: form.client.as_ref(),
        who: who(&form.user),
        csrf_token: &csrf_token,
        sealed: &form.sealed,
    };
    let action = FormAction::leading_to(form.redirect_uri.as_deref());
    let mut response = page(issuer, StatusCode::OK, action, &template);
    visit.remember_browser(issuer, &mut response);
    response
}

/// Back to the app, or to a page that says so, at an address that holds nothing of the request.
fn done(provider: &Provider, visit: &Visit, location: Option<String>, ended: bool) -> Response {
    let issuer = provider.issuer();
    let mut response = match location {
        Some(location) => redirect(issuer, &location),
        None if ended => redirect(issuer, &format!("{}{END_SESSION_PATH}", issuer.path())),
        None => page(issuer, StatusCode::OK, FormAction::Nowhere, &SignedOutPage),
    };
    if visit.browser.session.is_some() {
        clear_session(issuer, &mut response);
    }
    response
}

/// The page that asks is shown where it is asked for; who comes to its address otherwise is told so.
pub(super) async fn gone(State(provider): State<Provider>, visit: Visit) -> Response {
    let error = BrowserError::Refused(Refusal::InteractionGone, None);
    error_page::of(&provider, &visit, &error)
}
