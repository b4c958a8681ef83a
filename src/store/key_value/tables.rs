//! Every kind of record and index, each under a prefix of its own.

use serde::{Deserialize, Serialize};

use super::document::CompactSession;
use super::memo::Memo;
use super::table::{Index, Table};
use crate::clock::Timestamp;
use crate::oidc::consent::Consent;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::service_account_token::ClusterIssuer;
use crate::store::records::{
    AccessTokenRecord, AuthorizationCodeRecord, ClientRecord, ClusterIdentity, DeviceCodeRecord, GrantRecord,
    InteractionRecord, LogoutNoticeRecord, ParticipantRecord, PushedRequestRecord, RefreshTokenRecord,
    ResourceRef, UserRecord,
};
use crate::store::throttle::ThrottleRecord;

/// A code with the epoch of the process that issued it, see [`crate::store::operations::epoch`].
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredCode {
    /// When, counted in starts of the process.
    pub(in crate::store) epoch: u64,
    /// The code.
    pub(in crate::store) code: AuthorizationCodeRecord,
}

/// A `jti` that was presented, under its hash.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct SpentJti {
    /// Who signed it: a client, or a key that came with it.
    pub(in crate::store) client_uid: ResourceUid,
    /// Until when it is remembered.
    pub(in crate::store) forget_at: Timestamp,
}

/// A client id whose client was removed.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct RetiredClientId {
    /// Whose it was.
    pub(in crate::store) resource: ResourceRef,
    /// Tokens may carry it until then.
    pub(in crate::store) until: Timestamp,
}

/// Prefixes, in one place so that a test sees them all.
pub(in crate::store) mod prefix {
    pub(in crate::store) const CLUSTER: u8 = b'l';
    pub(in crate::store) const CLUSTER_ISSUER: u8 = b'a';
    pub(in crate::store) const KEYRING: u8 = b'k';
    pub(in crate::store) const PROVISIONED: u8 = b'p';
    pub(in crate::store) const NUMBERS: u8 = b'#';
    pub(in crate::store) const CLIENTS: u8 = b'C';
    pub(in crate::store) const CLIENT_IDS: u8 = b'c';
    pub(in crate::store) const RETIRED_CLIENT_IDS: u8 = b'e';
    pub(in crate::store) const SECRET_NAMES: u8 = b'n';
    pub(in crate::store) const RESOURCE_IDENTIFIERS: u8 = b'i';
    pub(in crate::store) const CLIENTS_OF_ORIGIN: u8 = b'o';
    pub(in crate::store) const USERS: u8 = b'U';
    pub(in crate::store) const USERNAMES: u8 = b'u';
    pub(in crate::store) const SUBJECTS: u8 = b's';
    pub(in crate::store) const RETIRED_SUBJECTS: u8 = b't';
    pub(in crate::store) const SESSIONS: u8 = b'S';
    pub(in crate::store) const INTERACTIONS: u8 = b'I';
    pub(in crate::store) const GRANTS: u8 = b'G';
    pub(in crate::store) const CODES: u8 = b'A';
    pub(in crate::store) const REFRESH_TOKENS: u8 = b'R';
    pub(in crate::store) const ACCESS_TOKENS: u8 = b'B';
    pub(in crate::store) const REVOKED_ACCESS_TOKENS: u8 = b'D';
    pub(in crate::store) const SPENT_JTIS: u8 = b'J';
    pub(in crate::store) const SPENT_JTIS_OF_CLIENT: u8 = b'j';
    pub(in crate::store) const ACCESS_TOKENS_OF_GRANT: u8 = b'g';
    pub(in crate::store) const ACCESS_TOKENS_OF_CLIENT: u8 = b'b';
    pub(in crate::store) const REVOKED_OF_CLIENT: u8 = b'd';
    pub(in crate::store) const CONSENTS: u8 = b'K';
    pub(in crate::store) const PUSHED_REQUESTS: u8 = b'P';
    pub(in crate::store) const PUSHED_REQUESTS_OF_CLIENT: u8 = b'q';
    pub(in crate::store) const DEVICE_CODES: u8 = b'V';
    pub(in crate::store) const USER_CODES: u8 = b'v';
    pub(in crate::store) const DEVICE_CODES_OF_CLIENT: u8 = b'w';
    pub(in crate::store) const PARTICIPANTS: u8 = b'W';
    pub(in crate::store) const PARTICIPANTS_OF_SESSION: u8 = b'x';
    pub(in crate::store) const LOGOUT_NOTICES: u8 = b'L';
    pub(in crate::store) const LOGOUT_NOTICES_OF_CLIENT: u8 = b'm';
    pub(in crate::store) const SESSIONS_OF_USER: u8 = b'1';
    pub(in crate::store) const INTERACTIONS_OF_SESSION: u8 = b'2';
    pub(in crate::store) const GRANTS_OF_CLIENT: u8 = b'3';
    pub(in crate::store) const GRANTS_OF_USER: u8 = b'4';
    pub(in crate::store) const GRANTS_OF_SESSION: u8 = b'5';
    pub(in crate::store) const REDEEMED_GRANTS: u8 = b'r';
    pub(in crate::store) const REDEEMED_GRANTS_OF_SESSION: u8 = b'f';
    pub(in crate::store) const REDEEMED_GRANT_COUNTS: u8 = b'F';
    pub(in crate::store) const CODES_OF_GRANT: u8 = b'6';
    pub(in crate::store) const REFRESH_TOKENS_OF_GRANT: u8 = b'7';
    pub(in crate::store) const CONSENTS_OF_USER: u8 = b'8';
    pub(in crate::store) const CONSENTS_OF_CLIENT: u8 = b'9';
    pub(in crate::store) const HASTY_TOKENS_OF_GRANT: u8 = b'h';
    pub(in crate::store) const EXPIRY: u8 = b'!';
    pub(in crate::store) const THROTTLES: u8 = b'T';
    pub(in crate::store) const THROTTLES_BY_END: u8 = b'0';
}

