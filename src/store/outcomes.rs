//! What the operations of the port come to, and what they give besides records.

use super::records::{ClientRecord, GrantRecord, LogoutNoticeRecord, ResourceRef, SessionRecord, UserRecord};
use crate::clock::Timestamp;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::GrantId;

/// What registering a client came to.
#[derive(Debug, Clone)]
pub enum RegisterClient {
    /// The record as it now stands.
    Registered(Box<ClientRecord>),
    /// Another resource holds the `client_id`; nothing was written.
    ClientIdHeld(ResourceRef),
    /// Another resource of the namespace holds the Secret's name; nothing was written.
    SecretNameHeld(ResourceRef),
    /// Another resource holds this one of its `resource_identifiers`; nothing was written.
    ResourceIdentifierHeld(String, ResourceRef),
    /// The `client_id` is, or was, the subject of a person; nothing was written. In a token of a client that acts for
    /// itself it would be taken for theirs (RFC 9068 section 5, RFC 9700 section 4.15).
    ClientIdIsSubject,
}

/// What rotating a client secret came to.
#[derive(Debug, Clone)]
pub enum RotateClientSecret {
    /// The record with the new version.
    Rotated(Box<ClientRecord>),
    /// As many versions as are accepted at once are live; nothing was written.
    Full,
    /// No such client, or another version is the newest; nothing was written.
    Changed,
}

/// What registering a user came to.
#[derive(Debug, Clone)]
pub enum RegisterUser {
    /// The record as it now stands.
    Registered(Box<UserRecord>),
    /// Another resource holds the username; nothing was written.
    UsernameHeld(ResourceRef),
    /// Another resource holds the subject; nothing was written.
    SubjectHeld(ResourceRef),
    /// The subject belonged to a user who was deleted, and is never given to another (OpenID Connect Core section 8).
    SubjectRetired,
    /// The subject is the `client_id` of a client, or was until a day ago, see [`RegisterClient::ClientIdIsSubject`]; nothing was written.
    SubjectIsClientId(ResourceRef),
}

/// What a sign-in came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// Session and interaction are stored; a replaced session is gone.
    SignedIn,
    /// The user was disabled or deleted meanwhile; nothing was written.
    UserRefused,
}

/// What issuing a code came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueCode {
    /// Code, grant and consent are stored; the interaction is consumed.
    Issued,
    /// The interaction was finished before, or expired.
    InteractionGone,
    /// The session ended meanwhile.
    SessionGone,
    /// The client was deleted, suspended or replaced meanwhile.
    ClientRefused,
    /// The user was disabled or deleted meanwhile.
    UserRefused,
}

/// What redeeming a code came to.
#[derive(Debug, Clone)]
pub enum RedeemCode {
    /// First redemption: the code is spent and the refresh token, if one was given, is stored. With the grants of the person at
    /// this client that ended to make room.
    Fresh(Box<Redeemed>, Vec<GrantId>),
    /// Redeemed before. The grant with everything minted from it is revoked, durably, by this very operation.
    Replayed(GrantId),
    /// Client, redirect URI, challenge or key differ; nothing was changed.
    Mismatch,
    /// No such code, or expired.
    Unknown,
    /// Client, user, session or grant no longer allow it.
    Refused,
}

/// What a fresh redemption or rotation gives.
#[derive(Debug, Clone)]
pub struct Redeemed {
    /// The grant.
    pub grant: GrantRecord,
    /// The user as registered now.
    pub user: UserRecord,
    /// The client as registered now.
    pub client: ClientRecord,
}

impl Redeemed {
    /// Whether the client admits the person now.
    pub fn is_admitted(&self) -> bool {
        self.client.client.access.allows(&self.user.user)
    }
}

/// What a device that asks for its tokens is told (RFC 8628 section 3.5).
#[derive(Debug, Clone)]
pub enum RedeemDeviceCode {
    /// Nobody has answered yet.
    Pending,
    /// Nobody has answered yet, and the device asked sooner than it may: from now on it waits for five seconds more.
    SlowDown,
    /// A person said no.
    Denied,
    /// A person said yes: the code is gone, and the refresh token, if one was given, is stored. With the grants of the person at
    /// this client that ended to make room.
    Fresh(Box<Redeemed>, Vec<GrantId>),
    /// The code is known, and its time is over.
    Expired,
    /// It belongs to another client; nothing was changed.
    Mismatch,
    /// No such code, redeemed ones included.
    Unknown,
    /// Client, user, session or grant no longer allow it.
    Refused,
}

/// What rotating a refresh token came to.
#[derive(Debug, Clone)]
pub enum RotateRefreshToken {
    /// The presented token is spent and its one successor is stored; or it was used, and stays.
    Rotated(Box<Redeemed>),
    /// Spent before: the grant with the whole family is revoked, durably, by this very operation.
    Reused(GrantId),
    /// It belongs to another client, or needs another key; nothing was changed.
    Mismatch,
    /// No such token, or expired.
    Unknown,
    /// Client, user, session or grant no longer allow it.
    Refused,
}

/// What revoking an access token came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeAccessToken {
    /// It is remembered until the token would have expired.
    Revoked,
    /// As many tokens of the client are remembered as there may be; nothing was written. One of them is forgotten then.
    Full(Timestamp),
}

/// What hangs on a person's account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Live sessions, the one used last first.
    pub sessions: Vec<SessionRecord>,
    /// Clients that the person has allowed something or that hold something of theirs, by name.
    pub apps: Vec<AccountApp>,
}

/// A client in a person's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountApp {
    /// The client, live or not.
    pub client: ClientRecord,
    /// What the person has allowed it to ask for without asking them again.
    pub consented: Consent,
    /// What it holds: neither revoked nor expired, nor of a session that is over.
    pub grants: Vec<GrantRecord>,
}

/// What spending a `jti` came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendJti {
    /// It was not presented before; it is noted.
    Fresh,
    /// It was presented before.
    Replayed,
    /// As many are noted of the client as it may have; nothing was written. The first of them is forgotten then.
    Full(Timestamp),
}

/// What a client is to be told, for whoever tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedLogoutNotice {
    /// The notice as it stands.
    pub notice: LogoutNoticeRecord,
    /// The client as registered now; it has a `backchannel_logout_uri`.
    pub client: ClientRecord,
}

/// What changing a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangePassword {
    /// The new password counts; everything but the new session has ended.
    Changed,
    /// The password that was verified is not the current one any more; nothing was written.
    NotCurrent,
    /// The session ended, or the user was disabled or deleted meanwhile; nothing was written.
    SessionGone,
}
