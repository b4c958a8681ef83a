//! From the start of the process to the first answered JWKS request, with a keyring that exists and an empty store; and
//! the resident memory of a claviger that has hashed no password yet.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::Figures;
use super::load::resident_mebibytes;
use super::setup::Bench;

const STARTS: usize = 9;

pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let (mut times, mut memory) = (Figures::default(), Figures::default());
    let http = reqwest::Client::builder().no_proxy().build()?;
    for _ in 0..STARTS {
        bench.empty_store()?;
        let url = bench.installation.claviger.url("/.well-known/jwks.json");
        let began = Instant::now();
        bench.installation.claviger.relaunch()?;
        while !http
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            anyhow::ensure!(
                began.elapsed() < Duration::from_secs(30),
                "no JWKS within half a minute"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.add(began.elapsed().as_secs_f64() * 1000.0);
        bench.installation.claviger.wait_until_ready().await?;
        memory.add(resident_mebibytes(bench.process_id())?);
    }
    println!("start to the first answered JWKS request, ms             {times:.1}   (target: at most 100)");
    println!("idle resident memory before the first password hash, MiB {memory:.1}   (target: at most 30)");
    Ok(())
}
