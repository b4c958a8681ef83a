//! What the OpenID Foundation's profiles for providers ask of claviger, shown requirement by requirement against the real
//! binary: over TLS, on a real API server, with an HTTP client that keeps cookies and, where a page or a cookie matters,
//! Chromium.
//!
//! `requirements.yaml` lists the requirements, each with the one function here that shows it. This program runs the
//! functions, prints requirement, test and result, and keeps the table in `tests/output/conformance/`. It fails where a
//! test fails, and where list and functions do not match. `cargo test --test conformance NAME` runs those with NAME in
//! their name.
//!
//! It has a harness of its own, since a table of all results is the point: libtest tells nobody when the last test is over.

#[macro_use]
mod harness;
mod requirements;
mod table;

mod chromium;
mod clients;
mod flow;
mod signing;
mod stage;
mod tokens;
mod wire;

mod authorization_errors;
mod authorization_requests;
mod back_channel;
mod claims_parameter;
mod discovery;
mod form_post;
mod hints;
mod id_token;
mod jwks;
mod logout;
mod logout_refusals;
mod pkce;
mod prompts;
mod refresh;
mod request_objects;
mod scopes;
mod token_endpoint;
mod userinfo;

use std::process::ExitCode;

use anyhow::Result;
use testbed::leaks;

use harness::{Options, Test};
use stage::Stage;

/// The tests of every module.
const MODULES: &[&[Test]] = &[
    // The one that waits longest begins first.
    token_endpoint::TESTS,
    authorization_errors::TESTS,
    authorization_requests::TESTS,
    back_channel::TESTS,
    chromium::TESTS,
    claims_parameter::TESTS,
    discovery::TESTS,
    form_post::TESTS,
    hints::TESTS,
    id_token::TESTS,
    jwks::TESTS,
    logout::TESTS,
    logout_refusals::TESTS,
    pkce::TESTS,
    prompts::TESTS,
    refresh::TESTS,
    request_objects::TESTS,
    scopes::TESTS,
    userinfo::TESTS,
];

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what a harness says")]
fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let tests = || MODULES.iter().copied().flatten();
    if options.list {
        for test in tests().filter(|test| options.selects(test.name)) {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    match conform(&options, &tests().collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance cannot be shown: {error:#}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// Runs what is asked for; gives whether all of it is as it should be.
#[expect(clippy::print_stdout, reason = "what a harness says")]
fn conform(options: &Options, tests: &[&'static Test]) -> Result<bool> {
    let rows = requirements::read()?;
    let mut gaps = requirements::gaps(&rows, tests.iter().map(|test| test.name));
    let selected: Vec<_> = tests
        .iter()
        .copied()
        .filter(|test| options.selects(test.name))
        .collect();
    let outcomes = if selected.is_empty() {
        harness::Outcomes::default()
    } else {
        let runtime = tokio::runtime::Runtime::new()?;
        // Never dropped: what it started ends with this program, however that ends.
        let stage: &'static Stage = Box::leak(Box::new(runtime.block_on(Stage::start())?));
        let outcomes = harness::run(&runtime, stage, &selected);
        // As for every claviger that a test lets go of.
        let leak = leaks::first(&stage.installation.claviger.log());
        gaps.extend(leak.map(|leak| format!("claviger's log is not for everybody: {leak}")));
        outcomes
    };
    let table = table::write(&rows, &outcomes, &gaps);
    print!("\n{table}");
    // Part of a table is nothing to keep.
    if selected.len() == tests.len() {
        table::keep(&table)?;
    }
    Ok(table::failures(&outcomes, &gaps) == 0)
}
