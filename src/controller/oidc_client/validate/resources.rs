//! `spec.audiences`, `spec.resourceIdentifiers` and `spec.resourceAccess`: what can be said of them without the store.

use crate::controller::condition::Verdict;
use crate::crd::v1alpha1 as crd;
use crate::oidc::audience::{MAX_AUDIENCES_BYTES, check_resource, is_of_issuer};
use crate::oidc::client::ANY_NAMESPACE;
use crate::oidc::issuer::Issuer;

use super::client_id::may_be_namespace;
use super::invalid;

/// As many as the schema takes.
const MOST_NAMESPACES: usize = 64;

/// Those that the client may ask for, and those that it is itself.
pub(super) fn lists(given: &[String], own: &[String], issuer: &Issuer) -> Result<(), Verdict> {
    audiences(given, issuer)?;
    identifiers(own, issuer)
}

/// The issuer itself may be among them: such a token is for userinfo, as one without any resource is. Below it there is
/// nothing else that a token could be for.
fn audiences(given: &[String], issuer: &Issuer) -> Result<(), Verdict> {
    if given.iter().map(String::len).sum::<usize>() > MAX_AUDIENCES_BYTES {
        return Err(invalid(
            "spec.audiences",
            "must be at most 2048 characters long together, since a token may be for all of them",
        ));
    }
    for (index, resource) in given.iter().enumerate() {
        let field = format!("spec.audiences[{index}]");
        check(&field, resource)?;
        if resource != issuer.as_str() && is_of_issuer(resource, issuer.as_str()) {
            return Err(invalid(
                &field,
                "is claviger's own place; where userinfo is meant, write the issuer itself",
            ));
        }
    }
    Ok(())
}

fn identifiers(given: &[String], issuer: &Issuer) -> Result<(), Verdict> {
    for (index, resource) in given.iter().enumerate() {
        let field = format!("spec.resourceIdentifiers[{index}]");
        check(&field, resource)?;
        // Whoever held the issuer could introspect everybody's tokens for userinfo.
        if is_of_issuer(resource, issuer.as_str()) {
            return Err(invalid(
                &field,
                "is claviger's own place, which nobody else can be; write the URI of your API",
            ));
        }
    }
    Ok(())
}

pub(super) fn namespaces(given: Option<&crd::ResourceAccess>) -> Result<Vec<String>, Verdict> {
    let Some(crd::ResourceAccess { allowed_namespaces }) = given else {
        return Ok(Vec::new());
    };
    let field = "spec.resourceAccess.allowedNamespaces";
    if allowed_namespaces.len() > MOST_NAMESPACES {
        return Err(invalid(field, "must hold at most 64 names"));
    }
    match allowed_namespaces
        .iter()
        .position(|name| name != ANY_NAMESPACE && !may_be_namespace(name))
    {
        Some(index) => Err(invalid(
            &format!("{field}[{index}]"),
            "must be the name of a namespace, or * for all of them",
        )),
        None => Ok(allowed_namespaces.clone()),
    }
}

fn check(field: &str, resource: &str) -> Result<(), Verdict> {
    check_resource(resource).map_err(|why| invalid(field, &why.to_string()))
}
