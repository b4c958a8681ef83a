//! `claviger serve`.

use anyhow::Context;

use crate::app;
use crate::config::ServeSettings;
use crate::telemetry;

/// Serves until a signal ends it.
pub fn run(settings: ServeSettings) -> anyhow::Result<()> {
    telemetry::init(settings.logs.log_format.into(), &settings.logs.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the asynchronous runtime")?;
    runtime.block_on(app::serve(settings))
}
