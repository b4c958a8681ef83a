//! What claviger writes while people and apps use it, rightly and wrongly: every byte of its output at level trace, what
//! the API server keeps, and what is on the disk.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::telemetry::metrics::Metrics;
use serde_json::Value;
use testbed::raw::Call;

use crate::harness::{HOME, Served, StoreKind, World};
use crate::marks::Marks;
use crate::scenario;

/// Logs never hold passwords, secrets, codes, tokens, cookies, `Authorization`, verifiers or query strings, whatever
/// succeeds or fails, at any level, from our code or from that of others; neither do statuses and Events. On the disk
/// there are hashes of them at most.
#[tokio::test]
async fn rule_85_nothing_secret_is_written_as_json() {
    nothing_secret_is_written("json").await;
}

/// The same for logs that people read.
#[tokio::test]
async fn rule_85_nothing_secret_is_written_as_text() {
    nothing_secret_is_written("text").await;
}

async fn nothing_secret_is_written(format: &str) {
    let world = World::shared();
    let mut served = world
        .serve_with(StoreKind::Sled, |options| {
            options.arguments[0] = format!("--log-format={format}");
            options.arguments.push("--log=trace".to_owned());
        })
        .await;
    let mut marks = keyring_marks(world).await;
    marks.add_token("the ServiceAccount's token", &service_account_token(world));
    scenario::play(world, &served, format, &mut marks).await;
    assert!(marks.count() > 60, "only {} values are looked for", marks.count());

    let stored = stored_by_the_api_server(world, &served).await;
    marks.assert_absent("what the API server shows", stored.as_bytes());
    assert!(served.claviger.stop().success());
    let log = served.claviger.log();
    // Whoever is told to tell everything does so.
    for expected in ["TRACE", "claviger::audit", "request refused"] {
        assert!(log.contains(expected), "{expected} is not in the log");
    }
    marks.assert_absent("the log", log.as_bytes());
    assert!(served.folder.join("store/sled/db").is_file());
    for (path, bytes) in files(&served.folder.join("store")) {
        marks.assert_at_most_hashed(&path, &bytes);
    }
}

/// Private keys stay in their Secret: no log, resource, page, endpoint or core file shows any part of them.
#[tokio::test]
async fn rule_53_private_keys_stay_in_their_secret() {
    let world = World::shared();
    let mut served = world
        .serve_with(StoreKind::Sled, |options| {
            options.arguments.push("--log=trace".to_owned());
        })
        .await;
    let marks = keyring_marks(world).await;
    scenario::play(world, &served, "keys", &mut Marks::default()).await;

    let process = served.claviger.process().id();
    let filter = std::fs::read_to_string(format!("/proc/{process}/coredump_filter")).unwrap();
    assert_eq!(filter.trim(), "00000000", "memory goes into core files");
    let stored = stored_by_the_api_server(world, &served).await;
    marks.assert_absent("what the API server shows", stored.as_bytes());
    for url in [
        served.claviger.admin_url("/livez"),
        served.claviger.admin_url("/readyz"),
        served.claviger.admin_url("/metrics"),
        served.claviger.url("/.well-known/jwks.json"),
        served.claviger.url("/.well-known/openid-configuration"),
    ] {
        let body = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
        marks.assert_absent(&url, &body);
    }
    let jwks: Value = reqwest::get(served.claviger.url("/.well-known/jwks.json"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for key in jwks["keys"].as_array().unwrap() {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(member).is_none(), "the JWKS shows {member}");
        }
    }
    assert!(served.claviger.stop().success());
    marks.assert_absent("the log", served.claviger.log().as_bytes());
    for (path, bytes) in files(&served.folder.join("store")) {
        marks.assert_absent(&path, &bytes);
    }
}

/// A panic is a line of the log that says where, and never what: its text may quote a request.
#[test]
fn rule_85_a_panic_is_logged_without_its_text() {
    for format in ["json", "text"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "leaks::panics_for_another_test",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(PANICS, format)
            .output()
            .unwrap();
        let written = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!written.contains("marked-"), "{written}");
        let lines: Vec<_> = written.lines().filter(|line| line.contains("panicked")).collect();
        assert_eq!(lines.len(), 1, "{written}");
        assert!(lines[0].contains("leaks.rs"), "{written}");
    }
}

const PANICS: &str = "CLAVIGER_TEST_PANICS";

#[test]
#[ignore = "run by another test, in a process of its own"]
fn panics_for_another_test() {
    let Ok(format) = std::env::var(PANICS) else { return };
    let format = match format.as_str() {
        "json" => claviger::telemetry::LogFormat::Json,
        _ => claviger::telemetry::LogFormat::Text,
    };
    claviger::telemetry::init(format, "trace", &Metrics::default());
    let panics = || {
        let request = "marked-sécret".to_owned();
        // What slicing inside of a character says holds the whole text.
        request[..9].len()
    };
    std::thread::Builder::new()
        .name("marks-thread".to_owned())
        .spawn(panics)
        .unwrap()
        .join()
        .unwrap_err();
}

