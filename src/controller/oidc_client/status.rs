//! The status of a client: built from the record and from what was applied, never from wishes; written only where it
//! differs.

use kube::Client;
use serde_json::json;

use super::apply::Applied;
use super::validate::ValidClient;
use crate::clock::Timestamp;
use crate::controller::condition::{Conditions, Verdict, whole_seconds};
use crate::controller::patch_status::patch_status;
use crate::crd::v1alpha1::condition::{ACCEPTED, READY, RECONCILING, SECRET_READY, STALLED, WARNING, reason};
use crate::crd::v1alpha1::{
    Binding, EffectiveRedirectUri, OidcClient, OidcClientStatus, ROTATE_NOW, SecretReference,
    SecretVersionStatus,
};
use crate::oidc::client::Client as RegisteredClient;
use crate::store::records::{ClientRecord, MAX_SECRET_VERSIONS};

/// What the conditions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdicts {
    accepted: Verdict,
    secret: Option<Verdict>,
    ready: Verdict,
    secret_ref: Option<SecretReference>,
    /// Why the next rotation has to wait.
    postponed: Option<Verdict>,
}

impl Verdicts {
    /// The spec is not valid, or claims what somebody else holds.
    pub(super) fn not_accepted(verdict: Verdict) -> Self {
        Self {
            ready: verdict.clone(),
            accepted: verdict,
            secret: None,
            secret_ref: None,
            postponed: None,
        }
    }

    /// The client is registered; this became of its Secret.
    pub(super) fn applied(valid: &ValidClient, applied: Applied) -> Self {
        let accepted = Verdict::yes(reason::ACCEPTED, "the spec is valid");
        match applied {
            Applied::Secret(secret_ref) => Self {
                accepted,
                secret: Some(Verdict::yes(
                    reason::SECRET_WRITTEN,
                    format!("the Secret {} holds the credentials", secret_ref.name),
                )),
                ready: if valid.client.suspended {
                    Verdict::yes(
                        reason::SUSPENDED,
                        "everything is in place; sign-in and tokens are refused while spec.suspend is true",
                    )
                } else {
                    Verdict::yes(reason::READY, "people can sign in")
                },
                secret_ref: Some(secret_ref),
                postponed: None,
            },
            Applied::Foreign(verdict) | Applied::Refused(verdict) => Self {
                accepted,
                secret: Some(verdict.clone()),
                ready: verdict,
                secret_ref: None,
                postponed: None,
            },
            Applied::NamespaceTerminating => Self::not_accepted(Verdict::no(
                reason::NAMESPACE_TERMINATING,
                "the namespace is being deleted",
            )),
        }
    }
}

impl Verdicts {
    /// A rotation is due, but too many versions are valid until then.
    pub(super) fn with_postponed(mut self, until: Option<Timestamp>) -> Self {
        self.postponed = until.map(|until| {
            Verdict::yes(
                reason::ROTATION_POSTPONED,
                format!(
                    "a new secret is due, but {MAX_SECRET_VERSIONS} versions are valid, as many as are accepted at once; it \
                     follows at {}, when the oldest ends; the annotation {ROTATE_NOW} ends all old ones at once",
                    whole_seconds(until).0
                ),
            )
        });
        self
    }
}

/// Whether the spec was accepted when somebody last looked.
pub(super) fn is_accepted(status: &OidcClientStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|condition| condition.type_ == ACCEPTED && condition.status == "True")
}