/// The cluster, under no parts.
pub(in crate::store) const CLUSTER: Table<ClusterIdentity> = Table::new(prefix::CLUSTER, "cluster");
/// Who signs the tokens of ServiceAccounts, under no parts.
pub(in crate::store) const CLUSTER_ISSUER: Table<ClusterIssuer> =
    Table::new(prefix::CLUSTER_ISSUER, "cluster issuer");
/// The keyring's id, under no parts.
pub(in crate::store) const KEYRING: Table<String> = Table::new(prefix::KEYRING, "keyring");
/// Whether a complete list was registered, under no parts.
pub(in crate::store) const PROVISIONED: Table<bool> = Table::new(prefix::PROVISIONED, "provisioned");
/// Numbers of the back end, by name.
pub(in crate::store) const NUMBERS: Table<u64> = Table::new(prefix::NUMBERS, "number");
/// Clients by uid.
pub(in crate::store) const CLIENTS: Table<ClientRecord> =
    Table::new(prefix::CLIENTS, "client").remembering(&CLIENT_MEMO);
static CLIENT_MEMO: Memo<ClientRecord> = Memo::new();
/// Who holds a client id.
pub(in crate::store) const CLIENT_IDS: Table<ResourceUid> = Table::new(prefix::CLIENT_IDS, "client id");
/// Client ids of clients that were removed, for as long as tokens may carry them as `sub`.
pub(in crate::store) const RETIRED_CLIENT_IDS: Table<RetiredClientId> =
    Table::new(prefix::RETIRED_CLIENT_IDS, "retired client id");
/// Who holds the name of a Secret, by namespace and name.
pub(in crate::store) const SECRET_NAMES: Table<ResourceUid> = Table::new(prefix::SECRET_NAMES, "Secret name");
/// Which client holds a resource identifier. The first version did not keep it: a client's claim begins when it is next
/// registered.
pub(in crate::store) const RESOURCE_IDENTIFIERS: Table<ResourceUid> =
    Table::new(prefix::RESOURCE_IDENTIFIERS, "resource identifier");
/// Users by uid.
pub(in crate::store) const USERS: Table<UserRecord> =
    Table::new(prefix::USERS, "user").remembering(&USER_MEMO);
static USER_MEMO: Memo<UserRecord> = Memo::new();
/// Who holds a username.
pub(in crate::store) const USERNAMES: Table<ResourceUid> = Table::new(prefix::USERNAMES, "username");
/// Who holds a subject.
pub(in crate::store) const SUBJECTS: Table<ResourceUid> = Table::new(prefix::SUBJECTS, "subject");
/// Subjects of users who were removed, with their last uid.
pub(in crate::store) const RETIRED_SUBJECTS: Table<ResourceUid> =
    Table::new(prefix::RETIRED_SUBJECTS, "retired subject");