/// Every private part of the keyring.
async fn keyring_marks(world: &World) -> Marks {
    let entries = world.secret(HOME, "claviger-keyring").await;
    let document: Value = serde_json::from_str(&entries["keyring.json"]).unwrap();
    let mut marks = Marks::default();
    for (kind, name) in [
        ("masterKeys", "key"),
        ("sealingKeys", "key"),
        ("signingKeys", "pkcs8"),
    ] {
        let keys = document[kind].as_array().unwrap();
        assert!(!keys.is_empty());
        for key in keys {
            let written = key[name].as_str().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(written).unwrap();
            let what = format!("a key of {kind}");
            marks.add_credential(&what, written);
            marks.add_credential(&what, &bytes);
            if kind == "signingKeys" {
                // The private number: behind the header of an EC key, behind the public numbers of an RSA key.
                let private = if bytes.len() < 200 { 36..68 } else { 330..394 };
                marks.add_credential(&what, &bytes[private]);
            }
        }
    }
    marks
}

/// What claviger shows the API server to know it.
fn service_account_token(world: &World) -> String {
    let kubeconfig = std::fs::read_to_string(world.kubeconfig()).unwrap();
    let kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    let file = kubeconfig["users"][0]["user"]["tokenFile"].as_str().unwrap();
    std::fs::read_to_string(file).unwrap()
}

/// Everything that others than the owners of Secrets can read, and the API server's account of every request.
async fn stored_by_the_api_server(world: &World, served: &Served) -> String {
    let admin = world.admin();
    let mut all = String::new();
    for path in [
        "/apis/claviger.dev/v1alpha1/oidcclients",
        "/apis/claviger.dev/v1alpha1/oidcusers",
        "/apis/events.k8s.io/v1/events",
        "/api/v1/events",
        "/api/v1/configmaps",
    ] {
        let answer = Call::get(path).send(&admin).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        all.push_str(&answer.text);
        all.push('\n');
    }
    assert!(all.contains(&served.namespace), "the resources are not shown");
    for log in ["audit.log", "kube-apiserver.log"] {
        let bytes = std::fs::read(world.cluster.logs().join(log)).unwrap();
        all.push_str(&String::from_utf8_lossy(&bytes));
    }
    all
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Whatever people type or browsers send, one line of the log is one event: nothing forges another, and no terminal is
/// told anything. The name that somebody failed to sign in with is not written at all: people type passwords there.
#[tokio::test]
async fn rule_86_no_input_forges_a_line() {
    let world = World::shared();
    for format in ["json", "text"] {
        let mut served = world
            .serve_with(StoreKind::Memory, |options| {
                options.arguments[0] = format!("--log-format={format}");
                options.arguments.push("--log=trace".to_owned());
            })
            .await;
        scenario::forge(&served).await;
        assert!(served.claviger.stop().success());
        let log = served.claviger.log();
        assert!(!log.contains("forged"), "input is in the log as it is");
        let control = log.bytes().find(|byte| byte.is_ascii_control() && *byte != b'\n');
        assert_eq!(control, None, "the log holds control characters");
        if format == "json" {
            for line in log.lines() {
                let event: Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(event["level"].is_string(), "{line}");
            }
        }
    }
}

/// Who signed in, who failed, what was granted, used, used twice and revoked, and which clients and users changed, is in
/// the audit log, as ids and nothing else.
#[tokio::test]
async fn rule_87_what_happens_is_audited_as_ids() {
    let world = World::shared();
    let mut served = world.serve(StoreKind::Sled).await;
    scenario::play(world, &served, "audit", &mut Marks::default()).await;
    assert!(served.claviger.stop().success());
    let log = served.claviger.log();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["target"] == "claviger::audit")
        .collect();
    for expected in [
        "user_registered",
        "client_registered",
        "client_changed",
        "client_removed",
        "sign_in",
        "sign_in_failed",
        "grant",
        "consent_denied",
        "code_redeemed",
        "code_replayed_grant_revoked",
        "refreshed",
        "refresh_token_reused_grant_revoked",
        "client_authentication_failed",
        "sign_out",
    ] {
        assert!(
            events.iter().any(|event| event["event"] == expected),
            "no event {expected} in {events:#?}"
        );
    }
    let client_id = format!("{}.shop", served.namespace);
    let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/logs-and-events.md");
    let book = std::fs::read_to_string(book).unwrap();
    for event in &events {
        let name = event["event"].as_str().unwrap();
        assert!(
            book.contains(&format!("`{name}`")),
            "{name} is not in docs/src/logs-and-events.md"
        );
        let is_about_registration = name.starts_with("client_") && name != "client_authentication_failed"
            || name.starts_with("user_");
        for (field, value) in event.as_object().unwrap() {
            let ids = match field.as_str() {
                "timestamp" | "level" | "target" | "event" | "client_id" | "subject" | "grant" => true,
                "resource_uid" => is_about_registration,
                "username_pseudonym" => name == "sign_in_failed",
                "span" | "spans" => !is_about_registration,
                _ => false,
            };
            assert!(ids, "{name} tells {field}: {value}");
        }
        if !is_about_registration {
            assert!(event["span"]["request_id"].is_string(), "{event}");
        }
    }
    let of = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    for name in [
        "grant",
        "code_redeemed",
        "refreshed",
        "refresh_token_reused_grant_revoked",
    ] {
        assert_eq!(of(name)["client_id"], client_id, "{name}");
        assert!(of(name)["grant"].is_string(), "{name}");
    }
    assert_eq!(of("grant")["subject"], of("sign_in")["subject"]);
}
