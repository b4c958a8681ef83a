//! Everything that a test draws comes from a seed, so that it can be drawn again.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Result;

use crate::scale;

/// A source of draws.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The one of the environment, or this one.
    pub fn or(default: u64) -> Result<Self> {
        Ok(Self(scale::seed_or(default)?))
    }

    /// A draw that depends on the seed and on this alone: not on what else is drawn, nor when.
    pub fn of(self, what: impl Hash) -> u64 {
        // The default hasher has no key of its own.
        let mut hasher = DefaultHasher::new();
        (self.0, what).hash(&mut hasher);
        hasher.finish()
    }

    /// The next draw of many.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.of("next");
        self.0
    }

    /// A number below this one, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % (limit as u64)).unwrap_or_default()
    }

    /// One of these.
    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Whether it is one of so many in a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
