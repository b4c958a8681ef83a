//! The ways in which somebody tells us to end.

use std::os::unix::process::parent_id;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Returns on Ctrl-C, `kill`, a closed terminal, or when the program that started us, such as make, was killed.
pub(crate) async fn end() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let parent = parent_id();
    let orphaned = async {
        while parent_id() == parent {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
        () = orphaned => {}
    }
    Ok(())
}

/// Runs something that is given up when we are told to end.
pub(crate) async fn or_end<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        ended = end() => {
            ended?;
            bail!("told to end before it was done")
        }
        outcome = work => outcome,
    }
}
