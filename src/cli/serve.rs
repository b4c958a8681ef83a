//! `claviger serve`.

use anyhow::Context;

use crate::app;
use crate::config::{LogSettings, ServeSettings};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{self, OuterLayer};

/// Serves until a signal ends it.
pub fn run(settings: ServeSettings) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the asynchronous runtime")?;
    let traces = Traces::open(&settings.logs, runtime.handle())?;
    let logs = &settings.logs;
    telemetry::init_with(logs.log_format.into(), &logs.log, &metrics, traces.layer);
    keep_memory_out_of_core_files();
    let outcome = runtime.block_on(app::serve(settings, metrics));
    (traces.end)();
    outcome
}

/// The layer that makes traces, and what ends them.
struct Traces {
    layer: Option<OuterLayer>,
    end: Box<dyn FnOnce()>,
}

impl Traces {
    #[cfg(feature = "otlp")]
    fn open(settings: &LogSettings, runtime: &tokio::runtime::Handle) -> anyhow::Result<Self> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(Self {
                layer: None,
                end: Box::new(|| ()),
            });
        };
        let (traces, layer) = telemetry::traces::open(endpoint, runtime.clone())?;
        Ok(Self {
            layer: Some(layer),
            end: Box::new(move || traces.shut_down()),
        })
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "a build with the feature `otlp` may fail here"
    )]
    fn open(_: &LogSettings, _: &tokio::runtime::Handle) -> anyhow::Result<Self> {
        Ok(Self {
            layer: None,
            end: Box::new(|| ()),
        })
    }
}

/// A core file would hold every private key. The filter counts where cores are piped to a program too, which a limit of
/// their size does not.
fn keep_memory_out_of_core_files() {
    if let Err(error) = std::fs::write("/proc/self/coredump_filter", "0") {
        tracing::warn!(%error, "unable to keep memory out of core files; forbid core files, they would hold private keys");
    }
}
