//! A clock that stands still until a test moves it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Mutex;
use std::time::Duration;

use claviger::clock::{Clock, Timestamp, later};

/// The clock; share it in an `Arc`.
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// Stands at 2026-01-01T00:00:00Z.
    pub(crate) fn new() -> Self {
        Self::at("2026-01-01T00:00:00Z".parse().unwrap())
    }

    /// Stands at `at`.
    pub(crate) fn at(at: Timestamp) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves it to `at`, back if need be.
    pub(crate) fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap() = at;
    }

    /// Moves it on.
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = later(*now, by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
