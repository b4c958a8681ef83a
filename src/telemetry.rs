//! Logs, metrics, traces: set-up only. What is logged is decided where it happens; secrets have no form in which they could be
//! logged.

pub mod metrics;
#[cfg(feature = "otlp")]
pub mod traces;

use std::any::Any;
use std::io;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use metrics::{AuditCounter, Metrics};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line; control characters are escaped by the encoding.
    Json,
    /// For people. Values are quoted with `Debug`, which escapes control characters.
    Text,
}

/// A layer beside the log: the one that makes traces.
pub type OuterLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Checks the directives of `--log`. A misspelt level would be a legal name of a target, and silence the log.
pub fn check_filter(directives: &str) -> Result<(), String> {
    const USAGE: &str =
        "write a level (error, warn, info, debug, trace or off), or directives like `info,claviger=debug`";
    let is_misspelt = |directive: &str| {
        !directive.is_empty()
            && directive.bytes().all(|byte| byte.is_ascii_alphabetic())
            && directive != "claviger"
            && directive.parse::<LevelFilter>().is_err()
    };
    if let Some(word) = directives
        .split(',')
        .map(str::trim)
        .find(|word| is_misspelt(word))
    {
        return Err(format!("`{word}` is no level; {USAGE}"));
    }
    filter(directives)
        .map(drop)
        .map_err(|error| format!("{error}; {USAGE}"))
}

/// When an answer of the API server makes no sense to it, the Kubernetes client writes all of it to the log, and an
/// answer may be a Secret. Its error says enough.
fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    Ok(EnvFilter::try_new(directives)?.add_directive("kube_client::client=error".parse()?))
}

/// Whatever `--log` says: below level info sled writes the keys and values of every operation, and with them password
/// hashes, and usernames as people type them.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().split("::").next() != Some("sled")
}

/// A panic is a line of the log like any other. What it says is written only where it stands in the source: text that was
/// put together may quote what the panic stumbled over.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(place, reason = literal(panic.payload()), "panicked");
    }));
}

fn literal(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(withheld, since it may quote secrets)")
}

/// Sends logs to standard error from now on, panics included, and counts audit events in `metrics`, whether or not they are
/// logged. `directives` must have passed [`check_filter`].
pub fn init(format: LogFormat, directives: &str, metrics: &Metrics) {
    init_with(format, directives, metrics, None);
}

/// As [`init`], with a layer that sees what is not logged, too.
pub fn init_with(format: LogFormat, directives: &str, metrics: &Metrics, outer: Option<OuterLayer>) {
    log_panics();
    let filter = filter(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = BoxMakeWriter::new(io::stderr);
    let registry = tracing_subscriber::registry()
        .with(outer)
        .with(metrics.audit_counter().with_filter(AuditCounter::filter()));
    let log = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(writer)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(writer)
            .boxed(),
    };
    // The directives are the outermost, since the most detailed level that may be asked for is taken from there: at `info`
    // what sled says of each of its steps is then dropped by a comparison.
    let log = log.with_filter(filter_fn(may_be_logged)).with_filter(filter);
    // Fails only when a subscriber is set already, as in a test that starts two servers in one process.
    let _already_set = registry.with(log).try_init();
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Rule 85: what the Kubernetes client says of an answer that it cannot read is never written, whatever `--log` says.
    #[test]
    fn rule_85_no_answer_of_the_api_server_is_logged() {
        for directives in ["info", "trace", "info,kube_client::client=trace"] {
            let written = Written::default();
            let writer = written.clone();
            let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
            let subscriber = tracing_subscriber::registry()
                .with(filter(directives).unwrap())
                .with(layer);
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(target: "kube_client::client", "an answer");
                tracing::error!("another line");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains("an answer"), "{directives}: {text}");
            assert!(text.contains("another line"), "{directives}: {text}");
        }
    }

    /// Rule 85: crash output quotes nothing that was put together at run time.
    #[test]
    fn rule_85_a_panic_quotes_no_data() {
        assert_eq!(literal(&"a text of the source"), "a text of the source");
        assert!(!literal(&"quotes marked-secret".to_owned()).contains("marked"));
    }
}
