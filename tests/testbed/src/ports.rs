//! Free loopback ports, which no other test takes before a server listens on them.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

use anyhow::{Context, Result};

/// Below the range from which the kernel takes ports for outgoing connections: a server that is stopped for a while
/// must find its port free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port on 127.0.0.1 that is free now, and that no other program using this function gets while we run.
///
/// The claim is a socket in Linux's abstract namespace: it needs no file and ends with the process.
pub fn free() -> Result<u16> {
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    for step in 0..COUNT {
        let port = FIRST + (start + step) % COUNT;
        let name = SocketAddr::from_abstract_name(format!("claviger-testbed-port-{port}"))
            .context("failed to name a port")?;
        let Ok(claim) = UnixListener::bind_addr(&name) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            CLAIMS
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(claim);
            return Ok(port);
        }
    }
    anyhow::bail!("found no free port between {FIRST} and {}", FIRST + COUNT)
}
