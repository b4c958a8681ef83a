//! `spec.profile`: fields that contradict it are refused, so that nobody reads in a resource what does not hold. What it asks
//! for is in `oidc::profile`, and is asked of the registered client.

use std::collections::BTreeSet;

use crate::controller::condition::Verdict;
use crate::crd::v1alpha1 as crd;
use crate::oidc::client::{Client, ClientAuthenticationMethod, Pkce};
use crate::oidc::profile::Profile;

use super::invalid;

pub(super) fn of(given: crd::Profile) -> Profile {
    match given {
        crd::Profile::Fapi2 => Profile::Fapi2,
    }
}

pub(super) fn check(client: &Client, tokens: Option<&crd::Tokens>) -> Result<(), Verdict> {
    if client.profile.is_none() {
        return Ok(());
    }
    let only = BTreeSet::from([ClientAuthenticationMethod::PrivateKeyJwt]);
    if client.token_endpoint_auth_methods != only {
        return Err(invalid(
            "spec.tokenEndpointAuthMethods",
            "must be [private_key_jwt] with spec.profile FAPI2; secrets, which are the default, and public clients are not \
             part of it",
        ));
    }
    if !client.service_accounts.is_empty() {
        return Err(invalid(
            "spec.serviceAccounts",
            "cannot be with spec.profile FAPI2, whose assertions count once; sign them with a key of spec.jwks",
        ));
    }
    if client.pkce == Pkce::Optional {
        return Err(invalid("spec.pkce", "cannot be Optional with spec.profile FAPI2"));
    }
    let mut registered = client.grant_types.iter();
    if let Some(refused) = registered.find(|grant_type| !client.may_use(**grant_type)) {
        return Err(invalid(
            "spec.grantTypes",
            &format!("cannot hold {refused} with spec.profile FAPI2, whose requests are pushed"),
        ));
    }
    if client
        .redirect_uris
        .iter()
        .any(|uri| !client.may_redirect_to(uri))
    {
        return Err(invalid(
            "spec.redirectUris",
            "must all be https with spec.profile FAPI2",
        ));
    }
    let admitted = client.signature_algorithms();
    if client
        .jwks
        .iter()
        .any(|key| key.alg.is_some_and(|alg| !admitted.contains(&alg)))
    {
        return Err(invalid(
            "spec.jwks",
            "must not hold a key for RS256 with spec.profile FAPI2; leave alg out or make it PS256, and sign by that",
        ));
    }
    let is_rs256 = |alg: Option<crd::SigningAlgorithm>| alg == Some(crd::SigningAlgorithm::Rs256);
    if tokens.is_some_and(|tokens| {
        is_rs256(tokens.id_token_signed_response_alg) || is_rs256(tokens.access_token_signing_alg)
    }) {
        return Err(invalid(
            "spec.tokens",
            "cannot be signed by RS256 with spec.profile FAPI2; the default is ES256",
        ));
    }
    Ok(())
}
