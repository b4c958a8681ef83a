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

/// `acr` of a sign-in with a password: a name that relying parties know (SAML 2.0 Authentication Context, section 3.4.3),
/// and an absolute URI, as OpenID Connect Core section 2 wants it. It says what was done: a password, over TLS.
pub const ACR_PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

/// `acr_values_supported` of discovery: every `acr` that a sign-in can give.
pub const SUPPORTED_ACR_VALUES: [&str; 1] = [ACR_PASSWORD];

impl Authentication {
    /// `acr` (OpenID Connect Core section 2).
    pub fn acr(&self) -> Option<&'static str> {
        self.methods.first().map(|method| match method {
            AuthenticationMethod::Password => ACR_PASSWORD,
        })
    }

    /// `amr` (OpenID Connect Core section 2).
    pub fn amr(&self) -> Vec<&'static str> {
        self.methods.iter().map(|method| method.as_str()).collect()
    }
}

/// Authentication method references (RFC 8176 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthenticationMethod {
    /// A password.
    #[serde(rename = "pwd")]
    Password,
}

impl AuthenticationMethod {
    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }
}
