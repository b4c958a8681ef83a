//! The headers of DPoP (RFC 9449): `DPoP` of a request, `DPoP-Nonce` and the challenge of a response.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::http::json;
use crate::oidc::dpop_proof::ProofHeader;
use crate::oidc::jwk::SignatureAlgorithm;
use crate::provider::Provider;
use crate::provider::answer::Answer;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// `algs` of the challenge (section 7.1).
pub(super) static ALGORITHMS: LazyLock<String> =
    LazyLock::new(|| SignatureAlgorithm::ALL.map(SignatureAlgorithm::as_str).join(" "));

/// Every value of the header.
pub(super) fn values(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(DPOP).iter().cloned().collect()
}

/// What the provider is told of them.
pub(super) fn header(values: &[HeaderValue]) -> ProofHeader<'_> {
    match values {
        [] => ProofHeader::Absent,
        [one] => ProofHeader::One(one.as_bytes()),
        _ => ProofHeader::Repeated,
    }
}

/// The response with the nonce of the next proof, where the app needs one.
pub(super) fn with_nonce<T>(
    mut response: Response,
    provider: &Provider,
    header: ProofHeader<'_>,
    answer: &Answer<T>,
) -> Response {
    match provider.next_dpop_nonce(header, answer.result.as_ref().err()) {
        Ok(nonce) => {
            if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
                response.headers_mut().insert(DPOP_NONCE, nonce);
            }
            response
        }
        Err(fault) => json::fault(&fault),
    }
}
