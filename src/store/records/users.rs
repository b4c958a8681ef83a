//! Users, with their passwords.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Digest, ResourceRef};
use crate::oidc::claims::Person;
use crate::oidc::end_user::EndUser;
use crate::oidc::password::PasswordHash;

/// A user as registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Who they are.
    pub user: EndUser,
    /// When `user` last became another; not noted in the first version.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// The resource.
    pub resource: ResourceRef,
    /// The password that their resource gives, if it gives one.
    pub password: Option<PasswordRecord>,
    /// The password that they chose themselves, until the resource gives another.
    #[serde(default)]
    pub own_password: Option<OwnPasswordRecord>,
    /// Since when the resource is missing; refused while this is set.
    pub absent_since: Option<Timestamp>,
    /// What is done, see [`crate::store::Store::complete_user`].
    pub done: Option<Digest>,
}

impl UserRecord {
    /// Whether the user may take part in anything now.
    pub fn is_live(&self) -> bool {
        !self.user.disabled && self.absent_since.is_none()
    }

    /// The hash of the password that lets them in: their own wins over the resource's.
    pub fn password_hash(&self) -> Option<&PasswordHash> {
        match (&self.own_password, &self.password) {
            (Some(own), _) => Some(&own.hash),
            (None, Some(password)) => Some(&password.hash),
            (None, None) => None,
        }
    }

    /// Whether `other` is let in by the same password, as far as is known: hashed anew or not.
    pub fn has_password_of(&self, other: &Self) -> bool {
        fn which(user: &UserRecord) -> (Option<Timestamp>, Option<&str>) {
            let own = user.own_password.as_ref().map(|password| password.set_at);
            (
                own,
                user.password.as_ref().map(|password| password.source.as_str()),
            )
        }
        which(self) == which(other)
    }

    /// Puts a hash of the same password in the place of `old`; false where that is not there any more.
    pub fn upgrade_hash(&mut self, old: &PasswordHash, new: PasswordHash) -> bool {
        match (&mut self.own_password, &mut self.password) {
            (Some(own), _) if own.hash == *old => own.hash = new,
            (_, Some(password)) if password.hash == *old => password.hash = new,
            _ => return false,
        }
        true
    }
}

impl<'a> From<&'a UserRecord> for Person<'a> {
    fn from(record: &'a UserRecord) -> Self {
        Self {
            user: &record.user,
            updated_at: record.updated_at,
        }
    }
}

/// A password as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordRecord {
    /// The hash.
    pub hash: PasswordHash,
    /// What it was made from: changes exactly when the password may have changed, so that nothing is hashed twice.
    pub source: String,
}

/// A password that a person chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPasswordRecord {
    /// The hash.
    pub hash: PasswordHash,
    /// When they chose it.
    pub set_at: Timestamp,
}

/// A registration of a user.
#[derive(Debug, Clone)]
pub struct UserRegistration {
    /// Who they are.
    pub user: EndUser,
    /// The resource.
    pub resource: ResourceRef,
    /// Their password.
    pub password: Option<PasswordRecord>,
    /// Whoever may write people says that this is the person whose subject was retired.
    pub restores_subject: bool,
}
