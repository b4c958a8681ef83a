//! Pages that one network may ask for only so often.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::error_page;
use super::visit::Visit;
use crate::http::client_address;
use crate::http::rate_limit::Limiter;
use crate::provider::Provider;

/// A limit and whose page says so.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) limiter: Arc<Limiter>,
    pub(super) provider: Provider,
}

/// Lets a request through, or answers it with 429.
pub(super) async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard
        .limiter
        .admit_network(client_address::network(request.extensions()))
    {
        Ok(()) => next.run(request).await,
        Err(wait) => refuse(&guard.provider, request, wait).await,
    }
}

async fn refuse(provider: &Provider, request: Request, wait: Duration) -> Response {
    let (mut parts, _) = request.into_parts();
    let Ok(visit) = Visit::from_request_parts(&mut parts, provider).await;
    error_page::too_many_requests(provider, &visit, wait)
}
