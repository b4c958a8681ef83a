//! Load on a server, counted against the CPU time that the server's process used meanwhile.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A chain of refreshes on one connection: each uses the token that the one before gave.
pub(crate) struct Chain {
    pub(crate) http: reqwest::Client,
    pub(crate) token_endpoint: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) refresh_token: String,
}

impl Chain {
    /// Refreshes for [`super::LOADED`]; gives how often.
    pub(crate) async fn refresh_for(&mut self) -> Result<u64> {
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < super::LOADED {
            let answer = self
                .http
                .post(&self.token_endpoint)
                .basic_auth(&self.client_id, Some(&self.client_secret))
                .form(&[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &self.refresh_token),
                ])
                .send()
                .await?;
            let status = answer.status();
            let body: Value = answer.json().await?;
            let Some(next) = body["refresh_token"].as_str() else {
                bail!("{status}: {body}")
            };
            next.clone_into(&mut self.refresh_token);
            anyhow::ensure!(
                body["id_token"].is_string() && body["access_token"].is_string(),
                "tokens are missing: {body}"
            );
            count += 1;
        }
        Ok(count)
    }
}

/// Runs `workers` at once; gives what they did per CPU-second of the process.
pub(crate) async fn run<F: Future<Output = Result<u64>>>(
    process: u32,
    workers: impl Iterator<Item = F>,
) -> Result<f64> {
    let before = cpu_seconds(process)?;
    let counts = futures::future::try_join_all(workers).await?;
    let used = cpu_seconds(process)? - before;
    let count: u64 = counts.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
    let count = count as f64;
    Ok(count / used)
}

/// User and system time so far.
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("the server is gone")?;
    // The second field is the program's name in parentheses and may hold spaces; times are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(") ").context("odd /proc/PID/stat")?;
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / ticks_per_second())
}

/// `USER_HZ`, which Linux fixes at 100 for every architecture that we know of.
fn ticks_per_second() -> f64 {
    100.0
}

/// Resident memory in MiB.
pub(crate) fn resident_mebibytes(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("the server is gone")?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .context("no VmRSS in /proc/PID/status")?;
    Ok(kibibytes / 1024.0)
}
