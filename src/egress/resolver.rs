//! Names into addresses, by the operating system.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

/// Resolves names.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a host, each with the port.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// A look-up blocks a thread for as long as the name servers let it wait, whoever stopped waiting for it. So many at once.
const LOOK_UPS: usize = 128;

/// `getaddrinfo`, with the pod's own search domains. One host is looked up once at a time, so that one whose name servers do
/// not answer holds one place, however often somebody stops waiting and begins anew.
pub struct SystemResolver {
    places: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOK_UPS)),
            hosts: Mutex::default(),
        }
    }
}

impl SystemResolver {
    fn turn_of(&self, host: &str) -> Arc<AsyncMutex<()>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(hosts.entry(host.to_owned()).or_default())
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let turn = self.turn_of(host).lock_owned().await;
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let host = host.to_owned();
        let looked_up = tokio::task::spawn_blocking(move || {
            let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            drop((place, turn));
            found
        });
        looked_up.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use futures::future::join_all;
    use futures::poll;
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::yield_now;

    use super::*;

    const PORT: u16 = 443;

    /// A runtime in which no look-up gets on until the sender is dropped: the only thread that may block is held.
    fn without_answers() -> (Runtime, Sender<()>) {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (release, released) = channel();
        drop(runtime.spawn_blocking(move || released.recv()));
        (runtime, release)
    }

    fn held(resolver: &SystemResolver) -> usize {
        LOOK_UPS - resolver.places.available_permits()
    }

    /// One host holds one place, however many wait for it and however often somebody stops waiting and begins anew; so all
    /// the others find theirs. Once there are answers, everybody who still waits gets theirs, and no place is lost.
    #[test]
    fn rule_83_a_host_holds_one_place_of_the_resolver() {
        let (runtime, release) = without_answers();
        runtime.block_on(async {
            let resolver = SystemResolver::default();
            for _ in 0..2 * LOOK_UPS {
                assert!(poll!(resolver.resolve("127.0.0.1", PORT)).is_pending());
                assert_eq!(held(&resolver), 1);
                // Lets the next one begin as a new request does.
                yield_now().await;
            }
            let others: Vec<_> = (2..=LOOK_UPS).map(|last| format!("127.0.0.{last}")).collect();
            let mut waiting = Vec::new();
            for _ in 0..10 {
                let mut look_up = resolver.resolve("127.0.0.1", PORT);
                assert!(poll!(&mut look_up).is_pending());
                waiting.push(look_up);
            }
            assert_eq!(held(&resolver), 1);

            for (number, host) in others.iter().enumerate() {
                let mut look_up = resolver.resolve(host, PORT);
                assert!(poll!(&mut look_up).is_pending());
                assert_eq!(held(&resolver), 2 + number);
                waiting.push(look_up);
                yield_now().await;
            }
            drop(release);
            for found in join_all(waiting).await {
                assert_eq!(found.unwrap().len(), 1);
            }
            let found = resolver.resolve("127.0.0.1", PORT).await.unwrap();
            assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], PORT))]);
            assert_eq!(held(&resolver), 0);
        });
    }
}
