//! Scopes (RFC 6749 section 3.3).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// `openid` (OpenID Connect Core section 3.1.2.1).
pub const OPENID: &str = "openid";
/// `profile` (OpenID Connect Core section 5.4).
pub const PROFILE: &str = "profile";
/// `email` (OpenID Connect Core section 5.4).
pub const EMAIL: &str = "email";
/// `address` (OpenID Connect Core section 5.4).
pub const ADDRESS: &str = "address";
/// `phone` (OpenID Connect Core section 5.4).
pub const PHONE: &str = "phone";
/// `groups`: the names of the End-User's groups; no specification has it, all apps ask for it.
pub const GROUPS: &str = "groups";
/// `offline_access` (OpenID Connect Core section 11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Every scope that claviger knows, in the order in which discovery lists them.
pub const SUPPORTED: [&str; 7] = [OPENID, PROFILE, EMAIL, ADDRESS, PHONE, GROUPS, OFFLINE_ACCESS];

/// A set of scopes; order and repetition do not matter (RFC 6749 section 3.3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<String>);

impl ScopeSet {
    /// Reads the space-separated form. Unknown scopes are kept; what to do with them is the caller's rule.
    pub fn parse(text: &str) -> Self {
        text.split(' ').filter(|scope| !scope.is_empty()).collect()
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether every scope of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<T: Into<String>> FromIterator<T> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = T>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" ")?;
            }
            formatter.write_str(scope)?;
        }
        Ok(())
    }
}
