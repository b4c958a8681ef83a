//! `/logout`: the end of the session at claviger itself, after a confirmation.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::error_page;
use super::page::{FormAction, page, redirect, who};
use super::posted::Posted;
use super::visit::{Visit, clear_session};
use crate::oidc::discovery::END_SESSION_PATH;
use crate::provider::Provider;

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOutPage<'a> {
    base: &'a str,
    who: String,
    csrf_token: &'a str,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage;

/// Asks whoever is signed in; a link alone signs nobody out (RP-Initiated Logout section 2).
pub(super) async fn get(State(provider): State<Provider>, visit: Visit) -> Response {
    let issuer = provider.issuer();
    match provider.signed_in(&visit.browser).await {
        Ok(Some(user)) => match provider.csrf_token(&visit.browser) {
            Ok(csrf_token) => {
                let template = SignOutPage {
                    base: issuer.path(),
                    who: who(&user),
                    csrf_token: &csrf_token,
                };
                let mut response = page(issuer, StatusCode::OK, FormAction::Here, &template);
                visit.remember_browser(issuer, &mut response);
                response
            }
            Err(error) => error_page::of(&provider, &visit, &error),
        },
        Ok(None) => {
            let mut response = page(issuer, StatusCode::OK, FormAction::Nowhere, &SignedOutPage);
            if visit.browser.session.is_some() {
                clear_session(issuer, &mut response);
            }
            response
        }
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

/// Ends the session.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let visit = posted.visit;
    match provider.sign_out(&visit.browser).await {
        Ok(()) => {
            let issuer = provider.issuer();
            let mut response = redirect(issuer, &format!("{}{END_SESSION_PATH}", issuer.path()));
            clear_session(issuer, &mut response);
            response
        }
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}
