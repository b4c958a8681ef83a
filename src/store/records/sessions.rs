//! Sessions of browsers, and which clients are to hear that one ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::oidc::authentication::Authentication;
use crate::oidc::identifier::{ResourceUid, Subject};
use crate::oidc::opaque_token::TokenHash;

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
