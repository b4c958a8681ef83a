//! Logs: set-up only. What is logged is decided where it happens; secrets have no form in which they could be logged.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line; control characters are escaped by the encoding.
    Json,
    /// For people. Values are quoted with `Debug`, which escapes control characters.
    Text,
}

/// Checks the directives of `--log`.
pub fn check_filter(directives: &str) -> Result<(), String> {
    EnvFilter::try_new(directives)
        .map(drop)
        .map_err(|error| format!("{error}; write a level like `info`, or `info,claviger=debug`"))
}

/// Sends logs to standard error from now on. `directives` must have passed [`check_filter`].
pub fn init(format: LogFormat, directives: &str) {
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = BoxMakeWriter::new(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // `try_init` fails only when a subscriber is set already, as in a test that starts two servers in one process.
    let _already_set = match format {
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(writer),
            )
            .try_init(),
        LogFormat::Text => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(false)
                    .with_writer(writer),
            )
            .try_init(),
    };
}
