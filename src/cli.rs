//! The command line.

pub mod crd;
pub mod hash_password;
