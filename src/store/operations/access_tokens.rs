//! Access tokens: the opaque ones, and which of clients that act for themselves were revoked.

use crate::clock::Timestamp;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::StoreError;
use crate::store::key_value::tables::{ACCESS_TOKENS, REVOKED_ACCESS_TOKENS};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{clients, expiry};
use crate::store::records::{AccessTokenRecord, ClientRecord};

pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    token: &AccessTokenRecord,
) -> Result<(), StoreError> {
    expiry::Subject::AccessToken(token.hash).look_at(transaction, expires_at(token));
    ACCESS_TOKENS.put(transaction, &[token.hash.as_bytes()], token)
}

pub(in crate::store) fn by_key(
    view: &dyn Read,
    hash: &TokenHash,
) -> Result<Option<AccessTokenRecord>, StoreError> {
    ACCESS_TOKENS.get(view, &[hash.as_bytes()])
}

pub(in crate::store) fn unexpired(
    view: &dyn Read,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<AccessTokenRecord>, StoreError> {
    Ok(by_key(view, hash)?.filter(|token| now < expires_at(token)))
}

pub(in crate::store) fn expires_at(token: &AccessTokenRecord) -> Timestamp {
    Timestamp::from_second(token.claims.exp).unwrap_or(Timestamp::MAX)
}

pub(in crate::store) fn end(transaction: &mut dyn Transaction, hash: &TokenHash) {
    ACCESS_TOKENS.delete(transaction, &[hash.as_bytes()]);
}

pub(in crate::store) fn client(
    view: &dyn Read,
    uid: &ResourceUid,
    jti: &TokenHash,
) -> Result<Option<ClientRecord>, StoreError> {
    if revoked_until(view, jti)?.is_some() {
        return Ok(None);
    }
    Ok(clients::by_uid(view, uid)?.filter(ClientRecord::is_live))
}

pub(in crate::store) fn revoke(
    transaction: &mut dyn Transaction,
    jti: &TokenHash,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    expiry::Subject::RevokedAccessToken(*jti).look_at(transaction, expires_at);
    REVOKED_ACCESS_TOKENS.put(transaction, &[jti.as_bytes()], &expires_at)
}

/// Until when it is remembered that a token was revoked, if it was.
pub(in crate::store) fn revoked_until(
    view: &dyn Read,
    jti: &TokenHash,
) -> Result<Option<Timestamp>, StoreError> {
    REVOKED_ACCESS_TOKENS.get(view, &[jti.as_bytes()])
}

pub(in crate::store) fn forget_revoked(transaction: &mut dyn Transaction, jti: &TokenHash) {
    REVOKED_ACCESS_TOKENS.delete(transaction, &[jti.as_bytes()]);
}
