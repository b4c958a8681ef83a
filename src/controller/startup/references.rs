//! What the status of the resources says about the keyring that their secrets were derived from: all that is left to tell
//! when a store was lost.

use std::collections::BTreeSet;

use kube::api::ListParams;
use kube::{Api, Client};

use super::{StartupError, asked, client_apis};
use crate::controller::{ControllerSettings, Health};
use crate::crd::v1alpha1::OidcUser;
use crate::keyring::Keyring;

/// Whether the status of any resource tells of secrets that were derived from a keyring: then a new keyring would make
/// other secrets than those that apps hold.
pub async fn any_status_refers_to_keyring(
    client: &Client,
    settings: &ControllerSettings,
    health: &Health,
) -> Result<bool, StartupError> {
    if !master_keys_of_clients(client, settings, health).await?.is_empty() {
        return Ok(true);
    }
    let users: Api<OidcUser> = Api::namespaced(client.clone(), &settings.namespace);
    let all = ListParams::default();
    let list = asked("list OidcUsers", health, || users.list(&all)).await?;
    Ok(list.items.iter().any(|resource| {
        resource
            .status
            .as_ref()
            .is_some_and(|status| status.password_secret_ref.is_some())
    }))
}

/// Refuses a keyring that holds none of the master keys which the resources tell of. One that it holds is enough: a
/// version whose key is gone is replaced.
pub async fn check_keyring(
    client: &Client,
    settings: &ControllerSettings,
    health: &Health,
    keyring: &Keyring,
) -> Result<(), StartupError> {
    let referred = master_keys_of_clients(client, settings, health).await?;
    match referred.first() {
        Some(one) if !referred.iter().any(|id| keyring.has_master_key(id)) => {
            Err(StartupError::OtherKeyring {
                referred: one.clone(),
                keyring: keyring.id().to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// The master keys that the status of any `OidcClient` names.
async fn master_keys_of_clients(
    client: &Client,
    settings: &ControllerSettings,
    health: &Health,
) -> Result<BTreeSet<String>, StartupError> {
    let mut found = BTreeSet::new();
    for api in client_apis(client, settings) {
        let mut page = ListParams::default().limit(500);
        loop {
            let list = asked("list OidcClients", health, || api.list(&page)).await?;
            let versions = list
                .items
                .iter()
                .filter_map(|resource| resource.status.as_ref())
                .flat_map(|status| &status.secret_versions);
            found.extend(versions.map(|version| version.master_key_id.clone()));
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(found)
}
