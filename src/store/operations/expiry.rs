//! Expiry: a time-ordered range of keys that the sweeper walks from its beginning.
//!
//! An entry says when to look at a record, not that it has expired then: a session that is used stays under its first
//! entry, and the sweeper moves that on. So a use costs no second write, and an entry is never later than the expiry.

use std::time::Duration;

use crate::clock::{Timestamp, later};
use crate::oidc::identifier::{ClientId, GrantId, ResourceUid};
use crate::oidc::opaque_token::TokenHash;
use crate::store::StoreError;
use crate::store::key_value::Transaction;
use crate::store::key_value::tables::{
    CODES, CODES_OF_GRANT, EXPIRY, REFRESH_TOKENS, REFRESH_TOKENS_OF_GRANT, RETIRED_CLIENT_IDS,
};
use crate::store::operations::{
    access_tokens, authorization_codes, clients, device_codes, grants, interactions, logout_notices,
    pushed_requests, refresh_tokens, sessions, spent_jtis, throttle, users,
};

/// Absent clients and users are purged after this long.
const PURGE_AFTER: Duration = Duration::from_hours(24);

/// When what is absent since `at` is purged.
pub(in crate::store) fn purge_at(at: Timestamp) -> Timestamp {
    later(at, PURGE_AFTER)
}

/// What can expire.
pub(in crate::store) enum Subject {
    Session(TokenHash),
    Interaction(TokenHash),
    Grant(GrantId),
    AuthorizationCode(TokenHash),
    RefreshToken(TokenHash),
    AccessToken(TokenHash),
    RevokedAccessToken(TokenHash),
    SpentJti(TokenHash),
    RetiredClientId(ClientId),
    PushedRequest(TokenHash),
    DeviceCode(TokenHash),
    LogoutNotice(ResourceUid, TokenHash),
    Client(ResourceUid),
    User(ResourceUid),
}

impl Subject {
    /// Has the sweeper look at it then.
    pub(in crate::store) fn look_at(&self, transaction: &mut dyn Transaction, at: Timestamp) {
        EXPIRY.put(transaction, &ordered(ceiling(at)), &self.name());
    }

    /// Takes that back.
    pub(in crate::store) fn forget(&self, transaction: &mut dyn Transaction, at: Timestamp) {
        EXPIRY.delete(transaction, &ordered(ceiling(at)), &self.name());
    }

    fn name(&self) -> Vec<u8> {
        let (kind, id): (u8, &[u8]) = match self {
            Self::Session(hash) => (b'S', hash.as_bytes()),
            Self::Interaction(hash) => (b'I', hash.as_bytes()),
            Self::Grant(id) => (b'G', id.as_str().as_bytes()),
            Self::AuthorizationCode(hash) => (b'A', hash.as_bytes()),
            Self::RefreshToken(hash) => (b'R', hash.as_bytes()),
            Self::AccessToken(hash) => (b'T', hash.as_bytes()),
            Self::RevokedAccessToken(jti) => (b'D', jti.as_bytes()),
            Self::SpentJti(jti) => (b'J', jti.as_bytes()),
            Self::RetiredClientId(id) => (b'c', id.as_str().as_bytes()),
            Self::PushedRequest(hash) => (b'P', hash.as_bytes()),
            Self::DeviceCode(hash) => (b'V', hash.as_bytes()),
            Self::LogoutNotice(_, id) => (b'L', id.as_bytes()),
            Self::Client(uid) => (b'C', uid.as_str().as_bytes()),
            Self::User(uid) => (b'U', uid.as_str().as_bytes()),
        };
        let mut name = vec![kind];
        name.extend_from_slice(id);
        if let Self::LogoutNotice(client, _) = self {
            name.extend_from_slice(client.as_str().as_bytes());
        }
        name
    }

