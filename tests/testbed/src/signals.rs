//! The ways in which somebody tells us to end.

use std::os::unix::process::parent_id;
use std::time::Duration;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from the beginning, so that nothing is missed between two moments of waiting.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    parent: u32,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            parent: parent_id(),
        })
    }

    /// Returns on Ctrl-C, `kill`, a closed terminal, or when the program that started us, such as make, was killed.
    pub(crate) async fn end(&mut self) {
        let parent = self.parent;
        let orphaned = async {
            while parent_id() == parent {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            () = orphaned => {}
        }
    }

    /// Does something; gives it up, and `None`, when we are told to end.
    pub(crate) async fn or_end<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.end() => None,
            outcome = work => Some(outcome),
        }
    }
}
