//! Writes the Secret of a registered client.

use super::build;
use super::validate::ValidClient;
use crate::controller::condition::Verdict;
use crate::controller::secret::{self, Expected, SecretWrite};
use crate::controller::{ControllerContext, MANAGER};
use crate::crd::v1alpha1::SecretReference;
use crate::crd::v1alpha1::condition::reason;
use crate::store::records::ClientRecord;

/// What became of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// It holds what it should.
    Secret(SecretReference),
    /// One of that name belongs to somebody else.
    Foreign(Verdict),
    /// It could not be written, and somebody has to do something.
    Refused(Verdict),
    /// The namespace is being deleted.
    NamespaceTerminating,
}

/// Writes the Secret with the newest version of the client secret.
pub(super) async fn apply(
    context: &ControllerContext,
    valid: &ValidClient,
    record: &ClientRecord,
    expected: Expected,
) -> Result<Applied, kube::Error> {
    let client_secret = match record.secret_versions.last() {
        Some(newest) if valid.client.has_secret() => {
            let secret =
                context
                    .keyring
                    .current()
                    .client_secret(&newest.master_key_id, &valid.client.uid, &newest.id);
            let Some(secret) = secret else {
                return Ok(Applied::Refused(Verdict::no(
                    reason::MASTER_KEY_MISSING,
                    "the keyring does not hold the master key of this client's secret; restore the keyring from a backup",
                )));
            };
            Some(secret)
        }
        _ => None,
    };
    let secret = build::secret(
        valid,
        client_secret.as_ref().map(|secret| secret.as_str()),
        &context.settings,
    );
    let name = &valid.secret_name;
    Ok(match secret::write(&context.client, &secret, expected).await? {
        SecretWrite::Written { uid } => Applied::Secret(SecretReference {
            name: name.clone(),
            uid: Some(uid),
        }),
        SecretWrite::NamespaceTerminating => Applied::NamespaceTerminating,
        SecretWrite::Foreign => Applied::Foreign(Verdict::no(
            reason::SECRET_CONFLICT,
            format!(
                "a Secret {name} that this OidcClient does not own exists already; delete it, or set another \
                 spec.secret.name"
            ),
        )),
        SecretWrite::Forbidden(answer) => Applied::Refused(Verdict::no(
            reason::FORBIDDEN,
            format!("{MANAGER} lacks the right to write the Secret {name}: {answer}"),
        )),
        SecretWrite::Refused(answer) => Applied::Refused(Verdict::no(
            reason::SECRET_REFUSED,
            format!("the API server does not take the Secret {name}: {answer}"),
        )),
    })
}
