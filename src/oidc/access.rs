//! Who may sign in to a client.

use serde::{Deserialize, Serialize};

use super::end_user::EndUser;

/// Both lists empty: everyone. Otherwise a person must be named, or be in a group that is named. Checked at sign-in, at
/// silent sign-in, at every refresh, and whenever a token is shown to claviger.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// Names of groups.
    pub allowed_groups: Vec<String>,
    /// Usernames.
    pub allowed_users: Vec<String>,
}

impl Access {
    /// Whether everyone may sign in.
    pub fn is_open(&self) -> bool {
        self.allowed_groups.is_empty() && self.allowed_users.is_empty()
    }

    /// Whether `user` may sign in.
    pub fn allows(&self, user: &EndUser) -> bool {
        self.is_open()
            || self.allowed_users.contains(&user.username)
            || user
                .groups
                .iter()
                .any(|group| self.allowed_groups.contains(group))
    }
}
