//! The controller on a real etcd and kube-apiserver, with the roles and the admission policies of the chart and under the
//! chart's own ServiceAccount. Each test has a namespace of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here is a failed test, in a function of its own or not"
)]

mod admission;
mod allowed;
mod clients;
mod conflicts;
mod drift;
mod events;
mod harness;
mod heal;
mod outage;
mod removal;
mod resources;
mod restart;
mod rotation;
mod rotation_load;
mod service_accounts;
mod startup;
mod store_outage;
mod thief;
mod users;

#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/owned_secret.rs"]
mod owned_secret;
#[path = "../common/random.rs"]
mod random;

#[path = "../protocol/faulty_store.rs"]
#[expect(dead_code, reason = "a test here uses a part of it")]
mod faulty_store;
