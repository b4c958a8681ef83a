//! Identifiers as types of their own, so that one kind is never taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// `metadata.uid` of a Kubernetes resource. A resource that is deleted and made again has another one, which is
    /// why clients and users are keyed by it: nothing of the old one passes to the new one.
    ResourceUid
}

identifier! {
    /// `client_id` (RFC 6749 section 2.2).
    ClientId
}

identifier! {
    /// `sub`: the End-User's identifier at this issuer, never reassigned (OpenID Connect Core section 8).
    Subject
}

identifier! {
    /// Identifies a grant: who allowed what to which client. Not a secret; it is part of the `jti` of access tokens.
    GrantId
}
