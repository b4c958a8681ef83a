//! What is to be done with the keys at an instant. Pure: a document and what is known in, steps out.
//!
//! A new signing key is published first and waits; it signs only after a claviger that shows it in its JWK Set has said so
//! in the document (`waiting`), so that a restart or a write whose answer was lost cannot let it sign early. Each step is
//! one state of the document, hence a process that ends between any two goes on where it was.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{JWKS_MAX_AGE, PUBLISH_LEAD, RETIREMENT_MARGIN, SEALED_LIFETIME};
use crate::clock::{Timestamp, earlier, later};
use crate::keyring::SigningAlgorithm;
use crate::keyring::document::{Document, SigningKeyEntry};

/// What decides beside the document.
pub(super) struct Facts<'a> {
    pub(super) now: Timestamp,
    /// A key signs for this long.
    pub(super) interval: Duration,
    /// Since when this process has shown each key in its JWK Set.
    pub(super) shown_since: &'a BTreeMap<String, Timestamp>,
    /// No token that was signed until now is valid after this. `None` while that is not known; then no key takes over.
    pub(super) tokens_valid_until: Option<Timestamp>,
    /// Somebody wants other signing keys now, whatever the schedule says.
    pub(super) requested: bool,
}

/// One change of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A new signing key is published and waits.
    Publish(SigningAlgorithm),
    /// A key that waited signs from now on.
    Activate { kid: String },
    /// A key that signs no more has an end.
    Retire { kid: String, kept_until: Timestamp },
    /// A key whose time is over goes.
    Forget { kid: String },
    /// A new sealing key, in use at once.
    AddSealingKey,
    /// A sealing key under which nothing can be sealed any more goes.
    ForgetSealingKey { id: String },
}

/// The steps that are due.
pub(super) fn plan(document: &Document, facts: &Facts<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for algorithm in SigningAlgorithm::ALL {
        plan_signing(document, algorithm, facts, &mut steps);
    }
    plan_sealing(document, facts, &mut steps);
    steps
}

fn plan_signing(document: &Document, algorithm: SigningAlgorithm, facts: &Facts<'_>, steps: &mut Vec<Step>) {
    let of_algorithm = || document.signing_keys.iter().filter(|key| key.alg == algorithm);
    let signers = || of_algorithm().filter(|key| !key.waiting);
    let by_time = |key: &&SigningKeyEntry| key.signs_from;
    let in_time = signers()
        .filter(|key| key.signs_from <= facts.now)
        .max_by_key(by_time);
    // As the keyring chooses: a clock that was set back finds none, then the oldest signs.
    let signer = in_time.or_else(|| signers().min_by_key(by_time));
    let ready = of_algorithm()
        .filter(|key| key.waiting && may_activate(key, facts))
        .max_by_key(by_time);
    if let Some(ready) = ready {
        steps.push(Step::Activate {
            kid: ready.kid.clone(),
        });
    }
    let Some(signer) = ready.or(signer) else {
        // The first key of an algorithm that an earlier version did not know waits like every other: whoever keeps the JWK
        // Set does not know it yet.
        if of_algorithm().next().is_none() {
            steps.push(Step::Publish(algorithm));
        }
        return;
    };
    if let Some(valid_until) = facts.tokens_valid_until {
        let replaced = signers().filter(|key| {
            key.kid != signer.kid
                && key.kept_until.is_none()
                && key.signs_from <= facts.now.max(signer.signs_from)
        });
        steps.extend(replaced.map(|key| Step::Retire {
            kid: key.kid.clone(),
            kept_until: later(valid_until, RETIREMENT_MARGIN),
        }));
    }
    let over = of_algorithm().filter(|key| {
        key.kid != signer.kid && !key.waiting && key.kept_until.is_some_and(|until| until <= facts.now)
    });
    steps.extend(over.map(|key| Step::Forget { kid: key.kid.clone() }));
    let successor_is_known = of_algorithm().any(|key| {
        key.kid != signer.kid && (key.waiting || (key.signs_from > facts.now && key.kept_until.is_none()))
    });
    let due_at = earlier(later(signed_from(signer, facts), facts.interval), PUBLISH_LEAD);
    if ready.is_none() && !successor_is_known && (facts.requested || due_at <= facts.now) {
        steps.push(Step::Publish(algorithm));
    }
}

/// A signer that the clock says will sign only later signs already, for lack of another.
fn signed_from(signer: &SigningKeyEntry, facts: &Facts<'_>) -> Timestamp {
    signer.signs_from.min(facts.now)
}

/// Rule: whoever keeps our JWK Set for as long as its `max-age` allows knows the key by now.
fn may_activate(key: &SigningKeyEntry, facts: &Facts<'_>) -> bool {
    let shown_long_enough = facts
        .shown_since
        .get(&key.kid)
        .is_some_and(|since| later(*since, JWKS_MAX_AGE) <= facts.now);
    key.signs_from <= facts.now && shown_long_enough && facts.tokens_valid_until.is_some()
}

fn plan_sealing(document: &Document, facts: &Facts<'_>, steps: &mut Vec<Step>) {
    let mut by_age: Vec<_> = document.sealing_keys.iter().collect();
    by_age.sort_by_key(|key| key.created_at);
    let Some(newest) = by_age.last() else {
        return;
    };
    if later(newest.created_at, facts.interval) <= facts.now {
        steps.push(Step::AddSealingKey);
    }
    // The last thing that a key sealed is as old as its successor.
    for (key, successor) in by_age.iter().zip(by_age.iter().skip(1)) {
        if later(successor.created_at, SEALED_LIFETIME) <= facts.now {
            steps.push(Step::ForgetSealingKey { id: key.id.clone() });
        }
    }
}

#[cfg(test)]
mod tests;
