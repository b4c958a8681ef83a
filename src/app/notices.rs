//! What the provider has to tell the owner of a client, as Kubernetes Events. The two halves do not know each other.

use crate::controller::events::Events;
use crate::provider::notices::Notices;
use crate::store::records::ClientRecord;

/// Publishes notices on the `OidcClient` that they are about.
pub(super) struct EventsOfClients(pub(super) Events);

impl Notices for EventsOfClients {
    fn redirect_uri_rejected(&self, client: &ClientRecord, shown: &str) {
        self.0
            .redirect_uri_rejected(&client.resource, &client.client.uid, shown);
    }

    fn client_assertion_rejected(&self, client: &ClientRecord, why: &'static str) {
        self.0
            .client_assertion_rejected(&client.resource, &client.client.uid, why);
    }

    fn logout_token_given_up(&self, client: &ClientRecord) {
        self.0.logout_token_given_up(&client.resource, &client.client.uid);
    }
}

/// The name of this machine: in a pod, the pod's.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "claviger".to_owned())
}
