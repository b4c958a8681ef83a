//! Everything that is drawn in an experiment comes from its seed.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A source of draws.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// The one of the environment, or this one.
    pub(crate) fn or(default: u64) -> Self {
        Self(testbed::scale::seed_or(default).unwrap())
    }

    /// A draw that depends on the seed and on this alone: not on what else is drawn, nor when.
    pub(crate) fn of(self, what: impl Hash) -> u64 {
        // The default hasher has no key of its own.
        let mut hasher = DefaultHasher::new();
        (self.0, what).hash(&mut hasher);
        hasher.finish()
    }

    /// The next draw of many.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.of("next");
        self.0
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % u64::try_from(limit).unwrap()).unwrap()
    }

    /// One of these.
    pub(crate) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}
