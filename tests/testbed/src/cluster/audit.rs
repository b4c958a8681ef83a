//! The API server's own account of who did what.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// One request, as the API server has answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who asked; `system:serviceaccount:<namespace>:<name>` for a ServiceAccount.
    pub user: String,
    /// `create`, `update`, `patch`, `delete`, `get`, `list`, `watch`, …
    pub verb: String,
    /// The plural, empty for requests that are about no resource.
    pub resource: String,
    /// For example `status`, empty for the resource itself.
    pub subresource: String,
    /// Empty for cluster-wide ones.
    pub namespace: String,
    /// Empty where the request names none.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Whether it only asked what would happen.
    pub dry_run: bool,
}

impl AuditEvent {
    /// Whether it asked for a change of something.
    pub fn is_write(&self) -> bool {
        !self.dry_run
            && matches!(
                self.verb.as_str(),
                "create" | "update" | "patch" | "delete" | "deletecollection"
            )
    }
}

/// Reads the log as far as it is written; a last line that is still incomplete is left for the next time.
pub(super) fn read(log: &Path) -> Result<Vec<AuditEvent>> {
    let text = std::fs::read_to_string(log)
        .with_context(|| format!("failed to read {}: was the audit log asked for?", log.display()))?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete
        .lines()
        .map(|line| {
            let raw: Raw =
                serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
            Ok(raw)
        })
        // The answer to a watch is seen when it begins and when it ends; the end is the complete one.
        .filter(|raw| raw.as_ref().is_ok_and(|raw| raw.stage == "ResponseComplete") || raw.is_err())
        .map(|raw| raw.map(AuditEvent::from))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: RawUser,
    #[serde(default)]
    object_ref: RawObject,
    #[serde(default)]
    response_status: RawStatus,
}

#[derive(Deserialize)]
struct RawUser {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawObject {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawStatus {
    code: u16,
}

impl From<Raw> for AuditEvent {
    fn from(raw: Raw) -> Self {
        Self {
            user: raw.user.username,
            verb: raw.verb,
            resource: raw.object_ref.resource,
            subresource: raw.object_ref.subresource,
            namespace: raw.object_ref.namespace,
            name: raw.object_ref.name,
            code: raw.response_status.code,
            dry_run: raw
                .request_uri
                .split_once('?')
                .is_some_and(|(_, query)| query.contains("dryRun=")),
        }
    }
}
