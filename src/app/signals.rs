//! Signals that end the process.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM (Kubernetes) or SIGINT (a person).
pub(super) async fn ended() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
