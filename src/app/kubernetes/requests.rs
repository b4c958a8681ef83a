//! The client of the Kubernetes API: how patient its requests are, and that they are counted, whoever sends them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::ClientBuilder;
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::util::MapFutureLayer;
use tower::{Layer, Service};

use super::patience::{self, KeepRetryAfter};
use crate::telemetry::metrics::Metrics;

/// As many as kube buffers itself.
const BUFFER: usize = 1024;

/// A client whose requests are counted, each try for itself. A connection that was silently dropped is noticed when
/// `watch_timeout` is over, and by a request that waits for its answer after a minute or `watch_timeout`, whichever is
/// shorter.
pub(super) fn client(
    mut config: kube::Config,
    watch_timeout: Duration,
    metrics: &Metrics,
) -> Result<Client, kube::Error> {
    patience::configure(&mut config, watch_timeout);
    let limit = patience::longest_answer(watch_timeout);
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&Counting(metrics.clone()))
        .with_layer(&MapFutureLayer::new(move |answer| {
            patience::within(limit, answer)
        }))
        // Only what can be cloned can be tried again.
        .with_layer(&BufferLayer::new(BUFFER))
        .with_layer(&RetryLayer::new(KeepRetryAfter::default()))
        .build())
}

struct Counting(Metrics);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            metrics: self.0.clone(),
        }
    }
}

struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = name(request.method());
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let status = answer.as_ref().ok().map(|response| response.status().as_u16());
            metrics.kubernetes_request(method, status);
            answer
        })
    }
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
