//! What a store belongs to.

use crate::store::StoreError;
use crate::store::key_value::tables::{CLUSTER, KEYRING, PROVISIONED};
use crate::store::key_value::{Read, Transaction};
use crate::store::records::ClusterIdentity;

pub(in crate::store) fn bind_cluster(
    transaction: &mut dyn Transaction,
    cluster: &ClusterIdentity,
) -> Result<Option<ClusterIdentity>, StoreError> {
    if let Some(remembered) = CLUSTER.get(transaction, &[])? {
        return Ok((remembered != *cluster).then_some(remembered));
    }
    CLUSTER.put(transaction, &[], cluster)?;
    Ok(None)
}

pub(in crate::store) fn bind_keyring(
    transaction: &mut dyn Transaction,
    keyring_id: String,
) -> Result<String, StoreError> {
    if let Some(remembered) = KEYRING.get(transaction, &[])? {
        return Ok(remembered);
    }
    KEYRING.put(transaction, &[], &keyring_id)?;
    Ok(keyring_id)
}

pub(in crate::store) fn keyring_id(view: &dyn Read) -> Result<Option<String>, StoreError> {
    KEYRING.get(view, &[])
}

pub(in crate::store) fn mark_provisioned(transaction: &mut dyn Transaction) -> Result<(), StoreError> {
    if is_provisioned(transaction)? {
        return Ok(());
    }
    PROVISIONED.put(transaction, &[], &true)
}

pub(in crate::store) fn is_provisioned(view: &dyn Read) -> Result<bool, StoreError> {
    Ok(PROVISIONED.get(view, &[])?.unwrap_or(false))
}
