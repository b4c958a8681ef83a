//! Forms that a page of ours sent back: proof first, then values.
//!
//! Two things must hold (cross-site request forgery): the browser says that a page of this origin sent the form, and the
//! form carries the synchronizer token that was shown to this very browser.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::response::Response;
use thiserror::Error;

use super::error_page;
use super::visit::Visit;
use crate::http::form::{Form, FormRejection};
use crate::oidc::issuer::Issuer;
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;

/// A form that was shown to the browser that sent it.
pub(super) struct Posted {
    /// The browser.
    pub(super) visit: Visit,
    /// The fields.
    pub(super) fields: Parameters,
}

/// Why a form is not accepted.
#[derive(Debug, Error)]
pub(super) enum PostedRejection {
    /// The body is no form.
    #[error("{0}")]
    Form(FormRejection),
    /// Another site sent it, or nobody says who did.
    #[error("the form does not come from a page of this origin")]
    Origin,
    /// Without the token that was shown to this browser.
    #[error("the form does not carry this browser's token")]
    Token,
}

impl FromRequest<Provider> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, provider: &Provider) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(visit) = Visit::from_request_parts(&mut parts, provider).await;
        let result = if is_same_origin(&parts.headers, provider.issuer()) {
            Form::from_request(Request::from_parts(parts, body), provider)
                .await
                .map_err(PostedRejection::Form)
        } else {
            Err(PostedRejection::Origin)
        };
        let rejection = match result {
            Ok(Form(fields)) => {
                let token = fields.single("csrf_token").unwrap_or_default();
                if token.is_some_and(|token| provider.is_csrf_token(&visit.browser, token)) {
                    return Ok(Self { visit, fields });
                }
                PostedRejection::Token
            }
            Err(rejection) => rejection,
        };
        Err(error_page::posted(provider, &visit, &rejection))
    }
}

/// `Sec-Fetch-Site` where the browser sends it, and `Origin` where it sends that; browsers send one of them at least with
/// every POST. What they say must agree.
fn is_same_origin(headers: &HeaderMap, issuer: &Issuer) -> bool {
    let site = headers.get("sec-fetch-site");
    let origin = headers.get(ORIGIN);
    let site_agrees = site.is_none_or(|site| site == "same-origin");
    let origin_agrees = origin.is_none_or(|origin| origin.as_bytes() == issuer.origin().as_bytes());
    (site.is_some() || origin.is_some()) && site_agrees && origin_agrees
}
