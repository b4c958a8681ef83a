//! What a person's browser meets: `/authorize`, sign-in, consent, sign-out, the account and their pages.
//!
//! Handlers translate: cookies and forms into the provider's requests, its [`Step`]s into pages and redirects. They decide
//! nothing.

mod account;
mod authorize;
mod consent;
mod error_page;
mod home;
mod page;
mod password;
mod posted;
mod sign_in;
mod sign_out;
mod visit;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use crate::oidc::discovery::{AUTHORIZATION_PATH, END_SESSION_PATH};
use crate::provider::Provider;
use crate::provider::interaction::{BrowserError, Step};
use page::redirect;
use visit::Visit;

pub use error_page::server_error;

/// The routes.
pub fn routes() -> Router<Provider> {
    Router::new()
        .route("/", get(home::get))
        .route(account::PATH, get(account::get))
        .route("/account/end-session", post(account::end_session))
        .route("/account/end-other-sessions", post(account::end_other_sessions))
        .route("/account/end-app", post(account::end_app))
        .route("/account/password", get(password::get).post(password::post))
        .route(AUTHORIZATION_PATH, get(authorize::get).post(authorize::post))
        .route("/login", get(sign_in::get).post(sign_in::post))
        .route("/consent", get(consent::get).post(consent::post))
        .route(END_SESSION_PATH, get(sign_out::get).post(sign_out::post))
}

/// A step of an interaction as a response.
fn answer(provider: &Provider, visit: &Visit, step: Result<Step, BrowserError>) -> Response {
    let issuer = provider.issuer();
    match step {
        Ok(Step::SignIn(form)) => sign_in::form(provider, visit, &form),
        Ok(Step::AskConsent(handle)) => {
            let path = issuer.path();
            let handle = handle.expose();
            let location = format!("{path}/consent?{}={handle}", consent::INTERACTION);
            let mut response = redirect(issuer, &location);
            visit.remember_browser(issuer, &mut response);
            response
        }
        Ok(Step::Account) => redirect(issuer, &format!("{}{}", issuer.path(), account::PATH)),
        Ok(Step::Respond(response)) => redirect(issuer, response.location()),
        Err(error) => error_page::of(provider, visit, &error),
    }
}
