//! A thousand `OidcClient`s at once, and single ones on an idle operator: claviger beside a minimal operator on the same
//! API server, in rounds that alternate.
//!
//! Most of the time is the API server's, and depends on what is written. So the operator that claviger is compared with
//! writes the same Secrets and status under the same account, whose Secrets the admission policy looks at. A second one
//! writes the least that an operator can, as an administrator, whose Secrets pass no policy.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use claviger::crd::v1alpha1::OidcClient;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use testbed::poll;
use tokio::task::JoinHandle;

use super::figures::Figures;
use super::load::resident_mebibytes;
use super::operator::{Operator, Sample};
use super::setup::Bench;

const ROUNDS: usize = 3;
const MANY: usize = 1_000;
/// Of those that come alone.
const SINGLE: usize = 50;
/// `kubectl apply`s at once.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_mins(5);

/// What one round of one side came to.
struct Round {
    /// From the first create to the last `Ready`, seconds.
    wall: f64,
    /// Of Secrets and of status, for each resource.
    writes: f64,
    /// From create to the Secret, one at a time, milliseconds: half of them, and all but one in a hundred.
    single: (f64, f64),
    /// The same while a thousand come at once.
    burst: (f64, f64),
    /// Resident at its end, MiB.
    memory: f64,
    /// What was written for one of the resources.
    sample: Sample,
}

#[derive(Default)]
struct Side {
    wall: Figures,
    writes: Figures,
    single: (Figures, Figures),
    burst: (Figures, Figures),
    memory: Figures,
}

impl Side {
    fn add(&mut self, round: &Round) {
        self.wall.add(round.wall);
        self.writes.add(round.writes);
        self.single.0.add(round.single.0);
        self.single.1.add(round.single.1);
        self.burst.0.add(round.burst.0);
        self.burst.1.add(round.burst.1);
        self.memory.add(round.memory);
    }

    fn print(&self, name: &str) {
        println!("{name}");
        println!(
            "  {MANY} OidcClients to all Ready, s               {:.2}",
            self.wall
        );
        println!(
            "  writes of Secrets and status, a resource      {:.2}",
            self.writes
        );
        println!(
            "  apply to Secret alone, ms: p50                {:.1}",
            self.single.0
        );
        println!(
            "                             p99                {:.1}",
            self.single.1
        );
        println!(
            "  apply to Secret among {MANY}, ms: p50          {:.0}",
            self.burst.0
        );
        println!(
            "                                  p99          {:.0}",
            self.burst.1
        );
        println!(
            "  resident memory afterwards, MiB               {:.1}",
            self.memory
        );
    }
}

pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let (mut ours, mut same, mut least) = (Side::default(), Side::default(), Side::default());
    let (mut to_same, mut to_least, mut memory) =
        (Figures::default(), Figures::default(), Figures::default());
    let account = bench.account()?;
    let administrator = bench.installation.cluster.kubeconfig();
    for number in 0..ROUNDS {
        bench.empty_store()?;
        bench.installation.claviger.restart().await?;
        let process = bench.process_id();
        let mine = round(bench, &format!("ours-{number}"), process).await?;
        bench.installation.claviger.stop();

        let equal = minimal(bench, &format!("same-{number}"), &account, &mine.sample).await?;
        let bare = minimal(
            bench,
            &format!("least-{number}"),
            &administrator,
            &Sample::least()?,
        )
        .await?;
        to_same.add(mine.wall / equal.wall);
        to_least.add(mine.wall / bare.wall);
        memory.add(mine.memory / equal.memory);
        ours.add(&mine);
        same.add(&equal);
        least.add(&bare);
    }
    ours.print("claviger");
    same.print("a minimal operator on kube's runtime that writes the same, under the same account");
    least.print("one that writes the least, as an administrator");
    println!("ratio: to all Ready, to who writes the same     {to_same:.2}   (target: at most 1.15)");
    println!("ratio: to all Ready, to who writes the least    {to_least:.2}");
    println!("ratio: resident memory                          {memory:.2}");
    Ok(())
}

async fn sample(client: &Client, namespace: &str) -> Result<Sample> {
    let resource = Api::<OidcClient>::namespaced(client.clone(), namespace)
        .get("single-0")
        .await?;
    let secret = Api::<Secret>::namespaced(client.clone(), namespace)
        .get("single-0-oidc")
        .await?;
    Sample::of(&resource, secret)
}

