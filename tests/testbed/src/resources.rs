//! claviger's resources and the Secrets that it makes, as somebody sees them who uses the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::poll;

/// How long a resource may take until it is what it should be; well under a second on an idle machine, and up to a
/// minute after an outage.
const PATIENCE: Duration = Duration::from_mins(3);

/// A kind of claviger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An app.
    OidcClient,
    /// A person; only in claviger's own namespace.
    OidcUser,
}

impl Kind {
    fn resource(self) -> ApiResource {
        let kind = match self {
            Self::OidcClient => "OidcClient",
            Self::OidcUser => "OidcUser",
        };
        ApiResource::from_gvk(&GroupVersionKind::gvk("claviger.dev", "v1alpha1", kind))
    }
}

/// The cluster through one account.
#[derive(Clone)]
pub struct Resources {
    client: Client,
}

impl Resources {
    /// With the rights of this client, for the runtime that made it.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// One kind in one namespace.
    pub fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// One kind in all namespaces.
    pub fn everywhere(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource())
    }

    /// Creates a resource with this spec.
    pub async fn create(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        spec: Value,
    ) -> Result<DynamicObject> {
        let mut object = DynamicObject::new(name, &kind.resource());
        object.data = json!({ "spec": spec });
        self.api(kind, namespace)
            .create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("failed to create {namespace}/{name}"))
    }

    /// Changes fields of a spec by a merge patch.
    pub async fn change(&self, kind: Kind, namespace: &str, name: &str, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api(kind, namespace)
            .patch(name, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("failed to change {namespace}/{name}"))?;
        Ok(())
    }

    /// Sets an annotation.
    pub async fn annotate(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        (key, value): (&str, &str),
    ) -> Result<()> {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
        self.api(kind, namespace)
            .patch(name, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("failed to annotate {namespace}/{name}"))?;
        Ok(())
    }

    /// Deletes a resource.
    pub async fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Result<()> {
        self.api(kind, namespace)
            .delete(name, &DeleteParams::default())
            .await
            .with_context(|| format!("failed to delete {namespace}/{name}"))?;
        Ok(())
    }

    /// Waits until a resource is Ready as it is now.
    pub async fn wait_until_ready(&self, kind: Kind, namespace: &str, name: &str) -> Result<DynamicObject> {
        self.wait_for(kind, namespace, name, "Ready", "True").await
    }

    /// Waits until a condition has this status for the resource as it is now.
    pub async fn wait_for(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        condition: &str,
        status: &str,
    ) -> Result<DynamicObject> {
        let api = self.api(kind, namespace);
        let what = format!("{condition} of {namespace}/{name} to be {status}");
        poll::until(&what, PATIENCE, async || {
            let object = api.get(name).await?;
            let holds = is_observed(&object)
                && self::condition(&object, condition).is_some_and(|condition| condition["status"] == status);
            anyhow::ensure!(holds, "its status is {}", object.data["status"]);
            Ok(Some(object))
        })
        .await
    }

    /// The entries of a Secret.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, String>> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = secrets
            .get(name)
            .await
            .with_context(|| format!("failed to read the Secret {namespace}/{name}"))?;
        entries(secret)
    }
}

/// The entries of a Secret as text.
pub fn entries(secret: Secret) -> Result<BTreeMap<String, String>> {
    secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| {
            let value = String::from_utf8(value.0).context("a value of the Secret is not text")?;
            Ok((key, value))
        })
        .collect()
}

/// A condition of a resource.
pub fn condition<'a>(object: &'a DynamicObject, type_: &str) -> Option<&'a Value> {
    object.data["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == type_)
}

/// Whether the status is about the resource as it is now.
pub fn is_observed(object: &DynamicObject) -> bool {
    let observed = object.data["status"]["observedGeneration"].as_i64();
    observed.is_some() && observed == object.metadata.generation
}
