//! Removal by absence, with its guard.
//!
//! Whoever is in the store but not in a *complete* list was deleted while nobody watched. A list that would take away a
//! large part at once is more likely wrong (another cluster, a restored etcd, a lost CRD) than right, so it is held.

use std::collections::HashSet;

use crate::oidc::identifier::ResourceUid;

/// This many may always go.
const ALWAYS: usize = 10;
/// And this part of all, in percent.
const PERCENT: usize = 20;

/// What to do about those that are missing from a complete list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// They are gone.
    Absent(Vec<ResourceUid>),
    /// Too many at once.
    Held {
        /// How many are missing.
        missing: usize,
        /// Of how many.
        known: usize,
    },
}

/// Compares what the store knows with a complete list.
pub(super) fn decide(known: &HashSet<ResourceUid>, listed: &HashSet<ResourceUid>) -> Removal {
    let mut missing: Vec<ResourceUid> = known.difference(listed).cloned().collect();
    if missing.len() > ALWAYS && missing.len() * 100 > known.len() * PERCENT {
        return Removal::Held {
            missing: missing.len(),
            known: known.len(),
        };
    }
    missing.sort();
    Removal::Absent(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(range: std::ops::Range<usize>) -> HashSet<ResourceUid> {
        range.map(|number| ResourceUid::new(number.to_string())).collect()
    }

    #[test]
    fn a_list_that_would_remove_too_much_is_held() {
        for (known, listed, held) in [
            (0, 0, false),
            (5, 0, false),
            (10, 0, false),
            (11, 0, true),
            (11, 1, false),
            (55, 44, false),
            (54, 43, true),
            (100, 80, false),
            (100, 79, true),
        ] {
            let removal = decide(&uids(0..known), &uids(0..listed));
            assert_eq!(
                matches!(removal, Removal::Held { .. }),
                held,
                "{known} known, {listed} listed: {removal:?}"
            );
            if let Removal::Absent(absent) = removal {
                assert_eq!(absent.len(), known - listed);
            }
        }
    }

    #[test]
    fn resources_that_the_store_does_not_know_do_not_matter() {
        assert_eq!(decide(&uids(0..3), &uids(0..50)), Removal::Absent(Vec::new()));
    }
}
