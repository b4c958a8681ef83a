//! What one watch tells, for ever: how long it lasts, how soon it is tried again, and when it begins with a list.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::controller::kube_error::is_kind_missing;

/// Whoever was deleted during an outage is refused within thirty seconds of its end, so nothing is waited for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The events of a watch that is begun anew after `timeout`.
pub(super) fn events<K>(
    api: Api<K>,
    timeout: Duration,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
    let config = watcher::Config::default().timeout(seconds);
    let begin = move || -> BoxStream<'static, watcher::Result<Event<K>>> {
        watcher::watcher(api.clone(), config.clone())
            .backoff(Pauses::default())
            .boxed()
    };
    stream::unfold((begin(), begin), async |(mut events, begin)| {
        let event = events.next().await?;
        // A watch that goes on where it was would tell of the resources that went with the definition as if each had been
        // deleted; a list tells what there is.
        if matches!(&event, Err(error) if kind_went(error)) {
            events = begin();
        }
        Some((event, (events, begin)))
    })
}

/// Whether a watch found out that the kind is gone.
fn kind_went(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(error) if is_kind_missing(error))
}

/// Whether a watch or its list says that the kind is not there.
pub(super) fn is_without_kind(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            is_kind_missing(error)
        }
        _ => false,
    }
}

/// kube's, but never long.
#[derive(Default)]
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}
