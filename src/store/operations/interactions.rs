//! Interactions after sign-in.

use crate::clock::Timestamp;
use crate::oidc::opaque_token::TokenHash;
use crate::store::StoreError;
use crate::store::key_value::tables::{INTERACTIONS, INTERACTIONS_OF_SESSION};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry;
use crate::store::records::InteractionRecord;

/// One session has at most this many: each is a page that waits for an answer.
const MOST_OF_SESSION: usize = 100;

/// Stores the interaction, after those of its session that would expire first have made room for it: a page that sends a
/// browser to one authorization request after another fills nothing.
pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    interaction: &InteractionRecord,
) -> Result<(), StoreError> {
    let hash = interaction.hash;
    let mut held = Vec::new();
    for key in INTERACTIONS_OF_SESSION.of(transaction, interaction.session.as_bytes())? {
        if let Some(other) = by_key(transaction, &key)?.filter(|other| other.hash != hash) {
            held.push((other.expires_at, other.hash));
        }
    }
    held.sort_unstable_by_key(|(expires_at, _)| *expires_at);
    let excess = (held.len() + 1).saturating_sub(MOST_OF_SESSION);
    for (_, oldest) in held.iter().take(excess) {
        end(transaction, oldest)?;
    }
    INTERACTIONS_OF_SESSION.put(transaction, interaction.session.as_bytes(), hash.as_bytes());
    expiry::Subject::Interaction(hash).look_at(transaction, interaction.expires_at);
    INTERACTIONS.put(transaction, &[hash.as_bytes()], interaction)
}

pub(in crate::store) fn by_key(
    view: &dyn Read,
    hash: &[u8],
) -> Result<Option<InteractionRecord>, StoreError> {
    INTERACTIONS.get(view, &[hash])
}

pub(in crate::store) fn live(
    view: &dyn Read,
    now: Timestamp,
    hash: &TokenHash,
) -> Result<Option<InteractionRecord>, StoreError> {
    Ok(by_key(view, hash.as_bytes())?.filter(|interaction| now < interaction.expires_at))
}

pub(in crate::store) fn end(transaction: &mut dyn Transaction, hash: &TokenHash) -> Result<(), StoreError> {
    end_by_key(transaction, hash.as_bytes())
}

pub(in crate::store) fn end_by_key(transaction: &mut dyn Transaction, hash: &[u8]) -> Result<(), StoreError> {
    if let Some(interaction) = by_key(transaction, hash)? {
        INTERACTIONS_OF_SESSION.delete(transaction, interaction.session.as_bytes(), hash);
        expiry::Subject::Interaction(interaction.hash).forget(transaction, interaction.expires_at);
        INTERACTIONS.delete(transaction, &[hash]);
    }
    Ok(())
}