    fn parse(name: &[u8]) -> Option<Self> {
        let (kind, id) = name.split_first()?;
        let hash = || Some(TokenHash::from_bytes(id.try_into().ok()?));
        let text = || std::str::from_utf8(id).ok();
        Some(match kind {
            b'S' => Self::Session(hash()?),
            b'I' => Self::Interaction(hash()?),
            b'G' => Self::Grant(GrantId::new(text()?)),
            b'A' => Self::AuthorizationCode(hash()?),
            b'R' => Self::RefreshToken(hash()?),
            b'T' => Self::AccessToken(hash()?),
            b'D' => Self::RevokedAccessToken(hash()?),
            b'J' => Self::SpentJti(hash()?),
            b'c' => Self::RetiredClientId(ClientId::new(text()?)),
            b'P' => Self::PushedRequest(hash()?),
            b'V' => Self::DeviceCode(hash()?),
            b'L' => {
                let (id, client) = id.split_first_chunk::<32>()?;
                let client = std::str::from_utf8(client).ok()?;
                Self::LogoutNotice(ResourceUid::new(client), TokenHash::from_bytes(*id))
            }
            b'C' => Self::Client(ResourceUid::new(text()?)),
            b'U' => Self::User(ResourceUid::new(text()?)),
            _ => return None,
        })
    }
}

/// What the sweeper finds when it looks.
enum Finding {
    /// Nothing to remove.
    Gone,
    /// Look again then.
    Later(Timestamp),
    /// Removed.
    Removed,
}

/// Looks at up to `limit` entries that are due; gives how many there were.
pub(in crate::store) fn sweep(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    // Entries of this very millisecond are due too.
    let end = ordered(now.as_millisecond().saturating_add(1));
    let mut looked_at = 0;
    for (at, name) in EXPIRY.before(transaction, &end, limit)? {
        EXPIRY.delete(transaction, &at, &name);
        let Some(subject) = Subject::parse(&name) else {
            return Err(StoreError::Record {
                key: "expiry".to_owned(),
                reason: "it names an unknown kind of record; was it written by a newer claviger?".to_owned(),
            });
        };
        if let Finding::Later(at) = look(transaction, now, &subject)? {
            subject.look_at(transaction, at);
        }
        looked_at += 1;
    }
    Ok(looked_at + throttle::sweep(transaction, now, limit.saturating_sub(looked_at))?)
}

fn look(transaction: &mut dyn Transaction, now: Timestamp, subject: &Subject) -> Result<Finding, StoreError> {
    match subject {
        Subject::Session(hash) => {
            let ends_at =
                sessions::by_key(transaction, hash.as_bytes())?.map(|session| sessions::ends_at(&session));
            remove_if_due(transaction, now, ends_at, |transaction| {
                sessions::end(transaction, hash)
            })
        }
        Subject::Interaction(hash) => {
            let ends_at = interactions::by_key(transaction, hash.as_bytes())?.map(|found| found.expires_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                interactions::end(transaction, hash)
            })
        }
        Subject::Grant(id) => {
            let id = id.as_str().as_bytes();
            let ends_at = grants::by_key(transaction, id)?.map(|grant| grant.expires_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                grants::end(transaction, id)
            })
        }
        Subject::AuthorizationCode(hash) => look_at_code(transaction, now, hash),
        Subject::RefreshToken(hash) => look_at_refresh_token(transaction, now, hash),
        Subject::AccessToken(hash) => {
            let token = access_tokens::by_key(transaction, hash)?;
            let ends_at = token.as_ref().map(access_tokens::expires_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                access_tokens::end(transaction, hash)
            })
        }
        Subject::RevokedAccessToken(jti) => {
            let ends_at = access_tokens::revoked_until(transaction, jti)?;
            remove_if_due(transaction, now, ends_at, |transaction| {
                access_tokens::forget_revoked(transaction, jti);
                Ok(())
            })
        }
        Subject::SpentJti(jti) => {
            let spent = spent_jtis::by_key(transaction, jti)?;
            let ends_at = spent.as_ref().map(|spent| spent.forget_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                spent.map_or(Ok(()), |spent| spent_jtis::forget(transaction, jti, &spent))
            })
        }
        Subject::RetiredClientId(id) => {
            let key = [id.as_str().as_bytes()];
            let ends_at = RETIRED_CLIENT_IDS
                .get(transaction, &key)?
                .map(|retired| retired.until);
            remove_if_due(transaction, now, ends_at, |transaction| {
                RETIRED_CLIENT_IDS.delete(transaction, &key);
                Ok(())
            })
        }
        Subject::PushedRequest(hash) => {
            let pushed = pushed_requests::by_key(transaction, hash.as_bytes())?;
            let ends_at = pushed.as_ref().map(|pushed| pushed.expires_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                pushed_requests::end(transaction, hash.as_bytes())
            })
        }
        Subject::DeviceCode(hash) => {
            let device = device_codes::by_key(transaction, hash.as_bytes())?;
            let ends_at = device.as_ref().map(device_codes::forgotten_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                device_codes::end(transaction, hash.as_bytes())
            })
        }
        Subject::LogoutNotice(client, id) => {
            let notice = logout_notices::by_key(transaction, client, id)?;
            let ends_at = notice.as_ref().map(|notice| notice.expires_at);
            remove_if_due(transaction, now, ends_at, |transaction| {
                notice.map_or(Ok(()), |notice| logout_notices::remove(transaction, &notice))
            })
        }
        Subject::Client(uid) => {
            let absent_since = clients::by_uid(transaction, uid)?.and_then(|record| record.absent_since);
            remove_if_due(transaction, now, absent_since.map(purge_at), |transaction| {
                clients::remove(transaction, now, uid)
            })
        }
        Subject::User(uid) => {
            let absent_since = users::by_uid(transaction, uid)?.and_then(|record| record.absent_since);
            remove_if_due(transaction, now, absent_since.map(purge_at), |transaction| {
                users::remove(transaction, now, uid)
            })
        }
    }
}

