//! Authentication of the End-User, one file per method.
//!
//! Owns how a proof is checked; which proof is asked for, and what follows from it, is the provider's.

pub mod password;

pub use password::Argon2Hasher;
