use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::*;

/// Audit events are counted whether or not they are logged, and nothing else is.
#[test]
fn audit_events_are_counted_whatever_is_logged() {
    let metrics = Metrics::default();
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(EnvFilter::new("off"));
    let subscriber = tracing_subscriber::registry()
        .with(metrics.audit_counter().with_filter(AuditCounter::filter()))
        .with(log);
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3 {
            tracing::info!(target: "claviger::audit", event = "sign_in", client_id = "marked");
        }
        tracing::info!(target: "claviger::other", event = "marked");
        for number in 0..1000 {
            tracing::info!(target: "claviger::audit", event = format!("made_up_{number}").as_str());
        }
    });
    let text = metrics.render();
    assert!(
        text.contains("claviger_audit_events_total{event=\"sign_in\"} 3\n"),
        "{text}"
    );
    assert!(
        text.contains("claviger_audit_events_total{event=\"sign_out\"} 0\n"),
        "{text}"
    );
    assert!(
        text.contains("claviger_audit_events_total{event=\"other\"} 922\n"),
        "{text}"
    );
    assert!(!text.contains("marked"), "{text}");
}

/// What `OpenMetrics` asks of a text, and the process's own figures.
#[test]
fn the_text_is_complete() {
    let text = Metrics::default().render();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(
        text.contains(&format!(
            "claviger_build_info{{version=\"{}\"}} 1\n",
            env!("CARGO_PKG_VERSION")
        )),
        "{text}"
    );
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
    ] {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name} in {text}");
    }
}

/// Figures are read at each scrape, and one that cannot be read is left out.
#[test]
fn figures_are_read_at_each_scrape() {
    let metrics = Metrics::default();
    let scrapes = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&scrapes);
    metrics.read_at_scrape(vec![
        Figure::counter("scrapes", "Scrapes", move || {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        }),
        Figure::gauge("missing", "Missing", || None),
        Figure::gauges("both", "Both", "which", || vec![("a", 1.0), ("b", 2.5)]),
    ]);
    metrics.render();
    let text = metrics.render();
    for line in [
        "claviger_scrapes_total 1.0\n",
        "claviger_both{which=\"a\"} 1.0\n",
        "claviger_both{which=\"b\"} 2.5\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("missing"), "{text}");
}
