//! What `make run` and the tests share: a real control plane on loopback, Helm, claviger as a host process, a strict
//! relying party, and the care that nothing of it outlives the program that started it.
//!
//! It uses the claviger binary and never the library, so that what it sees is what a user sees.

pub mod browser;
pub mod certificates;
pub mod claviger;
pub mod cluster;
pub mod command;
pub mod disk;
pub mod fault_proxy;
pub mod folder;
pub mod helm;
pub mod installation;
pub mod kubectl;
pub mod leaks;
pub mod poll;
pub mod ports;
pub mod process;
pub mod random;
pub mod raw;
pub mod relying_party;
pub mod resources;
pub mod sample_app;
pub mod scale;
pub mod seccomp;
pub mod seed;
pub mod tls_receiver;
pub mod tools;
pub mod visit;

pub use browser::Browser;
pub use claviger::{Claviger, ClavigerOptions};
pub use cluster::{Cluster, ClusterOptions};
pub use installation::{Installation, InstallationOptions};
pub use relying_party::RelyingParty;
pub use resources::{Kind, Resources};
