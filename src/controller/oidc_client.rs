//! Reconciles `OidcClient`: the driver; each step is a file.

mod apply;
mod build;
mod dereference;
mod register;
mod resources;
mod rotate;
mod rotation;
mod service_accounts;
mod status;
mod validate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::ControllerContext;
use super::audit;
use super::digest;
use super::fail_point::{FailPoint, reach};
use super::kube_error::describe;
use super::pace::Pace;
use super::reconciler::{COLLECTION_ATTEMPTS, Look, Next, Outcome, REFUSED_PAUSE, Reconciler};
use super::secret::Expected;
use crate::clock::{Timestamp, later};
use crate::crd::v1alpha1::{OidcClient, OidcClientStatus};
use crate::oidc::identifier::ResourceUid;
use crate::store::StoreError;
use crate::store::records::{ClientRecord, Digest, ResourceRef};
use apply::Applied;
use register::Registered;
use rotate::{Pending, Rotated};
use service_accounts::{ClusterKeys, LookUpError};
use status::Verdicts;
use validate::ValidClient;

/// A namespace that is being deleted gets no creates for this long; then one try tells whether it came back.
const TERMINATING_PAUSE: Duration = Duration::from_mins(1);

/// Why a reconcile has to be tried again.
#[derive(Debug, Error)]
enum ReconcileError {
    #[error("failed to read the client from the store: {0}")]
    Dereference(StoreError),
    #[error("failed to look up the client's ServiceAccounts: {0}")]
    ServiceAccounts(LookUpError),
    #[error("failed to register the client in the store: {0}")]
    Register(StoreError),
    #[error("failed to rotate the client's secret in the store: {0}")]
    Rotate(StoreError),
    #[error("the versions of the client's secret were changed by somebody else meanwhile")]
    Overtaken,
    #[error("failed to write the Secret: {0}")]
    Apply(String),
    #[error(
        "unable to write the Secret yet: one of that name belongs to somebody else, perhaps to a deleted predecessor"
    )]
    Foreign,
    #[error("failed to write the status: {0}")]
    Status(String),
    #[error("failed to note in the store what is done: {0}")]
    Complete(StoreError),
}

/// Reconciles `OidcClient`.
pub(super) struct OidcClients {
    context: ControllerContext,
    /// Namespaces that are being deleted, and until when they are left alone.
    terminating: Mutex<HashMap<String, Timestamp>>,
    /// When whose secret may be replaced, where nobody waits for it.
    rotations: Pace,
    /// The keys by which the cluster signs tokens of ServiceAccounts.
    cluster_keys: ClusterKeys,
}

/// A client that is registered, with what is still to come.
struct Due<'a> {
    resource: &'a OidcClient,
    valid: ValidClient,
    record: Box<ClientRecord>,
    pending: Option<Pending>,
}

impl Due<'_> {
    fn postponed(&self) -> Option<Timestamp> {
        match self.pending {
            Some(Pending::Postponed(until)) => Some(until),
            Some(Pending::Unfinished | Pending::Turn(_)) | None => None,
        }
    }

    /// Decides nothing but which call is tried first, so that the status may be asked.
    fn expected(&self) -> Expected {
        let status = self.resource.status.as_ref();
        if self.record.done.is_some() || status.is_some_and(|status| status.secret_ref.is_some()) {
            Expected::Present
        } else {
            Expected::Absent
        }
    }

    fn digest(&self, context: &ControllerContext) -> Option<Digest> {
        build::digest(&self.valid, &self.record, self.postponed(), &context.settings)
    }

    /// When it is looked at again if all goes well.
    fn next(&self, now: Timestamp) -> Next {
        match self.pending {
            Some(Pending::Unfinished) => Next::Again(Duration::ZERO),
            Some(Pending::Turn(wait)) => Next::Again(wait),
            // The oldest version's end is what is waited for.
            Some(Pending::Postponed(_)) | None => {
                rotation::next_look(&self.valid.rotation, &self.record, self.pending.is_none(), now)
            }
        }
    }
}

impl OidcClients {
    pub(super) fn new(context: ControllerContext) -> Self {
        Self {
            context,
            terminating: Mutex::default(),
            rotations: Pace::new(rotate::ROTATION_GAP),
            cluster_keys: ClusterKeys::default(),
        }
    }

