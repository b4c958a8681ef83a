//! The chart: what real Helm renders of it, object by object, and what it does on a real API server.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a chart that does not render is a failed test, in a function of its own or not"
)]

mod crds;
mod installation;
mod objects;
mod people;
mod policies;
mod rights;
mod secret_access;
mod values;

#[path = "../common/owned_secret.rs"]
mod owned_secret;

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use testbed::helm::{Helm, Release};
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

async fn render_release(release: &Release) -> Vec<Value> {
    Helm::offline().unwrap().template(release).await.unwrap()
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
