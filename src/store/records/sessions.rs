//! Users, their sessions, and which clients are to hear that one ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Digest, ResourceRef};
use crate::oidc::authentication::Authentication;
use crate::oidc::claims::Person;
use crate::oidc::end_user::EndUser;
use crate::oidc::identifier::{ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;
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
    /// What is done, see [`super::Store::complete_user`].
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

/// A browser in which a person is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Hash of the cookie's value.
    pub hash: TokenHash,
    /// Who.
    pub user_uid: ResourceUid,
    /// When and how they signed in.
    pub authentication: Authentication,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// It ends when it is not used for this many seconds.
    pub idle_seconds: u64,
    /// It ends then, used or not.
    pub expires_at: Timestamp,
}

/// A client that was given an ID token in a session: whoever is to hear that the session ended (OpenID Connect Back-Channel
/// Logout section 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantRecord {
    /// The client.
    pub client_uid: ResourceUid,
    /// By which it knows the person.
    pub sub: Subject,
    /// What its ID tokens called the session, the newest last; another one after the person signed in again.
    pub sids: Vec<String>,
}

/// How many `sid`s of one client in one session are kept at most; the oldest goes.
pub const MAX_SIDS: usize = 8;

/// What a client is to be told: that a person's session ended. It is removed when the client was told, or nobody tries any
/// more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutNoticeRecord {
    /// The client.
    pub client_uid: ResourceUid,
    /// By which it knows the person.
    pub sub: Subject,
    /// What the client calls the session; `None` says that all of the person's ended.
    pub sid: Option<String>,
    /// How often somebody began to tell it.
    pub attempts: u32,
    /// Nobody begins before then.
    pub due_at: Timestamp,
    /// Nobody begins any more from then on.
    pub expires_at: Timestamp,
}

impl LogoutNoticeRecord {
    /// Names it among those of its client: the session, or the person.
    pub fn id(&self) -> TokenHash {
        match &self.sid {
            Some(sid) => TokenHash::of(format!("sid\0{sid}").as_bytes()),
            None => TokenHash::of(format!("sub\0{}", self.sub.as_str()).as_bytes()),
        }
    }
}
