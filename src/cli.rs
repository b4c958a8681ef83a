//! The command line. Exit codes: 0 done, 1 failed (one line on standard error says what, where and what to do), 2 the
//! command line cannot be understood.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ServeSettings;

pub mod crd;
pub mod hash_password;
pub mod serve;

/// An operator for Kubernetes that is an OpenID Provider.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller and the provider. The cluster is that of KUBECONFIG (or `~/.kube/config`), in a pod that of its account
    Serve(Box<ServeSettings>),
    /// Print the custom resource definitions, for `claviger crd | kubectl apply --server-side -f -`
    Crd(crd::CrdArgs),
    /// Read a password and print the Argon2id hash that an `OidcUser`'s Secret may hold under its key `password`
    HashPassword(hash_password::HashPassword),
}

/// Parses the command line and runs the subcommand.
pub fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Serve(settings) => serve::run(*settings),
        Command::Crd(command) => crd::run(&command),
        Command::HashPassword(command) => hash_password::run(&command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// One line: the error and its causes, whatever stands in them.
#[expect(
    clippy::print_stderr,
    reason = "the one line that a failed command prints for people"
)]
fn report(error: &anyhow::Error) {
    let words: Vec<String> = format!("{error:#}")
        .split_whitespace()
        .map(|word| word.replace(char::is_control, "?"))
        .collect();
    eprintln!("claviger: {}", words.join(" "));
}
