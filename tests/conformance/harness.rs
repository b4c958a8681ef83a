//! Runs tests that share a stage, and says how each ended.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Error, Result};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use tokio::runtime::Runtime;

use crate::stage::Stage;

/// More than any test takes on a busy machine; one that hangs ends here.
const PATIENCE: Duration = Duration::from_mins(4);
/// How many run at a time. Most of their time passes in hashing passwords.
const AT_ONCE: usize = 6;

/// A test.
pub(crate) struct Test {
    /// The function's name.
    pub(crate) name: &'static str,
    /// The function.
    pub(crate) run: fn(&'static Stage) -> BoxFuture<'static, Result<()>>,
}

/// Lists the tests of a module, which are async functions that take the stage. One that is not listed is dead code.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::harness::Test] = &[$(crate::harness::Test {
            name: stringify!($name),
            run: |stage| Box::pin($name(stage)),
        }),*];
    };
}

/// How a test ended.
pub(crate) enum Outcome {
    /// As it should.
    Passed,
    /// What it needs cannot be had here.
    Skipped(String),
    /// Not as it should.
    Failed(String),
}

/// How tests ended, by name.
pub(crate) type Outcomes = BTreeMap<&'static str, Outcome>;

/// Why a test was not run: the error of a test that was not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Skipped(pub(crate) String);

/// What the command line asks for, in libtest's words as far as they mean anything here.
#[derive(Default)]
pub(crate) struct Options {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    /// No test is ignored, so this runs none.
    ignored: bool,
    /// Names only.
    pub(crate) list: bool,
}

impl Options {
    /// Reads the arguments. What libtest knows and has no meaning here is accepted, so that options for all tests of the
    /// workspace pass.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => options.exact = true,
                "--list" => options.list = true,
                "--ignored" => options.ignored = true,
                "--skip" => options.skipped.extend(arguments.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                _ => options.filters.push(argument),
            }
        }
        options
    }

    /// Whether this test is asked for.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}

/// Runs the tests, several at a time, and says of each how it ended.
pub(crate) fn run(runtime: &Runtime, stage: &'static Stage, tests: &[&'static Test]) -> Outcomes {
    let running = stream::iter(tests.iter().copied())
        .map(|test| async move { (test.name, outcome_of(test, stage).await) })
        .buffer_unordered(AT_ONCE)
        .inspect(|(name, outcome)| tell(name, outcome))
        .collect();
    runtime.block_on(running)
}

async fn outcome_of(test: &'static Test, stage: &'static Stage) -> Outcome {
    // A task of its own, so that a panic ends this test alone.
    match tokio::spawn(tokio::time::timeout(PATIENCE, (test.run)(stage))).await {
        Ok(Ok(Ok(()))) => Outcome::Passed,
        Ok(Ok(Err(error))) => unless_skipped(&error),
        Ok(Err(_)) => Outcome::Failed(format!("was not over after {PATIENCE:?}")),
        Err(panic) => Outcome::Failed(panic.to_string()),
    }
}

fn unless_skipped(error: &Error) -> Outcome {
    match error.downcast_ref::<Skipped>() {
        Some(skipped) => Outcome::Skipped(skipped.to_string()),
        None => Outcome::Failed(format!("{error:#}")),
    }
}

#[expect(clippy::print_stdout, reason = "what a harness says")]
fn tell(name: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Passed => println!("test {name} ... ok"),
        Outcome::Skipped(reason) => println!("test {name} ... skipped: {reason}"),
        Outcome::Failed(reason) => println!("test {name} ... FAILED: {reason}"),
    }
}
