//! Requests to the Kubernetes API.

use std::borrow::Cow;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Counters, Metrics, fixed};
use crate::clock::{Clock, SystemClock};

pub(super) struct KubernetesMetrics {
    requests: Counters<2>,
    last_answer: Gauge,
}

impl KubernetesMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Counters::default(),
            last_answer: Gauge::default(),
        };
        registry.register(
            "kubernetes_requests",
            "Requests to the Kubernetes API by method and status; `none` where no answer came",
            metrics.requests.clone(),
        );
        registry.register(
            "kubernetes_last_answer_timestamp_seconds",
            "When the Kubernetes API last answered, other than with a failure of its own",
            metrics.last_answer.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// A request to the Kubernetes API ended; `status` is `None` where no answer came.
    pub fn kubernetes_request(&self, method: &'static str, status: Option<u16>) {
        let metrics = &self.0.kubernetes;
        let label = status.map_or(fixed("none"), |status| Cow::Owned(status.to_string()));
        let labels = [("method", fixed(method)), ("status", label)];
        metrics.requests.get_or_create(&labels).inc();
        if status.is_some_and(|status| status < 500) {
            metrics.last_answer.set(SystemClock.now().as_second());
        }
    }
}
