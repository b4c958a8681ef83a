//! Waiting for something to become true: looked at again and again, for a bounded time, and with the reason if not.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long between two looks.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Calls `look` until it gives a value or `patience` is over; then fails with what was waited for and, if looking
/// itself failed, why.
pub async fn until<T, F, Fut>(what: &str, patience: Duration, look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    until_unless(what, patience, || Ok(()), look).await
}

/// [`until`], but fails at once when `hope` does, for example since the process that is waited for has ended.
pub async fn until_unless<T, F, Fut>(
    what: &str,
    patience: Duration,
    mut hope: impl FnMut() -> Result<()>,
    mut look: F,
) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + patience;
    loop {
        hope().with_context(|| format!("waited for {what}"))?;
        let outcome = look().await;
        if let Ok(Some(value)) = outcome {
            return Ok(value);
        }
        if Instant::now() > deadline {
            let waited = format!("waited {} s for {what}", patience.as_secs());
            return match outcome {
                Err(error) => Err(error).context(waited),
                Ok(_) => Err(anyhow::anyhow!(waited)),
            };
        }
        tokio::time::sleep(PAUSE).await;
    }
}
