//! What a person's browser meets: `/authorize`, sign-in, consent, sign-out, the account and their pages.
//!
//! Handlers translate: cookies and forms into the provider's requests, its [`Step`]s into pages and redirects. They decide
//! nothing.

mod account;
mod authorize;
mod consent;
mod device;
mod error_page;
mod home;
mod page;
mod password;
mod posted;
mod rate_limited;
mod resent;
mod respond;
mod select_account;
mod sign_in;
mod sign_out;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use crate::http::rate_limit::{Limiter, RateLimiters};
use crate::oidc::discovery::{AUTHORIZATION_PATH, END_SESSION_PATH, VERIFICATION_PATH};
use crate::provider::Provider;
use crate::provider::interaction::{BrowserError, Step};
use page::redirect;
use rate_limited::Guard;
use visit::Visit;

pub use error_page::server_error;

/// The routes.
pub(super) fn routes(provider: &Provider, limiters: &RateLimiters) -> Router<Provider> {
    let limited = |limiter: &Arc<Limiter>| {
        let guard = Guard {
            limiter: Arc::clone(limiter),
            provider: provider.clone(),
        };
        from_fn_with_state(guard, rate_limited::admit)
    };
    let authorize = get(authorize::get).post(authorize::post);
    let password = post(password::post).layer(limited(&limiters.login));
    let sign_in = post(sign_in::post).layer(limited(&limiters.login));
    let user_code = post(device::post).layer(limited(&limiters.login));
    // It goes on as `/authorize` does.
    let resumed = get(sign_in::get).layer(limited(&limiters.authorize));
    // Each choice goes on with an interaction, which is kept.
    let select_account = post(select_account::post).layer(limited(&limiters.authorize));
    Router::new()
        .route("/", get(home::get))
        // The page reads all that a person holds.
        .route(
            account::PATH,
            get(account::get).layer(limited(&limiters.authorize)),
        )
        .route("/account/end-session", post(account::end_session))
        .route("/account/end-other-sessions", post(account::end_other_sessions))
        .route("/account/end-app", post(account::end_app))
        .route("/account/password", get(password::get).merge(password))
        .route(AUTHORIZATION_PATH, authorize.layer(limited(&limiters.authorize)))
        .route("/login", resumed.clone().merge(sign_in))
        .route(select_account::PATH, resumed.merge(select_account))
        .route(VERIFICATION_PATH, get(device::get).merge(user_code))
        .route("/consent", get(consent::get).post(consent::post))
        .route(
            END_SESSION_PATH,
            get(sign_out::get)
                .post(sign_out::post)
                .layer(limited(&limiters.authorize)),
        )
        .route(
            sign_out::CONFIRM_PATH,
            get(sign_out::gone).post(sign_out::confirm),
        )
}

/// A step of an interaction as a response.
fn answer(provider: &Provider, visit: &Visit, step: Result<Step, BrowserError>) -> Response {
    let issuer = provider.issuer();
    match step {
        Ok(Step::SignIn(form)) => sign_in::form(provider, visit, &form),
        Ok(Step::SelectAccount(form)) => select_account::form(provider, visit, &form),
        Ok(Step::AskConsent(handle)) => {
            let path = issuer.path();
            let handle = handle.expose();
            let location = format!("{path}/consent?{}={handle}", consent::INTERACTION);
            let mut response = redirect(issuer, &location);
            visit.remember_browser(issuer, &mut response);
            response
        }
        Ok(Step::Account) => redirect(issuer, &format!("{}{}", issuer.path(), account::PATH)),
        Ok(Step::Respond(response)) => respond::to_the_app(provider, &response),
        Ok(Step::Device(end)) => device::end(provider, end),
        Err(error) => error_page::of(provider, visit, &error),
    }
}
