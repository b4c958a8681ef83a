//! Whether a kind is there: its definition may be deleted under us, which looks like the deletion of every resource.

use std::fmt::Debug;

use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::controller::kube_error::is_kind_missing;

/// What the API server says of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It serves it.
    There,
    /// It does not, or no longer takes new ones since the definition is being deleted.
    Missing,
    /// It does not answer.
    Unknown,
}

/// Asks. Discovery is open to everybody who is signed in to the cluster, and alone tells that a definition is being deleted;
/// where an administrator took that away, a list tells whether the kind is served.
pub(super) async fn look<K>(client: Client, api: Api<K>) -> Presence
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match client.list_api_group_resources(&K::api_version(&())).await {
        Ok(kinds) => {
            let takes_new = |verbs: &[String]| verbs.iter().any(|verb| verb == "create");
            let plural = K::plural(&());
            let there = kinds
                .resources
                .iter()
                .any(|kind| kind.name == plural && takes_new(&kind.verbs));
            if there { Presence::There } else { Presence::Missing }
        }
        Err(error) if is_kind_missing(&error) => Presence::Missing,
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            match api.list_metadata(&ListParams::default().limit(1)).await {
                Ok(_) => Presence::There,
                Err(error) if is_kind_missing(&error) => Presence::Missing,
                Err(_) => Presence::Unknown,
            }
        }
        Err(_) => Presence::Unknown,
    }
}