    async fn steps(&self, resource: &OidcClient, look: Look) -> Result<Outcome<OidcClient>, ReconcileError> {
        let context = &self.context;
        let known = dereference::record(context, resource)
            .await
            .map_err(ReconcileError::Dereference)?;
        let known = register::restrict_at_once(context, resource, known)
            .await
            .map_err(ReconcileError::Register)?;
        let known = match self.cluster_keys.renew(context, known.clone()).await {
            Ok(known) => known,
            Err(error) => return self.not_looked_up(resource, known.as_ref(), error).await,
        };
        let mut valid = match validate::validate(resource, &context.settings, known.as_ref()) {
            Ok(valid) => valid,
            Err(verdict) => {
                let verdicts = Verdicts::not_accepted(verdict);
                return self
                    .refused(resource, known.as_ref(), &verdicts, Next::Change)
                    .await;
            }
        };
        if let Err(error) = self.cluster_keys.complete(context, &mut valid).await {
            return self.not_looked_up(resource, known.as_ref(), error).await;
        }
        let registered = register::register(context, resource, &valid, known.clone())
            .await
            .map_err(ReconcileError::Register)?;
        let record = match registered {
            Registered::Record(record) => record,
            Registered::Refused(verdict, next) => {
                // Nothing of the spec need have changed: somebody else has claimed an API that it names.
                self.undo(known.as_ref()).await?;
                let verdicts = Verdicts::not_accepted(verdict);
                return self.refused(resource, known.as_ref(), &verdicts, next).await;
            }
        };
        let rotated = rotate::rotate(context, &self.rotations, &valid, record)
            .await
            .map_err(ReconcileError::Rotate)?;
        let Rotated::Record(record, pending) = rotated else {
            return Err(ReconcileError::Overtaken);
        };
        let due = Due {
            resource,
            valid,
            record,
            pending,
        };
        let done = due.digest(context);
        let was_done = done.is_some() && due.record.done == done;
        if was_done && !look.heals {
            return Ok(Outcome::next(due.next(context.clock.now())));
        }
        reach(FailPoint::AfterRegister);
        self.finish(due, was_done, look.attempt).await
    }

    /// Everything that the API server sees of it.
    async fn finish(
        &self,
        mut due: Due<'_>,
        was_done: bool,
        attempt: u32,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let context = &self.context;
        if self.is_terminating(&due.valid.resource.namespace) {
            return Ok(Outcome::next(Next::Again(TERMINATING_PAUSE)));
        }
        let applied = apply::apply(context, &due.valid, &due.record, due.expected())
            .await
            .map_err(|error| ReconcileError::Apply(describe(&error)))?;
        reach(FailPoint::AfterSecret);
        match &applied {
            Applied::Secret { .. } => self.succeed(&mut due, applied, was_done).await,
            Applied::Foreign(_) if attempt < COLLECTION_ATTEMPTS => Err(ReconcileError::Foreign),
            Applied::Foreign(_) | Applied::Refused(_) => {
                if was_done {
                    // What was done no longer holds; the next look must not take it for done.
                    self.complete(&due, digest::undone()).await?;
                }
                let verdicts = Verdicts::applied(&due.valid, applied);
                self.write_status(&due, &verdicts, Next::Later(REFUSED_PAUSE))
                    .await
            }
            Applied::NamespaceTerminating => {
                self.note_terminating(&due.valid.resource.namespace);
                Ok(Outcome::next(Next::Again(TERMINATING_PAUSE)))
            }
        }
    }

    /// The Secret holds the newest version: says so, and when the older ones end.
    async fn succeed(
        &self,
        due: &mut Due<'_>,
        applied: Applied,
        was_done: bool,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let context = &self.context;
        let told = due.resource.status.as_ref();
        let told = told.map_or(&[][..], |status| &status.secret_versions);
        let end = rotation::end_of_older(&due.valid.rotation, &due.record, told, context.clock.now());
        if let Some(end) = end {
            *due.record = rotation::with_end(&due.record, end);
        }
        let verdicts = Verdicts::applied(&due.valid, applied).with_postponed(due.postponed());
        let next = due.next(context.clock.now());
        let outcome = self.write_status(due, &verdicts, next).await?;
        reach(FailPoint::AfterStatus);
        if let (Some(end), Some(newest)) = (end, due.record.secret_versions.last()) {
            let uid = &due.valid.client.uid;
            let retired = context.store.retire_client_secrets(uid, &newest.id, end).await;
            if retired.map_err(ReconcileError::Rotate)?.is_none() {
                return Err(ReconcileError::Overtaken);
            }
            reach(FailPoint::AfterRetire);
        }
        if !was_done && let Some(done) = due.digest(context) {
            self.complete(due, done).await?;
            reach(FailPoint::AfterComplete);
        }
        Ok(outcome)
    }

    async fn complete(&self, due: &Due<'_>, done: Digest) -> Result<(), ReconcileError> {
        let store = &self.context.store;
        let completed = store.complete_client(&due.valid.client.uid, done).await;
        completed.map_err(ReconcileError::Complete)
    }

    /// What was done no longer holds, and the look after the refusal must not take it for done.
    async fn undo(&self, known: Option<&ClientRecord>) -> Result<(), ReconcileError> {
        let Some(known) = known.filter(|known| known.done.is_some()) else {
            return Ok(());
        };
        let undone = self
            .context
            .store
            .complete_client(&known.client.uid, digest::undone());
        undone.await.map_err(ReconcileError::Complete)
    }

    /// Nobody says whose tokens are good: what is known of that stays.
    async fn not_looked_up(
        &self,
        resource: &OidcClient,
        known: Option<&ClientRecord>,
        error: LookUpError,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let LookUpError::Refused(verdict) = error else {
            return Err(ReconcileError::ServiceAccounts(error));
        };
        self.undo(known).await?;
        let verdicts = Verdicts::not_accepted(verdict);
        self.refused(resource, known, &verdicts, Next::Later(REFUSED_PAUSE))
            .await
    }

