//! Requests of browsers and apps.

use std::borrow::Cow;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Counters, Histograms, Metrics, fixed};
use crate::http::observer::{Answered, Observer};

/// Seconds: from what a read from memory takes to what a queue of password hashes does.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

pub(super) struct HttpMetrics {
    requests: Counters<3>,
    durations: Histograms<2>,
    token_requests: Counters<2>,
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Counters::default(),
            durations: Histograms::new_with_constructor(|| Histogram::new(BUCKETS)),
            token_requests: Counters::default(),
        };
        registry.register(
            "http_requests",
            "Requests of the public port that were answered",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from a request's head to the head of its answer",
            metrics.durations.clone(),
        );
        registry.register(
            "token_requests",
            "Token requests by grant type and outcome: issued, fault, or the error code of RFC 6749",
            metrics.token_requests.clone(),
        );
        metrics
    }
}

impl Observer for Metrics {
    #[cfg(feature = "otlp")]
    fn begins(&self, span: &tracing::Span, headers: &::http::HeaderMap, route: &str) {
        crate::telemetry::traces::adopt(span, headers, route);
    }

    fn answered(&self, answered: &Answered<'_>) {
        #[cfg(feature = "otlp")]
        crate::telemetry::traces::complete(&tracing::Span::current(), answered);
        let http = &self.0.http;
        // The patterns of our own routes, so there are not many; an issuer's path is part of them.
        let route: Cow<'static, str> = Cow::Owned(answered.route.to_owned());
        let method = ("method", fixed(answered.method_name()));
        let status = ("status", Cow::Owned(answered.status.as_str().to_owned()));
        let labels = [method.clone(), ("route", route.clone()), status];
        http.requests.get_or_create(&labels).inc();
        http.durations
            .get_or_create(&[method, ("route", route)])
            .observe(answered.took.as_secs_f64());
        if let Some(token) = answered.token_request {
            let labels = [
                ("grant_type", fixed(token.grant_type)),
                ("outcome", fixed(token.outcome)),
            ];
            http.token_requests.get_or_create(&labels).inc();
        }
    }
}
