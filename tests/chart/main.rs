//! The chart: what real Helm renders of it, object by object, and what it does on a real API server.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a chart that does not render is a failed test, in a function of its own or not"
)]

mod crds;
mod first_user;
mod helm_test;
mod installation;
mod monitoring;
mod objects;
mod people;
mod policies;
mod reach;
mod rights;
mod secret_access;
mod upgrade;
mod values;

#[path = "../common/owned_secret.rs"]
mod owned_secret;

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use testbed::helm::{Helm, Major, Release};
use testbed::installation::install_chart;
use testbed::raw::{Answer, Call};
use testbed::{Cluster, cluster, poll};

/// How long the API server may take until a policy or role is in force; less than a second on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The cluster that the tests of this program share, with the chart on it as it ships, without a pod.
fn installed() -> Result<&'static Cluster> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let cluster = Cluster::shared()?;
    INSTALLED
        .get_or_init(|| {
            cluster::block_on(async {
                install_chart(cluster, &release(json!({ "replicaCount": 0 }))).await?;
                let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
                policy_in_force(&claviger).await
            })
            .map_err(|error| format!("{error:#}"))
        })
        .clone()
        .map_err(anyhow::Error::msg)?;
    Ok(cluster)
}

/// Waits until claviger's account is refused what only the policy refuses it.
async fn policy_in_force(claviger: &Client) -> Result<()> {
    let mut secret = owned_secret::keyring("probe");
    secret["metadata"]["labels"] = json!({});
    let probe = Call::post(owned_secret::secrets("claviger"), secret).dry_run();
    poll::until("the policy to be in force", PATIENCE, async || {
        let answer = probe.send(claviger).await?;
        Ok((denied_by(&answer) == Some("claviger-secrets".to_owned())).then_some(()))
    })
    .await
}

/// The policy that denied a request, if one did.
fn denied_by(answer: &Answer) -> Option<String> {
    let message = answer.message();
    let (_, rest) = message.split_once("ValidatingAdmissionPolicy '")?;
    (answer.status == 403).then(|| rest.split('\'').next().unwrap_or_default().to_owned())
}

/// Makes something as an administrator and gives its uid.
async fn make(admin: &Client, call: Call) -> Result<String> {
    let answer = call.send(admin).await?;
    anyhow::ensure!(answer.status == 201, "{call}: {answer}");
    let uid = answer.json()["metadata"]["uid"].as_str().map(str::to_owned);
    uid.context("the answer has no uid")
}

/// What Helm renders with these values beside the issuer, for the release `claviger` in the namespace `claviger`.
async fn render(values: Value) -> Vec<Value> {
    render_release(&release(values)).await
}

/// Both Helms render the same objects, in whatever order.
async fn render_release(release: &Release) -> Vec<Value> {
    let [three, four] = Major::ALL.map(async |major| {
        let helm = Helm::offline_of(major).unwrap();
        let mut objects = helm.template(release).await.unwrap();
        objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
        objects
    });
    let (three, four) = tokio::join!(three, four);
    assert_eq!(three, four, "Helm 3 and Helm 4");
    three
}

/// What Helm says against a release, in the words of Helm 3; both of them refuse it.
async fn refusals(release: &Release) -> [String; 2] {
    let [three, four] =
        Major::ALL.map(
            async |major| match Helm::offline_of(major).unwrap().template(release).await {
                Ok(_) => panic!("{major:?} takes {}", release.values),
                Err(error) => in_words_of_helm_3(&format!("{error:#}")),
            },
        );
    let (three, four) = tokio::join!(three, four);
    [three, four]
}

/// Helm 4 says where and what in another way: `at '/crds/keep': got string, want boolean`.
fn in_words_of_helm_3(said: &str) -> String {
    let line = |line: &str| {
        let Some((path, what)) = line
            .strip_prefix("- at '")
            .and_then(|rest| rest.split_once("': "))
        else {
            return line.to_owned();
        };
        let path = path.trim_start_matches('/').replace('/', ".");
        let what = if let Some(key) = what.strip_prefix("additional properties '") {
            let key = key.split_once('\'').map_or(key, |(key, _)| key);
            format!("Additional property {key} is not allowed")
        } else if what.starts_with("got ") {
            format!("Invalid type. {what}")
        } else if what.starts_with("minimum: ") {
            format!("Must be greater than or equal. {what}")
        } else {
            what.replace("does not match pattern", "Does not match pattern")
                .split_once("Does not match pattern")
                .map_or(what.to_owned(), |(_, pattern)| {
                    format!("Does not match pattern{pattern}")
                })
        };
        format!("- {}: {what}", if path.is_empty() { "(root)" } else { &path })
    };
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A release with an issuer, unless these values name another one.
fn release(values: Value) -> Release {
    let mut all = json!({ "issuer": "https://id.example.org" });
    if let (Value::Object(all), Value::Object(values)) = (&mut all, values) {
        all.extend(values);
    }
    Release::new(all)
}

/// The one object of a kind and name.
fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "{kind}/{name} in {:?}", names(objects));
    found[0]
}

/// `Kind/name` of all objects, in order.
fn names(objects: &[Value]) -> Vec<String> {
    let mut names = objects
        .iter()
        .map(|object| {
            format!(
                "{}/{}",
                object["kind"].as_str().unwrap(),
                object["metadata"]["name"].as_str().unwrap()
            )
        })
        .collect::<Vec<_>>();
    names.sort();
    names
}
