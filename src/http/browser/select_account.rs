//! `/select-account`.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{FormAction, page, who};
use super::posted::Posted;
use super::visit::Visit;
use super::{answer, error_page};
use crate::provider::Provider;
use crate::provider::interaction::ClientFacts;
use crate::provider::select_account::{Choice, SelectAccountForm};

/// Below the issuer.
pub(super) const PATH: &str = "/select-account";

#[derive(Template)]
#[template(path = "select_account.html")]
struct SelectAccountPage<'a> {
    base: &'a str,
    client: &'a ClientFacts,
    who: String,
    csrf_token: &'a str,
    sealed: &'a str,
}

/// Asks the person.
pub(super) fn form(provider: &Provider, visit: &Visit, form: &SelectAccountForm) -> Response {
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(token) => token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let template = SelectAccountPage {
        base: provider.issuer().path(),
        client: &form.client,
        who: who(&form.user),
        csrf_token: &csrf_token,
        sealed: &form.sealed,
    };
    let action = FormAction::leading_to(form.redirect_uri.as_deref());
    let mut response = page(provider.issuer(), StatusCode::OK, action, &template);
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

/// Takes the choice.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let sealed = fields
        .single("interaction")
        .unwrap_or_default()
        .unwrap_or_default();
    // Only the button goes on with the account.
    let choice = match fields.single("answer") {
        Ok(Some("continue")) => Choice::Continue,
        _ => Choice::Another,
    };
    let step = provider.choose_account(sealed, choice, &visit.browser).await;
    answer(&provider, &visit, step)
}
