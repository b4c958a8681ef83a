//! Finds out when the API server answers again: the watch goes on by itself after a failure but does not say so.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;

use super::PAUSE;

/// At most one probe at a time; it ends with this value.
#[derive(Default)]
pub(super) struct Probe(Arc<AtomicBool>);

impl Probe {
    /// Asks until there is an answer, then calls `reached`.
    pub(super) fn begin<K>(&self, api: Api<K>, reached: impl FnOnce() + Send + 'static)
    where
        K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let running = &self.0;
        if running.swap(true, Ordering::Relaxed) {
            return;
        }
        let running = Arc::clone(running);
        tokio::spawn(async move {
            let one = ListParams::default().limit(1);
            while Arc::strong_count(&running) > 1 && api.list_metadata(&one).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            reached();
            running.store(false, Ordering::Relaxed);
        });
    }
}
