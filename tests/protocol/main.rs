//! The protocol, endpoint by endpoint, through the router: one test for each rule.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it should be"
)]

#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/random.rs"]
mod random;

mod app;
mod faulty_store;
mod hasher;
mod jwt;

mod authorization_code;
mod client_authentication;
mod cors;
mod discovery;
mod faults;
mod health;
mod limits;
mod logs;
mod refresh_token;
mod token;
mod userinfo;
