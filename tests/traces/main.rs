//! Traces of the built program, at a collector that decodes them. Needs a build with the feature `otlp`.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in a function of its own or not"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use testbed::{Installation, InstallationOptions, Kind, poll, visit};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_mins(2);

/// What came, as it came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    /// Listens on loopback; gives the base URL.
    async fn start() -> Result<(Self, String)> {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((collector, url))
    }

    fn bytes(&self) -> Vec<Bytes> {
        self.0.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        self.bytes()
            .into_iter()
            .flat_map(|body| ExportTraceServiceRequest::decode(body).unwrap().resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) {
    collector.0.lock().unwrap().push(body);
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Requests become spans with route, method, status and request id, part of the trace that the caller named; nothing of a
/// whole visit's secrets is in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_85_requests_are_traced_without_secrets() -> Result<()> {
    let (collector, url) = Collector::start().await?;
    let mut options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    options.memory = true;
    options.environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), url)];
    let mut installation = Installation::start(options).await?;
    let resources = installation.resources()?;
    let home = installation.release.namespace.clone();
    let person = json!({ "password": { "generate": true } });
    resources.create(Kind::OidcUser, &home, "ada", person).await?;
    resources.wait_until_ready(Kind::OidcUser, &home, "ada").await?;
    let app = json!({ "redirectUris": ["http://127.0.0.1/callback"] });
    resources.create(Kind::OidcClient, "default", "shop", app).await?;
    resources
        .wait_until_ready(Kind::OidcClient, "default", "shop")
        .await?;
    let app = installation.app("default", "shop").await?;
    let password = installation.password("ada").await?;
    let tokens = visit::whole(&app, "ada", &password).await?;

    let http = reqwest::Client::builder().no_proxy().build()?;
    let answer = http
        .get(installation.claviger.url("/.well-known/jwks.json?marked-query"))
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .send()
        .await?;
    let id = answer.headers()["x-request-id"].to_str()?.to_owned();
    // What waits is sent before the end.
    assert!(installation.claviger.stop().success());

    let spans = poll::until("the spans", PATIENCE, async || {
        let spans = collector.spans();
        let routes: Vec<_> = spans
            .iter()
            .filter_map(|span| attribute(span, "http.route"))
            .collect();
        for route in [
            "/authorize",
            "/login",
            "/consent",
            "/api/token/v2",
            "/api/userinfo",
        ] {
            anyhow::ensure!(
                routes.iter().any(|known| known == route),
                "no {route} in {routes:?}"
            );
        }
        Ok(Some(spans))
    })
    .await?;
    let traced = spans
        .iter()
        .find(|span| attribute(span, "request_id").as_deref() == Some(id.as_str()))
        .unwrap();
    assert_eq!(hex(&traced.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&traced.parent_span_id), "b7ad6b7169203331");
    assert_eq!(traced.name, "/.well-known/jwks.json");
    assert_eq!(attribute(traced, "http.request.method").as_deref(), Some("GET"));
    assert_eq!(
        attribute(traced, "http.response.status_code").as_deref(),
        Some("200")
    );

    let secrets = [
        password,
        app.registration().client_secret.clone().unwrap(),
        tokens.access_token,
        tokens.refresh_token.unwrap(),
        "marked-query".to_owned(),
        "clv_".to_owned(),
        "Bearer".to_owned(),
    ];
    for body in collector.bytes() {
        let text = String::from_utf8_lossy(&body).into_owned();
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in a span");
        }
    }
    println!("{} spans, none with a secret", spans.len());
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
