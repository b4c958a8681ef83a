//! `/`: who is signed in.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::error_page;
use super::page::{FormAction, page, who};
use super::visit::Visit;
use crate::provider::Provider;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    base: &'a str,
    who: Option<String>,
}

/// The page.
pub(super) async fn get(State(provider): State<Provider>, visit: Visit) -> Response {
    match provider.signed_in(&visit.browser).await {
        Ok(user) => {
            let template = HomePage {
                base: provider.issuer().path(),
                who: user.as_ref().map(who),
            };
            page(provider.issuer(), StatusCode::OK, FormAction::Nowhere, &template)
        }
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}
