//! Fault experiments: the built program under the chart's own ServiceAccount, with a proxy between it and a real API server
//! that makes things go wrong, or with the cluster itself broken.
//!
//! Each experiment is one test, has a seed (`TEST_SEED`, a number) and prints its verdict in a line. What is gated are
//! counts and never times; times are printed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "whatever does not start or answer is a failed test, in a function of its own or not; verdicts are printed"
)]

mod definitions;
mod expired;
mod fuzz;
mod harness;
mod namespace;
mod outage;
mod refusals;
mod watches;
