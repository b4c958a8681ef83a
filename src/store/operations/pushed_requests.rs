//! Pushed authorization requests (RFC 9126).

use crate::clock::Timestamp;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::StoreError;
use crate::store::key_value::tables::{PUSHED_REQUESTS, PUSHED_REQUESTS_OF_CLIENT};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{counts, expiry};
use crate::store::records::PushedRequestRecord;

/// How many one client holds at most. A browser comes with one within moments, so that a client with many people does not
/// notice. Of a public client strangers can push out what others wait for, at the expense of their networks' allowances.
const MOST_OF_A_CLIENT: u64 = 1000;

pub(in crate::store) fn push(
    transaction: &mut dyn Transaction,
    pushed: &PushedRequestRecord,
) -> Result<(), StoreError> {
    let client = pushed.request.client_uid.as_str().as_bytes();
    if counts::PUSHED_REQUESTS.of(transaction, client)? >= MOST_OF_A_CLIENT
        && let Some(first) = PUSHED_REQUESTS_OF_CLIENT.first(transaction, client, 1)?.first()
    {
        end(transaction, hash_of(first))?;
    }
    counts::PUSHED_REQUESTS.one_more(transaction, client)?;
    PUSHED_REQUESTS_OF_CLIENT.put(transaction, client, &item(pushed));
    expiry::Subject::PushedRequest(pushed.hash).look_at(transaction, pushed.expires_at);
    PUSHED_REQUESTS.put(transaction, &[pushed.hash.as_bytes()], pushed)
}

pub(in crate::store) fn take(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
    client: &ResourceUid,
) -> Result<Option<AuthorizationRequest>, StoreError> {
    match by_key(transaction, hash.as_bytes())? {
        Some(pushed) if pushed.request.client_uid == *client && now < pushed.expires_at => {
            end(transaction, hash.as_bytes())?;
            Ok(Some(pushed.request))
        }
        _ => Ok(None),
    }
}

pub(in crate::store) fn by_key(
    view: &dyn Read,
    hash: &[u8],
) -> Result<Option<PushedRequestRecord>, StoreError> {
    PUSHED_REQUESTS.get(view, &[hash])
}

/// Removes one, if it is there.
pub(in crate::store) fn end(transaction: &mut dyn Transaction, hash: &[u8]) -> Result<(), StoreError> {
    if let Some(pushed) = by_key(transaction, hash)? {
        let client = pushed.request.client_uid.as_str().as_bytes();
        PUSHED_REQUESTS_OF_CLIENT.delete(transaction, client, &item(&pushed));
        expiry::Subject::PushedRequest(pushed.hash).forget(transaction, pushed.expires_at);
        PUSHED_REQUESTS.delete(transaction, &[hash]);
        counts::PUSHED_REQUESTS.one_less(transaction, client)?;
    }
    Ok(())
}

pub(in crate::store) fn end_all_of(
    transaction: &mut dyn Transaction,
    client: &ResourceUid,
) -> Result<(), StoreError> {
    for item in PUSHED_REQUESTS_OF_CLIENT.of(transaction, client.as_str().as_bytes())? {
        end(transaction, hash_of(&item))?;
    }
    Ok(())
}

/// Its place among those of its client: what ends first comes first.
fn item(pushed: &PushedRequestRecord) -> Vec<u8> {
    let mut item = expiry::ordered(pushed.expires_at.as_millisecond()).to_vec();
    item.extend_from_slice(pushed.hash.as_bytes());
    item
}

fn hash_of(item: &[u8]) -> &[u8] {
    item.last_chunk::<32>().map_or(&[], <[u8; 32]>::as_slice)
}
