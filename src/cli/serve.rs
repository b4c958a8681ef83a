//! `claviger serve`.

use anyhow::Context;

use crate::app;
use crate::config::ServeSettings;
use crate::telemetry;
use crate::telemetry::metrics::Metrics;

/// Serves until a signal ends it.
pub fn run(settings: ServeSettings) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    telemetry::init(settings.logs.log_format.into(), &settings.logs.log, &metrics);
    keep_memory_out_of_core_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the asynchronous runtime")?;
    runtime.block_on(app::serve(settings, metrics))
}

/// A core file would hold every private key. The filter counts where cores are piped to a program too, which a limit of
/// their size does not.
fn keep_memory_out_of_core_files() {
    if let Err(error) = std::fs::write("/proc/self/coredump_filter", "0") {
        tracing::warn!(%error, "unable to keep memory out of core files; forbid core files, they would hold private keys");
    }
}
