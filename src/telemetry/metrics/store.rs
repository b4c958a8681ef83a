//! Operations of the store.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Counters, Histograms, Metrics, fixed};

/// Seconds: a read from memory, a commit to a good disk, and one that waits.
const BUCKETS: [f64; 8] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

pub(super) struct StoreMetrics {
    durations: Histograms<1>,
    errors: Counters<1>,
    in_flight: Gauge,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            durations: Histograms::new_with_constructor(|| Histogram::new(BUCKETS)),
            errors: Counters::default(),
            in_flight: Gauge::default(),
        };
        registry.register(
            "store_operation_duration_seconds",
            "Time that operations of the store took, failed ones included",
            metrics.durations.clone(),
        );
        registry.register(
            "store_operation_errors",
            "Operations of the store that failed",
            metrics.errors.clone(),
        );
        registry.register(
            "store_operations_in_flight",
            "Operations of the store that somebody waits for",
            metrics.in_flight.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Shows the operation from the start, as never failed.
    pub fn store_operation(&self, operation: &'static str) {
        let labels = [("operation", fixed(operation))];
        drop(self.0.store.errors.get_or_create(&labels));
    }

    /// An operation of the store begins.
    pub fn store_operation_begins(&self) {
        self.0.store.in_flight.inc();
    }

    /// One ended, or nobody waits for it any more.
    pub fn store_operation_ends(&self) {
        self.0.store.in_flight.dec();
    }

    /// What came of it.
    pub fn store_operation_took(&self, operation: &'static str, took: Duration, failed: bool) {
        let labels = [("operation", fixed(operation))];
        self.0
            .store
            .durations
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        if failed {
            self.0.store.errors.get_or_create(&labels).inc();
        }
    }
}
