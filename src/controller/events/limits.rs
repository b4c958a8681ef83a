//! How often something is said. Pure: time is a parameter.
//!
//! Whoever reaches the sign-in page can make claviger want to say something, so what is remembered is bounded too.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::oidc::identifier::ResourceUid;

/// So many at once, and one more after each of these times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) every: Duration,
}

/// What holds at the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    /// For all resources together.
    pub(super) all: Rate,
    /// For each resource.
    pub(super) each: Rate,
    /// The same is said of the same resource again after this.
    pub(super) same: Duration,
}

/// The most resources, and the most sentences, that are remembered. Beyond that nothing new is said.
const REMEMBERED: usize = 1024;

/// Decides; see the module documentation.
pub(super) struct Limits {
    rates: Rates,
    all: Bucket,
    each: HashMap<ResourceUid, Bucket>,
    said: HashMap<(ResourceUid, String), Instant>,
}

impl Limits {
    pub(super) fn new(rates: Rates, now: Instant) -> Self {
        Self {
            all: Bucket::full(rates.all, now),
            rates,
            each: HashMap::new(),
            said: HashMap::new(),
        }
    }

    /// Whether `what` may be said of a resource now. Then it counts as said.
    pub(super) fn allow(&mut self, uid: &ResourceUid, what: &str, now: Instant) -> bool {
        let rates = self.rates;
        self.said
            .retain(|_, said| now.saturating_duration_since(*said) < rates.same);
        self.each.retain(|_, bucket| !bucket.is_full(rates.each, now));
        let sentence = (uid.clone(), what.to_owned());
        if self.said.contains_key(&sentence) || self.said.len() >= REMEMBERED {
            return false;
        }
        if self.each.len() >= REMEMBERED && !self.each.contains_key(uid) {
            return false;
        }
        let each = self
            .each
            .entry(uid.clone())
            .or_insert_with(|| Bucket::full(rates.each, now));
        if !each.has_one(rates.each, now) || !self.all.has_one(rates.all, now) {
            return false;
        }
        each.take();
        self.all.take();
        self.said.insert(sentence, now);
        true
    }
}

struct Bucket {
    left: u32,
    /// Up to when what comes back is counted in `left`.
    counted: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            left: rate.burst,
            counted: now,
        }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        while self.left < rate.burst && now.saturating_duration_since(self.counted) >= rate.every {
            self.left += 1;
            self.counted += rate.every;
        }
        if self.left == rate.burst {
            self.counted = now;
        }
    }

    fn has_one(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.left > 0
    }

    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.left == rate.burst
    }

    fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        all: Rate {
            burst: 4,
            every: Duration::from_mins(1),
        },
        each: Rate {
            burst: 2,
            every: Duration::from_mins(10),
        },
        same: Duration::from_hours(1),
    };

    fn uid(name: &str) -> ResourceUid {
        ResourceUid::new(name)
    }

    #[test]
    fn the_same_is_said_once_and_each_resource_has_its_share() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut limits = Limits::new(RATES, began);
        for (seconds, resource, what, expected) in [
            (0, "a", "x", true),
            (1, "a", "x", false),
            (2, "a", "y", true),
            (3, "a", "z", false),
            (4, "b", "x", true),
            (5, "b", "y", true),
            // All together have used theirs; one comes back after a minute.
            (6, "c", "x", false),
            (66, "c", "x", true),
            (67, "c", "y", false),
            (130, "c", "y", true),
            (610, "a", "z", true),
            (3_599, "a", "x", false),
            (3_600, "a", "x", true),
        ] {
            assert_eq!(
                limits.allow(&uid(resource), what, at(seconds)),
                expected,
                "{resource} {what} after {seconds} s"
            );
        }
    }

    /// Ten thousand sentences in an hour, about one resource or about many: what is said and what is remembered stays
    /// small.
    #[test]
    fn neither_what_is_said_nor_what_is_remembered_grows() {
        let began = Instant::now();
        for many in [false, true] {
            let mut limits = Limits::new(RATES, began);
            let mut said = 0;
            for number in 0..10_000_u64 {
                let now = began + Duration::from_millis(number * 360);
                let resource = uid(&format!("r{}", if many { number } else { 0 }));
                said += usize::from(limits.allow(&resource, &number.to_string(), now));
                assert!(limits.each.len() <= REMEMBERED && limits.said.len() <= REMEMBERED);
            }
            let most = if many { 4 + 60 } else { 2 + 6 };
            assert!(said <= most && said >= most - 2, "{said}");
        }
    }
}
