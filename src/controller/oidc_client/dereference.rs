//! What a client refers to: its record in the store.

use crate::controller::ControllerContext;
use crate::controller::queue::uid_of;
use crate::crd::v1alpha1::OidcClient;
use crate::store::StoreError;
use crate::store::records::ClientRecord;

/// What the store holds of `resource`.
pub(super) async fn record(
    context: &ControllerContext,
    resource: &OidcClient,
) -> Result<Option<ClientRecord>, StoreError> {
    match uid_of(resource) {
        Some(uid) => context.store.client_by_uid(&uid).await,
        None => Ok(None),
    }
}
