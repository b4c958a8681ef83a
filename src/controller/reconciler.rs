//! What the watch needs to know of a kind, and when the kinds have something tried again.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;

use crate::oidc::identifier::ResourceUid;
use crate::store::StoreError;
use crate::store::records::ResourceRef;

/// Whoever waits for a claim of somebody else looks again after this, besides being woken.
pub(super) const CLAIM_PAUSE: Duration = Duration::from_secs(30);
/// After a refusal that somebody has to do something about.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_mins(1);
/// Failures after which a Secret of somebody else is no longer thought to be waiting for garbage collection: with the
/// queue's delays this is about seven seconds.
pub(super) const COLLECTION_ATTEMPTS: u32 = 3;

/// A kind of resource that is reconciled.
#[async_trait]
pub(super) trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Resource: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static;

    /// The kind's name, for logs.
    const KIND: &'static str;

    /// What the resource claims for itself alone, in a form that is equal for two who claim the same.
    fn claims(&self, resource: &Self::Resource) -> Vec<String>;

    /// Whether the resource's status tells that it held all that it claims. Only claviger writes a status, and only for
    /// whoever holds the claim; so where the store was lost, nobody takes a claim by being older than who had it.
    fn held_before(&self, resource: &Self::Resource) -> bool;

    /// Registers the resource in the store and does nothing else. A resource that cannot be registered is left to
    /// [`Reconciler::reconcile`], which says so.
    async fn register(&self, resource: &Self::Resource) -> Result<(), StoreError>;

    /// Whether there is a Secret of its own that the sweep writes again.
    fn owns_secret(&self, resource: &Self::Resource) -> bool;

    /// Does whatever the resource asks for.
    async fn reconcile(&self, resource: Arc<Self::Resource>, look: Look) -> Outcome<Self::Resource>;

    /// Removes what the store holds of a deleted resource.
    async fn remove(&self, uid: &ResourceUid) -> Result<(), StoreError>;

    /// What the store holds and that is not absent.
    async fn known(&self) -> Result<HashMap<ResourceUid, ResourceRef>, StoreError>;

    /// Notes that these are gone from a complete list.
    async fn mark_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError>;
}

/// How a resource is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Failures since it last changed.
    pub(super) attempt: u32,
    /// Its Secret is written again even if everything is done: somebody may have changed it.
    pub(super) heals: bool,
}

/// What a reconcile came to.
#[derive(Debug)]
pub(super) struct Outcome<K> {
    /// The resource as the API server gave it back, after a write of its status.
    pub(super) written: Option<K>,
    /// What comes next.
    pub(super) next: Next,
}

/// When a resource is looked at again, unless it changes earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// When it changes.
    Change,
    /// After this time; all is well.
    Again(Duration),
    /// After this time, or when another resource goes: it waits for something that the other one holds.
    Waiting(Duration),
    /// After this time; it counts as a failure, and the status says so.
    Later(Duration),
    /// Soon, with growing delay: something failed that may pass by itself.
    Failed(String),
}

impl<K> Outcome<K> {
    /// An outcome without a write of the status.
    pub(super) fn next(next: Next) -> Self {
        Self { written: None, next }
    }
}
