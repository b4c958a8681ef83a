//! Spreads work that nobody waits for, so that the API server sees a trickle and not a wave. No I/O, no clock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::oidc::identifier::ResourceUid;

/// Gives each resource a turn, one after another.
pub(super) struct Pace {
    gap: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: Option<Instant>,
    turns: HashMap<ResourceUid, Instant>,
}

impl Pace {
    /// With this time between two turns.
    pub(super) fn new(gap: Duration) -> Self {
        Self {
            gap,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when it is the turn of `uid`, which is thereby used up; otherwise the time until then.
    pub(super) fn turn(&self, uid: &ResourceUid, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        if let Some(at) = state.turns.get(uid).copied() {
            if at > now {
                return Some(at - now);
            }
            state.turns.remove(uid);
            return None;
        }
        let at = state.next.map_or(now, |next| next.max(now));
        state.next = Some(at + self.gap);
        if at <= now {
            return None;
        }
        // A turn that nobody came for, since the client was deleted meanwhile, must not stay for good.
        let gap = self.gap;
        state
            .turns
            .retain(|_, turn| *turn + gap.saturating_mul(100) > now);
        state.turns.insert(uid.clone(), at);
        Some(at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_one_turn_and_two_turns_are_a_gap_apart() {
        let pace = Pace::new(Duration::from_secs(1));
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let uid = |name: &str| ResourceUid::new(name);
        assert_eq!(pace.turn(&uid("a"), at(0)), None);
        assert_eq!(pace.turn(&uid("b"), at(0)), Some(Duration::from_secs(1)));
        assert_eq!(pace.turn(&uid("c"), at(0)), Some(Duration::from_secs(2)));
        assert_eq!(
            pace.turn(&uid("b"), at(0)),
            Some(Duration::from_secs(1)),
            "the same turn"
        );
        assert_eq!(pace.turn(&uid("c"), at(2)), None);
        assert_eq!(pace.turn(&uid("b"), at(2)), None, "late is not lost");
        assert_eq!(pace.turn(&uid("a"), at(2)), Some(Duration::from_secs(1)));
        assert_eq!(pace.turn(&uid("d"), at(60)), None, "nobody waits after a pause");
    }
}
