//! Failed attempts: counted before the proof is looked at, so that any number at once is counted exactly.
//!
//! Every kind of bucket has a keyspace that is capped: an index orders its buckets by when they have nothing left to
//! remember, and at the cap the first of them is forgotten. Whoever floods a keyspace so pushes out their own buckets: one
//! with some failures goes only when every other one holds more.

use crate::clock::Timestamp;
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::Transaction;
use crate::store::key_value::tables::{NUMBERS, THROTTLES, THROTTLES_BY_END};
use crate::store::operations::expiry::ordered;
use crate::store::throttle::{BeginAttempt, Forgiveness, ThrottleBucket, ThrottleKind, ThrottleRecord};
use crate::store::{StoreError, key_value::Read};

pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    buckets: &[ThrottleBucket],
) -> Result<BeginAttempt, StoreError> {
    let mut longest: Option<(ThrottleKind, Timestamp)> = None;
    let mut records = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let record = by_key(transaction, bucket.kind, bucket.key.as_bytes())?;
        let until = record
            .as_ref()
            .and_then(|record| record.waits_until(&bucket.policy, now));
        if let Some(until) = until
            && longest.is_none_or(|(_, longest)| longest < until)
        {
            longest = Some((bucket.kind, until));
        }
        records.push(record);
    }
    if let Some((kind, until)) = longest {
        return Ok(BeginAttempt::Wait(kind, until));
    }
    for (bucket, known) in buckets.iter().zip(records) {
        let mut record = if let Some(known) = known {
            unlist(transaction, bucket.kind, &bucket.key, &known);
            known
        } else {
            make_room(transaction, bucket)?;
            ThrottleRecord::empty(now)
        };
        record.count(&bucket.policy, now);
        put(transaction, bucket, &record)?;
    }
    Ok(BeginAttempt::Counted(now))
}

pub(in crate::store) fn forgive(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    at: Timestamp,
    buckets: &[(ThrottleBucket, Forgiveness)],
) -> Result<(), StoreError> {
    for (bucket, forgiveness) in buckets {
        let Some(mut record) = by_key(transaction, bucket.kind, bucket.key.as_bytes())? else {
            continue;
        };
        let before = record.clone();
        record.give_back(&bucket.policy, at);
        if *forgiveness == Forgiveness::Everything || record.is_forgiven(now) {
            remove(transaction, bucket.kind, &bucket.key, &before)?;
        } else {
            unlist(transaction, bucket.kind, &bucket.key, &before);
            put(transaction, bucket, &record)?;
        }
    }
    Ok(())
}