/// The status as it should be; `next_rotation` is by the schedule.
pub(super) fn build(
    resource: &OidcClient,
    record: Option<&ClientRecord>,
    verdicts: &Verdicts,
    next_rotation: Option<Timestamp>,
    now: Timestamp,
) -> OidcClientStatus {
    let Verdicts {
        accepted,
        secret,
        ready,
        secret_ref,
        postponed,
    } = verdicts;
    let secret_ref = secret_ref.clone().or_else(|| still_there(resource, record));
    let generation = resource.metadata.generation;
    let previous = resource
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let mut conditions = Conditions::new(previous, generation, now);
    conditions.add(READY, ready);
    conditions.add(ACCEPTED, accepted);
    if let Some(secret) = secret {
        conditions.add(SECRET_READY, secret);
    }
    if !ready.holds {
        conditions.add(STALLED, &Verdict::yes(ready.reason, ready.message.clone()));
    }
    if let Some(postponed) = postponed {
        conditions.add(RECONCILING, postponed);
    }
    if let Some(warning) = record.and_then(|record| warning(&record.client)) {
        conditions.add(WARNING, &warning);
    }
    let observed = record.map(|record| &record.observed_rotation);
    OidcClientStatus {
        observed_generation: generation,
        client_id: record.map(|record| record.client.client_id.as_str().to_owned()),
        binding: secret_ref.as_ref().map(|secret| Binding {
            name: secret.name.clone(),
        }),
        secret_ref,
        redirect_uris: record
            .iter()
            .flat_map(|record| &record.client.redirect_uris)
            .map(|uri| EffectiveRedirectUri {
                uri: uri.clone(),
                source: "spec".to_owned(),
            })
            .collect(),
        secret_versions: record
            .iter()
            .flat_map(|record| &record.secret_versions)
            .map(|version| SecretVersionStatus {
                id: version.id.clone(),
                master_key_id: version.master_key_id.clone(),
                created_at: whole_seconds(version.created_at),
                retires_at: version.retires_at.map(whole_seconds),
            })
            .collect(),
        observed_rotate: observed.and_then(|observed| observed.rotate.clone()),
        observed_rotate_now: observed.and_then(|observed| observed.rotate_now.clone()),
        next_rotation: next_rotation.map(whole_seconds),
        conditions: conditions.finish(),
    }
}

/// What whoever registered the client should know of it, although they chose it.
fn warning(client: &RegisteredClient) -> Option<Verdict> {
    let missing = client
        .service_accounts
        .iter()
        .find(|account| account.uid.is_none());
    if let Some(missing) = missing {
        return Some(Verdict::yes(
            reason::SERVICE_ACCOUNT_MISSING,
            format!(
                "the ServiceAccount {} of spec.serviceAccounts does not exist in this namespace, so no pod authenticates by it; \
                 make it, claviger looks once a minute",
                missing.name
            ),
        ));
    }
    (!client.requires_pkce()).then(|| {
        Verdict::yes(
            reason::PKCE_OPTIONAL,
            "spec.pkce is Optional: a code that is asked for without PKCE can be slipped into somebody else's sign-in; set it \
             to Required as soon as the app sends a code_challenge",
        )
    })
}

/// While a changed spec is refused, the registration and the Secret of the last good one stay; apps go on mounting it.
fn still_there(resource: &OidcClient, record: Option<&ClientRecord>) -> Option<SecretReference> {
    let shown = resource.status.as_ref()?.secret_ref.clone()?;
    (shown.name == record?.secret_name).then_some(shown)
}

/// What to say when the Secret holds another version than the status told of before; `None` when it does not.
pub(super) fn rotated(resource: &OidcClient, status: &OidcClientStatus) -> Option<String> {
    let before = resource.status.as_ref()?.secret_versions.last()?;
    let newest = status.secret_versions.last()?;
    let is_written = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == SECRET_READY && condition.status == "True");
    if before.id == newest.id || !is_written {
        return None;
    }
    let others = status.secret_versions.iter().rev().skip(1);
    Some(match others.filter_map(|version| version.retires_at.as_ref()).max() {
        Some(until) => format!(
            "the client secret was rotated; the Secret holds the new one, and the one before is accepted until {}",
            until.0
        ),
        None => "the client secret was rotated and the one before is not accepted any more; apps that read the Secret only at \
                 their start must be restarted"
            .to_owned(),
    })
}

/// Writes the status, if it differs from what the resource shows. Gives the resource as it then is; `None` when nothing
/// was written, or when the resource is gone.
pub(super) async fn write(
    client: &Client,
    resource: &OidcClient,
    status: &OidcClientStatus,
) -> Result<Option<OidcClient>, kube::Error> {
    if resource.status.as_ref() == Some(status) {
        return Ok(None);
    }
    patch_status(client, resource, patch(status)).await
}

/// A merge patch that says every field, the absent ones as null: a field that is left out would stay as it was.
fn patch(status: &OidcClientStatus) -> serde_json::Value {
    // Destructured without `..`, so that a new field does not compile until it is written.
    let OidcClientStatus {
        observed_generation,
        client_id,
        secret_ref,
        redirect_uris,
        secret_versions,
        observed_rotate,
        observed_rotate_now,
        next_rotation,
        binding,
        conditions,
    } = status;
    json!({"status": {
        "observedGeneration": observed_generation,
        "clientId": client_id,
        "secretRef": secret_ref,
        "redirectUris": redirect_uris,
        "secretVersions": secret_versions,
        "observedRotate": observed_rotate,
        "observedRotateNow": observed_rotate_now,
        "nextRotation": next_rotation,
        "binding": binding,
        "conditions": conditions,
    }})
}
