//! The status of a user; written only where it differs.

use kube::Client;
use serde_json::json;

use super::apply::Applied;
use super::password::{self, Password};
use super::validate::ValidUser;
use crate::clock::Timestamp;
use crate::controller::condition::{Conditions, Verdict};
use crate::controller::patch_status::patch_status;
use crate::crd::v1alpha1::condition::{ACCEPTED, PASSWORD_READY, READY, STALLED, reason};
use crate::crd::v1alpha1::{OidcUser, OidcUserStatus, SecretReference};
use crate::store::records::UserRecord;

/// What the conditions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdicts {
    accepted: Verdict,
    password: Option<Verdict>,
    ready: Verdict,
    secret_ref: Option<SecretReference>,
}

impl Verdicts {
    /// The spec is not valid, or claims what somebody else holds.
    pub(super) fn not_accepted(verdict: Verdict) -> Self {
        Self {
            ready: verdict.clone(),
            accepted: verdict,
            password: None,
            secret_ref: None,
        }
    }

    /// The user is registered; this became of the password.
    pub(super) fn applied(valid: &ValidUser, password: &Password, applied: Applied) -> Self {
        let (secret_ref, verdict) = match applied {
            Applied::Nothing => (None, password.verdict.clone()),
            Applied::Secret(secret_ref) => (Some(secret_ref), password.verdict.clone()),
            Applied::Foreign(verdict) | Applied::Refused(verdict) => (None, verdict),
        };
        let ready = if valid.user.disabled {
            Verdict::yes(reason::DISABLED, "sign-in is refused while spec.disabled is true")
        } else if verdict.holds {
            Verdict::yes(reason::READY, "the person can sign in")
        } else {
            verdict.clone()
        };
        Self {
            accepted: Verdict::yes(reason::ACCEPTED, "the spec is valid"),
            password: Some(verdict),
            ready,
            secret_ref,
        }
    }
}

/// The status as it should be.
pub(super) fn build(
    resource: &OidcUser,
    record: Option<&UserRecord>,
    verdicts: &Verdicts,
    now: Timestamp,
) -> OidcUserStatus {
    let Verdicts {
        accepted,
        password,
        ready,
        secret_ref,
    } = verdicts;
    let generation = resource.metadata.generation;
    let previous = resource
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let mut conditions = Conditions::new(previous, generation, now);
    conditions.add(READY, ready);
    conditions.add(ACCEPTED, accepted);
    if let Some(password) = password {
        conditions.add(PASSWORD_READY, password);
    }
    if !ready.holds {
        conditions.add(STALLED, &Verdict::yes(ready.reason, ready.message.clone()));
    }
    OidcUserStatus {
        observed_generation: generation,
        username: record.map(|record| record.user.username.as_str().to_owned()),
        subject: record.map(|record| record.user.subject.as_str().to_owned()),
        password_secret_ref: secret_ref.clone(),
        password_version: record
            .and_then(|record| record.password.as_ref())
            .and_then(password::version_of),
        conditions: conditions.finish(),
    }
}

/// Writes the status, if it differs from what the resource shows. Gives the resource as it then is; `None` when nothing
/// was written, or when the resource is gone.
pub(super) async fn write(
    client: &Client,
    resource: &OidcUser,
    status: &OidcUserStatus,
) -> Result<Option<OidcUser>, kube::Error> {
    if resource.status.as_ref() == Some(status) {
        return Ok(None);
    }
    patch_status(client, resource, patch(status)).await
}

/// A merge patch that says every field, the absent ones as null: a field that is left out would stay as it was.
fn patch(status: &OidcUserStatus) -> serde_json::Value {
    // Destructured without `..`, so that a new field does not compile until it is written.
    let OidcUserStatus {
        observed_generation,
        username,
        subject,
        password_secret_ref,
        password_version,
        conditions,
    } = status;
    json!({"status": {
        "observedGeneration": observed_generation,
        "username": username,
        "subject": subject,
        "passwordSecretRef": password_secret_ref,
        "passwordVersion": password_version,
        "conditions": conditions,
    }})
}