fn look_at_code(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Finding, StoreError> {
    // A spent one goes with its grant.
    let code = authorization_codes::by_key(transaction, hash.as_bytes())?
        .map(|stored| stored.code)
        .filter(|code| code.redeemed_at.is_none());
    let ends_at = code.as_ref().map(|code| code.expires_at);
    remove_if_due(transaction, now, ends_at, |transaction| {
        let Some(code) = code else { return Ok(()) };
        CODES.delete(transaction, &[hash.as_bytes()]);
        let id = code.grant_id.as_str().as_bytes();
        CODES_OF_GRANT.delete(transaction, id, hash.as_bytes());
        // Nothing was ever minted from this grant, and nothing can be any more.
        grants::end(transaction, id)
    })
}

fn look_at_refresh_token(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Finding, StoreError> {
    let token =
        refresh_tokens::by_key(transaction, hash.as_bytes())?.filter(|token| token.spent_at.is_none());
    let ends_at = token.as_ref().map(|token| token.expires_at);
    remove_if_due(transaction, now, ends_at, |transaction| {
        let Some(token) = token else { return Ok(()) };
        REFRESH_TOKENS.delete(transaction, &[hash.as_bytes()]);
        let id = token.grant_id.as_str().as_bytes();
        REFRESH_TOKENS_OF_GRANT.delete(transaction, id, hash.as_bytes());
        Ok(())
    })
}

fn remove_if_due(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    ends_at: Option<Timestamp>,
    remove: impl FnOnce(&mut dyn Transaction) -> Result<(), StoreError>,
) -> Result<Finding, StoreError> {
    match ends_at {
        None => Ok(Finding::Gone),
        Some(at) if now < at => Ok(Finding::Later(at)),
        Some(_) => {
            remove(transaction)?;
            Ok(Finding::Removed)
        }
    }
}

/// The millisecond at whose beginning `at` has come.
pub(in crate::store) fn ceiling(at: Timestamp) -> i64 {
    let floor = at.as_millisecond();
    let exact = Timestamp::from_millisecond(floor).is_ok_and(|floor| floor == at);
    if exact { floor } else { floor.saturating_add(1) }
}

/// Bytes whose order is the order of the numbers.
pub(in crate::store) fn ordered(milliseconds: i64) -> [u8; 8] {
    milliseconds.wrapping_sub(i64::MIN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_instants() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(times.map(ordered).is_sorted());
    }

    #[test]
    fn an_entry_is_never_before_its_instant() {
        let exact = Timestamp::from_millisecond(5).unwrap();
        let between = Timestamp::from_microsecond(5_001).unwrap();
        assert_eq!((ceiling(exact), ceiling(between)), (5, 6));
    }
}
