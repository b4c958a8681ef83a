//! The one way in which a status is written, whatever the kind: a merge patch under claviger's name.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::MANAGER;
use super::queue::key_of;
use crate::store::records::ResourceRef;

/// Gives the resource as it then is; `None` when it is gone.
pub(super) async fn patch_status<K>(
    client: &Client,
    resource: &K,
    patch: serde_json::Value,
) -> Result<Option<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let Some(ResourceRef { namespace, name }) = key_of(resource) else {
        return Ok(None);
    };
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api.patch_status(&name, &params, &Patch::Merge(patch)).await {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
