//! Device codes (RFC 8628): what devices ask for, what people say to it, and the one redemption.

use std::time::Duration;

use crate::clock::{Timestamp, later};
use crate::oidc::consent::Consent;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::tables::{DEVICE_CODES, DEVICE_CODES_OF_CLIENT, USER_CODES};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{
    authorization_codes, counts, expiry, grants, interactions, participants, redeemed_grants, refresh_tokens,
};
use crate::store::records::{DeviceAnswer, DeviceCodeRecord, GrantRecord, NewRefreshToken};
use crate::store::{IssueCode, RedeemDeviceCode, StoreError};

/// How many one client holds at most: more than one network can begin within their life, so that nobody ends everybody
/// else's.
const MOST_OF_A_CLIENT: u64 = 10_000;
/// RFC 8628 section 3.5: what an interval grows by whenever a device asks too soon.
const SLOWER_BY_SECONDS: u64 = 5;
/// No interval grows beyond this.
const SLOWEST_SECONDS: u64 = 300;
/// For so long after its end a code is still told from one that never was.
const REMEMBERED: Duration = Duration::from_mins(10);

pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    device: &DeviceCodeRecord,
) -> Result<bool, StoreError> {
    if let Some(holder) = USER_CODES.get(transaction, &[device.user_code.as_bytes()])? {
        match by_key(transaction, holder.as_bytes())? {
            Some(other) if now < other.expires_at => return Ok(false),
            // It is only remembered.
            Some(other) => end(transaction, other.hash.as_bytes())?,
            None => (),
        }
    }
    let client = device.request.client_uid.as_str().as_bytes();
    if counts::DEVICE_CODES.of(transaction, client)? >= MOST_OF_A_CLIENT
        && let Some(first) = DEVICE_CODES_OF_CLIENT.first(transaction, client, 1)?.first()
    {
        end(transaction, hash_of(first))?;
    }
    counts::DEVICE_CODES.one_more(transaction, client)?;
    USER_CODES.put(transaction, &[device.user_code.as_bytes()], &device.hash)?;
    DEVICE_CODES_OF_CLIENT.put(transaction, client, &item(device));
    expiry::Subject::DeviceCode(device.hash).look_at(transaction, forgotten_at(device));
    put(transaction, device)?;
    Ok(true)
}

pub(in crate::store) fn pending_of_user_code(
    view: &dyn Read,
    now: Timestamp,
    user_code: &TokenHash,
) -> Result<Option<DeviceCodeRecord>, StoreError> {
    match USER_CODES.get(view, &[user_code.as_bytes()])? {
        Some(hash) => pending(view, now, &hash),
        None => Ok(None),
    }
}

pub(in crate::store) fn approve(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    interaction: &TokenHash,
    device: &TokenHash,
    grant: &GrantRecord,
    remember: Option<Consent>,
) -> Result<IssueCode, StoreError> {
    if let Some(refusal) = authorization_codes::refusal(transaction, now, Some(*interaction), grant)? {
        return Ok(refusal);
    }
    let waiting =
        pending(transaction, now, device)?.filter(|device| device.request.client_uid == grant.client_uid);
    let Some(mut device) = waiting else {
        return Ok(IssueCode::InteractionGone);
    };
    interactions::end(transaction, interaction)?;
    if let Some(allowed) = remember {
        grants::remember_consent(transaction, &grant.user_uid, &grant.client_uid, &allowed)?;
    }
    grants::begin(transaction, grant)?;
    // At once: on a computer that is not theirs people sign out before the device asks again.
    grants::outlive_session(transaction, grant);
    let client = device.request.client_uid.as_str().as_bytes();
    DEVICE_CODES_OF_CLIENT.delete(transaction, client, &item(&device));
    device.answer = DeviceAnswer::Approved(grant.id.clone());
    DEVICE_CODES_OF_CLIENT.put(transaction, client, &item(&device));
    put(transaction, &device)?;
    Ok(IssueCode::Issued)
}

pub(in crate::store) fn deny(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    device: &TokenHash,
) -> Result<(), StoreError> {
    if let Some(mut device) = pending(transaction, now, device)? {
        device.answer = DeviceAnswer::Denied;
        put(transaction, &device)?;
    }
    Ok(())
}

