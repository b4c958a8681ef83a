//! Who may have how many of the places in which passwords wait to be hashed.
//!
//! Each network and each account may have as many places as are still free: one alone gets half of them, two get a third
//! each, and whoever comes next always finds one, as long as there are fewer of them than places.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::network::Network;
use super::password::WAITING;

/// Somebody who has places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    Network(Network),
    Account(String),
}

/// The places.
pub struct Shares {
    places: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_holder: HashMap<Holder, usize>,
}

/// A place, until it is dropped.
pub struct Place {
    shares: Arc<Shares>,
    holders: [Holder; 2],
}

impl Default for Shares {
    fn default() -> Self {
        Self::of(WAITING)
    }
}

impl Shares {
    /// So many places.
    pub fn of(places: usize) -> Self {
        Self {
            places,
            taken: Mutex::default(),
        }
    }

    /// A place for an attempt at this account from this network, unless one of them has its share.
    pub fn take(self: &Arc<Self>, network: Network, account: &str) -> Option<Place> {
        let holders = [Holder::Network(network), Holder::Account(account.to_owned())];
        let mut taken = self.taken();
        let free = self.places.saturating_sub(taken.total);
        let has_share = |holder: &Holder| taken.by_holder.get(holder).copied().unwrap_or(0) >= free;
        if holders.iter().any(has_share) {
            return None;
        }
        taken.total += 1;
        for holder in &holders {
            *taken.by_holder.entry(holder.clone()).or_default() += 1;
        }
        drop(taken);
        Some(Place {
            shares: Arc::clone(self),
            holders,
        })
    }

    // Counts are changed together and without a panic in between.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        taken.total = taken.total.saturating_sub(1);
        for holder in &self.holders {
            if let Entry::Occupied(mut count) = taken.by_holder.entry(holder.clone()) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn network(last: u8) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    /// All that one network gets at once, each time for another account.
    fn fill(shares: &Arc<Shares>, last: u8) -> Vec<Place> {
        (0..)
            .map_while(|number| shares.take(network(last), &format!("{last} {number}")))
            .collect()
    }

    /// One network has at most half of the places, and whoever comes later still gets some; the same for accounts.
    #[test]
    fn rule_65_no_network_and_no_account_fills_the_queue() {
        let shares = Arc::new(Shares::of(64));
        let first = fill(&shares, 1);
        assert_eq!(first.len(), 32);
        let second = fill(&shares, 2);
        assert_eq!(second.len(), 16);
        let third = fill(&shares, 3);
        assert_eq!(third.len(), 8);
        drop((first, second, third));
        assert!(shares.taken().by_holder.is_empty());
        let one_account: Vec<_> = (0..=255)
            .map_while(|last| shares.take(network(last), "ada"))
            .collect();
        assert_eq!(one_account.len(), 32);
        assert!(shares.take(network(1), "eve").is_some());
    }

    #[test]
    fn there_are_no_more_places_than_there_are() {
        let shares = Arc::new(Shares::of(8));
        let places: Vec<_> = (0..=255)
            .filter_map(|last| shares.take(network(last), &last.to_string()))
            .collect();
        assert_eq!(places.len(), 8);
    }
}
