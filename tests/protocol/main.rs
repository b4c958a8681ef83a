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
mod browser;
mod client_keys;
mod faulty_store;
mod hasher;
mod jwt;
mod log;

mod account;
mod authorization_code;
mod authorize;
mod authorize_faults;
mod back_channel_logout;
mod claims;
mod client_authentication;
mod client_credentials;
mod clock_steps;
mod consent;
mod cors;
mod device;
mod disabled_client;
mod discovery;
mod dpop;
mod egress;
mod fapi2;
mod faults;
mod forms;
mod freshness;
mod health;
mod introspection;
mod key_rotation;
mod limits;
mod logs;
mod metrics;
mod opaque_access_token;
mod pages;
mod pairwise;
mod password;
mod private_key_jwt;
mod pushed_request;
mod rate_limits;
mod redirect_uri;
mod refresh_token;
mod request_object;
mod resource_servers;
mod resources;
mod response_mode;
mod revocation;
mod select_account;
mod service_account_token;
mod session;
mod sign_in;
mod sign_out;
mod throttle;
mod tls;
mod token;
mod token_kinds;
mod userinfo;
