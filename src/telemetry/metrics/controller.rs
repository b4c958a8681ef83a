//! The controller's work.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Counters, Histograms, Labels, Metrics, fixed};
use crate::clock::{Clock, SystemClock};
use crate::controller::observer::{Observer, Reconciled, Work};

/// Seconds: nothing to do, two writes, and one that hashes a password or waits for the API server.
const BUCKETS: [f64; 8] = [0.001, 0.01, 0.05, 0.1, 0.5, 2.0, 10.0, 60.0];

type Gauges = Family<Labels<1>, Gauge>;

pub(super) struct ControllerMetrics {
    reconciles: Counters<2>,
    durations: Histograms<1>,
    last_success: Gauges,
    queued: Gauges,
    running: Gauges,
    resources: Gauges,
    failing: Gauges,
    watching: Gauges,
    events: Counters<1>,
}

impl ControllerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Counters::default(),
            durations: Histograms::new_with_constructor(|| Histogram::new(BUCKETS)),
            last_success: Gauges::default(),
            queued: Gauges::default(),
            running: Gauges::default(),
            resources: Gauges::default(),
            failing: Gauges::default(),
            watching: Gauges::default(),
            events: Counters::default(),
        };
        registry.register(
            "reconciles",
            "Reconciles by kind and outcome",
            metrics.reconciles.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "Time that reconciles took",
            metrics.durations.clone(),
        );
        for (name, help, gauge) in [
            (
                "reconcile_last_success_timestamp_seconds",
                "When a reconcile last succeeded",
                &metrics.last_success,
            ),
            (
                "controller_queue_depth",
                "Resources that wait for a reconcile",
                &metrics.queued,
            ),
            (
                "controller_reconciles_running",
                "Reconciles that run",
                &metrics.running,
            ),
            (
                "controller_resources",
                "Resources that the controller knows",
                &metrics.resources,
            ),
            (
                "controller_resources_failing",
                "Resources whose last reconcile failed or was refused something",
                &metrics.failing,
            ),
            (
                "controller_watching",
                "Whether the watch of this kind works (1) or the API server cannot be asked (0)",
                &metrics.watching,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "kubernetes_events",
            "Kubernetes Events by outcome: published, suppressed by the rate limit, failed",
            metrics.events.clone(),
        );
        for outcome in ["published", "suppressed", "failed"] {
            drop(metrics.events.get_or_create(&[("outcome", fixed(outcome))]));
        }
        metrics
    }
}

fn set(gauges: &Gauges, kind: &'static str, value: usize) {
    gauges
        .get_or_create(&[("kind", fixed(kind))])
        .set(i64::try_from(value).unwrap_or(i64::MAX));
}

impl Observer for Metrics {
    fn reconciled(&self, kind: &'static str, outcome: Reconciled, took: Duration) {
        let metrics = &self.0.controller;
        let labels = [("kind", fixed(kind)), ("outcome", fixed(outcome.name()))];
        metrics.reconciles.get_or_create(&labels).inc();
        let labels = [("kind", fixed(kind))];
        metrics
            .durations
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        if outcome == Reconciled::Done {
            metrics
                .last_success
                .get_or_create(&labels)
                .set(SystemClock.now().as_second());
        }
    }

    fn work(&self, kind: &'static str, work: Work) {
        let metrics = &self.0.controller;
        set(&metrics.queued, kind, work.queued);
        set(&metrics.running, kind, work.running);
        set(&metrics.resources, kind, work.resources);
        set(&metrics.failing, kind, work.failing);
    }

    fn watching(&self, kind: &'static str, watching: bool) {
        set(&self.0.controller.watching, kind, usize::from(watching));
    }

    fn event(&self, outcome: &'static str) {
        let labels = [("outcome", fixed(outcome))];
        self.0.controller.events.get_or_create(&labels).inc();
    }
}
