//! `claviger doctor`: what is wrong with an installation, and what to do next.

use std::process::ExitCode;

use clap::Args;

use super::exit;
use super::output::{OutputFormat, print, print_json};
use crate::admin::client::AdminClient;
use crate::admin::report::{Check, CheckResult};
use crate::config::AdminSocketSettings;

/// Arguments of `claviger doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    socket: AdminSocketSettings,

    /// How the findings look
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// Runs the subcommand.
pub async fn run(arguments: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = AdminClient::new(&arguments.socket.path()).doctor().await?;
    match arguments.output {
        OutputFormat::Json => print_json(&report)?,
        OutputFormat::Text => print(&report.checks.iter().map(lines).collect::<String>())?,
    }
    Ok(if report.has_failures() {
        ExitCode::from(exit::DOCTOR_FOUND_A_FAILURE)
    } else {
        ExitCode::SUCCESS
    })
}

fn lines(check: &Check) -> String {
    let result = match check.result {
        CheckResult::Ok => "ok     ",
        CheckResult::Warning => "WARNING",
        CheckResult::Failed => "FAILED ",
    };
    let next = check.next.as_ref();
    let next = next.map_or_else(String::new, |next| format!("         next: {next}\n"));
    format!("{result}  {}: {}\n{next}", check.name, check.found)
}
