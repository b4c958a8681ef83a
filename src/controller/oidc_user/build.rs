//! The Secret of a generated password, and the digest over everything that decides Secret and status. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;

use super::password::Password;
use super::validate::ValidUser;
use crate::controller::digest;
use crate::controller::secret::{self, PASSWORD_SUFFIX};
use crate::crd::v1alpha1::OidcUser;
use crate::oidc::end_user::EndUser;
use crate::store::records::{Digest, ResourceRef, UserRecord};

const SECRET_TYPE: &str = "kubernetes.io/basic-auth";

/// The name of the Secret with a generated password.
pub(super) fn secret_name(valid: &ValidUser) -> String {
    format!("{}{PASSWORD_SUFFIX}", valid.resource.name)
}

/// The Secret with a generated password.
pub(super) fn secret(valid: &ValidUser, password: &str) -> Secret {
    let entry = |key: &str, value: &str| (key.to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata: secret::owned_by::<OidcUser>(&valid.resource, &valid.user.uid, secret_name(valid)),
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
        password: _,         // What was made of it decides.
        restores_subject: _, // What became of it is the subject.
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
