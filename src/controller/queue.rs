//! What is to be done for which resource, and when. Pure bookkeeping: no I/O, no clock.
//!
//! One resource is never worked on twice at once, whatever arrives meanwhile: that, and the order of a removal before
//! what comes after it under the same name, is what this queue is for.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use tokio::time::Instant;

use super::reconciler::{Look, Next};
use crate::crd::v1alpha1::{HEAL, RESET_PASSWORD, RESTORE_SUBJECT, ROTATE, ROTATE_NOW};
use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;

const FIRST_DELAY: Duration = Duration::from_millis(500);
const GROWTH: u32 = 3;
/// With these three, whatever fails again and again is tried at most five times in any minute.
const LONGEST_DELAY: Duration = Duration::from_secs(45);
/// Between two tries to remove what was deleted.
const LONGEST_REMOVAL_DELAY: Duration = Duration::from_secs(10);

/// One piece of work.
#[derive(Debug)]
pub(super) struct Job<K> {
    pub(super) key: ResourceRef,
    /// First: these are gone.
    pub(super) removed: Vec<ResourceUid>,
    /// Then: this is how the resource looks now.
    pub(super) resource: Option<Arc<K>>,
    /// How it is looked at.
    pub(super) look: Look,
}

/// The work on all resources of a kind.
pub(super) struct Queue<K> {
    slots: HashMap<ResourceRef, Slot<K>>,
    ready: VecDeque<ResourceRef>,
    due: BTreeSet<(Instant, ResourceRef)>,
}

struct Slot<K> {
    resource: Option<Arc<K>>,
    removed: Vec<ResourceUid>,
    state: State,
    attempt: u32,
    /// The next look heals; kept until one did not fail.
    heals: bool,
    due: Option<Instant>,
    waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Ready,
    Running,
    /// Something arrived while it ran.
    RunningAgain,
}

