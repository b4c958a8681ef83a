//! Programs that run for a moment and whose output matters.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs a program with this text as its standard input, and gives what it printed. A failure tells what it printed
/// on standard error. The program is killed if nobody waits any more.
pub async fn run(mut command: Command, input: &str) -> Result<String> {
    let name = std::path::Path::new(command.as_std().get_program())
        .display()
        .to_string();
    let verb = command
        .as_std()
        .get_args()
        .next()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {name}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read its input, and ends, breaks the pipe; how it ended is what counts.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    let output = child
        .wait_with_output()
        .await
        .with_context(|| format!("failed to run {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{name} {verb} failed: {}", errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
