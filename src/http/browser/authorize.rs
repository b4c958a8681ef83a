//! `/authorize`.

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::visit::Visit;
use super::{answer, resent, sign_in};
use crate::http::form::{Form, FormRejection};
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::interaction::Step;
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
    match provider.authorize(&parameters, &visit.browser).await {
        // What a `request_uri` names can be used once, and people load pages again.
        Ok(Step::SignIn(form)) if is_by_reference(&parameters) => {
            sign_in::at_its_own_address(&provider, &visit, &form)
        }
        step => answer(&provider, &visit, step),
    }
}

fn is_by_reference(parameters: &Parameters) -> bool {
    matches!(parameters.single("request_uri"), Ok(Some(_)))
}

/// The same by POST.
pub(super) async fn post(
    State(provider): State<Provider>,
    visit: Visit,
    form: Result<Form, FormRejection>,
) -> Response {
    resent::by_get(&provider, &visit, Endpoint::Authorization, form)
}
