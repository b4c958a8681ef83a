//! Deletions that were told and are not acted on yet. Pure bookkeeping: no I/O, no clock.
//!
//! Whoever deletes a definition deletes all its resources a moment before, and only a look afterwards tells that from
//! deletions that were meant. So a deletion waits until it has been quiet for a moment, but never long.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;

/// This long after the last deletion it is quiet.
const QUIET: Duration = Duration::from_secs(2);
/// A deletion waits no longer than this; a client is refused within thirty seconds of its deletion.
const LONGEST: Duration = Duration::from_secs(15);

/// The deletions that wait.
#[derive(Default)]
pub(super) struct Departures {
    waiting: HashMap<ResourceRef, (ResourceUid, Instant)>,
    /// Not before this, since the last look gave no answer.
    not_before: Option<Instant>,
}

impl Departures {
    /// A resource was deleted. Gives another one of the same name that waits since before, which is gone for certain.
    pub(super) fn add(&mut self, key: ResourceRef, uid: ResourceUid, now: Instant) -> Option<ResourceUid> {
        match self.waiting.entry(key) {
            // The same told again does not wait anew.
            Entry::Occupied(there) if there.get().0 == uid => None,
            Entry::Occupied(mut there) => Some(there.insert((uid, now)).0),
            Entry::Vacant(free) => {
                free.insert((uid, now));
                None
            }
        }
    }

    /// A resource of this name is there. Gives one that waits under the same name, unless it is this one, which then was not
    /// deleted.
    pub(super) fn is_there(&mut self, key: &ResourceRef, uid: Option<&ResourceUid>) -> Option<ResourceUid> {
        let (waiting, _) = self.waiting.remove(key)?;
        (Some(&waiting) != uid).then_some(waiting)
    }

    /// Whether this one waits.
    pub(super) fn contains(&self, uid: &ResourceUid) -> bool {
        self.waiting.values().any(|(waiting, _)| waiting == uid)
    }

    /// When somebody has to look.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = || self.waiting.values().map(|(_, since)| *since);
        let due = (since().max()? + QUIET).min(since().min()? + LONGEST);
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Whether one has waited so long that it has to do without an answer.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.waiting.values().any(|(_, since)| *since + LONGEST <= now)
    }

    /// There was no answer; the next look is not before this.
    pub(super) fn look_again(&mut self, at: Instant) {
        self.not_before = Some(at);
    }

    /// Takes those that waited already at `looked`, when the look was taken.
    pub(super) fn take(&mut self, looked: Instant) -> Vec<(ResourceRef, ResourceUid)> {
        self.not_before = None;
        self.waiting
            .extract_if(|_, (_, since)| *since <= looked)
            .map(|(key, (uid, _))| (key, uid))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ResourceRef {
        ResourceRef {
            namespace: "team".to_owned(),
            name: name.to_owned(),
        }
    }

    fn uid(text: &str) -> ResourceUid {
        ResourceUid::new(text.to_owned())
    }

    #[test]
    fn deletions_wait_until_it_is_quiet_and_never_long() {
        let start = Instant::now();
        let mut departures = Departures::default();
        assert_eq!(departures.due(), None);
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            departures.add(key(&second.to_string()), uid(&second.to_string()), now);
            // The same told again does not wait anew.
            departures.add(key("0"), uid("0"), now);
            assert_eq!(
                departures.due(),
                Some((now + QUIET).min(start + LONGEST)),
                "{second}"
            );
            assert_eq!(departures.is_overdue(now), second >= 15, "{second}");
        }
        assert!(departures.contains(&uid("3")));
        let taken = departures.take(start + Duration::from_secs(16));
        assert_eq!(taken.len(), 17);
        assert_eq!(departures.due(), Some(start + Duration::from_secs(21)));
        departures.look_again(start + Duration::from_secs(30));
        assert_eq!(departures.due(), Some(start + Duration::from_secs(30)));
    }

    #[test]
    fn one_name_is_held_by_one_resource() {
        let now = Instant::now();
        let mut departures = Departures::default();
        assert_eq!(departures.add(key("a"), uid("1"), now), None);
        assert_eq!(departures.add(key("a"), uid("2"), now), Some(uid("1")));
        assert_eq!(
            departures.is_there(&key("a"), Some(&uid("3"))),
            Some(uid("2")),
            "gone for certain"
        );
        departures.add(key("a"), uid("3"), now);
        assert_eq!(
            departures.is_there(&key("a"), Some(&uid("3"))),
            None,
            "it was not deleted"
        );
        assert_eq!(departures.due(), None);
    }
}
