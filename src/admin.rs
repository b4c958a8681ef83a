//! The adapter for administrators: small JSON requests over a Unix socket that only claviger's own user can open.
//!
//! Owns the socket, what is said over it, and both of its ends: the server in the serving process, the client in the
//! subcommands. It decides nothing: what is asked for is done by whoever implements [`Administration`]. There is no other
//! authentication than the socket's mode, hence no port.

pub mod client;
pub mod report;
pub mod server;
pub mod socket;

use async_trait::async_trait;

use report::{DoctorReport, KeysReport, MasterKeyReport, SubjectsReport};

/// Why something was not done, in words for the administrator, with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// What an administrator can ask of the serving process.
#[async_trait]
pub trait Administration: Send + Sync + 'static {
    /// The keys and where each stands.
    async fn keys(&self) -> Result<KeysReport, Refusal>;

    /// Publishes new signing keys, which take over after the lead; the keys as they stand then.
    async fn rotate_signing_keys(&self) -> Result<KeysReport, Refusal>;

    /// Adds a master key and makes it the current one.
    async fn rotate_master_key(&self) -> Result<MasterKeyReport, Refusal>;

    /// Looks at everything that an installation stumbles on.
    async fn doctor(&self) -> DoctorReport;

    /// The subjects that no spec pins yet.
    async fn subjects(&self) -> Result<SubjectsReport, Refusal>;
}
