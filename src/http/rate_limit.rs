//! Rate limits: how often one network, or one client, may ask.
//!
//! They keep a loop or a flood from taking the time of everybody else, and decide nothing about who somebody is. Guessing
//! passwords is slowed down elsewhere, by what is counted in the store.
//!
//! The memory is fixed: keys are hashed, with a secret of the process, onto a table of cells (GCRA, of `governor`). Two
//! keys that fall on one cell share its allowance; nobody can choose to share somebody else's.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as LimitClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, Timestamp};
use crate::login::network::Network;
use crate::oidc::identifier::ClientId;
use crate::oidc::opaque_token::TokenHash;
use crate::random::{self, Random};

/// Cells of one limit: 128 KiB.
const CELLS: usize = 16 * 1024;

/// So many a second in the long run, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

/// A rate, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(Option<Rate>);

impl Limit {
    /// No limit.
    pub const OFF: Self = Self(None);

    /// So many a second, and so many at once; at least one of each.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        const fn at_least_one(number: u32) -> NonZeroU32 {
            match NonZeroU32::new(number) {
                Some(number) => number,
                None => NonZeroU32::MIN,
            }
        }
        Self(Some(Rate {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }))
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const USAGE: &str = "write it like `20/s:200` (20 a second, 200 at once) or `off`";
        if text == "off" {
            return Ok(Self::OFF);
        }
        let read = || {
            let (per_second, burst) = text.split_once("/s:")?;
            Some(Rate {
                per_second: per_second.parse().ok()?,
                burst: burst.parse().ok()?,
            })
        };
        read()
            .map(|rate| Self(Some(rate)))
            .ok_or_else(|| USAGE.to_owned())
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Rate { per_second, burst }) => write!(formatter, "{per_second}/s:{burst}"),
            None => formatter.write_str("off"),
        }
    }
}

/// The limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Authorization requests of one network.
    pub authorize: Limit,
    /// Forms with a password of one network.
    pub login: Limit,
    /// Token requests, revocations, introspections and pushed requests without a client that authenticates, of one network.
    pub token: Limit,
    /// Token requests, revocations and pushed requests of one client that has authenticated.
    pub client: Limit,
    /// Introspections of one client that has authenticated.
    pub introspection: Limit,
}

impl RateLimits {
    /// Nobody is limited.
    pub const OFF: Self = Self {
        authorize: Limit::OFF,
        login: Limit::OFF,
        token: Limit::OFF,
        client: Limit::OFF,
        introspection: Limit::OFF,
    };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            authorize: Limit::new(20, 200),
            login: Limit::new(10, 100),
            token: Limit::new(10, 100),
            client: Limit::new(100, 1000),
            introspection: Limit::new(1000, 10_000),
        }
    }
}

/// The limits at work.
pub(super) struct RateLimiters {
    pub(super) authorize: Arc<Limiter>,
    pub(super) login: Arc<Limiter>,
    pub(super) token: Arc<Limiter>,
    pub(super) client: Arc<Limiter>,
    pub(super) introspection: Arc<Limiter>,
}

impl RateLimiters {
    pub(super) fn new(limits: &RateLimits, clock: Arc<dyn Clock>, random: &dyn Random) -> Self {
        let clock = LimitTime::new(clock);
        let limiter = |limit| Arc::new(Limiter::new(limit, clock.clone(), random::bytes(random)));
        Self {
            authorize: limiter(limits.authorize),
            login: limiter(limits.login),
            token: limiter(limits.token),
            client: limiter(limits.client),
            introspection: limiter(limits.introspection),
        }
    }
}

/// One limit at work.
pub(super) struct Limiter {
    secret: [u8; 16],
    limiter: Option<RateLimiter<TokenHash, Cells, LimitTime, NoOpMiddleware<Duration>>>,
}

impl Limiter {
    fn new(limit: Limit, clock: LimitTime, secret: [u8; 16]) -> Self {
        let limiter = limit.0.map(|rate| {
            let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
            RateLimiter::new(quota, Cells::default(), clock)
        });
        Self { secret, limiter }
    }

    /// Counts a request of the network, or says how long to wait.
    pub(super) fn admit_network(&self, network: Network) -> Result<(), Duration> {
        self.admit(network.to_string().as_bytes())
    }

    /// Counts a request of the client, or says how long to wait.
    pub(super) fn admit_client(&self, client: &ClientId) -> Result<(), Duration> {
        self.admit(client.as_str().as_bytes())
    }

    fn admit(&self, key: &[u8]) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let key = TokenHash::of(&[self.secret.as_slice(), key].concat());
        limiter
            .check_key(&key)
            .map_err(|until| until.wait_time_from(limiter.clock().now()))
    }
}

