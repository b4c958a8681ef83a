//! `claviger crd`: prints the custom resource definitions.

use std::io::Write;

use anyhow::Context;

/// Arguments of `claviger crd`.
#[derive(Debug, clap::Args)]
pub struct CrdArgs {}

/// Prints the custom resource definitions as YAML, for `kubectl apply --server-side -f -`.
pub fn run(_: &CrdArgs) -> anyhow::Result<()> {
    let yaml = crate::crd::yaml().context("failed to write the custom resource definitions as YAML")?;
    let written = std::io::stdout().lock().write_all(yaml.as_bytes());
    match written {
        // Whoever reads has seen enough, as with `claviger crd | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("failed to write to standard output"),
    }
}
