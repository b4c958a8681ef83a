//! The book says what the code does: its reference pages are made from the code, every reason of a condition is explained,
//! every page is reached, every link leads somewhere. `UPDATE_DOCS=1 cargo test --test docs -- reference values` (or `make docs`)
//! writes the reference again.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in a function of its own or not"
)]

mod links;
mod reference;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn book() -> PathBuf {
    root().join("docs/src")
}

fn page(name: &str) -> String {
    fs::read_to_string(book().join(name)).unwrap()
}

/// Compares a page, or writes it again where that is asked for.
fn assert_page(name: &str, wanted: &str) {
    let path = book().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, wanted).unwrap();
    }
    let file = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == wanted,
        "{} is not what the code makes; run `make docs`",
        path.display()
    );
}

/// An event that is shown as zero from the start is one that there is: the page that lists all of them has it.
#[test]
fn every_event_that_is_counted_from_the_start_is_explained() {
    let explained = page("logs-and-events.md");
    let rendered = claviger::telemetry::metrics::Metrics::default().render();
    let events: Vec<&str> = rendered
        .lines()
        .filter_map(|line| {
            line.strip_prefix("claviger_audit_events_total{event=\"")?
                .split('"')
                .next()
        })
        .collect();
    assert!(events.len() > 20, "only {events:?} are there from the start");
    for event in events {
        assert!(
            explained.contains(&format!("`{event}`")),
            "docs/src/logs-and-events.md does not explain {event}"
        );
    }
}

/// Each reason that a condition can have stands in the page that says what to do about it.
#[test]
fn every_reason_of_a_condition_is_explained() {
    let source = fs::read_to_string(root().join("src/crd/v1alpha1/condition.rs")).unwrap();
    let explained = page("conditions.md");
    let words: Vec<&str> = source
        .lines()
        .filter(|line| line.contains("pub const"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(words.len() > 10, "the file is not written as this test reads it");
    for word in words {
        assert!(
            explained.contains(&format!("`{word}`")),
            "docs/src/conditions.md does not explain {word}"
        );
    }
}
