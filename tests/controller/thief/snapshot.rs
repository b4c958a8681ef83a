//! Every object of the cluster.

use std::collections::BTreeMap;

use anyhow::Result;
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};
use kube::{Api, Client};
use serde_json::Value;
use testbed::poll;

use super::PATIENCE;

/// The objects by `group/kind/namespace/name`.
pub(super) type Snapshot = BTreeMap<String, Value>;

/// What the control plane writes by itself all the time, and an Event, which everybody may leave.
const RESTLESS: [&str; 2] = ["Event", "Lease"];

/// Reads everything that can be listed.
pub(super) async fn take(admin: &Client) -> Result<Snapshot> {
    let mut snapshot = Snapshot::new();
    let discovery = Discovery::new(admin.clone()).run().await?;
    for group in discovery.groups() {
        for (resource, capabilities) in group.resources_by_stability() {
            if !capabilities.supports_operation(verbs::LIST) || RESTLESS.contains(&&*resource.kind) {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(admin.clone(), &resource);
            for object in api.list(&ListParams::default()).await? {
                let namespace = object.metadata.namespace.clone().unwrap_or_default();
                let name = object.metadata.name.clone().unwrap_or_default();
                // A list leaves out what its items are.
                let mut object = serde_json::to_value(object)?;
                object["kind"] = resource.kind.clone().into();
                let (group, kind) = (&resource.group, &resource.kind);
                snapshot.insert(format!("{group}/{kind}/{namespace}/{name}"), object);
            }
        }
    }
    Ok(snapshot)
}

/// Waits until the controllers of Kubernetes have done what they do after an installation.
pub(super) async fn when_quiet(admin: &Client) -> Result<Snapshot> {
    poll::until("the cluster to be quiet", PATIENCE, async || {
        let first = take(admin).await?;
        let second = take(admin).await?;
        Ok((first == second).then_some(second))
    })
    .await
}
