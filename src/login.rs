//! Authentication of the End-User, one file per method.
//!
//! Owns how a proof is checked, how often it may be tried, and who may keep the checker busy; which proof is asked for, and
//! what follows from it, is the provider's.

pub mod network;
pub mod password;
pub mod shares;
pub mod throttle;

pub use password::Argon2Hasher;
