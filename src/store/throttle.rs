//! Buckets in which failed attempts are counted, and what they say to the next one.
//!
//! A bucket is two instants: when all its failures will be forgiven, and until when the next attempt has to wait. How fast
//! it fills and forgives is the caller's [`ThrottlePolicy`]; the store only counts. Nothing is ever locked: the wait
//! grows up to a bound, and then an attempt is let through again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{earlier, later};
use crate::oidc::opaque_token::TokenHash;

/// What a bucket is for. Each kind has its own capacity, so that a flood of one kind pushes out no bucket of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleKind {
    /// Attempts at one account from one network.
    AccountFromNetwork,
    /// Attempts at one account from one browser in which somebody has signed in to it before.
    AccountFromBrowser,
    /// Attempts at one account from all such browsers.
    AccountFromBrowsers,
    /// Attempts at one account from everywhere else.
    Account,
    /// Attempts at all accounts from one network.
    Network,
    /// User codes (RFC 8628) that one network, or one person, has typed.
    UserCode,
}

impl ThrottleKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::AccountFromNetwork,
        Self::AccountFromBrowser,
        Self::AccountFromBrowsers,
        Self::Account,
        Self::Network,
        Self::UserCode,
    ];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountFromNetwork => "account_from_network",
            Self::AccountFromBrowser => "account_from_browser",
            Self::AccountFromBrowsers => "account_from_browsers",
            Self::Account => "account",
            Self::Network => "network",
            Self::UserCode => "user_code",
        }
    }
}

/// How a kind of bucket fills and forgives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// After this many failures the next attempt waits.
    pub free: u32,
    /// The first wait; each further failure doubles it.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// One failure is forgiven in this time.
    pub forgive_one: Duration,
    /// The most buckets of the kind; beyond, the one that has least left to remember is forgotten.
    pub capacity: u64,
}

impl ThrottlePolicy {
    /// How long the next attempt waits after this many failures.
    pub fn wait(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free) else {
            return Duration::ZERO;
        };
        let factor = 2_u32.saturating_pow(doublings);
        self.first_wait.saturating_mul(factor).min(self.longest_wait)
    }

    /// Failures are counted up to here, so that whoever stops attacking is forgiven in bounded time.
    fn most(&self) -> u32 {
        (self.free..self.free.saturating_add(32))
            .find(|failures| self.wait(*failures) >= self.longest_wait)
            .unwrap_or(self.free)
            .max(1)
    }
}

/// One bucket. The key is a hash, since names that people type may be passwords.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleBucket {
    /// Its kind.
    pub kind: ThrottleKind,
    /// Its key within the kind.
    pub key: TokenHash,
    /// Its numbers.
    pub policy: ThrottlePolicy,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginAttempt {
    /// It may go on; every bucket has counted it, at this instant.
    Counted(Timestamp),
    /// A bucket of this kind says to wait until then; nothing was counted.
    Wait(ThrottleKind, Timestamp),
}

/// What is taken back of an attempt that turned out well, or was not made after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgiveness {
    /// This attempt.
    Attempt,
    /// Every attempt.
    Everything,
}

/// A bucket as kept. One that has forgiven everything is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleRecord {
    /// All failures will be forgiven by then.
    pub forgiven_at: Timestamp,
    /// The next attempt waits until then.
    pub wait_until: Timestamp,
    /// When an attempt was counted last.
    pub counted_at: Timestamp,
}

impl ThrottleRecord {
    /// An empty bucket.
    pub fn empty(now: Timestamp) -> Self {
        Self {
            forgiven_at: now,
            wait_until: now,
            counted_at: now,
        }
    }

    /// How many failures are not forgiven yet.
    pub fn failures(&self, policy: &ThrottlePolicy, now: Timestamp) -> u32 {
        let left = self.forgiven_at.duration_since(now).as_millis();
        let one = SignedDuration::try_from(policy.forgive_one)
            .map_or(1, |one| one.as_millis())
            .max(1);
        let failures = left.max(0).unsigned_abs().div_ceil(one.unsigned_abs());
        u32::try_from(failures).unwrap_or(u32::MAX).min(policy.most())
    }

