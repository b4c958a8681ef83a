//! Makes a new version of a client secret in the store, where one is due, and forgets those whose time is over.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::Instant;

use super::rotation::{self, Cause, Decision};
use super::validate::ValidClient;
use crate::clock::Timestamp;
use crate::controller::fail_point::{FailPoint, reach};
use crate::controller::pace::Pace;
use crate::controller::{ControllerContext, audit};
use crate::oidc::opaque_token::TokenHash;
use crate::random;
use crate::store::records::{ClientRecord, SecretRotation, SecretVersion};
use crate::store::{RotateClientSecret, StoreError};

/// Between two rotations that nobody waits for: a new master key must not become a wave of writes.
pub(super) const ROTATION_GAP: Duration = Duration::from_millis(250);

/// A rotation that is due and has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    /// The one before is not finished.
    Unfinished,
    /// Too many versions are valid until then.
    Postponed(Timestamp),
    /// Others come first; it is this client's turn after this time.
    Turn(Duration),
}

/// What came of it.
pub(super) enum Rotated {
    /// The record as it now stands.
    Record(Box<ClientRecord>, Option<Pending>),
    /// Somebody else changed the versions meanwhile, or removed the client.
    Overtaken,
}

/// Rotates where it is due; `pace` says whether a rotation that can wait has to.
pub(super) async fn rotate(
    context: &ControllerContext,
    pace: &Pace,
    valid: &ValidClient,
    record: Box<ClientRecord>,
) -> Result<Rotated, StoreError> {
    let now = context.clock.now();
    let uid = &valid.client.uid;
    let record = if rotation::has_retired(&record, now) {
        let Some(record) = context.store.forget_retired_client_secrets(uid).await? else {
            return Ok(Rotated::Overtaken);
        };
        reach(FailPoint::AfterForget);
        Box::new(record)
    } else {
        record
    };
    let keyring = context.keyring.current();
    let master_key_id = keyring.current_master_key_id();
    let decision = rotation::decide(&valid.rotation, &valid.requests, &record, master_key_id, now);
    match decision {
        Decision::Keep => Ok(Rotated::Record(record, None)),
        Decision::Unfinished => Ok(Rotated::Record(record, Some(Pending::Unfinished))),
        Decision::Postponed(until) => Ok(Rotated::Record(record, Some(Pending::Postponed(until)))),
        Decision::Rotate(cause) => match cause.can_wait().then(|| pace.turn(uid, Instant::now())).flatten() {
            Some(wait) => Ok(Rotated::Record(record, Some(Pending::Turn(wait)))),
            None => add_version(context, valid, &record, cause).await,
        },
    }
}

/// Ends what has leaked, before a client that was found again is served; everything else has time.
pub(super) async fn end_leaked(
    context: &ControllerContext,
    valid: &ValidClient,
    record: &ClientRecord,
) -> Result<(), StoreError> {
    let keyring = context.keyring.current();
    let master_key_id = keyring.current_master_key_id();
    let now = context.clock.now();
    let decision = rotation::decide(&valid.rotation, &valid.requests, record, master_key_id, now);
    if decision == Decision::Rotate(Cause::EndNow) {
        // Overtaken or not, the reconcile that follows looks again.
        add_version(context, valid, record, Cause::EndNow).await?;
    }
    Ok(())
}

async fn add_version(
    context: &ControllerContext,
    valid: &ValidClient,
    record: &ClientRecord,
    cause: Cause,
) -> Result<Rotated, StoreError> {
    let uid = &valid.client.uid;
    let id = URL_SAFE_NO_PAD.encode(random::bytes::<9>(context.random.as_ref()));
    let keyring = context.keyring.current();
    let master_key_id = keyring.current_master_key_id().to_owned();
    let (Some(secret), Some(newest)) = (
        keyring.client_secret(&master_key_id, uid, &id),
        record.secret_versions.last(),
    ) else {
        return Ok(Rotated::Overtaken);
    };
    let rotation = SecretRotation {
        current: newest.id.clone(),
        next: SecretVersion {
            id: id.clone(),
            master_key_id,
            created_at: context.clock.now(),
            retires_at: None,
            hash: TokenHash::of(secret.as_bytes()),
        },
        observed: valid.requests.carried_out(&record.observed_rotation),
        ends_others: cause == Cause::EndNow,
    };
    reach(FailPoint::BeforeRotate);
    match context.store.rotate_client_secret(uid, rotation).await? {
        RotateClientSecret::Rotated(record) => {
            audit::rotation(&record.client.client_id, uid, &id, cause.name());
            reach(FailPoint::AfterRotate);
            Ok(Rotated::Record(record, None))
        }
        RotateClientSecret::Full | RotateClientSecret::Changed => Ok(Rotated::Overtaken),
    }
}