impl<K: Resource<DynamicType = ()>> Queue<K> {
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::new(),
            ready: VecDeque::new(),
            due: BTreeSet::new(),
        }
    }

    /// A resource as it looks now. Only a change that decides something makes work: our own writes of the status do not.
    pub(super) fn apply(&mut self, resource: Arc<K>) {
        let Some(key) = key_of(resource.as_ref()) else {
            return;
        };
        let slot = self.slots.entry(key.clone()).or_insert_with(Slot::new);
        let before = slot.resource.as_deref();
        let changed = before.is_none_or(|before| decisive(before) != decisive(resource.as_ref()));
        let gone = before
            .filter(|before| before.meta().uid != resource.meta().uid)
            .and_then(uid_of);
        slot.removed.extend(gone);
        slot.resource = Some(resource);
        if changed {
            slot.attempt = 0;
            self.push(key);
        }
    }

    /// A resource was deleted.
    pub(super) fn delete(&mut self, key: ResourceRef, uid: Option<ResourceUid>) {
        let slot = self.slots.entry(key.clone()).or_insert_with(Slot::new);
        slot.resource = None;
        slot.removed.extend(uid);
        slot.attempt = 0;
        self.push(key);
    }

    /// A resource is missing from a complete list: nothing more is done for it.
    pub(super) fn forget(&mut self, key: &ResourceRef) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.resource = None;
        }
    }

    /// Looks at the resource again, changed or not.
    pub(super) fn push(&mut self, key: ResourceRef) {
        let Some(slot) = self.slots.get_mut(&key) else {
            return;
        };
        if let Some(due) = slot.due.take() {
            self.due.remove(&(due, key.clone()));
        }
        match slot.state {
            State::Idle => {
                slot.state = State::Ready;
                self.ready.push_back(key);
            }
            State::Running => slot.state = State::RunningAgain,
            State::Ready | State::RunningAgain => {}
        }
    }

    /// Looks at the resource again and writes its Secret even if everything is done.
    pub(super) fn push_heal(&mut self, key: ResourceRef) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.heals = true;
            self.push(key);
        }
    }

    /// Looks at all resources again.
    pub(super) fn push_all(&mut self) {
        let keys: Vec<ResourceRef> = self.slots.keys().cloned().collect();
        for key in keys {
            self.push(key);
        }
    }

    /// The next piece of work.
    pub(super) fn next(&mut self) -> Option<Job<K>> {
        let key = self.ready.pop_front()?;
        let slot = self.slots.get_mut(&key)?;
        slot.state = State::Running;
        Some(Job {
            removed: std::mem::take(&mut slot.removed),
            resource: slot.resource.clone(),
            look: Look {
                attempt: slot.attempt,
                heals: std::mem::take(&mut slot.heals),
            },
            key,
        })
    }

    /// A look that healed failed: the next one heals.
    pub(super) fn heal_again(&mut self, key: &ResourceRef) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.heals = true;
        }
    }

    /// A piece of work ended at `now`; `unremoved` are those that could not be removed.
    pub(super) fn finish(
        &mut self,
        key: &ResourceRef,
        unremoved: Vec<ResourceUid>,
        next: &Next,
        now: Instant,
    ) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.removed.extend(unremoved);
        let again = slot.state == State::RunningAgain;
        slot.state = State::Idle;
        slot.waiting = matches!(next, Next::Waiting(_));
        slot.attempt = match next {
            Next::Failed(_) | Next::Later(_) => slot.attempt.saturating_add(1),
            Next::Change | Next::Again(_) | Next::Waiting(_) => 0,
        };
        let delay = match next {
            Next::Change => None,
            Next::Again(delay) | Next::Waiting(delay) | Next::Later(delay) => Some(*delay),
            // Whoever was deleted is refused soon after the store is back; this asks nothing of the API server.
            Next::Failed(_) if !slot.removed.is_empty() => {
                Some(backoff(slot.attempt).min(LONGEST_REMOVAL_DELAY))
            }
            Next::Failed(_) => Some(backoff(slot.attempt)),
        };
        if again {
            self.push(key.clone());
        } else if let Some(delay) = delay {
            let due = now + delay;
            slot.due = Some(due);
            self.due.insert((due, key.clone()));
        } else if slot.resource.is_none() && slot.removed.is_empty() {
            self.slots.remove(key);
        }
    }

    /// Takes a resource as a write of its status gave it back, unless something newer arrived meanwhile.
    pub(super) fn written(&mut self, key: &ResourceRef, based_on: &Arc<K>, written: Arc<K>) {
        if let Some(slot) = self.slots.get_mut(key)
            && slot
                .resource
                .as_ref()
                .is_some_and(|held| Arc::ptr_eq(held, based_on))
            && decisive(based_on.as_ref()) == decisive(written.as_ref())
        {
            slot.resource = Some(written);
        }
    }

    /// Whoever waits for what another resource holds is looked at now.
    pub(super) fn wake_waiting(&mut self) {
        let waiting: Vec<ResourceRef> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.waiting && slot.state == State::Idle)
            .map(|(key, _)| key.clone())
            .collect();
        for key in waiting {
            self.push(key);
        }
    }

    /// When the next resource is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Moves everything that is due at `now` to the work that is ready.
    pub(super) fn take_due(&mut self, now: Instant) {
        while let Some((due, key)) = self.due.first().cloned() {
            if due > now {
                break;
            }
            self.push(key);
        }
    }

    pub(super) fn is_running(&self, key: &ResourceRef) -> bool {
        self.slots
            .get(key)
            .is_some_and(|slot| matches!(slot.state, State::Running | State::RunningAgain))
    }

    /// How many wait for work to be done now.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How many there are, deleted ones included until their removal is done.
    pub(super) fn known(&self) -> usize {
        self.slots.len()
    }

    /// All resources, with their names.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&ResourceRef, &Arc<K>)> {
        self.slots
            .iter()
            .filter_map(|(key, slot)| slot.resource.as_ref().map(|resource| (key, resource)))
    }
}

impl<K> Slot<K> {
    fn new() -> Self {
        Self {
            resource: None,
            removed: Vec::new(),
            state: State::Idle,
            attempt: 0,
            heals: false,
            due: None,
            waiting: false,
        }
    }
}

/// Names a resource; `None` for one without a name, which the API server never sends.
pub(super) fn key_of(resource: &impl Resource) -> Option<ResourceRef> {
    Some(ResourceRef {
        namespace: resource.meta().namespace.clone()?,
        name: resource.meta().name.clone()?,
    })
}

pub(super) fn uid_of(resource: &impl Resource) -> Option<ResourceUid> {
    resource.meta().uid.clone().map(ResourceUid::new)
}

/// The generation changes with the spec and with nothing else; some annotations ask for something.
fn decisive(resource: &impl Resource) -> (&Option<String>, Option<i64>, [Option<&String>; 5]) {
    let meta = resource.meta();
    let annotations = meta.annotations.as_ref();
    let asked = [ROTATE, ROTATE_NOW, HEAL, RESET_PASSWORD, RESTORE_SUBJECT]
        .map(|key| annotations.and_then(|all| all.get(key)));
    (&meta.uid, meta.generation, asked)
}

fn backoff(attempt: u32) -> Duration {
    FIRST_DELAY
        .saturating_mul(GROWTH.saturating_pow(attempt.saturating_sub(1).min(16)))
        .min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests;
