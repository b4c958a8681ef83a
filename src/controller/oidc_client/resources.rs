//! Who holds the APIs that a client names. Looked up at every reconcile, whatever was accepted before: somebody may have
//! claimed an API meanwhile, or have changed their mind about whom they allow. The provider asks the same at every token.

use super::validate::ValidClient;
use crate::controller::ControllerContext;
use crate::controller::condition::Verdict;
use crate::crd::v1alpha1::condition::reason;
use crate::oidc::client::Client;
use crate::store::StoreError;
use crate::store::records::ResourceRef;

/// Why one of the audiences is not this client's to list, if so.
pub(super) async fn refused(
    context: &ControllerContext,
    valid: &ValidClient,
) -> Result<Option<Verdict>, StoreError> {
    let namespace = &valid.resource.namespace;
    for (index, audience) in valid.client.audiences.iter().enumerate() {
        let holder = context.store.resource_server(audience).await?;
        let Some(holder) = holder.filter(|holder| !holder.serves(namespace)) else {
            continue;
        };
        return Ok(Some(Verdict::no(
            reason::AUDIENCE_NOT_ALLOWED,
            format!(
                "spec.audiences[{index}] is an API of the OidcClient {}, which does not allow clients of this namespace; ask \
                 whoever writes it to add {namespace} to its spec.resourceAccess.allowedNamespaces, or leave it out",
                holder.resource
            ),
        )));
    }
    Ok(None)
}

/// Whether everything that the client claims to be is its own in the store. A store of the first version has no such claims.
pub(super) async fn holds_all(context: &ControllerContext, valid: &ValidClient) -> Result<bool, StoreError> {
    for identifier in &valid.client.resource_identifiers {
        let holder = context.store.resource_server(identifier).await?;
        if holder.is_none_or(|holder| holder.client.uid != valid.client.uid) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Which identifiers of a registered client nobody else holds. The first version let several have the same.
pub(super) async fn not_of_others(
    context: &ControllerContext,
    client: &Client,
) -> Result<Vec<String>, StoreError> {
    let mut own = Vec::new();
    for identifier in &client.resource_identifiers {
        let holder = context.store.resource_server(identifier).await?;
        if holder.is_none_or(|holder| holder.client.uid == client.uid) {
            own.push(identifier.clone());
        }
    }
    Ok(own)
}

/// Somebody else was there first.
pub(super) fn held(identifier: &str, holder: &ResourceRef) -> Verdict {
    Verdict::no(
        reason::RESOURCE_IDENTIFIER_CONFLICT,
        format!(
            "the resource identifier {identifier} is held by the OidcClient {holder}, which claimed it first; take it out of \
             spec.resourceIdentifiers, or of the holder's"
        ),
    )
}
