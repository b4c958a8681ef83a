//! `/authorize`.

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::visit::Visit;
use super::{answer, resent};
use crate::http::form::{Form, FormRejection};
use crate::provider::Provider;
use crate::provider::resent::Endpoint;

/// An authorization request.
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = match resent::parameters(&provider, &visit, Endpoint::Authorization, query) {
        Ok(parameters) => parameters,
        Err(refused) => return *refused,
    };
    let step = provider.authorize(&parameters, &visit.browser).await;
    answer(&provider, &visit, step)
}

/// The same by POST.
pub(super) async fn post(
    State(provider): State<Provider>,
    visit: Visit,
    form: Result<Form, FormRejection>,
) -> Response {
    resent::by_get(&provider, &visit, Endpoint::Authorization, form)
}
