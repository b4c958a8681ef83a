//! Which resources (RFC 8707) a client may ask tokens for now.
//!
//! A client lists them in its registration, and what it lists may be another team's API: whoever holds it as one of their
//! `resource_identifiers` says which other namespaces may. That is looked up whenever a token is asked for, so that a claim
//! and a change of mind count at once, whatever was registered or allowed before. What nobody holds is an API outside of
//! the cluster, for all that we know, and anybody may list it until somebody claims it.

use crate::oidc::client::Client;

use super::Provider;
use super::fault::Fault;

impl Provider {
    /// Those of `wanted` that the client has registered and that nobody keeps from it.
    pub(super) async fn audiences_of(
        &self,
        client: &Client,
        wanted: &[String],
    ) -> Result<Vec<String>, Fault> {
        let mut audiences = Vec::new();
        for resource in wanted.iter().filter(|wanted| client.audiences.contains(wanted)) {
            if self.is_served(client, resource).await? {
                audiences.push(resource.clone());
            }
        }
        Ok(audiences)
    }

    async fn is_served(&self, client: &Client, resource: &str) -> Result<bool, Fault> {
        let look_up = Fault::store("look up the holder of a resource identifier");
        let holder = self.store.resource_server(resource).await.map_err(look_up)?;
        let Some(holder) = holder.filter(|holder| holder.client.uid != client.uid) else {
            return Ok(true);
        };
        let asking = self.store.client_by_uid(&client.uid).await;
        let asking = asking.map_err(Fault::store("look up the namespace of a client"))?;
        Ok(asking.is_some_and(|asking| holder.serves(&asking.resource.namespace)))
    }
}