/// Sessions by hash.
pub(in crate::store) const SESSIONS: Table<CompactSession> = Table::new(prefix::SESSIONS, "session");
/// Interactions by hash.
pub(in crate::store) const INTERACTIONS: Table<InteractionRecord> =
    Table::new(prefix::INTERACTIONS, "interaction");
/// Grants by id.
pub(in crate::store) const GRANTS: Table<GrantRecord> = Table::new(prefix::GRANTS, "grant");
/// Authorization codes by hash.
pub(in crate::store) const CODES: Table<StoredCode> = Table::new(prefix::CODES, "authorization code");
/// Refresh tokens by hash.
pub(in crate::store) const REFRESH_TOKENS: Table<RefreshTokenRecord> =
    Table::new(prefix::REFRESH_TOKENS, "refresh token");
/// Opaque access tokens by hash.
pub(in crate::store) const ACCESS_TOKENS: Table<AccessTokenRecord> =
    Table::new(prefix::ACCESS_TOKENS, "access token");
/// Until when it is remembered that an access token without a grant was revoked, by the hash of its `jti`.
pub(in crate::store) const REVOKED_ACCESS_TOKENS: Table<Timestamp> =
    Table::new(prefix::REVOKED_ACCESS_TOKENS, "revoked access token");
/// What clients signed that counts once, by the hash of its `jti`.
pub(in crate::store) const SPENT_JTIS: Table<SpentJti> = Table::new(prefix::SPENT_JTIS, "spent jti");
/// Allowed scopes by user and client.
pub(in crate::store) const CONSENTS: Table<Consent> = Table::new(prefix::CONSENTS, "consent");

/// Pushed authorization requests by hash.
pub(in crate::store) const PUSHED_REQUESTS: Table<PushedRequestRecord> =
    Table::new(prefix::PUSHED_REQUESTS, "pushed authorization request");
/// Device codes by hash.
pub(in crate::store) const DEVICE_CODES: Table<DeviceCodeRecord> =
    Table::new(prefix::DEVICE_CODES, "device code");
/// Which device code has a user code, by the hash of that.
pub(in crate::store) const USER_CODES: Table<TokenHash> = Table::new(prefix::USER_CODES, "user code");
/// Clients that took part in a session, by session hash and client uid.
pub(in crate::store) const PARTICIPANTS: Table<ParticipantRecord> =
    Table::new(prefix::PARTICIPANTS, "participant of a session");
/// What clients are to be told, by client uid and id.
pub(in crate::store) const LOGOUT_NOTICES: Table<LogoutNoticeRecord> =
    Table::new(prefix::LOGOUT_NOTICES, "logout notice");

/// Buckets of failed attempts by kind and key.
pub(in crate::store) const THROTTLES: Table<ThrottleRecord> = Table::new(prefix::THROTTLES, "throttle");

/// Allowed origin to client uid.
pub(in crate::store) const CLIENTS_OF_ORIGIN: Index = Index::new(prefix::CLIENTS_OF_ORIGIN);
/// User uid to session hash.
pub(in crate::store) const SESSIONS_OF_USER: Index = Index::new(prefix::SESSIONS_OF_USER);
/// Session hash to interaction hash.
pub(in crate::store) const INTERACTIONS_OF_SESSION: Index = Index::new(prefix::INTERACTIONS_OF_SESSION);
/// Client uid to when a `jti` is forgotten, with its hash.
pub(in crate::store) const SPENT_JTIS_OF_CLIENT: Index = Index::new(prefix::SPENT_JTIS_OF_CLIENT);
/// Client uid to grant id.
pub(in crate::store) const GRANTS_OF_CLIENT: Index = Index::new(prefix::GRANTS_OF_CLIENT);
/// User uid to grant id.
pub(in crate::store) const GRANTS_OF_USER: Index = Index::new(prefix::GRANTS_OF_USER);
/// Session hash to grant id, for grants that end with their session.
pub(in crate::store) const GRANTS_OF_SESSION: Index = Index::new(prefix::GRANTS_OF_SESSION);
/// User uid with client uid to when a grant began whose code was redeemed, with its id. The first version did not keep it,
/// so grants from then are not in it.
pub(in crate::store) const REDEEMED_GRANTS: Index = Index::new(prefix::REDEEMED_GRANTS);
/// How many of those there are, with the epoch in which they were counted, by user uid with client uid.
pub(in crate::store) const REDEEMED_GRANT_COUNTS: Table<(u64, u64)> =
    Table::new(prefix::REDEEMED_GRANT_COUNTS, "count of redeemed grants");
