//! What the chart brings for Prometheus and Grafana: nothing unless asked for; then rules that fire when they should and only
//! then, by Prometheus' own evaluation, and no name of a metric that does not exist.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::folder::Folder;
use testbed::tools;

use crate::{names, object, render};

/// The job that the `ServiceMonitor` makes: its Service's name.
const JOB: &str = "claviger-metrics";

/// An alert, the time series that make it fire, and those that look alike and do not. Values as promtool writes them: one a
/// minute, for three hours.
struct Case {
    alert: &'static str,
    sick: &'static [(&'static str, &'static str)],
    well: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        alert: "ClavigerDown",
        sick: &[("up{}", "0x180")],
        well: &[("up{}", "1x180")],
    },
    Case {
        alert: "ClavigerNotReady",
        sick: &[("claviger_ready{}", "0x180")],
        well: &[("claviger_ready{}", "0x165 1x15")],
    },
    Case {
        alert: "ClavigerServerErrors",
        sick: &[
            (r#"claviger_http_requests_total{status="500"}"#, "0+10x180"),
            (r#"claviger_http_requests_total{status="200"}"#, "0+100x180"),
        ],
        well: &[
            (r#"claviger_http_requests_total{status="500"}"#, "0+1x180"),
            (r#"claviger_http_requests_total{status="404"}"#, "0+100x180"),
        ],
    },
    Case {
        alert: "ClavigerTokenEndpointSlow",
        sick: &[
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/sso/api/token/v2",le="1.0"}"#,
                "0+90x180",
            ),
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/sso/api/token/v2",le="2.5"}"#,
                "0+100x180",
            ),
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/sso/api/token/v2",le="+Inf"}"#,
                "0+100x180",
            ),
        ],
        well: &[
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/api/token/v2",le="1.0"}"#,
                "0+100x180",
            ),
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/api/token/v2",le="+Inf"}"#,
                "0+100x180",
            ),
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/login",le="1.0"}"#,
                "0x180",
            ),
            (
                r#"claviger_http_request_duration_seconds_bucket{route="/login",le="+Inf"}"#,
                "0+100x180",
            ),
        ],
    },
    Case {
        alert: "ClavigerStoreErrors",
        sick: &[(
            r#"claviger_store_operation_errors_total{operation="client"}"#,
            "0+1x180",
        )],
        well: &[(
            r#"claviger_store_operation_errors_total{operation="client"}"#,
            "0+1x150 150x30",
        )],
    },
    Case {
        alert: "ClavigerStoreNearlyFull",
        sick: &[("claviger_store_free_bytes{}", "200000000x180")],
        well: &[("claviger_store_free_bytes{}", "300000000x180")],
    },
    Case {
        alert: "ClavigerPasswordHashesRefused",
        sick: &[("claviger_password_hashes_refused_total{}", "0+1x180")],
        well: &[("claviger_password_hashes_refused_total{}", "0x165 1+1x3 4x12")],
    },
    Case {
        alert: "ClavigerManyFailedSignIns",
        sick: &[(
            r#"claviger_audit_events_total{event="sign_in_failed"}"#,
            "0+20x180",
        )],
        well: &[
            (
                r#"claviger_audit_events_total{event="sign_in_failed"}"#,
                "0+5x180",
            ),
            (r#"claviger_audit_events_total{event="sign_in"}"#, "0+500x180"),
        ],
    },
    Case {
        alert: "ClavigerStolenToken",
        sick: &[(
            r#"claviger_audit_events_total{event="refresh_token_reused_grant_revoked"}"#,
            "0x165 1x15",
        )],
        well: &[
            (
                r#"claviger_audit_events_total{event="code_replayed_grant_revoked"}"#,
                "7x180",
            ),
            (r#"claviger_audit_events_total{event="refreshed"}"#, "0+9x180"),
        ],
    },
    Case {
        alert: "ClavigerCannotWatch",
        sick: &[
            (r#"claviger_controller_watching{kind="OidcClient"}"#, "1x100 0x80"),
            (r#"claviger_controller_watching{kind="OidcUser"}"#, "1x180"),
        ],
        well: &[(
            r#"claviger_controller_watching{kind="OidcClient"}"#,
            "0x161 1 0x18",
        )],
    },
    Case {
        alert: "ClavigerResourcesFailing",
        sick: &[(
            r#"claviger_controller_resources_failing{kind="OidcClient"}"#,
            "1x180",
        )],
        well: &[(
            r#"claviger_controller_resources_failing{kind="OidcClient"}"#,
            "1x160 0 1x19",
        )],
    },
    Case {
        alert: "ClavigerQueueStuck",
        sick: &[(r#"claviger_controller_queue_depth{kind="OidcClient"}"#, "200x180")],
        well: &[(
            r#"claviger_controller_queue_depth{kind="OidcClient"}"#,
            "5000x160 0 5000x19",
        )],
    },
    Case {
        alert: "ClavigerRemovalsHeld",
        sick: &[("claviger_controller_removals_held{}", "1x180")],
        well: &[("claviger_controller_removals_held{}", "0x180")],
    },
    Case {
        alert: "ClavigerCertificateExpires",
        // Time begins at zero here.
        sick: &[(
            "claviger_tls_certificate_not_after_timestamp_seconds{}",
            "86400x180",
        )],
        well: &[(
            "claviger_tls_certificate_not_after_timestamp_seconds{}",
            "864000x180",
        )],
    },
    Case {
        alert: "ClavigerSigningKeyOld",
        sick: &[(
            r#"claviger_keyring_key_in_use_since_timestamp_seconds{kind="RS256"}"#,
            "-8726400x180",
        )],
        well: &[
            (
                r#"claviger_keyring_key_in_use_since_timestamp_seconds{kind="RS256"}"#,
                "-8000000x180",
            ),
            (
                r#"claviger_keyring_key_in_use_since_timestamp_seconds{kind="master"}"#,
                "-80000000x180",
            ),
        ],
    },
    Case {
        alert: "ClavigerFileDescriptors",
        sick: &[
            ("process_open_fds{}", "900x180"),
            ("process_max_fds{}", "1000x180"),
        ],
        well: &[
            ("process_open_fds{}", "700x180"),
            ("process_max_fds{}", "1000x180"),
        ],
    },
];

/// Everything for monitoring.
fn all() -> Value {
    json!({ "monitoring": {
        "serviceMonitor": { "enabled": true, "labels": { "release": "prometheus" } },
        "rules": { "enabled": true, "labels": { "release": "prometheus" } },
        "dashboard": { "enabled": true },
    } })
}

async fn rules() -> Value {
    let objects = render(all()).await;
    object(&objects, "PrometheusRule", "claviger")["spec"].clone()
}

async fn dashboard() -> Value {
    let objects = render(all()).await;
    let map = object(&objects, "ConfigMap", "claviger-dashboard");
    serde_json::from_str(map["data"]["claviger.json"].as_str().unwrap()).unwrap()
}

fn alerts(rules: &Value) -> Vec<Value> {
    rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

/// Every expression of a dashboard, wherever it stands.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("expr", Value::String(expression)) => vec![expression.clone()],
                _ => expressions(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// The metrics that an expression names.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("claviger_") || word.starts_with("process_"))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

/// The metrics of the book, which a test compares with what a real claviger shows.
fn documented() -> BTreeSet<String> {
    book()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect()
}

fn book() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/metrics.md");
    std::fs::read_to_string(path).unwrap()
}

fn run(promtool: &Path, arguments: &[&str], folder: &Folder) -> Result<String> {
    let output = Command::new(promtool)
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .context("failed to run promtool")?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    anyhow::ensure!(output.status.success(), "promtool {arguments:?}: {said}");
    Ok(said)
}

fn promtool(test: &str) -> Result<Option<PathBuf>> {
    match tools::promtool() {
        Ok(promtool) => Ok(Some(promtool)),
        Err(reason) => tools::skip(test, reason).map(|()| None),
    }
}

/// One test for promtool: these time series, and exactly these alerts at the end.
fn unit_test(name: &str, series: &[(&str, &str)], firing: &[&str]) -> Value {
    let mut series: Vec<(String, &str)> = series
        .iter()
        .map(|(series, values)| {
            let with_job = series.replacen('{', &format!("{{job=\"{JOB}\","), 1);
            (with_job.replace(",}", "}"), *values)
        })
        .collect();
    let up = format!("up{{job=\"{JOB}\"}}");
    if !series.iter().any(|(name, _)| *name == up) {
        series.push((up, "1x180"));
    }
    let samples: Vec<Value> = firing
        .iter()
        .map(|alert| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 }))
        .collect();
    json!({
        "name": name,
        "interval": "1m",
        "input_series": series
            .iter()
            .map(|(series, values)| json!({ "series": series, "values": values }))
            .collect::<Vec<_>>(),
        "promql_expr_test": [{
            "expr": "count by (alertname) (ALERTS{alertstate=\"firing\"})",
            "eval_time": "170m",
            "exp_samples": samples,
        }],
    })
}

/// Nothing of it is there unless asked for.
#[tokio::test]
async fn monitoring_is_off_by_default() {
    let default = names(&render(json!({})).await);
    let mut added = names(&render(all()).await);
    added.retain(|name| !default.contains(name));
    assert_eq!(
        added,
        [
            "ConfigMap/claviger-dashboard",
            "PrometheusRule/claviger",
            "Service/claviger-metrics",
            "ServiceMonitor/claviger",
        ]
    );
}

/// The `ServiceMonitor` selects the Service with the second port and no other; the Service selects the pod.
#[tokio::test]
async fn the_service_monitor_finds_the_second_port() {
    let objects = render(all()).await;
    let monitor = object(&objects, "ServiceMonitor", "claviger");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let selected: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Service")
        .filter(|service| {
            wanted
                .iter()
                .all(|(key, value)| service["metadata"]["labels"][key] == *value)
        })
        .map(|service| service["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(selected, [JOB]);
    let service = object(&objects, "Service", JOB);
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["targetPort"], "admin");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], port["name"]);
    assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
    let pod = object(&objects, "Deployment", "claviger")["spec"]["template"].clone();
    let selector = service["spec"]["selector"].as_object().unwrap();
    for (key, value) in selector {
        assert_eq!(pod["metadata"]["labels"][key], *value);
    }
}

/// Whoever scrapes by hand names the job, and it is in every rule.
#[tokio::test]
async fn the_job_of_the_rules_can_be_named() {
    let values = json!({ "monitoring": { "rules": { "enabled": true, "job": "sso/claviger" } } });
    let objects = render(values).await;
    let rules = object(&objects, "PrometheusRule", "claviger")["spec"].clone();
    for rule in alerts(&rules) {
        let expression = rule["expr"].as_str().unwrap();
        assert!(expression.contains(r#"job="sso/claviger""#), "{expression}");
        assert!(!expression.contains("JOB"), "{expression}");
    }
}

/// Every metric that a rule or the dashboard names is one that claviger has, and every rule is in the book.
#[tokio::test]
async fn rules_and_dashboard_name_metrics_that_exist() {
    let rules = rules().await;
    let known = documented();
    let mut expressions = expressions(&dashboard().await);
    assert!(expressions.len() > 20, "{expressions:?}");
    for rule in alerts(&rules) {
        expressions.push(rule["expr"].as_str().unwrap().to_owned());
        let row = format!(
            "| `{}` | {} |",
            rule["alert"].as_str().unwrap(),
            rule["labels"]["severity"].as_str().unwrap()
        );
        assert!(book().contains(&row), "{row} is not in docs/src/metrics.md");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].is_string(), "{rule}");
        }
    }
    for expression in expressions {
        let unknown: Vec<_> = metrics_in(&expression).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{unknown:?} in {expression}");
    }
}

/// Each rule fires for what it is about and for nothing else, and stays quiet for what only looks like it, as Prometheus
/// itself evaluates them.
#[tokio::test]
async fn each_alert_fires_when_it_should_and_only_then() -> Result<()> {
    let Some(promtool) = promtool("the alert rules")? else {
        return Ok(());
    };
    let rules = rules().await;
    let named: Vec<_> = alerts(&rules)
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap().to_owned())
        .collect();
    let tested: Vec<_> = CASES.iter().map(|case| case.alert.to_owned()).collect();
    assert_eq!(named, tested, "every alert has a case, in the order of the file");

    let folder = Folder::new("alerts")?;
    folder.write("rules.yaml", serde_yaml::to_string(&rules)?)?;
    let tests: Vec<_> = CASES
        .iter()
        .flat_map(|case| {
            [
                unit_test(&format!("{} fires", case.alert), case.sick, &[case.alert]),
                unit_test(&format!("{} is quiet", case.alert), case.well, &[]),
            ]
        })
        .collect();
    let tests = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests });
    folder.write("tests.yaml", serde_yaml::to_string(&tests)?)?;
    run(&promtool, &["check", "rules", "rules.yaml"], &folder)?;
    run(&promtool, &["test", "rules", "tests.yaml"], &folder)?;
    Ok(())
}

/// Prometheus can read every expression of the dashboard, and panels do not lie on one another.
#[tokio::test]
async fn the_dashboard_can_be_read() -> Result<()> {
    let dashboard = dashboard().await;
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for y in at("y")..at("y") + at("h") {
            for x in at("x")..at("x") + at("w") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
    let Some(promtool) = promtool("the dashboard's expressions")? else {
        return Ok(());
    };
    let mut recorded = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, expression) in expressions(&dashboard).iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "5m").replace("$job", ".*");
        writeln!(
            recorded,
            "  - {{record: 'panel:{number}', expr: {}}}",
            Value::from(expression)
        )?;
    }
    let folder = Folder::new("dashboard")?;
    folder.write("rules.yaml", recorded)?;
    run(&promtool, &["check", "rules", "rules.yaml"], &folder)?;
    Ok(())
}
