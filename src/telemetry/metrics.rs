//! Metrics: the one registry, and what is counted in it. `docs/src/metrics.md` lists every metric; a test compares.
//!
//! No other module knows how metrics are exposed. `http` and `controller` declare an `Observer` each, which is implemented
//! here; the store is measured by a decorator in `app`; what happened to people, clients and grants is counted from the
//! audit log, so that the two never disagree; figures that stand somewhere already are read when somebody scrapes.
//!
//! Labels are bounded: each value is one of a list in the source. No metric has a client, a person, a namespace or
//! anything else that somebody outside chooses as a label; which client it was is in the audit log.

mod audit;
mod controller;
mod figures;
mod http;
mod kubernetes;
mod process;
mod store;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use self::audit::AuditCounter;
use self::audit::AuditMetrics;
use self::controller::ControllerMetrics;
pub use self::figures::Figure;
use self::figures::Figures;
use self::http::HttpMetrics;
use self::kubernetes::KubernetesMetrics;
use self::process::Process;
use self::store::StoreMetrics;

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Label names and values.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Everything that is counted. Clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    registry: Mutex<Registry>,
    http: HttpMetrics,
    audit: AuditMetrics,
    store: StoreMetrics,
    controller: ControllerMetrics,
    kubernetes: KubernetesMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let claviger = registry.sub_registry_with_prefix("claviger");
        claviger.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let parts = Parts {
            http: HttpMetrics::register(claviger),
            audit: AuditMetrics::register(claviger),
            store: StoreMetrics::register(claviger),
            controller: ControllerMetrics::register(claviger),
            kubernetes: KubernetesMetrics::register(claviger),
            registry: Mutex::new(registry),
        };
        Self(Arc::new(parts))
    }
}

impl Metrics {
    /// All metrics in the text format of `OpenMetrics` 1.0.
    pub fn render(&self) -> String {
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a `String` does not fail, and a collector that fails leaves what was written before it.
        if text::encode(&mut text, &registry).is_err() {
            tracing::warn!("failed to write all metrics");
        }
        text
    }

    /// Adds figures that stand somewhere else and are read at each scrape.
    pub fn read_at_scrape(&self, figures: Vec<Figure>) {
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry
            .sub_registry_with_prefix("claviger")
            .register_collector(Box::new(Figures::new(figures)));
    }

    /// The layer of the log that counts audit events.
    pub fn audit_counter(&self) -> AuditCounter {
        AuditCounter::new(self.clone())
    }
}

/// A label's value from the source.
const fn fixed(value: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(value)
}

#[cfg(test)]
mod tests;