    /// The status of a client whose spec is not accepted; what was registered before stays.
    async fn refused(
        &self,
        resource: &OidcClient,
        known: Option<&ClientRecord>,
        verdicts: &Verdicts,
        next: Next,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let status = status::build(resource, known, verdicts, None, self.context.clock.now());
        self.put_status(resource, &status, next).await
    }

    async fn write_status(
        &self,
        due: &Due<'_>,
        verdicts: &Verdicts,
        next: Next,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let next_rotation = rotation::next_rotation(&due.valid.rotation, &due.record);
        let now = self.context.clock.now();
        let status = status::build(due.resource, Some(&due.record), verdicts, next_rotation, now);
        self.put_status(due.resource, &status, next).await
    }

    async fn put_status(
        &self,
        resource: &OidcClient,
        status: &OidcClientStatus,
        next: Next,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let written = status::write(&self.context.client, resource, status)
            .await
            .map_err(|error| ReconcileError::Status(describe(&error)))?;
        if written.is_some() {
            let before = resource.status.as_ref();
            let before = before.map_or(&[][..], |status| &status.conditions);
            self.context.events.changed(resource, before, &status.conditions);
            if let Some(note) = status::rotated(resource, status) {
                self.context.events.rotated(resource, &note);
            }
        }
        Ok(Outcome { written, next })
    }

    fn is_terminating(&self, namespace: &str) -> bool {
        let now = self.context.clock.now();
        let mut terminating = self.terminating.lock().unwrap_or_else(PoisonError::into_inner);
        terminating.retain(|_, until| *until > now);
        terminating.contains_key(namespace)
    }

    fn note_terminating(&self, namespace: &str) {
        let until = later(self.context.clock.now(), TERMINATING_PAUSE);
        self.terminating
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(namespace.to_owned(), until);
    }
}

#[async_trait]
impl Reconciler for OidcClients {
    type Resource = OidcClient;
    const KIND: &'static str = "OidcClient";

    fn claims(&self, resource: &OidcClient) -> Vec<String> {
        validate::validate(resource, &self.context.settings, None)
            .map(|valid| {
                let identifiers = valid.client.resource_identifiers.iter();
                let mut claims = vec![
                    format!("client id {}", valid.client.client_id),
                    format!("Secret {}/{}", valid.resource.namespace, valid.secret_name),
                ];
                claims.extend(identifiers.map(|identifier| format!("resource {identifier}")));
                claims
            })
            .unwrap_or_default()
    }

    fn held_before(&self, resource: &OidcClient) -> bool {
        let Some(status) = &resource.status else {
            return false;
        };
        validate::validate(resource, &self.context.settings, None).is_ok_and(|valid| {
            status.client_id.as_deref() == Some(valid.client.client_id.as_str())
                && status.secret_ref.as_ref().map(|secret| secret.name.as_str()) == Some(&valid.secret_name)
                // No status names them; a spec that was refused names what somebody else held.
                && (valid.client.resource_identifiers.is_empty() || status::is_accepted(status))
        })
    }

    async fn register(&self, resource: &OidcClient) -> Result<(), StoreError> {
        let known = dereference::record(&self.context, resource).await?;
        let known = register::restrict_at_once(&self.context, resource, known).await?;
        let Ok(mut valid) = validate::validate(resource, &self.context.settings, known.as_ref()) else {
            return Ok(());
        };
        // A store that was lost knows no accounts. Where they cannot be had, the reconcile says so.
        let _looked_up = self.cluster_keys.complete(&self.context, &mut valid).await;
        match register::register(&self.context, resource, &valid, known).await? {
            Registered::Record(record) => rotate::end_leaked(&self.context, &valid, &record).await,
            Registered::Refused(..) => Ok(()),
        }
    }

    fn owns_secret(&self, _: &OidcClient) -> bool {
        true
    }

    async fn reconcile(&self, resource: Arc<OidcClient>, look: Look) -> Outcome<OidcClient> {
        let mut outcome = self
            .steps(&resource, look)
            .await
            .unwrap_or_else(|error| Outcome::next(Next::Failed(error.to_string())));
        if !resource.spec.service_accounts.is_empty() {
            let interval = self.context.settings.service_account_interval;
            outcome.next = service_accounts::next_look(outcome.next, interval);
        }
        outcome
    }

    async fn remove(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        self.context.store.remove_client(uid).await?;
        audit::gone("client_removed", std::slice::from_ref(uid));
        Ok(())
    }

    async fn known(&self) -> Result<HashMap<ResourceUid, ResourceRef>, StoreError> {
        let clients = self.context.store.clients().await?;
        Ok(clients
            .into_iter()
            .filter(|record| record.absent_since.is_none())
            .map(|record| (record.client.uid, record.resource))
            .collect())
    }

    async fn mark_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        self.context.store.mark_clients_absent(uids).await?;
        audit::gone("client_absent", uids);
        Ok(())
    }
}
