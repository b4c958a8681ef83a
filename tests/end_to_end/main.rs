//! The built program over TCP, under the chart's own ServiceAccount on a real API server: nothing in it is simulated.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "whatever does not start or answer is a failed test, in a function of its own or not"
)]

mod accounts;
mod administration;
mod attacks;
mod back_channel_logout;
mod bad_cluster;
mod bad_flags;
mod bad_objects;
mod bad_places;
mod check_issuer;
mod claims;
mod clients;
mod disk_faults;
mod events;
mod flow;
mod forwarded;
mod fuzz;
mod harness;
mod kills;
mod late_cluster;
mod launch;
mod leaks;
mod ledger;
mod lost_store;
mod marks;
mod metrics;
mod outage;
mod races;
mod recovery;
mod restart;
mod rights;
mod scenario;
mod service_accounts;
mod services;
mod tls;
mod wire;
