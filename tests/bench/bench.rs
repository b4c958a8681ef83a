//! `make bench`: start-up time and idle memory of the release build, refreshes per CPU-second beside a bare program that
//! signs the same two tokens, and a thousand `OidcClient`s beside a minimal operator.
//!
//! Figures of one machine at one moment say little, so rates are given per CPU-second of the server process and as a
//! ratio against the bare program, in rounds that alternate. Nothing here passes or fails.
//!
//! `make bench-peers` is `peers.rs`; with the argument `alone` in place of `peers` nobody is beside claviger, which is what to
//! attach a profiler to.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark prints, and the bare program takes nothing from claviger, its source of randomness included"
)]

mod bare;
mod clients;
mod figures;
mod load;
mod operator;
mod peers;
mod setup;
mod start;

use std::time::Duration;

use anyhow::Result;

use figures::Figures;
use setup::Bench;

/// Rounds of the comparison.
const ROUNDS: usize = 5;
/// How long each side is loaded in each round.
const LOADED: Duration = Duration::from_secs(5);
/// Refresh chains at once, each on a connection of its own.
const CHAINS: usize = 16;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, address] = arguments.as_slice()
        && mode == bare::MODE
    {
        return bare::serve(address);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if arguments.get(1).is_some_and(|mode| mode == operator::MODE) {
        return runtime.block_on(operator::run(&arguments));
    }
    if arguments.get(1).is_some_and(|mode| mode == peers::MODE) {
        return runtime.block_on(peers::measure());
    }
    if arguments.get(1).is_some_and(|mode| mode == peers::ALONE) {
        return runtime.block_on(peers::measure_alone());
    }
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    println!("claviger {}, release build", env!("CARGO_PKG_VERSION"));
    let mut bench = Bench::prepare().await?;
    start::measure(&mut bench).await?;
    refreshes(&mut bench).await?;
    clients::measure(&mut bench).await
}

async fn refreshes(bench: &mut Bench) -> Result<()> {
    let mut chains = bench.sign_in(CHAINS).await?;
    let bare = bare::Bare::start().await?;
    let (mut ours, mut theirs, mut ratios) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        let refreshed = load::run(
            bench.process_id(),
            chains.iter_mut().map(load::Chain::refresh_for),
        )
        .await?;
        let signed = load::run(bare.process_id(), (0..CHAINS).map(|_| bare.ask_for())).await?;
        ours.add(refreshed);
        theirs.add(signed);
        ratios.add(refreshed / signed);
    }
    println!("refreshes per CPU-second, rotated and durable (sled)     {ours}");
    println!("  a bare axum + aws-lc-rs program signing the same two   {theirs}");
    println!("  ratio                                                  {ratios:.2}");
    Ok(())
}