/// Looks at up to `limit` of the buckets that end first, and forgets those that have forgiven everything; gives how many it
/// forgot.
pub(in crate::store) fn sweep(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for kind in ThrottleKind::ALL {
        for (key, record) in first(transaction, kind, limit.saturating_sub(forgotten))? {
            if !record.is_forgiven(now) {
                break;
            }
            remove(transaction, kind, &key, &record)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

fn make_room(transaction: &mut dyn Transaction, bucket: &ThrottleBucket) -> Result<(), StoreError> {
    let kind = bucket.kind;
    if count(transaction, kind)? >= bucket.policy.capacity {
        for (key, record) in first(transaction, kind, 1)? {
            remove(transaction, kind, &key, &record)?;
        }
    }
    let count = count(transaction, kind)?.saturating_add(1);
    NUMBERS.put(transaction, &[&number(kind)], &count)
}

fn remove(
    transaction: &mut dyn Transaction,
    kind: ThrottleKind,
    key: &TokenHash,
    record: &ThrottleRecord,
) -> Result<(), StoreError> {
    unlist(transaction, kind, key, record);
    THROTTLES.delete(transaction, &[&[prefix(kind)], key.as_bytes()]);
    let count = count(transaction, kind)?.saturating_sub(1);
    NUMBERS.put(transaction, &[&number(kind)], &count)
}

fn first(
    view: &dyn Read,
    kind: ThrottleKind,
    limit: usize,
) -> Result<Vec<(TokenHash, ThrottleRecord)>, StoreError> {
    let mut found = Vec::new();
    for item in THROTTLES_BY_END.first(view, &[prefix(kind)], limit)? {
        let key = item.last_chunk().copied().map(TokenHash::from_bytes);
        if let Some(key) = key
            && let Some(record) = by_key(view, kind, key.as_bytes())?
        {
            found.push((key, record));
        }
    }
    Ok(found)
}

fn by_key(view: &dyn Read, kind: ThrottleKind, key: &[u8]) -> Result<Option<ThrottleRecord>, StoreError> {
    THROTTLES.get(view, &[&[prefix(kind)], key])
}

fn put(
    transaction: &mut dyn Transaction,
    bucket: &ThrottleBucket,
    record: &ThrottleRecord,
) -> Result<(), StoreError> {
    let (prefix, key) = ([prefix(bucket.kind)], &bucket.key);
    THROTTLES_BY_END.put(transaction, &prefix, &item(key, record.ends_at()));
    THROTTLES.put(transaction, &[&prefix, key.as_bytes()], record)
}

/// Takes the bucket out of the index, as it was listed when `record` was written.
fn unlist(transaction: &mut dyn Transaction, kind: ThrottleKind, key: &TokenHash, record: &ThrottleRecord) {
    // Earlier versions listed it by its last attempt.
    for at in [record.ends_at(), record.counted_at] {
        THROTTLES_BY_END.delete(transaction, &[prefix(kind)], &item(key, at));
    }
}

/// When it ends, then its key.
fn item(key: &TokenHash, at: Timestamp) -> Vec<u8> {
    let mut item = ordered(at.as_millisecond()).to_vec();
    item.extend_from_slice(key.as_bytes());
    item
}

fn count(view: &dyn Read, kind: ThrottleKind) -> Result<u64, StoreError> {
    Ok(NUMBERS.get(view, &[&number(kind)])?.unwrap_or(0))
}

fn number(kind: ThrottleKind) -> Vec<u8> {
    format!("throttles {}", kind.name()).into_bytes()
}

/// A byte for each kind, which stays what it is.
const fn prefix(kind: ThrottleKind) -> u8 {
    match kind {
        ThrottleKind::AccountFromNetwork => b'n',
        ThrottleKind::AccountFromBrowser => b'b',
        ThrottleKind::AccountFromBrowsers => b'k',
        ThrottleKind::Account => b'a',
        ThrottleKind::Network => b'w',
        ThrottleKind::UserCode => b'u',
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::key_value::Engine;
    use crate::store::memory::MemoryStore;
    use crate::store::throttle::ThrottlePolicy;

    const BUCKET: ThrottleBucket = ThrottleBucket {
        kind: ThrottleKind::Account,
        key: TokenHash::from_bytes([7; 32]),
        policy: ThrottlePolicy {
            free: 3,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(10),
            forgive_one: Duration::from_mins(1),
            capacity: 4,
        },
    };

    /// A bucket as earlier versions wrote it, listed by its last attempt, leaves nothing behind in the index when it is used.
    #[tokio::test]
    async fn rule_68_a_bucket_of_an_earlier_version_is_listed_anew() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let listed = store
            .write(|transaction, now| {
                let mut record = ThrottleRecord::empty(now);
                record.count(&BUCKET.policy, now);
                let (prefix, key) = ([prefix(BUCKET.kind)], &BUCKET.key);
                THROTTLES_BY_END.put(transaction, &prefix, &item(key, record.counted_at));
                THROTTLES.put(transaction, &[&prefix, key.as_bytes()], &record)?;
                begin(transaction, now, &[BUCKET])?;
                THROTTLES_BY_END.of(transaction, &prefix)
            })
            .await
            .unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
    }
}
