//! What is common to all Secrets that claviger writes, and how one is written without ever reading one: `POST`, and on 409
//! `PUT`; the other way round where it was written before.
//!
//! Whether a Secret that exists is ours is decided by the admission policy, which sees the old object; claviger sees
//! nothing of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::core::Status;
use kube::{Api, Client, Resource};

use super::MANAGER;
use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;

/// The type of every Secret for an app (Service Binding specification 1.1.0, "Reconciler Implementation"). A Secret's type
/// cannot be changed later.
pub(super) const APP_SECRET_TYPE: &str = "servicebinding.io/oidc";
/// The label by which the policy knows what claviger wrote.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// How the name of a Secret with a generated password ends; reserved in claviger's own namespace.
pub(super) const PASSWORD_SUFFIX: &str = "-password";
/// The name of the chart's policy begins like this, whatever the release is called.
const POLICY_NAME: &str = "claviger-secrets";

/// Between `POST` and `PUT` somebody may make or delete the Secret; after this many rounds the next reconcile goes on.
const ROUNDS: usize = 3;

/// What writing a Secret came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretWrite {
    /// It holds what it should.
    Written {
        /// `metadata.uid`.
        uid: String,
    },
    /// One of that name belongs to somebody else.
    Foreign,
    /// The namespace is being deleted, or is gone.
    NamespaceTerminating,
    /// The account lacks a right; the API server's words.
    Forbidden(String),
    /// The API server does not take it; its words.
    Refused(String),
}

/// Which of the two calls is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// There is no such Secret.
    Absent,
    /// It was written before: an identical `PUT` changes nothing.
    Present,
}

/// The labels that every Secret of claviger's has.
pub(super) fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(MANAGED_BY.to_owned(), MANAGER.to_owned())])
}

/// The metadata of a Secret that goes with its owner.
pub(super) fn owned_by<K: Resource<DynamicType = ()>>(
    owner: &ResourceRef,
    uid: &ResourceUid,
    name: String,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.clone()),
        labels: Some(labels()),
        // Never `blockOwnerDeletion`: deletion waits for nobody, and setting it would need rights on finalizers.
        owner_references: Some(vec![OwnerReference {
            api_version: K::api_version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            name: owner.name.clone(),
            uid: uid.as_str().to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        }]),
        ..ObjectMeta::default()
    }
}

/// Writes `secret`, which carries name, namespace and type.
pub(super) async fn write(
    client: &Client,
    secret: &Secret,
    expected: Expected,
) -> Result<SecretWrite, kube::Error> {
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let mut tries_create = expected == Expected::Absent;
    let mut round = 1;
    loop {
        if tries_create {
            match api.create(&params, secret).await {
                Ok(created) => return Ok(written(created)),
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                Err(kube::Error::Api(status)) if is_answer(&status) => return Ok(refused_create(&status)),
                Err(error) => return Err(error),
            }
        }
        tries_create = true;
        match api.replace(name, &params, secret).await {
            Ok(replaced) => return Ok(written(replaced)),
            // It went between the two calls, or was made again.
            Err(kube::Error::Api(status))
                if round < ROUNDS && (status.is_not_found() || status.is_conflict()) => {}
            Err(kube::Error::Api(status)) if is_answer(&status) => return Ok(refused_replace(&status)),
            Err(error) => return Err(error),
        }
        round += 1;
    }
}

/// Whether trying the same again soon would get the same. A conflict passes by itself: somebody wrote at the same moment,
/// perhaps to the quota of the namespace, which counts a new Secret.
fn is_answer(status: &Status) -> bool {
    status.code < 500 && status.code != 429 && !status.is_conflict()
}

fn written(secret: Secret) -> SecretWrite {
    SecretWrite::Written {
        uid: secret.metadata.uid.unwrap_or_default(),
    }
}

fn refused_create(status: &Status) -> SecretWrite {
    let terminating = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| cause.reason == "NamespaceTerminating");
    if terminating || status.is_not_found() {
        SecretWrite::NamespaceTerminating
    } else if status.is_forbidden() && !is_denied_by_policy(status) {
        SecretWrite::Forbidden(status.message.clone())
    } else {
        SecretWrite::Refused(status.message.clone())
    }
}

fn refused_replace(status: &Status) -> SecretWrite {
    if is_denied_by_policy(status) {
        SecretWrite::Foreign
    } else if status.is_forbidden() {
        SecretWrite::Forbidden(status.message.clone())
    } else if status.is_invalid() {
        // Another type, or immutable: ours are neither, and this is told before admission.
        SecretWrite::Foreign
    } else {
        SecretWrite::Refused(status.message.clone())
    }
}

/// Whether our admission policy denied it; any other denial is a missing right.
pub(super) fn is_denied_by_policy(status: &Status) -> bool {
    status.is_forbidden()
        && status
            .message
            .split("ValidatingAdmissionPolicy '")
            .nth(1)
            .and_then(|rest| rest.split('\'').next())
            .is_some_and(|policy| policy.starts_with(POLICY_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(message: &str) -> Status {
        Status {
            code: 403,
            reason: "Forbidden".to_owned(),
            message: message.to_owned(),
            ..Status::failure("", "Forbidden")
        }
    }

    #[test]
    fn a_denial_of_our_policy_is_told_from_a_missing_right() {
        let ours = forbidden(
            "secrets \"x\" is forbidden: ValidatingAdmissionPolicy 'claviger-secrets-id' with binding 'b' denied \
             request: claviger may change only its own Secrets",
        );
        let theirs = forbidden(
            "secrets \"x\" is forbidden: ValidatingAdmissionPolicy 'corp' with binding 'claviger' denied request: no",
        );
        let rbac =
            forbidden("secrets \"x\" is forbidden: User \"claviger\" cannot update resource \"secrets\"");
        assert_eq!(refused_replace(&ours), SecretWrite::Foreign);
        assert_eq!(
            refused_replace(&theirs),
            SecretWrite::Forbidden(theirs.message.clone())
        );
        assert_eq!(
            refused_replace(&rbac),
            SecretWrite::Forbidden(rbac.message.clone())
        );
    }
}
