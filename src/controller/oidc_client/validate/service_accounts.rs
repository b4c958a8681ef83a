//! `spec.serviceAccounts`.

use std::collections::BTreeSet;

use crate::controller::condition::Verdict;
use crate::crd::v1alpha1::ServiceAccountReference;
use crate::oidc::client::{ClientAuthenticationMethod, ServiceAccount};
use crate::store::records::ClientRecord;

use super::invalid;

/// As many as the schema takes.
const MAX_ACCOUNTS: usize = 8;
/// Every pod has this one that asks for nothing else.
const DEFAULT: &str = "default";

/// The ServiceAccounts with what is `known` of them; whether they exist is looked up later.
pub(super) fn accounts(
    given: &[ServiceAccountReference],
    methods: &BTreeSet<ClientAuthenticationMethod>,
    known: Option<&ClientRecord>,
) -> Result<Vec<ServiceAccount>, Verdict> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    if !methods.contains(&ClientAuthenticationMethod::PrivateKeyJwt) {
        return Err(invalid(
            "spec.serviceAccounts",
            "needs tokenEndpointAuthMethods with private_key_jwt: a token of a ServiceAccount is a client assertion",
        ));
    }
    if given.len() > MAX_ACCOUNTS {
        return Err(invalid("spec.serviceAccounts", "must hold at most 8"));
    }
    let known = known.map_or(&[][..], |record| &record.client.service_accounts);
    given
        .iter()
        .enumerate()
        .map(|(index, ServiceAccountReference { name })| {
            if name == DEFAULT || name.is_empty() {
                return Err(invalid(
                    &format!("spec.serviceAccounts[{index}].name"),
                    "cannot be default, which every pod of the namespace has that asks for nothing else; make a \
                     ServiceAccount for the app",
                ));
            }
            let uid = known
                .iter()
                .find(|account| account.name == *name)
                .and_then(|account| account.uid.clone());
            Ok(ServiceAccount {
                name: name.clone(),
                uid,
            })
        })
        .collect()
}
