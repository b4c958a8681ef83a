//! `POST /api/device` (RFC 8628 section 3.1).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::client_request::Received;
use crate::http::json::json;
use crate::provider::Provider;
use crate::provider::device::DeviceAuthorization;

/// The handler.
pub(super) async fn authorize(State(provider): State<Provider>, received: Received) -> Response {
    let answer = provider.authorize_device(received.as_request()).await;
    received.respond(&provider, &answer, success)
}

fn success(device: &DeviceAuthorization) -> Response {
    /// RFC 8628 section 3.2. Lives only for the length of this function.
    #[derive(Serialize)]
    struct Body<'a> {
        device_code: &'a str,
        user_code: String,
        verification_uri: &'a str,
        verification_uri_complete: &'a str,
        expires_in: u64,
        interval: u64,
    }
    json(
        StatusCode::OK,
        &Body {
            device_code: device.device_code.expose(),
            user_code: device.user_code.shown(),
            verification_uri: &device.verification_uri,
            verification_uri_complete: &device.verification_uri_complete,
            expires_in: device.expires_in.as_secs(),
            interval: device.interval.as_secs(),
        },
    )
}
