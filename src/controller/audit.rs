//! Audit events of registrations: which clients and users there are has changed. Ids only.

use crate::oidc::audit::TARGET;
use crate::oidc::identifier::{ClientId, ResourceUid, Subject};

/// A client was registered or changed.
pub(super) fn client(event: &'static str, client_id: &ClientId, uid: &ResourceUid) {
    tracing::info!(target: TARGET, event, %client_id, resource_uid = uid.as_str());
}

/// A client's secret was replaced by a new version.
pub(super) fn rotation(client_id: &ClientId, uid: &ResourceUid, version: &str, cause: &str) {
    let event = "client_secret_rotated";
    tracing::info!(target: TARGET, event, %client_id, resource_uid = uid.as_str(), version, cause);
}

/// A user was registered or changed.
pub(super) fn user(event: &'static str, subject: &Subject, uid: &ResourceUid) {
    tracing::info!(target: TARGET, event, %subject, resource_uid = uid.as_str());
}

/// Clients or users of these resources are gone.
pub(super) fn gone(event: &'static str, uids: &[ResourceUid]) {
    for uid in uids {
        tracing::info!(target: TARGET, event, resource_uid = uid.as_str());
    }
}
