//! `claviger keys`, `doctor` and `export-subjects` over the socket of a running claviger.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use testbed::kubectl::Kubectl;
use testbed::poll;

use crate::harness::{HOME, PATIENCE, Served, StoreKind, World};
use crate::launch::program;

/// A claviger with a copy of the shared keyring for itself, since what these tests do to it is not for the others.
async fn serve(world: &World) -> Served {
    let document = world.secret(HOME, "claviger-keyring").await["keyring.json"].clone();
    world
        .serve_with(StoreKind::Sled, |options| {
            let directory = folder_of(&options.log).join("keyring");
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("keyring.json"), document).unwrap();
            options.keyring = format!("dir:{}", directory.display());
        })
        .await
}

fn folder_of(log: &Path) -> PathBuf {
    log.parent().unwrap().to_owned()
}

/// The default place: beside the store.
fn socket(served: &Served) -> PathBuf {
    served.folder.join("store.sock")
}

fn ask(socket: &Path, arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .env("CLAVIGER_ADMIN_SOCKET", socket)
        .output()
        .unwrap()
}

#[track_caller]
fn answered(socket: &Path, arguments: &[&str]) -> String {
    let output = ask(socket, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    assert!(stderr.is_empty(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(socket: &Path, arguments: &[&str], code: i32, parts: &[&str]) {
    let output = ask(socket, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    for part in parts {
        assert!(stderr.contains(part), "{arguments:?}: no `{part}` in `{stderr}`");
    }
}

fn keys(socket: &Path) -> Vec<Value> {
    let report: Value = serde_json::from_str(&answered(socket, &["keys", "list", "-o", "json"])).unwrap();
    report["keys"].as_array().unwrap().clone()
}

fn count(keys: &[Value], kind: &str, state: &str) -> usize {
    keys.iter()
        .filter(|key| key["kind"] == kind && key["state"] == state)
        .count()
}

async fn published(served: &Served) -> Vec<Value> {
    let answer = reqwest::get(served.claviger.url("/.well-known/jwks.json"))
        .await
        .unwrap();
    let set: Value = answer.json().await.unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// Rule 52: keys are listed, new signing keys are published a day before they sign, and that holds over a crash. A new
/// master key is in use at once, and no client that is there notices.
#[tokio::test]
async fn rule_52_keys_are_listed_and_rotated_over_the_socket() {
    let mut served = serve(World::shared()).await;
    let socket = socket(&served);
    let list = answered(&socket, &["keys", "list"]);
    assert!(list.starts_with("KIND     ALG    STATE"), "{list}");
    assert_eq!(list.lines().count(), 7, "{list}");
    let before = keys(&socket);
    assert_eq!(count(&before, "signing", "in use"), 4);

    let told = answered(&socket, &["keys", "rotate"]);
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(
        told.contains("RS256 key ") && told.contains("is published and signs from "),
        "{told}"
    );
    // Begun is begun.
    assert_eq!(answered(&socket, &["keys", "rotate"]), told);
    assert_eq!(published(&served).await.len(), 8);

    let app = served.app("shop", json!({})).await;
    let old_master = before[0]["id"].as_str().unwrap().to_owned();
    let report: Value = serde_json::from_str(&answered(
        &socket,
        &["keys", "rotate", "--master", "--output=json"],
    ))
    .unwrap();
    assert_ne!(report["id"], old_master.as_str());

    served.claviger.kill9();
    refused(
        &socket,
        &["keys", "list"],
        3,
        &["nobody listens at", "store.sock", "start it again"],
    );
    served.claviger.restart().await.unwrap();
    let after = keys(&socket);
    assert_eq!(after[0]["id"], report["id"]);
    assert_eq!(count(&after, "master", "kept"), 1);
    assert_eq!(count(&after, "signing", "in use"), 4);
    assert_eq!(count(&after, "signing", "published"), 4);
    assert_eq!(count(&after, "sealing", "in use"), 1);
    for key in before.iter().filter(|key| key["kind"] == "signing") {
        assert!(after.contains(key), "what signed before still does: {key}");
    }
    let browser = testbed::browser::Browser::new().unwrap();
    let tokens = crate::harness::tokens(&app, &browser).await;
    app.verify_id_token(&tokens, None).await.unwrap();
}

/// Every line says what was looked at, how it stands and what to do next; the exit code says whether something failed.
#[tokio::test]
async fn the_doctor_finds_a_sound_installation_and_what_breaks() {
    let served = serve(World::shared()).await;
    let socket = socket(&served);
    let report: Value = serde_json::from_str(&answered(&socket, &["doctor", "--output=json"])).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "start",
            "issuer",
            "published keys",
            "tls",
            "proxies",
            "policy",
            "rights",
            "clock",
            "store",
            "keys"
        ]
    );
    for check in checks {
        assert_eq!(check["result"], "ok", "{check}");
    }
    let text = answered(&socket, &["doctor"]);
    let issuer = served.claviger.issuer();
    assert!(
        text.contains(&format!(
            "ok       issuer: {issuer} answers from inside and names itself\n         next: from outside"
        )),
        "{text}"
    );

    // The keyring is gone: nothing that serves depends on it, and the next rotation does.
    std::fs::remove_file(served.folder.join("keyring/keyring.json")).unwrap();
    refused(
        &socket,
        &["keys", "rotate"],
        1,
        &["failed to rotate: unable to find the keyring", "restore it"],
    );
    let output = ask(&socket, &["doctor"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("FAILED   keys: "), "{text}");
    assert!(
        text.contains("         next: mend what the failure names"),
        "{text}"
    );
}

/// Ranges of proxies that are networks are told of, once in the log and by the doctor; nothing fails for them.
#[tokio::test]
async fn proxies_that_are_a_network_are_told() {
    let range = "--trusted-proxies=10.0.0.0/8,192.0.2.1".to_owned();
    let served = World::shared()
        .serve_with(StoreKind::Sled, |options| options.arguments.push(range))
        .await;
    let told = "--trusted-proxies names 10.0.0.0/8, which is more than proxies";
    let log = served.claviger.log();
    assert_eq!(log.matches(told).count(), 1, "{log}");
    let text = answered(&socket(&served), &["doctor"]);
    let line = format!("WARNING  proxies: {told}");
    assert!(text.contains(&line), "{text}");
}

/// While a start waits for the cluster, the doctor tells what for, and the rest refuses with that.
#[tokio::test]
async fn a_start_that_waits_is_told() {
    let world = World::shared();
    let mut served = world
        .launch(StoreKind::Sled, |options| {
            let text = std::fs::read_to_string(options.kubeconfig.as_ref().unwrap()).unwrap();
            let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
            let nowhere = format!("https://127.0.0.1:{}", testbed::ports::free().unwrap());
            kubeconfig["clusters"][0]["cluster"]["server"] = nowhere.into();
            let path = folder_of(&options.log).join("kubeconfig");
            std::fs::write(&path, kubeconfig.to_string()).unwrap();
            options.kubeconfig = Some(path);
        })
        .await;
    let socket = socket(&served);
    let process = served.claviger.process();
    let look = async || {
        let output = ask(&socket, &["doctor"]);
        let text = String::from_utf8(output.stdout)?;
        let waits =
            output.status.code() == Some(4) && text.contains("FAILED   start: claviger waits: keyring: ");
        Ok(waits.then_some(()))
    };
    poll::until_unless("the doctor to answer", PATIENCE, || process.check_alive(), look)
        .await
        .unwrap();
    refused(
        &socket,
        &["keys", "list"],
        1,
        &["still starting", "keyring", "claviger doctor"],
    );
}

/// The commands that pin subjects do what they say when a shell runs them, and are needed once.
#[tokio::test]
async fn subjects_are_pinned_by_the_commands_that_are_printed() {
    let world = World::shared();
    let served = serve(world).await;
    let socket = socket(&served);
    world.create_user("grace", "correct horse battery staple").await;
    let look = async || {
        let text = answered(&socket, &["export-subjects"]);
        Ok(text
            .lines()
            .find(|line| line.contains(" grace "))
            .map(str::to_owned))
    };
    let command = poll::until("grace to be known", PATIENCE, look).await.unwrap();
    let kubectl = Kubectl::new(&world.cluster.kubeconfig()).unwrap();
    let path = match kubectl.folder() {
        Some(folder) => format!("{}:/usr/bin:/bin", folder.display()),
        None => std::env::var("PATH").unwrap(),
    };
    let output = tokio::process::Command::new("sh")
        .args(["-c", &command])
        .env("PATH", path)
        .env("KUBECONFIG", world.cluster.kubeconfig())
        .env("KUBECACHEDIR", served.folder.join("kubectl-cache"))
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value =
        serde_json::from_str(&answered(&socket, &["export-subjects", "--output=json"])).unwrap();
    let names: Vec<_> = report["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| &subject["name"])
        .collect();
    assert!(!names.contains(&&json!("grace")), "{report}");
    assert!(report["pinned"].as_u64().unwrap() >= 1);
}

/// Nobody is reached: exit code 3, which path, and what to do. A second claviger does not take over the socket of the
/// first, whose administrator it would deceive.
#[tokio::test]
async fn a_socket_that_does_not_answer_is_told() {
    let folder = testbed::folder::Folder::new("socket").unwrap();
    let nowhere = folder.join("nowhere.sock");
    for command in [
        &["keys", "list"][..],
        &["keys", "rotate"],
        &["doctor"],
        &["export-subjects"],
    ] {
        refused(
            &nowhere,
            command,
            3,
            &["no socket at", "nowhere.sock", "--admin-socket"],
        );
    }
    let file = folder.write("file", "").unwrap();
    refused(&file, &["doctor"], 3, &["nobody listens at"]);

    let served = World::shared().serve(StoreKind::Sled).await;
    let taken = socket(&served);
    crate::launch::Start::new()
        .flag("admin-socket", taken.display().to_string())
        .refused_with(&["another claviger does already", "store.sock", "--admin-socket"])
        .await;
    answered(&taken, &["keys", "list"]);
}

/// What somebody says over the socket who is not one of the commands: small requests only, one a connection, and an answer
/// to each.
#[tokio::test]
async fn the_socket_takes_small_requests_only() {
    let served = World::shared().serve(StoreKind::Sled).await;
    let socket = socket(&served);
    let say = |request: &str| {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        // It may hang up before everything is said.
        let _said = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    };
    let post = |body: &str, length: usize| {
        say(&format!(
            "POST /keys/rotate HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    let long = "x".repeat(4_097);
    for (answer, status) in [
        (post(&long, long.len()), "413"),
        (post("", 1 << 40), "413"),
        (post("{", 20), "408"),
        (post("{}", 2), "400"),
        (post(r#"{"keys":"all"}"#, 14), "400"),
        (post(r#"{"keys":"signing","now":1}"#, 26), "400"),
        (say("GET /secrets HTTP/1.1\r\nhost: x\r\n\r\n"), "404"),
        (say("DELETE /keys HTTP/1.1\r\nhost: x\r\n\r\n"), "405"),
        (say("nonsense\r\n\r\n"), "400"),
        (
            say(&format!(
                "GET /{} HTTP/1.1\r\nhost: x\r\n\r\n",
                "x".repeat(1 << 20)
            )),
            "4",
        ),
    ] {
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{status}: {answer}"
        );
    }
    // Silence does not keep the others out for long: four at a time, and five seconds for a head.
    let silent: Vec<_> = (0..4)
        .map(|_| std::os::unix::net::UnixStream::connect(&socket).unwrap())
        .collect();
    assert!(!keys(&socket).is_empty());
    drop(silent);
}