/// A round of the minimal operator.
async fn minimal(bench: &Bench, namespace: &str, kubeconfig: &Path, sample: &Sample) -> Result<Round> {
    let operator = Operator::start(kubeconfig, namespace, sample)?;
    round(bench, namespace, operator.process_id()).await
}

/// In a namespace of its own, which is empty again afterwards.
async fn round(bench: &Bench, namespace: &str, process: u32) -> Result<Round> {
    let client = bench.installation.cluster.client()?;
    let metadata = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &metadata)
        .await?;
    let clients: Api<OidcClient> = Api::namespaced(client.clone(), namespace);
    let before = writes(bench, namespace)?;

    let mut single = Vec::new();
    for number in 0..=SINGLE {
        let name = format!("single-{number}");
        let arrivals = arrivals(&client, namespace, 1).await?;
        let made = Instant::now();
        create(&clients, &name).await?;
        let arrived = arrivals.await??;
        // The first one also waits until the operator has started.
        if number > 0 {
            single.push(milliseconds(arrived[&format!("{name}-oidc")] - made));
        }
    }
    let arrivals = arrivals(&client, namespace, MANY).await?;
    let began = Instant::now();
    let made: HashMap<String, Instant> = stream::iter(0..MANY)
        .map(|number| {
            let clients = clients.clone();
            async move {
                let (name, made) = (format!("many-{number}"), Instant::now());
                create(&clients, &name).await?;
                anyhow::Ok((format!("{name}-oidc"), made))
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let arrived = arrivals.await??;
    all_ready(&clients).await?;
    let wall = began.elapsed().as_secs_f64();
    let burst = made
        .iter()
        .map(|(name, made)| milliseconds(arrived[name] - *made))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
    let writes = (writes(bench, namespace)? - before) as f64 / (MANY + SINGLE + 1) as f64;
    let round = Round {
        wall,
        writes,
        single: percentiles(single)?,
        burst: percentiles(burst)?,
        memory: resident_mebibytes(process)?,
        sample: sample(&client, namespace).await?,
    };
    clients
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    Ok(round)
}

async fn create(clients: &Api<OidcClient>, name: &str) -> Result<()> {
    let spec = serde_json::from_value(json!({"redirectUris": ["https://app.example.org/callback"]}))?;
    clients
        .create(&PostParams::default(), &OidcClient::new(name, spec))
        .await?;
    Ok(())
}

/// When each of the next `count` Secrets of the namespace was there, by name. Those that are there already do not count.
async fn arrivals(
    client: &Client,
    namespace: &str,
    count: usize,
) -> Result<JoinHandle<Result<HashMap<String, Instant>>>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let now = secrets
        .list(&ListParams::default().limit(1))
        .await?
        .metadata
        .resource_version;
    let now = now.context("a list without a resourceVersion")?;
    Ok(tokio::spawn(async move {
        let mut arrived = HashMap::new();
        let mut events = secrets
            .watch(&WatchParams::default().timeout(290), &now)
            .await?
            .boxed();
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(secret) = event {
                arrived.insert(secret.name_any(), Instant::now());
            }
            if arrived.len() >= count {
                return Ok(arrived);
            }
        }
        anyhow::bail!("the watch ended after {} Secrets", arrived.len())
    }))
}

async fn all_ready(clients: &Api<OidcClient>) -> Result<()> {
    poll::until("all OidcClients to be Ready", PATIENCE, async || {
        let all = clients.list(&ListParams::default().match_any()).await?;
        let ready = all.iter().filter(|client| is_ready(client)).count();
        Ok((ready == all.items.len()).then_some(()))
    })
    .await
}

fn is_ready(client: &OidcClient) -> bool {
    let conditions = client.status.as_ref().map(|status| status.conditions.as_slice());
    conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Writes to Secrets and status in the namespace so far, by whomever.
fn writes(bench: &Bench, namespace: &str) -> Result<usize> {
    let events = bench.installation.cluster.audit_events()?;
    let counted = events.iter().filter(|event| {
        event.is_write()
            && event.namespace == namespace
            && (event.resource == "secrets" || event.subresource == "status")
    });
    Ok(counted.count())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The 50th and the 99th.
fn percentiles(mut figures: Vec<f64>) -> Result<(f64, f64)> {
    figures.sort_by(f64::total_cmp);
    let at = |hundredth: usize| {
        figures.get((figures.len() * hundredth / 100).min(figures.len().saturating_sub(1)))
    };
    Ok((*at(50).context("no figures")?, *at(99).context("no figures")?))
}
