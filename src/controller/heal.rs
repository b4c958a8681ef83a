//! Whose Secret is written again next, and when. Nobody tells claviger, which may not read Secrets, that one of its own was
//! changed or deleted; an identical write of each from time to time puts that right and changes nothing otherwise.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::records::ResourceRef;

/// No two writes of the sweep are closer, whatever the kind: two requests a second at most.
const SHORTEST_GAP: Duration = Duration::from_millis(500);

/// What the sweeps of all kinds share: when the next write may be.
#[derive(Clone, Default)]
pub(super) struct HealBudget(Arc<Mutex<Option<Instant>>>);

impl HealBudget {
    /// Reserves the first write that may be from `now` on; gives its time.
    fn reserve(&self, now: Instant) -> Instant {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.map_or(now, |free| free.max(now));
        *free = Some(at + SHORTEST_GAP);
        at
    }
}

/// The sweep over one kind.
pub(super) struct HealSweep {
    /// Each Secret is written once in this time; never when it is `None`.
    interval: Option<Duration>,
    budget: HealBudget,
    next: Option<Instant>,
    /// `next` is reserved.
    reserved: bool,
    last: Option<ResourceRef>,
}

impl HealSweep {
    pub(super) fn new(interval: Option<Duration>, budget: HealBudget) -> Self {
        Self {
            interval,
            budget,
            next: None,
            reserved: false,
            last: None,
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.next
    }

    /// Begins, if it has not begun, over this many resources.
    pub(super) fn begin(&mut self, count: usize, now: Instant) {
        if let (None, Some(interval)) = (self.next, self.interval) {
            self.next = Some(now + gap(interval, count));
        }
    }

    /// The one that is due at `now`, one after another in the order of their names.
    pub(super) fn take<'a>(
        &mut self,
        resources: impl Iterator<Item = &'a ResourceRef>,
        now: Instant,
    ) -> Option<ResourceRef> {
        let interval = self.interval?;
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let mut count = 0;
        let (mut first, mut following): (Option<&ResourceRef>, Option<&ResourceRef>) = (None, None);
        for key in resources {
            count += 1;
            if first.is_none_or(|first| key < first) {
                first = Some(key);
            }
            let follows = self.last.as_ref().is_none_or(|last| key > last);
            if follows && following.is_none_or(|following| key < following) {
                following = Some(key);
            }
        }
        let Some(key) = following.or(first) else {
            self.next = Some(now + gap(interval, count));
            return None;
        };
        if !self.reserved {
            let at = self.budget.reserve(now);
            if at > now {
                (self.next, self.reserved) = (Some(at), true);
                return None;
            }
        }
        self.reserved = false;
        self.next = Some(now + gap(interval, count));
        self.last = Some(key.clone());
        Some(key.clone())
    }
}

/// The time between two of `count` writes.
fn gap(interval: Duration, count: usize) -> Duration {
    let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    (interval / count).max(SHORTEST_GAP)
}

#[cfg(test)]
mod tests;
