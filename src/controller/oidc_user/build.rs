//! The Secret of a generated password, and the digest over everything that decides Secret and status. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;

use super::password::Password;
use super::validate::ValidUser;
use crate::controller::{MANAGER, digest};
use crate::crd::v1alpha1::GROUP;
use crate::oidc::end_user::EndUser;
use crate::store::records::{Digest, ResourceRef, UserRecord};

const SECRET_TYPE: &str = "kubernetes.io/basic-auth";

/// The name of the Secret with a generated password.
pub(super) fn secret_name(valid: &ValidUser) -> String {
    format!("{}-password", valid.resource.name)
}

/// The Secret with a generated password.
pub(super) fn secret(valid: &ValidUser, password: &str) -> Secret {
    let entry = |key: &str, value: &str| (key.to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(valid)),
            namespace: Some(valid.resource.namespace.clone()),
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/managed-by".to_owned(),
                MANAGER.to_owned(),
            )])),
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{GROUP}/v1alpha1"),
                kind: "OidcUser".to_owned(),
                name: valid.resource.name.clone(),
                uid: valid.user.uid.as_str().to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some(BTreeMap::from([
            entry("username", &valid.user.username),
            entry("password", password),
        ])),
        ..Secret::default()
    }
}

#[derive(Serialize)]
struct Decisive<'a> {
    user: &'a EndUser,
    resource: &'a ResourceRef,
    generation: Option<i64>,
    password_source: Option<&'a str>,
    password_ready: (bool, &'a str, &'a str),
}

/// The digest of what is done when Secret and status of this are written. The hash is no part of it: a password that is
/// hashed again at sign-in changes nothing here.
pub(super) fn digest(valid: &ValidUser, record: &UserRecord, password: &Password) -> Option<Digest> {
    // Destructured without `..`, so that a new field does not compile until it is part of the digest.
    let ValidUser {
        resource,
        generation,
        user,
        password: _, // What was made of it decides.
    } = valid;
    digest::of(&Decisive {
        user,
        resource,
        generation: *generation,
        password_source: record.password.as_ref().map(|password| password.source.as_str()),
        password_ready: (
            password.verdict.holds,
            password.verdict.reason,
            &password.verdict.message,
        ),
    })
}
