//! How long tokens that were signed before a given moment may still be valid: as long a retired signing key is kept.

use std::time::Duration;

use crate::clock::{Timestamp, later};
use crate::oidc::client::Client;
use crate::store::StoreError;
use crate::store::key_value::tables::{CLIENTS, NUMBERS};
use crate::store::key_value::{Read, Transaction};

/// Tokens of lifetimes that were shortened since are valid until then, as a second.
const SHORTENED: &[&[u8]] = &[b"tokens valid until"];

/// Notes that tokens which `before` got until now may live longer than those that `after` will get.
pub(in crate::store) fn note_shortened(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    before: &Client,
    after: &Client,
) -> Result<(), StoreError> {
    let lifetime = longest(before);
    if lifetime <= longest(after) {
        return Ok(());
    }
    let until = u64::try_from(later(now, lifetime).as_second())
        .unwrap_or(0)
        .saturating_add(1);
    if NUMBERS
        .get(transaction, SHORTENED)?
        .is_none_or(|known| known < until)
    {
        NUMBERS.put(transaction, SHORTENED, &until)?;
    }
    Ok(())
}

/// No token that was signed until now is valid after this instant.
pub(in crate::store) fn valid_until(view: &dyn Read, now: Timestamp) -> Result<Timestamp, StoreError> {
    let current = CLIENTS
        .all(view)?
        .iter()
        .map(|record| longest(&record.client))
        .max();
    let current = later(now, current.unwrap_or_default());
    let shortened = NUMBERS
        .get(view, SHORTENED)?
        .and_then(|second| Timestamp::from_second(second.try_into().ok()?).ok());
    Ok(shortened.map_or(current, |shortened| shortened.max(current)))
}

fn longest(client: &Client) -> Duration {
    client.lifetimes.access_token.max(client.lifetimes.id_token)
}
