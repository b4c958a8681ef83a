//! An authentication of the End-User: when and how.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One act of authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// `auth_time` (OpenID Connect Core section 2).
    pub at: Timestamp,
    /// How, as RFC 8176 values.
    pub methods: Vec<AuthenticationMethod>,
}

/// Authentication method references (RFC 8176 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthenticationMethod {
    /// A password.
    #[serde(rename = "pwd")]
    Password,
}