/// User uid with client uid and session hash to the same. The first version did not keep it either.
pub(in crate::store) const REDEEMED_GRANTS_OF_SESSION: Index = Index::new(prefix::REDEEMED_GRANTS_OF_SESSION);
/// Grant id to code hash.
pub(in crate::store) const CODES_OF_GRANT: Index = Index::new(prefix::CODES_OF_GRANT);
/// Grant id to refresh token hash.
pub(in crate::store) const REFRESH_TOKENS_OF_GRANT: Index = Index::new(prefix::REFRESH_TOKENS_OF_GRANT);
/// Grant id to when a refresh token was spent that had just been issued, with its hash.
pub(in crate::store) const HASTY_TOKENS_OF_GRANT: Index = Index::new(prefix::HASTY_TOKENS_OF_GRANT);
/// Grant id to when an opaque access token expires, with its hash.
pub(in crate::store) const ACCESS_TOKENS_OF_GRANT: Index = Index::new(prefix::ACCESS_TOKENS_OF_GRANT);
/// Client uid to when an opaque access token expires, with its hash.
pub(in crate::store) const ACCESS_TOKENS_OF_CLIENT: Index = Index::new(prefix::ACCESS_TOKENS_OF_CLIENT);
/// Client uid to when a revoked access token would have expired, with the hash of its `jti`.
pub(in crate::store) const REVOKED_OF_CLIENT: Index = Index::new(prefix::REVOKED_OF_CLIENT);
/// User uid to client uid.
pub(in crate::store) const CONSENTS_OF_USER: Index = Index::new(prefix::CONSENTS_OF_USER);
/// Client uid to user uid.
pub(in crate::store) const CONSENTS_OF_CLIENT: Index = Index::new(prefix::CONSENTS_OF_CLIENT);
/// Client uid to when a pushed authorization request ends, with its hash.
pub(in crate::store) const PUSHED_REQUESTS_OF_CLIENT: Index = Index::new(prefix::PUSHED_REQUESTS_OF_CLIENT);
/// Client uid to when a device code ends, with its hash.
pub(in crate::store) const DEVICE_CODES_OF_CLIENT: Index = Index::new(prefix::DEVICE_CODES_OF_CLIENT);
/// Session hash to client uid.
pub(in crate::store) const PARTICIPANTS_OF_SESSION: Index = Index::new(prefix::PARTICIPANTS_OF_SESSION);
/// Client uid to when it is to be told, with the notice's id.
pub(in crate::store) const LOGOUT_NOTICES_OF_CLIENT: Index = Index::new(prefix::LOGOUT_NOTICES_OF_CLIENT);
/// Instant to what is looked at then, see [`crate::store::operations::expiry`].
pub(in crate::store) const EXPIRY: Index = Index::new(prefix::EXPIRY);
/// Kind of bucket to when it has nothing left to remember, with its key; see [`crate::store::operations::throttle`].
pub(in crate::store) const THROTTLES_BY_END: Index = Index::new(prefix::THROTTLES_BY_END);

#[cfg(test)]
mod tests {
    /// Each kind of record and index has a prefix of its own; one shared by two kinds is what let a token of one kind be
    /// redeemed as another elsewhere.
    #[test]
    fn rule_54_each_kind_has_its_own_prefix() {
        let source = include_str!("tables.rs");
        let prefixes: Vec<&str> = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub(in crate::store) const "))
            .filter_map(|line| line.split_once(": u8 = ").map(|(_, byte)| byte))
            .collect();
        let mut distinct = prefixes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(prefixes.len(), 53);
        assert_eq!(distinct.len(), prefixes.len());
        let tables: Vec<&str> = source
            .lines()
            .skip_while(|line| !line.starts_with("/// The cluster"))
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .collect();
        for prefix in source.lines().filter_map(|line| {
            line.trim()
                .strip_prefix("pub(in crate::store) const ")?
                .split_once(": u8 = ")
        }) {
            let uses = tables
                .iter()
                .filter(|line| {
                    line.contains(&format!("prefix::{},", prefix.0))
                        || line.contains(&format!("prefix::{})", prefix.0))
                })
                .count();
            assert_eq!(uses, 1, "prefix {} is used {uses} times", prefix.0);
        }
    }
}
