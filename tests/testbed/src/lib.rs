//! What `make run` and the tests share: a real control plane on loopback, Helm, claviger as a host process, a strict
//! relying party, and the care that nothing of it outlives the program that started it.
//!
//! It uses the claviger binary and never the library, so that what it sees is what a user sees.

pub mod cluster;
pub mod folder;
pub mod poll;
pub mod ports;
pub mod process;
pub mod tools;

pub use cluster::{Cluster, ClusterOptions};
