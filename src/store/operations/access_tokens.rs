//! Access tokens: the opaque ones, and which of clients that act for themselves were revoked.

use crate::clock::Timestamp;
use crate::oidc::access_token::{Basis, basis_of};
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::table::Index;
use crate::store::key_value::tables::{
    ACCESS_TOKENS, ACCESS_TOKENS_OF_CLIENT, ACCESS_TOKENS_OF_GRANT, NUMBERS, REVOKED_ACCESS_TOKENS,
    REVOKED_OF_CLIENT,
};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry::ordered;
use crate::store::operations::{clients, expiry};
use crate::store::records::{AccessTokenRecord, ClientRecord};
use crate::store::{RevokeAccessToken, StoreError};

/// A grant has at most this many opaque tokens: an app needs one, and a few where it runs in several places.
const MOST_OF_GRANT: usize = 100;
/// A client has at most this many: about as many people as use it at once.
const MOST_OF_CLIENT: u64 = 10_000;
/// So many revoked tokens of one client are remembered.
const MOST_REVOKED: usize = 1000;

/// Stores the token, after others have made room for it. Whatever a client does, only tokens of its own end: apps ask for
/// another one when a token is refused, so that this costs them a refresh, where a refusal here would shut everybody out
/// until the tokens of a day have expired.
pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    token: &AccessTokenRecord,
) -> Result<(), StoreError> {
    let item = by_expiry(expires_at(token), &token.hash);
    if let Some(grant) = grant_of(token) {
        let held = ACCESS_TOKENS_OF_GRANT.first(transaction, &grant, MOST_OF_GRANT)?;
        if held.len() >= MOST_OF_GRANT {
            end_first(transaction, &ACCESS_TOKENS_OF_GRANT, &grant)?;
        }
        ACCESS_TOKENS_OF_GRANT.put(transaction, &grant, &item);
    }
    if let Some(client) = &token.client_uid {
        if number_of(transaction, client)? >= MOST_OF_CLIENT {
            end_first(transaction, &ACCESS_TOKENS_OF_CLIENT, client.as_str().as_bytes())?;
        }
        let number = number_of(transaction, client)?;
        NUMBERS.put(transaction, &number_key(client), &(number + 1))?;
        ACCESS_TOKENS_OF_CLIENT.put(transaction, client.as_str().as_bytes(), &item);
    }
    expiry::Subject::AccessToken(token.hash).look_at(transaction, expires_at(token));
    ACCESS_TOKENS.put(transaction, &[token.hash.as_bytes()], token)
}

fn end_first(transaction: &mut dyn Transaction, index: &Index, owner: &[u8]) -> Result<(), StoreError> {
    match index
        .first(transaction, owner, 1)?
        .first()
        .and_then(|item| hash_in(item))
    {
        Some(hash) => end(transaction, &hash),
        None => Ok(()),
    }
}

/// Ends every token that `index` holds for `owner`.
pub(in crate::store) fn end_all(
    transaction: &mut dyn Transaction,
    index: &Index,
    owner: &[u8],
) -> Result<(), StoreError> {
    for hash in index
        .of(transaction, owner)?
        .iter()
        .filter_map(|item| hash_in(item))
    {
        end(transaction, &hash)?;
    }
    Ok(())
}

/// What a client that is removed leaves behind. Tokens without a grant that were revoked are dead without it too.
pub(in crate::store) fn forget_client(
    transaction: &mut dyn Transaction,
    client: &ResourceUid,
) -> Result<(), StoreError> {
    let uid = client.as_str().as_bytes();
    end_all(transaction, &ACCESS_TOKENS_OF_CLIENT, uid)?;
    NUMBERS.delete(transaction, &number_key(client));
    for item in REVOKED_OF_CLIENT.of(transaction, uid)? {
        REVOKED_OF_CLIENT.delete(transaction, uid, &item);
    }
    Ok(())
}

/// When it expires, then its hash: in order, those that expire first come first.
fn by_expiry(at: Timestamp, hash: &TokenHash) -> Vec<u8> {
    let mut item = ordered(at.as_millisecond()).to_vec();
    item.extend_from_slice(hash.as_bytes());
    item
}

fn hash_in(item: &[u8]) -> Option<TokenHash> {
    let hash = item.get(size_of::<u64>()..)?;
    Some(TokenHash::from_bytes(hash.try_into().ok()?))
}

fn grant_of(token: &AccessTokenRecord) -> Option<Vec<u8>> {
    match basis_of(&token.claims.jti) {
        Some(Basis::Grant(grant)) => Some(grant.as_str().as_bytes().to_vec()),
        Some(Basis::Client(_)) | None => None,
    }
}

/// How many tokens a client has is counted: it may be too many to look through them each time.
fn number_key(client: &ResourceUid) -> [&[u8]; 2] {
    [b"access tokens of", client.as_str().as_bytes()]
}

fn number_of(view: &dyn Read, client: &ResourceUid) -> Result<u64, StoreError> {
    Ok(NUMBERS.get(view, &number_key(client))?.unwrap_or_default())
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

pub(in crate::store) fn end(transaction: &mut dyn Transaction, hash: &TokenHash) -> Result<(), StoreError> {
    let Some(token) = by_key(transaction, hash)? else {
        return Ok(());
    };
    let item = by_expiry(expires_at(&token), hash);
    if let Some(grant) = grant_of(&token) {
        ACCESS_TOKENS_OF_GRANT.delete(transaction, &grant, &item);
    }
    if let Some(client) = &token.client_uid {
        ACCESS_TOKENS_OF_CLIENT.delete(transaction, client.as_str().as_bytes(), &item);
        let left = number_of(transaction, client)?.saturating_sub(1);
        NUMBERS.put(transaction, &number_key(client), &left)?;
    }
    expiry::Subject::AccessToken(*hash).forget(transaction, expires_at(&token));
    ACCESS_TOKENS.delete(transaction, &[hash.as_bytes()]);
    Ok(())
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

/// To forget one before its time would bring a token back to life, so that whoever has revoked too many has to wait.
pub(in crate::store) fn revoke(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    client: &ResourceUid,
    jti: &TokenHash,
    expires_at: Timestamp,
) -> Result<RevokeAccessToken, StoreError> {
    if revoked_until(transaction, jti)?.is_some() {
        return Ok(RevokeAccessToken::Revoked);
    }
    let uid = client.as_str().as_bytes();
    let held = REVOKED_OF_CLIENT.first(transaction, uid, MOST_REVOKED)?;
    let (over, live): (Vec<_>, Vec<_>) = held
        .into_iter()
        .partition(|item| item.as_slice() < ordered(now.as_millisecond()).as_slice());
    for item in over {
        REVOKED_OF_CLIENT.delete(transaction, uid, &item);
    }
    let first = live.first().and_then(|item| hash_in(item));
    if let Some(first) = first.filter(|_| live.len() >= MOST_REVOKED) {
        return Ok(RevokeAccessToken::Full(
            revoked_until(transaction, &first)?.unwrap_or(now),
        ));
    }
    REVOKED_OF_CLIENT.put(transaction, uid, &by_expiry(expires_at, jti));
    expiry::Subject::RevokedAccessToken(*jti).look_at(transaction, expires_at);
    REVOKED_ACCESS_TOKENS.put(transaction, &[jti.as_bytes()], &expires_at)?;
    Ok(RevokeAccessToken::Revoked)
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
