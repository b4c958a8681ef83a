//! `make bench-peers`: claviger beside npm's oidc-provider and Keycloak, in the same minutes on the same machine.
//!
//! Each operation is done on claviger and a peer in turn, and counted per CPU-second of the server's process. One answer in a
//! hundred is verified. Nothing here passes or fails, but an answer that is wrong ends it.

mod check;
mod keycloak;
mod node;
mod ours;
mod provider;
mod worker;

use std::time::Duration;

use anyhow::{Context, Result};

use super::figures::Figures;
use super::load;
use provider::Provider;
use worker::{Operation, Worker};

/// The argument that asks for this.
pub(crate) const MODE: &str = "peers";
/// The argument that asks for claviger alone, which a profiler can be attached to.
pub(crate) const ALONE: &str = "alone";
/// Browsers at once, each with connections of its own.
const WORKERS: usize = 16;

/// How long and how often; each can be set by the environment.
struct Plan {
    rounds: u64,
    loaded: Duration,
    /// Instead of each provider's own.
    warm_up: Option<Duration>,
}

impl Plan {
    fn read() -> Result<Self> {
        let seconds = |name| Ok::<_, anyhow::Error>(number(name)?.map(Duration::from_secs));
        Ok(Self {
            rounds: number("BENCH_ROUNDS")?.unwrap_or(5),
            loaded: seconds("BENCH_SECONDS")?.unwrap_or(Duration::from_secs(4)),
            warm_up: seconds("BENCH_WARM_UP")?,
        })
    }
}

fn number(name: &str) -> Result<Option<u64>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(
            text.parse().with_context(|| format!("{name} is not a number"))?,
        )),
        Err(_) => Ok(None),
    }
}

/// A provider and those who load it.
struct Side<'a> {
    provider: &'a Provider,
    workers: Vec<Worker<'a>>,
}

impl<'a> Side<'a> {
    /// Warms the provider up.
    async fn prepare(provider: &'a Provider, plan: &Plan) -> Result<Self> {
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(Worker::new(provider).await?);
        }
        let about = &provider.about;
        println!("{}", about.name);
        let claims = match workers.first_mut() {
            Some(worker) => worker.claims().await?,
            None => Vec::new(),
        };
        for line in about.lines.iter().chain(&claims) {
            println!("  {line}");
        }
        let mut side = Self { provider, workers };
        for operation in Operation::ALL {
            if operation.is_offered_by(provider) {
                side.load(operation, plan.warm_up.unwrap_or(about.warm_up))
                    .await?;
            }
        }
        Ok(side)
    }

    /// How often it was done per CPU-second.
    async fn load(&mut self, operation: Operation, time: Duration) -> Result<f64> {
        for worker in &mut self.workers {
            worker.prepare(operation).await?;
        }
        let workers = self.workers.iter_mut();
        let process = self.provider.about.process;
        load::run(process, workers.map(|worker| worker.run_for(operation, time))).await
    }
}

/// An operation on claviger and on a peer.
struct Pair {
    operation: Operation,
    peer: usize,
    ours: Figures,
    theirs: Figures,
    ratios: Figures,
}

impl Pair {
    async fn measure(&mut self, ours: &mut Side<'_>, peer: &mut Side<'_>, plan: &Plan) -> Result<()> {
        let mine = ours.load(self.operation, plan.loaded).await?;
        let theirs = peer.load(self.operation, plan.loaded).await?;
        self.ours.add(mine);
        self.theirs.add(theirs);
        self.ratios.add(mine / theirs);
        Ok(())
    }

    fn print(&self, peer: &Provider) {
        println!(
            "| {} | {} | {:#} | {:#} | {:#.1} | {} |",
            self.operation.name(),
            peer.about.name,
            self.ours,
            self.theirs,
            self.ratios,
            target(self.operation, peer.about.name)
        );
    }
}

/// By how much claviger is meant to be ahead.
fn target(operation: Operation, peer: &str) -> &'static str {
    match (operation, peer) {
        (Operation::ClientCredentials | Operation::IntrospectOpaque, "oidc-provider") => "6",
        (Operation::CodeFlow, "oidc-provider") => "5",
        (Operation::Refresh, "Keycloak") => "20",
        (Operation::Jwks, "oidc-provider") => "7",
        _ => "",
    }
}

pub(crate) async fn measure() -> Result<()> {
    let plan = Plan::read()?;
    println!(
        "{} rounds of {} s, {WORKERS} browsers, {} CPUs for servers and load together, load average {}",
        plan.rounds,
        plan.loaded.as_secs(),
        std::thread::available_parallelism()?,
        load_average()?
    );
    let ours = ours::start().await?;
    let peers = peers().await?;
    let mut side = Side::prepare(&ours, &plan).await?;
    let mut others = Vec::new();
    for peer in &peers {
        others.push(Side::prepare(peer, &plan).await?);
    }
    let mut pairs: Vec<Pair> = Operation::ALL
        .into_iter()
        .flat_map(|operation| (0..peers.len()).map(move |peer| (operation, peer)))
        .filter(|(operation, peer)| {
            [&ours, &peers[*peer]]
                .iter()
                .all(|side| operation.is_offered_by(side))
        })
        .map(|(operation, peer)| Pair {
            operation,
            peer,
            ours: Figures::default(),
            theirs: Figures::default(),
            ratios: Figures::default(),
        })
        .collect();
    for round in 1..=plan.rounds {
        for pair in &mut pairs {
            pair.measure(&mut side, &mut others[pair.peer], &plan).await?;
        }
        // Each time, so that whoever cannot wait for the last round has those before.
        println!("\nafter round {round}, load average {}", load_average()?);
        println!("per CPU-second of the server's process, median (least to most):\n");
        println!("| operation | peer | claviger | the peer | ratio | target |");
        println!("|---|---|---|---|---|---|");
        for pair in &pairs {
            pair.print(&peers[pair.peer]);
        }
    }
    Ok(())
}

/// What claviger does per CPU-second, beside nobody: `BENCH_SECONDS` of each operation, after as long a warm-up.
pub(crate) async fn measure_alone() -> Result<()> {
    let plan = Plan::read()?;
    let ours = ours::start().await?;
    println!("process {}", ours.about.process);
    let plan = Plan {
        warm_up: plan.warm_up.or(Some(plan.loaded)),
        ..plan
    };
    let mut side = Side::prepare(&ours, &plan).await?;
    for operation in Operation::ALL {
        if operation.is_offered_by(&ours) {
            let mut figures = Figures::default();
            for _ in 0..plan.rounds {
                figures.add(side.load(operation, plan.loaded).await?);
            }
            println!("{}: {figures:#}", operation.name());
        }
    }
    Ok(())
}

/// Those that can be installed here.
async fn peers() -> Result<Vec<Provider>> {
    let mut peers = Vec::new();
    for started in [node::start().await, keycloak::start().await] {
        match started {
            Ok(peer) => peers.push(peer),
            Err(error) => println!("without a peer: {error:#}"),
        }
    }
    anyhow::ensure!(!peers.is_empty(), "there is no peer to compare with");
    Ok(peers)
}

fn load_average() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