/// The table of cells.
struct Cells(Box<[InMemoryState]>);

impl Default for Cells {
    fn default() -> Self {
        Self((0..CELLS).map(|_| InMemoryState::default()).collect())
    }
}

impl StateStore for Cells {
    type Key = TokenHash;

    fn measure_and_replace<T, F, E>(&self, key: &TokenHash, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let [first, second, ..] = *key.as_bytes();
        let index = usize::from(u16::from_be_bytes([first, second])) % CELLS;
        match self.0.get(index) {
            Some(cell) => cell.measure_and_replace(&NotKeyed::NonKey, decide),
            // There are as many as `index` is taken modulo.
            None => decide(None).map(|(result, _)| result),
        }
    }
}

/// Our clock as one that never goes back: after it was set back by an hour, nobody must wait an hour.
#[derive(Clone)]
struct LimitTime {
    clock: Arc<dyn Clock>,
    reading: Arc<Mutex<Reading>>,
}

struct Reading {
    at: Timestamp,
    passed: Duration,
}

impl LimitTime {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let reading = Reading {
            at: clock.now(),
            passed: Duration::ZERO,
        };
        Self {
            clock,
            reading: Arc::new(Mutex::new(reading)),
        }
    }
}

impl LimitClock for LimitTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let now = self.clock.now();
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Negative when it was set back.
        let step = Duration::try_from(now.duration_since(reading.at)).unwrap_or_default();
        reading.at = now;
        reading.passed = reading.passed.saturating_add(step);
        reading.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands where it is put.
    struct HandClock(Mutex<Timestamp>);

    impl HandClock {
        fn advance(&self, milliseconds: i64) {
            let mut now = self.0.lock().unwrap();
            *now = Timestamp::from_millisecond(now.as_millisecond() + milliseconds).unwrap();
        }
    }

    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    fn limiter(limit: Limit) -> (Limiter, Arc<HandClock>) {
        let start = Timestamp::from_second(1_000_000).unwrap();
        let clock = Arc::new(HandClock(Mutex::new(start)));
        (Limiter::new(limit, LimitTime::new(clock.clone()), [7; 16]), clock)
    }

    fn admitted(limiter: &Limiter, key: &str, times: usize) -> usize {
        (0..times)
            .filter(|_| limiter.admit(key.as_bytes()).is_ok())
            .count()
    }

    #[test]
    fn limits_as_text() {
        for (text, expected) in [
            ("20/s:200", Some(Limit::new(20, 200))),
            ("off", Some(Limit::OFF)),
            ("0/s:1", None),
            ("1/s:0", None),
            ("20", None),
            ("20/m:200", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
            if let Some(limit) = expected {
                assert_eq!(limit.to_string(), text);
            }
        }
    }

    #[test]
    fn rule_88_a_burst_then_a_rate() {
        let (limiter, clock) = limiter(Limit::new(2, 5));
        assert_eq!(admitted(&limiter, "a", 100), 5);
        assert_eq!(admitted(&limiter, "b", 100), 5, "another key");
        assert_eq!(limiter.admit(b"a"), Err(Duration::from_millis(500)));
        clock.advance(499);
        assert_eq!(admitted(&limiter, "a", 100), 0);
        clock.advance(1);
        assert_eq!(admitted(&limiter, "a", 100), 1);
        clock.advance(3_600_000);
        assert_eq!(
            admitted(&limiter, "a", 100),
            5,
            "no more than a burst is saved up"
        );
        let (unlimited, _) = self::limiter(Limit::OFF);
        assert_eq!(admitted(&unlimited, "a", 10_000), 10_000);
    }

    #[test]
    fn rule_88_a_clock_that_was_set_back_stops_nobody() {
        let (limiter, clock) = limiter(Limit::new(2, 5));
        assert_eq!(admitted(&limiter, "a", 100), 5);
        clock.advance(-3_600_000);
        assert_eq!(admitted(&limiter, "a", 100), 0);
        clock.advance(1000);
        assert_eq!(admitted(&limiter, "a", 100), 2);
    }

    /// However many keys there are, the memory is that of the table.
    #[test]
    fn rule_88_a_flood_of_keys_takes_no_memory() {
        let (limiter, _) = limiter(Limit::new(1, 1));
        let admitted: usize = (0..50_000)
            .map(|number| admitted(&limiter, &number.to_string(), 1))
            .sum();
        assert!(admitted > CELLS * 9 / 10 && admitted <= CELLS, "{admitted}");
    }
}
