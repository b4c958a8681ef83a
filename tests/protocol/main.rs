//! The protocol, endpoint by endpoint, through the router: one test for each rule.

#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/random.rs"]
mod random;

mod app;
mod faulty_store;
mod hasher;

mod discovery;
