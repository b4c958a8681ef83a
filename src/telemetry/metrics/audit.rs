//! Counts the events of the audit log as they are written, whatever `--log` lets through.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::registry::Registry;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

use super::{Counters, Metrics, fixed};
use crate::oidc::audit::TARGET;

/// Events are named in the source, so there are not many; this holds whatever somebody writes there one day.
const MOST: usize = 100;
/// Shown as zero from the start: an alert on an increase misses a counter that appears with its first event.
const FROM_THE_START: [&str; 22] = [
    "sign_in",
    "sign_in_failed",
    "sign_in_throttled",
    "sign_out",
    "grant",
    "code_redeemed",
    "device_code_redeemed",
    "refreshed",
    "client_token_issued",
    "grant_revoked",
    "access_token_revoked",
    "code_replayed_grant_revoked",
    "refresh_token_reused_grant_revoked",
    "dpop_proof_replayed",
    "dpop_proof_replayed_grant_revoked",
    "user_code_unknown",
    "user_code_throttled",
    "client_authentication_failed",
    "access_lost_grant_revoked",
    "logout_token_accepted",
    "logout_token_not_accepted",
    "logout_token_given_up",
];

pub(super) struct AuditMetrics {
    events: Counters<1>,
    names: Mutex<BTreeSet<String>>,
}

impl AuditMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let events = Counters::default();
        for name in FROM_THE_START {
            drop(events.get_or_create(&[("event", fixed(name))]));
        }
        registry.register(
            "audit_events",
            "Events of the audit log, by their name there",
            events.clone(),
        );
        let names = FROM_THE_START.into_iter().map(str::to_owned).collect();
        Self {
            events,
            names: Mutex::new(names),
        }
    }

    fn count(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.contains(name) || (names.len() < MOST && names.insert(name.to_owned()));
        drop(names);
        let name = if known {
            Cow::Owned(name.to_owned())
        } else {
            fixed("other")
        };
        self.events.get_or_create(&[("event", name)]).inc();
    }
}

/// The layer of the log that counts. It needs [`AuditCounter::filter`].
pub struct AuditCounter(Metrics);

impl AuditCounter {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self(metrics)
    }

    /// Lets through what it counts.
    pub fn filter<S>() -> impl Filter<S> {
        Targets::new().with_target(TARGET, tracing::Level::INFO)
    }
}

impl<S: Subscriber> Layer<S> for AuditCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut name = Name(None);
        event.record(&mut name);
        if let Name(Some(name)) = name {
            self.0.0.audit.count(&name);
        }
    }
}

/// The field `event`.
struct Name(Option<String>);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
