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
