//! Writes the Secret of a generated password.

use super::build;
use super::password::Password;
use super::validate::ValidUser;
use crate::controller::condition::Verdict;
use crate::controller::secret::{self, Expected, SecretWrite};
use crate::controller::{ControllerContext, MANAGER};
use crate::crd::v1alpha1::SecretReference;
use crate::crd::v1alpha1::condition::reason;

/// What became of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// There is none to write.
    Nothing,
    /// It holds what it should.
    Secret(SecretReference),
    /// One of that name belongs to somebody else.
    Foreign(Verdict),
    /// It could not be written, and somebody has to do something.
    Refused(Verdict),
}

/// Writes the Secret, if the password is generated.
pub(super) async fn apply(
    context: &ControllerContext,
    valid: &ValidUser,
    password: &Password,
    expected: Expected,
) -> Result<Applied, kube::Error> {
    let Some(clear) = &password.generated else {
        return Ok(Applied::Nothing);
    };
    let name = build::secret_name(valid);
    let refused = |reason, message| Applied::Refused(Verdict::no(reason, message));
    Ok(
        match secret::write(&context.client, &build::secret(valid, clear), expected).await? {
            SecretWrite::Written { uid } => Applied::Secret(SecretReference { name, uid: Some(uid) }),
            SecretWrite::Foreign => Applied::Foreign(Verdict::no(
                reason::SECRET_CONFLICT,
                format!("a Secret {name} that this OidcUser does not own exists already; delete it"),
            )),
            SecretWrite::NamespaceTerminating => refused(
                reason::NAMESPACE_TERMINATING,
                "the namespace is being deleted".to_owned(),
            ),
            SecretWrite::Forbidden(answer) => refused(
                reason::FORBIDDEN,
                format!("{MANAGER} lacks the right to write the Secret {name}: {answer}"),
            ),
            SecretWrite::Refused(answer) => refused(
                reason::SECRET_REFUSED,
                format!("the API server does not take the Secret {name}: {answer}"),
            ),
        },
    )
}
