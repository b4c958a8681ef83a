//! Who has the places of a server, and who makes way when there are none left.
//!
//! A connection waits (for a handshake, a head, the rest of a body, the next request) or is being answered. Waiting costs
//! the peer nothing, so thousands that only wait must not keep out whoever has a request: when every place is taken, the
//! connections that have waited longest make way, of the network that has most of them. One network has a part of the
//! places at most.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::login::network::Network;

/// So many make way at once, since looking for them means looking at all.
const AT_ONCE: usize = 16;

/// The places of one server.
pub(super) struct Places {
    most: usize,
    most_of_network: usize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Default)]
struct Held {
    /// Counts what happens, so that what waits can be ordered without a clock.
    event: u64,
    by_id: HashMap<u64, Connection>,
    by_network: HashMap<Network, usize>,
}

struct Connection {
    /// `None` for a trusted proxy, which has the connections of many.
    network: Option<Network>,
    /// Since which event it waits; `None` while it is answered.
    waits_since: Option<u64>,
    make_way: CancellationToken,
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    make_way: CancellationToken,
}

impl Places {
    pub(super) fn new(most: usize, most_of_network: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_network,
            held: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A place for a connection from `peer`, as soon as there is one; `None` for one whose network has its part and waits
    /// with none of them. `is_proxy` says that it is trusted.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Option<Place> {
        let network = (!is_proxy).then(|| Network::of(peer));
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before looking: what is freed between looking and waiting must not be missed.
            freed.as_mut().enable();
            match self.try_take(network) {
                Attempt::Taken(place) => return Some(place),
                Attempt::Refused => return None,
                Attempt::Wait => freed.await,
            }
        }
    }

    fn try_take(self: &Arc<Self>, network: Option<Network>) -> Attempt {
        let mut held = self.held();
        let of_network = network.map_or(0, |network| held.by_network.get(&network).copied().unwrap_or(0));
        if of_network >= self.most_of_network {
            // Its own make way: it waits for nobody, and nobody waits for it.
            return match held.longest_waiting(network, 1) {
                0 => Attempt::Refused,
                _ => Attempt::Wait,
            };
        }
        if held.by_id.len() >= self.most {
            let greediest = held.greediest();
            held.longest_waiting(greediest, AT_ONCE);
            return Attempt::Wait;
        }
        let id = held.next_event();
        let make_way = CancellationToken::new();
        let connection = Connection {
            network,
            waits_since: Some(id),
            make_way: make_way.clone(),
        };
        held.by_id.insert(id, connection);
        if let Some(network) = network {
            *held.by_network.entry(network).or_default() += 1;
        }
        drop(held);
        Attempt::Taken(Place {
            places: Arc::clone(self),
            id,
            make_way,
        })
    }

    // Nothing panics while it is held.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Attempt {
    Taken(Place),
    Refused,
    Wait,
}

impl Held {
    fn next_event(&mut self) -> u64 {
        self.event += 1;
        self.event
    }

    /// The network with most connections that wait; proxies count as one.
    fn greediest(&self) -> Option<Network> {
        let mut counts: HashMap<Option<Network>, usize> = HashMap::new();
        for connection in self.by_id.values().filter(|connection| connection.waits()) {
            *counts.entry(connection.network).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        // Among equals the one whose connection waits longest.
        self.by_id
            .values()
            .filter(|connection| connection.waits() && counts.get(&connection.network) == Some(&most))
            .min_by_key(|connection| connection.waits_since)
            .and_then(|connection| connection.network)
    }

    /// Has up to `limit` of the network's connections that have waited longest make way; gives how many do.
    fn longest_waiting(&mut self, network: Option<Network>, limit: usize) -> usize {
        let mut waiting: Vec<_> = self
            .by_id
            .values_mut()
            .filter(|connection| connection.network == network && connection.waits())
            .collect();
        // Never all of them: the youngest may be about to say what it wants.
        let limit = limit.min(waiting.len().div_ceil(2));
        waiting.sort_unstable_by_key(|connection| connection.waits_since);
        for connection in waiting.iter().take(limit) {
            connection.make_way.cancel();
        }
        limit
    }
}

impl Connection {
    /// Waits, and was not told to make way yet.
    fn waits(&self) -> bool {
        self.waits_since.is_some() && !self.make_way.is_cancelled()
    }
}

impl Place {
    /// Resolves when the connection must make way.
    pub(super) async fn must_make_way(&self) {
        self.make_way.cancelled().await;
    }

    /// A request is complete and being answered.
    pub(super) fn answers(&self) {
        if let Some(connection) = self.places.held().by_id.get_mut(&self.id) {
            connection.waits_since = None;
        }
    }

    /// It was answered, and the connection waits for the next one.
    pub(super) fn waits(&self) {
        let mut held = self.places.held();
        let event = held.next_event();
        if let Some(connection) = held.by_id.get_mut(&self.id) {
            connection.waits_since = Some(event);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held();
        let connection = held.by_id.remove(&self.id);
        if let Some(network) = connection.and_then(|connection| connection.network)
            && let Some(count) = held.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                held.by_network.remove(&network);
            }
        }
        drop(held);
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn taken(places: &Arc<Places>, last: u8) -> Place {
        let taken = places.take(peer(last), false).now_or_never();
        taken.expect("a place at once").expect("a place")
    }

    fn makes_way(place: &Place) -> bool {
        place.make_way.is_cancelled()
    }

    #[tokio::test]
    async fn rule_80_whoever_waits_longest_makes_way() {
        let places = Places::new(4, 4);
        let held: Vec<_> = [1, 2, 2, 2].map(|last| taken(&places, last)).into();
        // The oldest of the network with most that wait; one that is answered stays.
        held[1].answers();
        assert!(places.take(peer(3), false).now_or_never().is_none());
        let making_way: Vec<_> = held.iter().map(makes_way).collect();
        assert_eq!(making_way, [false, false, true, false]);
        let next = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(peer(3), false).await.is_some() }
        });
        held[2].must_make_way().await;
        drop(held);
        assert!(next.await.unwrap());
        assert!(places.held().by_id.is_empty() && places.held().by_network.is_empty());
    }

    #[tokio::test]
    async fn rule_80_a_network_has_a_part_of_the_places() {
        let places = Places::new(8, 2);
        let held = [taken(&places, 1), taken(&places, 1)];
        held[1].answers();
        assert!(
            places.take(peer(1), false).now_or_never().is_none(),
            "it waits for its own"
        );
        assert!(makes_way(&held[0]) && !makes_way(&held[1]));
        let all_answered = places.take(peer(1), false).now_or_never();
        assert!(
            all_answered.is_some_and(|place| place.is_none()),
            "refused at once"
        );
        drop(taken(&places, 2));
        let proxied: Vec<_> = (0..6)
            .map(|_| places.take(peer(1), true).now_or_never().flatten())
            .collect();
        assert!(
            proxied.iter().all(Option::is_some),
            "a trusted proxy has no part of its own"
        );
    }
}
