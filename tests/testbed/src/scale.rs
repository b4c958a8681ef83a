//! How much the tests try and what they draw: `TEST_FULL=1` has them run at their full counts, and `TEST_SEED=<number>`
//! repeats a run.

use anyhow::{Context, Result};

/// Whether the tests run at their full counts.
pub fn full() -> bool {
    std::env::var_os("TEST_FULL").is_some_and(|value| value == "1")
}

/// The larger of two counts when the tests run at their full counts.
pub fn count(small: usize, large: usize) -> usize {
    if full() { large } else { small }
}

/// `TEST_LOG`: the level at which every claviger logs that its test gave none.
pub fn log() -> Option<String> {
    std::env::var("TEST_LOG").ok()
}

/// `TEST_SEED`, or another one each time.
pub fn seed() -> Result<u64> {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    seed_or(u64::from(std::process::id()) << 30 ^ u64::from(now.subsec_nanos()))
}

/// `TEST_SEED`, or this one.
pub fn seed_or(otherwise: u64) -> Result<u64> {
    match std::env::var("TEST_SEED") {
        Ok(seed) => seed
            .parse()
            .with_context(|| format!("TEST_SEED is `{seed}`, expected a number")),
        Err(_) => Ok(otherwise),
    }
}
