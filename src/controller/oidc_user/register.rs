//! Registers a user in the store.

use super::password::Password;
use super::validate::ValidUser;
use crate::controller::ControllerContext;
use crate::controller::audit;
use crate::controller::condition::Verdict;
use crate::controller::fail_point::{FailPoint, reach};
use crate::controller::reconciler::{CLAIM_PAUSE, Next};
use crate::crd::v1alpha1::condition::reason;
use crate::crd::v1alpha1::{OidcUser, RESTORE_SUBJECT};
use crate::oidc::end_user::EndUser;
use crate::store::records::{UserRecord, UserRegistration};
use crate::store::{RegisterUser, StoreError};

/// What registering came to.
pub(super) enum Registered {
    /// The record as it now stands.
    Record(Box<UserRecord>),
    /// Why the user is not registered.
    Refused(Verdict, Next),
}

/// Registers `valid`, unless the store holds exactly that already.
pub(super) async fn register(
    context: &ControllerContext,
    valid: &ValidUser,
    password: &Password,
    known: Option<&UserRecord>,
) -> Result<Registered, StoreError> {
    if let Some(record) = known
        && record.user == valid.user
        && record.resource == valid.resource
        && record.password == password.record
        && record.absent_since.is_none()
    {
        return Ok(Registered::Record(Box::new(record.clone())));
    }
    let event = if known.is_some() {
        "user_changed"
    } else {
        "user_registered"
    };
    let registration = UserRegistration {
        user: valid.user.clone(),
        resource: valid.resource.clone(),
        password: password.record.clone(),
        restores_subject: valid.restores_subject,
    };
    reach(FailPoint::BeforeRegister);
    Ok(match context.store.register_user(registration).await? {
        RegisterUser::Registered(record) => {
            audit::user(event, &record.user.subject, &record.user.uid);
            if is_reset(known, &record) {
                audit::user("password_reset", &record.user.subject, &record.user.uid);
            }
            Registered::Record(record)
        }
        RegisterUser::UsernameHeld(holder) => Registered::Refused(
            Verdict::no(
                reason::USERNAME_CONFLICT,
                format!(
                    "the username {} is held by the OidcUser {holder}; set another spec.username",
                    valid.user.username
                ),
            ),
            Next::Waiting(CLAIM_PAUSE),
        ),
        RegisterUser::SubjectHeld(holder) => Registered::Refused(
            Verdict::no(
                reason::SUBJECT_CONFLICT,
                format!("the subject of spec.subject is held by the OidcUser {holder}"),
            ),
            Next::Waiting(CLAIM_PAUSE),
        ),
        RegisterUser::SubjectIsClientId(holder) => Registered::Refused(
            Verdict::no(
                reason::SUBJECT_CONFLICT,
                format!(
                    "the subject of spec.subject is the client id of the OidcClient {holder}, or was until a day ago, and \
                     apps could take one for the other; set another spec.subject"
                ),
            ),
            Next::Waiting(CLAIM_PAUSE),
        ),
        RegisterUser::SubjectRetired => Registered::Refused(
            Verdict::no(
                reason::SUBJECT_CONFLICT,
                format!(
                    "the subject of spec.subject belonged to a user who was deleted, and is never given to another; if \
                     this is the same person, set the annotation {RESTORE_SUBJECT} to the value of spec.subject, else set \
                     another spec.subject"
                ),
            ),
            Next::Change,
        ),
    })
}

/// Whether the person has another password now than they had, without having chosen it.
fn is_reset(known: Option<&UserRecord>, record: &UserRecord) -> bool {
    let before = known.and_then(|known| known.password.as_ref());
    match (before, &record.password) {
        (Some(before), Some(after)) => before.source != after.source && before.hash != after.hash,
        _ => false,
    }
}

/// `spec.disabled` holds whatever else the spec says, and whether or not the password's Secret can be read: nothing that
/// fails later may keep a person signed in.
pub(super) async fn disable_at_once(
    context: &ControllerContext,
    resource: &OidcUser,
    known: Option<UserRecord>,
) -> Result<Option<UserRecord>, StoreError> {
    let record = match known {
        Some(record) if resource.spec.disabled && !record.user.disabled => record,
        known => return Ok(known),
    };
    let registration = UserRegistration {
        user: EndUser {
            disabled: true,
            ..record.user
        },
        resource: record.resource,
        password: record.password,
        restores_subject: false,
    };
    Ok(match context.store.register_user(registration).await? {
        RegisterUser::Registered(record) => Some(*record),
        // They hold their claims; somebody else can hold them only if they were removed meanwhile.
        RegisterUser::UsernameHeld(_)
        | RegisterUser::SubjectHeld(_)
        | RegisterUser::SubjectRetired
        | RegisterUser::SubjectIsClientId(_) => None,
    })
}
