//! Registers the first complete list, before anything of it is reconciled.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, stream};

use super::{CONCURRENCY, until_stored};
use crate::controller::reconciler::Reconciler;

/// Who claims the same as somebody else one after another, in the order given (the oldest first); all others at once.
pub(super) async fn register<R: Reconciler>(reconciler: &R, resources: Vec<Arc<R::Resource>>) {
    let mut claimed: HashMap<String, usize> = HashMap::new();
    for claim in resources.iter().flat_map(|resource| reconciler.claims(resource)) {
        *claimed.entry(claim).or_default() += 1;
    }
    let (contended, free): (Vec<_>, Vec<_>) = resources.into_iter().partition(|resource| {
        let claims = reconciler.claims(resource);
        claims
            .iter()
            .any(|claim| claimed.get(claim).is_some_and(|count| *count > 1))
    });
    for resource in &contended {
        until_stored("register", || reconciler.register(resource)).await;
    }
    stream::iter(free)
        .for_each_concurrent(CONCURRENCY, |resource| async move {
            until_stored("register", || reconciler.register(&resource)).await;
        })
        .await;
}