    /// Until when the next attempt waits, if it does. A wait that is longer than the longest one was written before the
    /// clock was set back, and does not count.
    pub fn waits_until(&self, policy: &ThrottlePolicy, now: Timestamp) -> Option<Timestamp> {
        let waits = now < self.wait_until && self.wait_until <= later(now, policy.longest_wait);
        waits.then_some(self.wait_until)
    }

    /// Counts an attempt.
    pub fn count(&mut self, policy: &ThrottlePolicy, now: Timestamp) {
        let failures = self.failures(policy, now).saturating_add(1).min(policy.most());
        let before = failures.saturating_sub(1);
        // What is forgiven of the next failure already stays forgiven, unless the bucket is full or the clock went back.
        let full = later(now, policy.forgive_one.saturating_mul(before));
        let start = self.forgiven_at.max(now).min(full);
        self.forgiven_at = later(start, policy.forgive_one);
        self.wait_until = later(now, policy.wait(failures));
        self.counted_at = now;
    }

    /// Takes back the attempt that was counted at `at`: its failure, and the wait that it began unless another attempt has
    /// begun one since.
    pub fn give_back(&mut self, policy: &ThrottlePolicy, at: Timestamp) {
        self.forgiven_at = earlier(self.forgiven_at, policy.forgive_one);
        if self.counted_at == at {
            self.wait_until = at;
        }
    }

    /// When there is nothing left to remember.
    pub fn ends_at(&self) -> Timestamp {
        self.forgiven_at.max(self.wait_until)
    }

    /// Whether there is nothing left to remember.
    pub fn is_forgiven(&self, now: Timestamp) -> bool {
        self.ends_at() <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: ThrottlePolicy = ThrottlePolicy {
        free: 3,
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(10),
        forgive_one: Duration::from_mins(1),
        capacity: 100,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let waits: Vec<_> = (0..9).map(|failures| POLICY.wait(failures).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 10, 10]);
        assert_eq!(POLICY.wait(u32::MAX).as_secs(), 10);
        assert_eq!(POLICY.most(), 7);
    }

    #[test]
    fn failures_add_up_and_are_forgiven_one_by_one() {
        let mut record = ThrottleRecord::empty(at(0));
        for count in 1..=4 {
            record.count(&POLICY, at(0));
            assert_eq!(record.failures(&POLICY, at(0)), count);
        }
        assert_eq!(record.waits_until(&POLICY, at(0)), Some(at(2)));
        assert_eq!(record.waits_until(&POLICY, at(2)), None);
        // A trickle slower than the forgiving never fills the bucket, and a part of a minute is not lost.
        assert_eq!(record.failures(&POLICY, at(90)), 3);
        record.count(&POLICY, at(90));
        assert_eq!(record.failures(&POLICY, at(90)), 4);
        assert_eq!(record.failures(&POLICY, at(120)), 3);
        assert!(!record.is_forgiven(at(299)));
        assert!(record.is_forgiven(at(300)));
    }

    #[test]
    fn a_full_bucket_stays_full_and_empties_in_bounded_time() {
        let mut record = ThrottleRecord::empty(at(0));
        for _ in 0..1000 {
            record.count(&POLICY, at(0));
        }
        assert_eq!(record.failures(&POLICY, at(0)), 7);
        assert_eq!(record.waits_until(&POLICY, at(0)), Some(at(10)));
        assert!(record.is_forgiven(at(7 * 60)));
    }

    #[test]
    fn what_is_given_back_takes_its_wait_along() {
        let mut record = ThrottleRecord::empty(at(0));
        for second in 0..3 {
            record.count(&POLICY, at(second));
        }
        let mut other = record.clone();
        other.give_back(&POLICY, at(1));
        assert_eq!(
            other.waits_until(&POLICY, at(2)),
            Some(at(3)),
            "begun by the later one"
        );
        record.give_back(&POLICY, at(2));
        assert_eq!(record.waits_until(&POLICY, at(2)), None);
        assert_eq!(record.failures(&POLICY, at(2)), 2);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let mut record = ThrottleRecord::empty(at(100_000));
        for _ in 0..10 {
            record.count(&POLICY, at(100_000));
        }
        assert_eq!(record.waits_until(&POLICY, at(0)), None);
        record.count(&POLICY, at(0));
        assert_eq!(record.waits_until(&POLICY, at(0)), Some(at(10)));
        assert!(record.is_forgiven(at(7 * 60)));
    }
}
