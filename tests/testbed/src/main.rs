//! `testbed run` is what `make run` does; `testbed cluster` is a bare control plane to try things on.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use testbed::process::keeper;
use testbed::{Cluster, ClusterOptions};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "A Kubernetes control plane on loopback, and claviger on it")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a control plane, print its kubeconfig's path and stay until Ctrl-C
    Cluster,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Cluster => cluster().await,
    };
    keeper::finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn cluster() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions { audit_log: true }).await?;
    println!("{}", cluster.kubeconfig().display());
    wait_for_the_end().await
}

/// Returns on Ctrl-C, `kill`, a closed terminal, or when the program that started us is gone.
async fn wait_for_the_end() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
