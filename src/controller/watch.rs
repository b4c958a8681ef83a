//! The loop over one kind: events in, work out, at most [`CONCURRENCY`] reconciles at once.
//!
//! Until the first complete list of every scope is there and registered, nothing is reconciled: claims are then decided by
//! (creationTimestamp, uid) and not by the order of arrival, and nothing is removed for absence by half a list.

mod departures;
mod driver;
mod events;
mod first_list;
mod presence;
mod probe;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::heal::{HealBudget, HealSweep};
use super::provisioning::Provisioning;
use super::reconciler::Reconciler;
use super::{ControllerContext, ControllerSettings};
use crate::store::StoreError;
use driver::{Driver, Ended};

/// Reconciles of one kind that run at once.
const CONCURRENCY: usize = 32;
/// Between two tries of something that the store refused, or of a probe.
const PAUSE: Duration = Duration::from_secs(1);

/// What one watch sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every namespace.
    All,
    /// One namespace.
    Namespace(String),
}

impl Scope {
    pub(super) fn of_clients(settings: &ControllerSettings) -> Vec<Self> {
        if settings.watch_namespaces.is_empty() {
            return vec![Self::All];
        }
        settings
            .watch_namespaces
            .iter()
            .cloned()
            .map(Self::Namespace)
            .collect()
    }

    pub(super) fn of_users(settings: &ControllerSettings) -> Vec<Self> {
        vec![Self::Namespace(settings.namespace.clone())]
    }

    fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(name) => name == namespace,
        }
    }
}

type Guarded<R> = DeserializeGuard<<R as Reconciler>::Resource>;
type Events<R> = BoxStream<'static, (usize, watcher::Result<Event<Guarded<R>>>)>;

/// Reconciles one kind until `shutdown`.
pub(super) async fn run<R: Reconciler>(
    reconciler: Arc<R>,
    scopes: Vec<Scope>,
    context: &ControllerContext,
    (provisioning, budget): (Arc<Provisioning>, HealBudget),
    shutdown: CancellationToken,
) {
    let apis: Vec<Api<Guarded<R>>> = scopes
        .iter()
        .map(|scope| match scope {
            Scope::All => Api::all(context.client.clone()),
            Scope::Namespace(name) => Api::namespaced(context.client.clone(), name),
        })
        .collect();
    let timeout = context.settings.watch_timeout;
    let mut events = stream::select_all(apis.iter().cloned().enumerate().map(|(index, api)| -> Events<R> {
        events::events(api, timeout)
            .map(move |event| (index, event))
            .boxed()
    }));
    let sweep = HealSweep::new(context.settings.heal_interval, budget);
    let mut driver = Driver::new(reconciler, scopes, apis, context, provisioning, sweep);
    let mut keyrings = context.keyring.subscribe();
    let mut master_key_id = context.keyring.current().current_master_key_id().to_owned();
    loop {
        driver.start_jobs();
        driver.tell();
        let due = driver.next_due();
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some((scope, event)) = events.next() => {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = driver.handle(scope, event) => {}
                }
            }
            Some(ended) = driver.join_next() => match ended {
                Ended::Job(joined) => driver.finished(joined),
                Ended::Look(look) => driver.decide_departures(look).await,
            },
            () = sleep_until(due) => driver.take_due(),
            // The context keeps the other end, so that this does not fail.
            Ok(()) = keyrings.changed() => {
                let keyring = keyrings.borrow_and_update().clone();
                if keyring.current_master_key_id() != master_key_id {
                    keyring.current_master_key_id().clone_into(&mut master_key_id);
                    driver.look_at_all();
                }
            }
        }
    }
    // A reconcile may be cut off at any await; whoever starts next goes on.
    driver.stop().await;
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Tries a store operation until it succeeds: nothing sensible can be done without it.
async fn until_stored<T, F: Future<Output = Result<T, StoreError>>>(
    what: &'static str,
    operation: impl Fn() -> F,
) -> T {
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(error) => tracing::error!(%error, what, "the store refused; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
