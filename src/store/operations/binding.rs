//! What a store belongs to.

use crate::oidc::service_account_token::ClusterIssuer;
use crate::store::StoreError;
use crate::store::key_value::tables::{CLUSTER, CLUSTER_ISSUER, KEYRING, PROVISIONED};
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

pub(in crate::store) fn note_cluster_issuer(
    transaction: &mut dyn Transaction,
    issuer: &ClusterIssuer,
) -> Result<bool, StoreError> {
    if cluster_issuer(transaction)?.as_ref() == Some(issuer) {
        return Ok(false);
    }
    CLUSTER_ISSUER.put(transaction, &[], issuer)?;
    Ok(true)
}

pub(in crate::store) fn cluster_issuer(view: &dyn Read) -> Result<Option<ClusterIssuer>, StoreError> {
    CLUSTER_ISSUER.get(view, &[])
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
