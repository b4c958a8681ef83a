//! Requests of apps that come by POST: from another site, and `SameSite=Lax` cookies do not come with them. So the
//! parameters go back to the browser, sealed, and it asks again by GET.

use axum::http::StatusCode;
use axum::response::Response;

use super::error_page;
use super::page::redirect;
use super::visit::Visit;
use crate::http::form::{Form, FormRejection};
use crate::oidc::discovery::{AUTHORIZATION_PATH, END_SESSION_PATH};
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::resent::Endpoint;

/// The most bytes of parameters in a POST: sealed, they must fit into the URL of the GET that follows.
const MAX_POSTED: usize = 8 * 1024;

/// The parameter by which the browser brings sealed parameters back.
const POSTED: &str = "claviger_posted";

/// Sends the browser to GET.
pub(super) fn by_get(
    provider: &Provider,
    visit: &Visit,
    endpoint: Endpoint,
    form: Result<Form, FormRejection>,
) -> Response {
    let parameters = match form {
        Ok(Form(parameters)) => parameters,
        Err(rejection) => {
            return error_page::malformed(
                provider,
                visit,
                endpoint,
                rejection.status(),
                rejection.to_string(),
            );
        }
    };
    if parameters.encode().len() > MAX_POSTED {
        let cause = format!("a posted request of more than {MAX_POSTED} bytes");
        return error_page::malformed(provider, visit, endpoint, StatusCode::PAYLOAD_TOO_LARGE, cause);
    }
    let path = match endpoint {
        Endpoint::Authorization => AUTHORIZATION_PATH,
        Endpoint::EndSession => END_SESSION_PATH,
    };
    match provider.seal_posted_request(endpoint, &parameters) {
        Ok(sealed) => {
            let base = provider.issuer().path();
            redirect(provider.issuer(), &format!("{base}{path}?{POSTED}={sealed}"))
        }
        Err(error) => error_page::of(provider, visit, &error),
    }
}

/// The parameters of a GET, by whichever way they came; else the page that says why there are none.
pub(super) fn parameters(
    provider: &Provider,
    visit: &Visit,
    endpoint: Endpoint,
    query: Option<String>,
) -> Result<Parameters, Box<Response>> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| {
        let cause = error.to_string();
        Box::new(error_page::malformed(
            provider,
            visit,
            endpoint,
            StatusCode::BAD_REQUEST,
            cause,
        ))
    })?;
    match parameters.single(POSTED) {
        Ok(Some(sealed)) => provider
            .open_posted_request(endpoint, sealed)
            .map_err(|error| Box::new(error_page::of(provider, visit, &error))),
        _ => Ok(parameters),
    }
}
