//! Interactions after sign-in.

use crate::clock::Timestamp;
use crate::oidc::opaque_token::TokenHash;
use crate::store::StoreError;
use crate::store::key_value::tables::{INTERACTIONS, INTERACTIONS_OF_SESSION};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::expiry;
use crate::store::records::InteractionRecord;

pub(in crate::store) fn begin(
    transaction: &mut dyn Transaction,
    interaction: &InteractionRecord,
) -> Result<(), StoreError> {
    let hash = interaction.hash;
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
