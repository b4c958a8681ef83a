//! claviger: a Kubernetes operator whose embedded server is an OpenID Provider.
//!
//! Two halves meet only in a [`store`]: the [`controller`] turns `OidcClient` and `OidcUser` resources into registered
//! clients, users and Secrets; the [`provider`], behind [`http`], answers browsers and apps from the store, so that
//! sign-in goes on while the Kubernetes API is away.
//!
//! | module | owns |
//! |---|---|
//! | [`clock`], [`random`] | time and randomness as parameters |
//! | [`address_range`] | ranges of addresses as flags name them |
//! | [`oidc`] | the vocabulary of the specifications and their rules; no I/O, no async, no clock |
//! | [`keyring`] | master, signing and sealing keys; derivation of client secrets; signatures |
//! | [`store`] | the port: records and atomic, intention-named operations; its back ends |
//! | [`login`] | authentication of the End-User; password hashing |
//! | [`provider`] | the use cases: typed request in, typed response out |
//! | [`http`] | the adapter for browsers and apps: routes, forms, cookies, pages |
//! | [`egress`] | requests to where owners of clients say, guarded |
//! | [`crd`] | the custom resources |
//! | [`controller`] | the adapter for Kubernetes: reconcile, Secrets, status |
//! | [`admin`] | the adapter for administrators: what is said over the Unix socket, both ends |
//! | [`app`] | the wiring; the only module that names concrete back ends |
//! | [`cli`], [`config`], [`telemetry`] | command line, checked settings; logs, metrics, traces |
//!
//! Who may import whom is checked by `tests/architecture.rs`.

pub mod address_range;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod crd;
pub mod egress;
pub mod http;
pub mod keyring;
pub mod login;
pub mod oidc;
pub mod provider;
pub mod random;
pub mod store;
pub mod telemetry;
