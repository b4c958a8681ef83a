//! The End-User (OpenID Connect Core section 1.2) and what is known of them.

use serde::{Deserialize, Serialize};

use super::identifier::{ResourceUid, Subject};
use super::standard_claims::StandardClaims;

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndUser {
    /// The resource behind the account.
    pub uid: ResourceUid,
    /// `sub`; never reused for somebody else.
    pub subject: Subject,
    /// `preferred_username`, canonical: what people type is brought to this form by [`canonical_username`].
    pub username: String,
    /// `name`.
    pub name: Option<String>,
    /// `given_name`.
    pub given_name: Option<String>,
    /// `family_name`.
    pub family_name: Option<String>,
    /// `email`.
    pub email: Option<String>,
    /// `email_verified`.
    pub email_verified: bool,
    /// `groups`.
    pub groups: Vec<String>,
    /// The other standard claims.
    #[serde(default, skip_serializing_if = "StandardClaims::is_empty")]
    pub standard_claims: StandardClaims,
    /// May not sign in; all sessions and grants are ended when this becomes true.
    pub disabled: bool,
}

/// The form under which a username is looked up: surrounding white space gone, lower case. `OidcUser` admits only
/// lower-case ASCII names, so that no two accounts differ in case alone or in a Unicode form.
pub fn canonical_username(typed: &str) -> String {
    typed.trim().to_lowercase()
}
