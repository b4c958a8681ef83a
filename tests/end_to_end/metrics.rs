//! `/metrics` of a real claviger against the book.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use testbed::browser::Browser;

use crate::harness::{StoreKind, World, tokens};

/// Names and types of the metrics in `docs/src/metrics.md`, with their labels.
fn documented() -> BTreeMap<(String, String), BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/metrics.md");
    let quoted =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            // The page has a table of alerts too.
            if !name.contains('_') {
                return None;
            }
            Some(((name.to_owned(), cells[2].to_owned()), quoted(cells[3])))
        })
        .collect()
}

/// Those of an exposition, as a person would look for them.
fn exposed(text: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').unwrap();
        let name = match kind {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            _ => family.to_owned(),
        };
        let samples = text
            .lines()
            .filter_map(|line| line.strip_prefix(family))
            .filter(|rest| rest.starts_with(['{', '_', ' ']))
            .filter(|rest| !rest.starts_with('_') || kind != "gauge");
        let labels = samples
            .filter_map(|rest| rest.split_once('{'))
            .filter(|(suffix, _)| ["", "_total", "_info", "_bucket"].contains(suffix))
            .flat_map(|(_, rest)| rest.split('}').next().unwrap().split(','))
            .filter_map(|label| label.split_once('='))
            .map(|(label, _)| label.to_owned())
            .filter(|label| label != "le")
            .collect();
        found.insert((name, kind.to_owned()), labels);
    }
    found
}

/// Every metric that the book names is there, with its labels, and every metric that is there is in the book.
#[tokio::test]
async fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let world = World::shared();
    let served = world.serve(StoreKind::Sled).await;
    let app = served.app("shop", json!({})).await;
    tokens(&app, &Browser::new().unwrap()).await;
    let answer = reqwest::get(served.claviger.admin_url("/metrics")).await.unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap();
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = answer.text().await.unwrap();
    let mut expected = documented();
    // The one that needs TLS is looked at where there is TLS.
    let only_with_tls = (
        "claviger_tls_certificate_not_after_timestamp_seconds".to_owned(),
        "gauge".to_owned(),
    );
    assert!(expected.remove(&only_with_tls).is_some());
    assert_eq!(exposed(&text), expected, "{text}");
}
