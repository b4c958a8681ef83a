//! Traces for a collector of OpenTelemetry, by OTLP over HTTP with protobuf. Only in builds with the feature `otlp`.
//!
//! What a span holds is what the log holds: ids, routes and causes, nothing secret. The collector is reached over plain http:
//! one runs in the cluster or beside the process, and takes traces on from there.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;

use super::OuterLayer;
use crate::http::observer::Answered;

const TIMEOUT: Duration = Duration::from_secs(5);
/// A collector has little to say.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why there are no traces.
#[derive(Debug, Error)]
#[error("unable to send traces to {endpoint}: {reason}")]
pub struct TracesError {
    endpoint: String,
    reason: String,
}

/// Where a collector listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Reads a base URL like `http://otel-collector.monitoring:4318`.
    pub fn parse(text: &str) -> Result<Self, String> {
        const USAGE: &str = "write the base URL of a collector, like http://otel-collector.monitoring:4318; plain http only, so \
                             let one that is near take traces on from there";
        let uri: Uri = text.parse().map_err(|_| USAGE.to_owned())?;
        if uri.scheme_str() == Some("http") && uri.host().is_some() && uri.query().is_none() {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(USAGE.to_owned())
        }
    }
}

/// Sends spans until it is shut down.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends what waits, and nothing more. The runtime must still be there.
    pub fn shut_down(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(TIMEOUT) {
            tracing::warn!(%error, "failed to send the last traces");
        }
    }
}

/// Begins to send; `runtime` is where requests to the collector run. Gives the layer of the log that makes spans.
pub fn open(endpoint: &Endpoint, runtime: Handle) -> Result<(Traces, OuterLayer), TracesError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector { runtime })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.0))
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| TracesError {
            endpoint: endpoint.0.clone(),
            reason: error.to_string(),
        })?;
    let resource = Resource::builder()
        .with_service_name("claviger")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("claviger"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // Our own spans only: those of libraries may hold what we would not write.
        .with_filter(Targets::new().with_target("claviger", Level::INFO));
    Ok((Traces(provider), Box::new(layer)))
}

/// Names a request's span, and makes it part of the trace that its head names (W3C Trace Context, `traceparent`). Whoever asks chooses the
/// trace's id and nothing else.
pub(super) fn adopt(span: &Span, headers: &HeaderMap, route: &str) {
    static PROPAGATOR: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);
    // A span that was entered keeps its name and kind.
    span.record("otel.name", route);
    span.record("otel.kind", "server");
    let context = PROPAGATOR.extract(&HeaderExtractor(headers));
    if context.has_active_span() {
        // Fails where no layer makes spans.
        let _not_traced = span.set_parent(context);
    }
}

/// Fills in a request's span, under the names that OpenTelemetry has for them.
pub(super) fn complete(span: &Span, answered: &Answered<'_>) {
    span.record("http.request.method", answered.method_name());
    span.record("http.route", answered.route);
    span.record("http.response.status_code", answered.status.as_u16());
}

/// The way to the collector: one connection for each batch. Batches are made on a thread that has no runtime.
#[derive(Debug)]
struct Collector {
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self
            .runtime
            .spawn(async { tokio::time::timeout(TIMEOUT, post(request)).await });
        sent.await??
    }
}

async fn post(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or("the endpoint has no host")?.to_owned();
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))).await?;
    let authority = uri
        .authority()
        .map_or(host.as_str(), |authority| authority.as_str());
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(authority)?);
    *request.uri_mut() = uri.path().parse()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driven = tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
    driven.abort();
    Ok(Response::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_url_over_plain_http() {
        for (text, good) in [
            ("http://otel-collector.monitoring:4318", true),
            ("http://127.0.0.1:4318/", true),
            ("http://[::1]:4318/otlp", true),
            ("https://collector.example.org", false),
            ("collector:4318", false),
            ("http://", false),
            ("http://a?b", false),
            ("", false),
        ] {
            assert_eq!(Endpoint::parse(text).is_ok(), good, "{text}");
        }
    }
}
