//! The command line. Exit codes: 0 done, 1 failed (one line on standard error says what, where and what to do), 2 the
//! command line cannot be understood, 3 no serving claviger was reached over its socket, 4 `doctor` found a failure.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::config::ServeSettings;

pub mod check_issuer;
pub mod crd;
pub mod doctor;
mod exit;
pub mod export_subjects;
pub mod hash_password;
pub mod keys;
mod output;
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
    /// List or rotate the keys of the serving claviger, over its socket
    Keys(keys::KeysArgs),
    /// Look at everything that an installation stumbles on; each line says what to do next
    Doctor(doctor::DoctorArgs),
    /// Fetch an issuer's discovery document and keys as an app does: does it answer, and is it the one that it should be?
    CheckIssuer(check_issuer::CheckIssuerArgs),
    /// Print the commands that pin the subject of every person in their `OidcUser`
    ExportSubjects(export_subjects::ExportSubjectsArgs),
    /// Print the custom resource definitions, for `claviger crd | kubectl apply --server-side -f -`
    Crd(crd::CrdArgs),
    /// Read a password and print the Argon2id hash that an `OidcUser`'s Secret may hold under its key `password`
    HashPassword(hash_password::HashPassword),
}

/// Parses the command line and runs the subcommand.
pub fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Serve(settings) => done(serve::run(*settings)),
        Command::Keys(command) => done(asking(keys::run(&command))),
        Command::Doctor(command) => asking(doctor::run(&command)),
        Command::CheckIssuer(command) => done(asking(check_issuer::run(&command))),
        Command::ExportSubjects(command) => done(asking(export_subjects::run(&command))),
        Command::Crd(command) => done(crd::run(&command)),
        Command::HashPassword(command) => done(hash_password::run(&command)),
    };
    outcome.unwrap_or_else(|error| {
        report(&error);
        ExitCode::from(exit::code(&error))
    })
}

fn done(outcome: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Runs what asks another process and waits for its answer.
fn asking<T>(asked: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the asynchronous runtime")?
        .block_on(asked)
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
