//! `/authorize`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::page::redirect;
use super::visit::Visit;
use super::{answer, error_page};
use crate::http::form::{Form, FormRejection};
use crate::oidc::discovery::AUTHORIZATION_PATH;
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;

/// The most bytes of parameters in a POST: sealed, they must fit into the URL of the GET that follows.
const MAX_POSTED: usize = 8 * 1024;

/// The parameter by which the browser brings sealed parameters back.
const POSTED: &str = "claviger_posted";

/// An authorization request.
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let parameters = match Parameters::parse(query.as_bytes()) {
        Ok(parameters) => parameters,
        Err(error) => {
            return error_page::malformed(&provider, &visit, StatusCode::BAD_REQUEST, error.to_string());
        }
    };
    let step = match parameters.single(POSTED) {
        Ok(Some(sealed)) => match provider.open_posted_request(sealed) {
            Ok(parameters) => provider.authorize(&parameters, &visit.browser).await,
            Err(error) => Err(error),
        },
        _ => provider.authorize(&parameters, &visit.browser).await,
    };
    answer(&provider, &visit, step)
}

/// The same by POST: it comes from another site, and `SameSite=Lax` cookies do not come with it. So the parameters go back
/// to the browser, sealed, and it asks again by GET.
pub(super) async fn post(
    State(provider): State<Provider>,
    visit: Visit,
    form: Result<Form, FormRejection>,
) -> Response {
    let parameters = match form {
        Ok(Form(parameters)) => parameters,
        Err(rejection) => {
            return error_page::malformed(&provider, &visit, rejection.status(), rejection.to_string());
        }
    };
    if parameters.encode().len() > MAX_POSTED {
        let cause = format!("a posted authorization request of more than {MAX_POSTED} bytes");
        return error_page::malformed(&provider, &visit, StatusCode::PAYLOAD_TOO_LARGE, cause);
    }
    match provider.seal_posted_request(&parameters) {
        Ok(sealed) => {
            let path = provider.issuer().path();
            redirect(
                provider.issuer(),
                &format!("{path}{AUTHORIZATION_PATH}?{POSTED}={sealed}"),
            )
        }
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}
