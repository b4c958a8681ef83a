//! How clients are told that a session ended: the provider's notices, posted by the guarded egress.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{self, ServeSettings};
use crate::egress::Egress;
use crate::egress::guard::Guard;
use crate::egress::resolver::SystemResolver;
use crate::egress::trust::Trust;
use crate::provider::Provider;
use crate::provider::back_channel_logout::{Courier, LogoutNotifier};
use crate::store::Store;

/// What goes out to where owners of clients say.
pub(super) fn egress(settings: &ServeSettings) -> anyhow::Result<Arc<Egress>> {
    let trust = Trust::open(settings.extra_ca.clone()).context("unable to use --extra-ca")?;
    let guard = Guard::new(settings.allow_egress.clone(), config::api_server_address());
    Ok(Arc::new(Egress::new(
        guard,
        Arc::new(SystemResolver::default()),
        trust,
    )))
}

/// Tells clients until `shutdown`, or until the handle is dropped.
pub(super) fn spawn(
    provider: Provider,
    egress: Arc<Egress>,
    shutdown: CancellationToken,
) -> AbortOnDropHandle<()> {
    let notifier = LogoutNotifier::new(provider, egress);
    AbortOnDropHandle::new(tokio::spawn(notifier.run(shutdown)))
}

/// How often the backlog is counted: whoever scrapes does not wait for the store.
const COUNT: Duration = Duration::from_secs(5);

/// How many notices wait, when they were last counted. Clones share it.
#[derive(Clone)]
pub(super) struct Backlog(watch::Receiver<Option<u64>>);

impl Backlog {
    /// Counts until the handle is dropped.
    pub(super) fn count(store: Arc<dyn Store>) -> (Self, AbortOnDropHandle<()>) {
        let (counted, backlog) = watch::channel(None);
        let counting = async move {
            loop {
                // Whatever fails in the store is measured there.
                counted.send_replace(store.waiting_logout_notices().await.ok());
                tokio::time::sleep(COUNT).await;
            }
        };
        let handle = AbortOnDropHandle::new(tokio::spawn(counting));
        (Self(backlog), handle)
    }

    /// None where the store could not say.
    pub(super) fn waiting(&self) -> Option<u64> {
        *self.0.borrow()
    }
}

/// The provider's port, which knows no HTTP.
#[async_trait]
impl Courier for Egress {
    async fn deliver(&self, uri: &str, form: String) -> Result<u16, String> {
        let status = self.post_form(uri, form).await;
        status
            .map(|status| status.as_u16())
            .map_err(|error| error.to_string())
    }
}
