//! Form bodies (`application/x-www-form-urlencoded`), read with a limit of size and time.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;
use zeroize::Zeroizing;

use super::boundary::Cause;
use super::json::refusal;
use super::limits::{BodyTimeout, MAX_BODY};
use crate::oidc;
use crate::oidc::error::ErrorCode;
use crate::oidc::parameters::{Parameters, ParametersError};

/// The parameters of a form body. As an extractor it answers a bad body with the JSON error of the app endpoints; a page
/// takes `Result<Form, FormRejection>` and shows its own.
pub struct Form(pub Parameters);

/// Why a body is no form.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FormRejection {
    /// Of another media type, or of none.
    #[error("the body must be application/x-www-form-urlencoded")]
    NotAForm,
    /// More than [`MAX_BODY`] bytes.
    #[error("the body is too large")]
    TooLarge,
    /// Not complete within the [`BodyTimeout`].
    #[error("the body took too long to arrive")]
    TooSlow,
    /// The connection broke or its framing is wrong.
    #[error("the body is not complete")]
    Incomplete,
    /// The encoding is wrong, or there are too many parameters.
    #[error("{0}")]
    Parameters(ParametersError),
}

impl FormRejection {
    /// The status that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotAForm | Self::Incomplete | Self::Parameters(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// The error as the specifications have it.
    pub fn error(&self) -> oidc::error::Error {
        oidc::error::Error::new(ErrorCode::InvalidRequest, self.to_string())
    }
}

impl IntoResponse for FormRejection {
    fn into_response(self) -> Response {
        let mut response = refusal(self.status(), &self.error());
        response.extensions_mut().insert(Cause::new(self.to_string()));
        response
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = FormRejection;

    async fn from_request(request: Request, _state: &S) -> Result<Self, FormRejection> {
        if !is_form(request.headers()) {
            return Err(FormRejection::NotAForm);
        }
        let timeout = BodyTimeout::of(request.extensions());
        read(request.into_body(), timeout).await.map(Self)
    }
}

/// Reads a body that is a form, whatever its head says.
pub async fn read(body: Body, BodyTimeout(timeout): BodyTimeout) -> Result<Parameters, FormRejection> {
    let body = tokio::time::timeout(timeout, Limited::new(body, MAX_BODY).collect())
        .await
        .map_err(|_| FormRejection::TooSlow)?
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                FormRejection::TooLarge
            } else {
                FormRejection::Incomplete
            }
        })?;
    let bytes = Zeroizing::new(Vec::from(body.to_bytes()));
    Parameters::parse(&bytes).map_err(FormRejection::Parameters)
}

/// Whether the body is said to be a form; parameters of the media type, such as a charset, do not matter.
pub fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| {
            media_type
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}
