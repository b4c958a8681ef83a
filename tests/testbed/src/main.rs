//! `testbed run` is what `make run` does; `testbed cluster` is a bare control plane to try things on.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it speaks to a person at a terminal"
)]

mod pod_app;
mod run;
mod signals;
mod steps;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::json;
use testbed::helm::{Helm, Release};
use testbed::process::keeper;
use testbed::{Cluster, ClusterOptions};

use crate::signals::Signals;

#[derive(Parser)]
#[command(about = "A Kubernetes control plane on loopback, and claviger on it")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install claviger on a cluster of its own, sign somebody in step by step, and stay up for a browser
    Run(run::RunArguments),
    /// Start a bare control plane, print its kubeconfig's path and stay until Ctrl-C
    Cluster,
    /// Be the app in a pod: sign somebody in with the mounted Secret, and again whenever it changes
    PodApp(pod_app::PodAppArguments),
    /// Lint the chart and print what Helm renders with its defaults
    Chart,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments).await,
        Command::Cluster => cluster().await,
        Command::PodApp(arguments) => pod_app::run(&arguments).await,
        Command::Chart => chart().await,
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
    let mut signals = Signals::listen()?;
    let options = ClusterOptions {
        audit_log: true,
        ..ClusterOptions::default()
    };
    let Some(cluster) = signals.or_end(Cluster::start(options)).await.transpose()? else {
        return Ok(());
    };
    println!("{}", cluster.kubeconfig().display());
    signals.end().await;
    Ok(())
}

async fn chart() -> Result<()> {
    let helm = Helm::offline()?;
    let values = json!({ "issuer": "https://id.example.org" });
    eprint!("{}", helm.lint(&values).await?);
    for object in helm.template(&Release::new(values)).await? {
        print!("---\n{}", serde_yaml::to_string(&object)?);
    }
    Ok(())
}