pub(in crate::store) fn redeem(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
    client: &ResourceUid,
    refresh_token: Option<NewRefreshToken>,
) -> Result<RedeemDeviceCode, StoreError> {
    let Some(device) = by_key(transaction, hash.as_bytes())? else {
        return Ok(RedeemDeviceCode::Unknown);
    };
    // Before the state, so that no other client learns it or changes anything.
    if device.request.client_uid != *client {
        return Ok(RedeemDeviceCode::Mismatch);
    }
    if device.expires_at <= now {
        return Ok(RedeemDeviceCode::Expired);
    }
    let id = match &device.answer {
        DeviceAnswer::Denied => return Ok(RedeemDeviceCode::Denied),
        DeviceAnswer::Pending => return note_poll(transaction, now, device),
        DeviceAnswer::Approved(id) => id,
    };
    let Some(grant) = grants::unexpired(transaction, now, id)? else {
        return Ok(RedeemDeviceCode::Refused);
    };
    let Some(redeemed) = grants::if_allowed(transaction, now, grant)? else {
        return Ok(RedeemDeviceCode::Refused);
    };
    forget(transaction, &device)?;
    let ended = redeemed_grants::note(transaction, &redeemed.grant)?;
    participants::note(transaction, now, &redeemed.grant)?;
    if let Some(token) = refresh_token {
        refresh_tokens::begin(transaction, now, &redeemed.grant, &token)?;
    }
    Ok(RedeemDeviceCode::Fresh(Box::new(redeemed), ended))
}

/// RFC 8628 section 3.5.
fn note_poll(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    mut device: DeviceCodeRecord,
) -> Result<RedeemDeviceCode, StoreError> {
    let interval = Duration::from_secs(device.interval_seconds);
    let is_early = device.polled_at.is_some_and(|last| now < later(last, interval));
    if is_early {
        device.interval_seconds = device
            .interval_seconds
            .saturating_add(SLOWER_BY_SECONDS)
            .min(SLOWEST_SECONDS);
    }
    device.polled_at = Some(now);
    put(transaction, &device)?;
    Ok(if is_early {
        RedeemDeviceCode::SlowDown
    } else {
        RedeemDeviceCode::Pending
    })
}

fn pending(
    view: &dyn Read,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<DeviceCodeRecord>, StoreError> {
    Ok(by_key(view, hash.as_bytes())?
        .filter(|device| device.answer == DeviceAnswer::Pending && now < device.expires_at))
}

pub(in crate::store) fn by_key(view: &dyn Read, hash: &[u8]) -> Result<Option<DeviceCodeRecord>, StoreError> {
    DEVICE_CODES.get(view, &[hash])
}

fn put(transaction: &mut dyn Transaction, device: &DeviceCodeRecord) -> Result<(), StoreError> {
    DEVICE_CODES.put(transaction, &[device.hash.as_bytes()], device)
}

/// Removes one, if it is there. What a person allowed and the device never fetched ends with it: nothing was minted from it,
/// and nothing can be any more.
pub(in crate::store) fn end(transaction: &mut dyn Transaction, hash: &[u8]) -> Result<(), StoreError> {
    if let Some(device) = by_key(transaction, hash)? {
        if let DeviceAnswer::Approved(id) = &device.answer {
            grants::end(transaction, id.as_str().as_bytes())?;
        }
        forget(transaction, &device)?;
    }
    Ok(())
}

fn forget(transaction: &mut dyn Transaction, device: &DeviceCodeRecord) -> Result<(), StoreError> {
    let client = device.request.client_uid.as_str().as_bytes();
    DEVICE_CODES_OF_CLIENT.delete(transaction, client, &item(device));
    USER_CODES.delete(transaction, &[device.user_code.as_bytes()]);
    expiry::Subject::DeviceCode(device.hash).forget(transaction, forgotten_at(device));
    DEVICE_CODES.delete(transaction, &[device.hash.as_bytes()]);
    counts::DEVICE_CODES.one_less(transaction, client)
}

pub(in crate::store) fn end_all_of(
    transaction: &mut dyn Transaction,
    client: &ResourceUid,
) -> Result<(), StoreError> {
    for item in DEVICE_CODES_OF_CLIENT.of(transaction, client.as_str().as_bytes())? {
        end(transaction, hash_of(&item))?;
    }
    Ok(())
}

/// When the sweeper removes it.
pub(in crate::store) fn forgotten_at(device: &DeviceCodeRecord) -> Timestamp {
    later(device.expires_at, REMEMBERED)
}

/// Its place among those of its client, the first of which makes room: what ends first comes first, and what a person has
/// allowed after all others. Strangers begin as many of a public client as they like, but nobody allows those.
fn item(device: &DeviceCodeRecord) -> Vec<u8> {
    let at = match device.answer {
        DeviceAnswer::Approved(_) => Timestamp::MAX,
        DeviceAnswer::Pending | DeviceAnswer::Denied => device.expires_at,
    };
    let mut item = expiry::ordered(at.as_millisecond()).to_vec();
    item.extend_from_slice(device.hash.as_bytes());
    item
}

fn hash_of(item: &[u8]) -> &[u8] {
    item.last_chunk::<32>().map_or(&[], <[u8; 32]>::as_slice)
}
