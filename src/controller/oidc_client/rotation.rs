//! When a client secret is replaced, and when its older versions end. Pure.
//!
//! A new version is registered beside the older ones, then written to the Secret, then told in the status together with
//! the time at which the older ones end, and only then does the store note that time: an old version never ends before
//! its successor could be read, nor before the status says so, from which a lost store is rebuilt. A version that leaked
//! ends at once instead; there the annotation is what a lost store is rebuilt from.

use std::time::Duration;

use kube::ResourceExt;
use serde::Serialize;

use crate::clock::{Timestamp, later};
use crate::controller::condition::whole_seconds;
use crate::controller::digest;
use crate::controller::reconciler::Next;
use crate::crd::v1alpha1::{HEAL, OidcClient, ROTATE, ROTATE_NOW, SecretVersionStatus};
use crate::store::records::{ClientRecord, MAX_SECRET_VERSIONS, ObservedRotation, SecretVersion};

/// A timer of the process and the clock of the wall drift apart, for instance when a machine sleeps; this is how late a
/// rotation may be for it.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);
/// A longer value of an annotation is told by its hash.
const LONGEST_VALUE: usize = 128;

/// `spec.rotation` with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Plan {
    pub(super) interval: Option<Duration>,
    pub(super) overlap: Duration,
}

/// What the annotations ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Requests {
    rotate: Option<String>,
    rotate_now: Option<String>,
    /// Decides nothing here; a new value is another digest, and so the Secret is written again.
    heal: Option<String>,
}

impl Requests {
    pub(super) fn of(resource: &OidcClient) -> Self {
        let value = |key: &str| resource.annotations().get(key).map(|value| told(value));
        Self {
            rotate: value(ROTATE),
            rotate_now: value(ROTATE_NOW),
            heal: value(HEAL),
        }
    }

    /// What is carried out once a rotation answers these.
    pub(super) fn carried_out(&self, before: &ObservedRotation) -> ObservedRotation {
        ObservedRotation {
            rotate: self.rotate.clone().or_else(|| before.rotate.clone()),
            rotate_now: self.rotate_now.clone().or_else(|| before.rotate_now.clone()),
        }
    }

    fn ask_for_end(&self, observed: &ObservedRotation) -> bool {
        self.rotate_now.is_some() && self.rotate_now != observed.rotate_now
    }

    fn ask_for_rotation(&self, observed: &ObservedRotation) -> bool {
        self.rotate.is_some() && self.rotate != observed.rotate
    }
}

/// A value as the status shows it.
fn told(value: &str) -> String {
    if value.len() <= LONGEST_VALUE {
        value.to_owned()
    } else {
        format!("sha256:{}", digest::hex(value.as_bytes()))
    }
}

/// Why a secret is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// `claviger.dev/rotate-now`: the older versions end at once.
    EndNow,
    /// `claviger.dev/rotate`.
    Requested,
    /// The keyring has a newer master key.
    MasterKey,
    /// `spec.rotation.interval`.
    Scheduled,
}

impl Cause {
    /// Whether nobody waits for it, so that it may be spread over time.
    pub(super) const fn can_wait(self) -> bool {
        matches!(self, Self::MasterKey | Self::Scheduled)
    }

    /// For the audit log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EndNow => "rotate-now",
            Self::Requested => "rotate",
            Self::MasterKey => "master-key",
            Self::Scheduled => "schedule",
        }
    }
}

/// What is to be done with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing.
    Keep,
    /// It is replaced.
    Rotate(Cause),
    /// It is to be replaced, but its newest version is not in the Secret yet.
    Unfinished,
    /// It is to be replaced, but as many versions as are accepted at once are valid until then.
    Postponed(Timestamp),
}

/// Decides. Versions whose time is over are no longer in `record`.
pub(super) fn decide(
    plan: &Plan,
    requests: &Requests,
    record: &ClientRecord,
    current_master_key_id: &str,
    now: Timestamp,
) -> Decision {
    let Some((newest, older)) = record.secret_versions.split_last() else {
        return Decision::Keep;
    };
    if !record.client.has_secret() {
        return Decision::Keep;
    }
    if requests.ask_for_end(&record.observed_rotation) {
        return Decision::Rotate(Cause::EndNow);
    }
    let cause = if requests.ask_for_rotation(&record.observed_rotation) {
        Cause::Requested
    } else if newest.master_key_id != current_master_key_id {
        Cause::MasterKey
    } else if due_at(plan, newest).is_some_and(|at| at <= now) {
        Cause::Scheduled
    } else {
        return Decision::Keep;
    };
    if older.iter().any(|version| version.retires_at.is_none()) {
        return Decision::Unfinished;
    }
    let first_end = older.iter().filter_map(|version| version.retires_at).min();
    match first_end {
        Some(end) if record.secret_versions.len() >= MAX_SECRET_VERSIONS => Decision::Postponed(end),
        _ => Decision::Rotate(cause),
    }
}

fn due_at(plan: &Plan, newest: &SecretVersion) -> Option<Timestamp> {
    plan.interval.map(|interval| later(newest.created_at, interval))
}

/// When the secret is replaced next by the schedule.
pub(super) fn next_rotation(plan: &Plan, record: &ClientRecord) -> Option<Timestamp> {
    if !record.client.has_secret() {
        return None;
    }
    due_at(plan, record.secret_versions.last()?)
}

/// Whether the time of some version is over.
pub(super) fn has_retired(record: &ClientRecord, now: Timestamp) -> bool {
    ends(record).any(|end| end <= now)
}

fn ends(record: &ClientRecord) -> impl Iterator<Item = Timestamp> {
    record
        .secret_versions
        .iter()
        .filter_map(|version| version.retires_at)
}

/// When the older versions end that have no end yet, if there are any; the newest has just reached the Secret. What the
/// status has `told` already holds: claviger may have died before the store noted it.
pub(super) fn end_of_older(
    plan: &Plan,
    record: &ClientRecord,
    told: &[SecretVersionStatus],
    now: Timestamp,
) -> Option<Timestamp> {
    let (_, older) = record.secret_versions.split_last()?;
    let mut endless = older
        .iter()
        .filter(|version| version.retires_at.is_none())
        .peekable();
    endless.peek()?;
    let told_end = endless
        .filter_map(|version| told.iter().find(|told| told.id == version.id))
        .filter_map(|told| told.retires_at.as_ref())
        .map(|end| end.0)
        .max();
    // As the status shows it, so that a store that is rebuilt from there holds the same.
    Some(told_end.unwrap_or_else(|| whole_seconds(later(now, plan.overlap)).0))
}

/// The record as it is once the store has noted `end`.
pub(super) fn with_end(record: &ClientRecord, end: Timestamp) -> ClientRecord {
    let mut record = record.clone();
    if let Some((_, older)) = record.secret_versions.split_last_mut() {
        for version in older {
            version.retires_at.get_or_insert(end);
        }
    }
    record
}

/// When the client is looked at again by itself: at the next end of a version and, unless one is waiting, at the next
/// rotation.
pub(super) fn next_look(plan: &Plan, record: &ClientRecord, rotates: bool, now: Timestamp) -> Next {
    let rotation = next_rotation(plan, record).filter(|_| rotates);
    let next = ends(record).chain(rotation).min();
    match next {
        Some(next) => Next::Again(until(next, now)),
        None => Next::Change,
    }
}

/// The time from `now` to `at`, as long as a timer is trusted.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now))
        .unwrap_or_default()
        .min(LONGEST_SLEEP)
}

#[cfg(test)]
mod tests;
