//! Reconciles `OidcClient`: the driver; each step is a file.

mod apply;
mod build;
mod dereference;
mod register;
mod status;
mod validate;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::ControllerContext;
use super::audit;
use super::fail_point::{FailPoint, reach};
use super::kube_error::describe;
use super::reconciler::{COLLECTION_ATTEMPTS, Next, Outcome, REFUSED_PAUSE, Reconciler};
use crate::clock::{Timestamp, later};
use crate::crd::v1alpha1::OidcClient;
use crate::oidc::identifier::ResourceUid;
use crate::store::StoreError;
use crate::store::records::ClientRecord;
use apply::Applied;
use register::Registered;
use status::Verdicts;
use validate::ValidClient;

/// A namespace that is being deleted gets no creates for this long; then one try tells whether it came back.
const TERMINATING_PAUSE: Duration = Duration::from_mins(1);

/// Why a reconcile has to be tried again.
#[derive(Debug, Error)]
enum ReconcileError {
    #[error("failed to read the client from the store: {0}")]
    Dereference(StoreError),
    #[error("failed to register the client in the store: {0}")]
    Register(StoreError),
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
}

impl OidcClients {
    pub(super) fn new(context: ControllerContext) -> Self {
        Self {
            context,
            terminating: Mutex::default(),
        }
    }

    async fn steps(
        &self,
        resource: &OidcClient,
        attempt: u32,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let context = &self.context;
        let known = dereference::record(context, resource)
            .await
            .map_err(ReconcileError::Dereference)?;
        let known = register::suspend_at_once(context, resource, known)
            .await
            .map_err(ReconcileError::Register)?;
        let valid = match validate::validate(resource, &context.settings) {
            Ok(valid) => valid,
            Err(verdict) => {
                let verdicts = Verdicts::not_accepted(verdict);
                return self
                    .write_status(resource, known.as_ref(), &verdicts, Next::Change)
                    .await;
            }
        };
        let registered = register::register(context, resource, &valid, known.clone())
            .await
            .map_err(ReconcileError::Register)?;
        let record = match registered {
            Registered::Record(record) => record,
            Registered::Refused(verdict, next) => {
                let verdicts = Verdicts::not_accepted(verdict);
                return self.write_status(resource, known.as_ref(), &verdicts, next).await;
            }
        };
        let done = build::digest(&valid, &record, &context.settings);
        if done.is_some() && record.done == done {
            return Ok(Outcome::next(Next::Change));
        }
        reach(FailPoint::AfterRegister);
        self.finish(resource, &valid, &record, attempt).await
    }

    /// Everything that the API server sees of it.
    async fn finish(
        &self,
        resource: &OidcClient,
        valid: &ValidClient,
        record: &ClientRecord,
        attempt: u32,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let context = &self.context;
        if self.is_terminating(&valid.resource.namespace) {
            return Ok(Outcome::next(Next::Again(TERMINATING_PAUSE)));
        }
        let applied = apply::apply(context, valid, record)
            .await
            .map_err(|error| ReconcileError::Apply(describe(&error)))?;
        reach(FailPoint::AfterSecret);
        let next = match &applied {
            Applied::Secret { .. } => Next::Change,
            Applied::Foreign(_) if attempt < COLLECTION_ATTEMPTS => return Err(ReconcileError::Foreign),
            Applied::Foreign(_) | Applied::Refused(_) => Next::Later(REFUSED_PAUSE),
            Applied::NamespaceTerminating => {
                self.note_terminating(&valid.resource.namespace);
                return Ok(Outcome::next(Next::Again(TERMINATING_PAUSE)));
            }
        };
        let complete = matches!(applied, Applied::Secret { .. });
        let verdicts = Verdicts::applied(valid, applied);
        let outcome = self.write_status(resource, Some(record), &verdicts, next).await?;
        reach(FailPoint::AfterStatus);
        if complete && let Some(done) = build::digest(valid, record, &context.settings) {
            context
                .store
                .complete_client(&valid.client.uid, done)
                .await
                .map_err(ReconcileError::Complete)?;
        }
        Ok(outcome)
    }

    async fn write_status(
        &self,
        resource: &OidcClient,
        record: Option<&ClientRecord>,
        verdicts: &Verdicts,
        next: Next,
    ) -> Result<Outcome<OidcClient>, ReconcileError> {
        let status = status::build(resource, record, verdicts, self.context.clock.now());
        let written = status::write(&self.context.client, resource, &status)
            .await
            .map_err(|error| ReconcileError::Status(describe(&error)))?;
        if written.is_some() {
            let before = resource.status.as_ref();
            let before = before.map_or(&[][..], |status| &status.conditions);
            self.context.events.changed(resource, before, &status.conditions);
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
        validate::validate(resource, &self.context.settings)
            .map(|valid| {
                vec![
                    format!("client id {}", valid.client.client_id),
                    format!("Secret {}/{}", valid.resource.namespace, valid.secret_name),
                ]
            })
            .unwrap_or_default()
    }

    async fn register(&self, resource: &OidcClient) -> Result<(), StoreError> {
        let known = dereference::record(&self.context, resource).await?;
        let known = register::suspend_at_once(&self.context, resource, known).await?;
        let Ok(valid) = validate::validate(resource, &self.context.settings) else {
            return Ok(());
        };
        register::register(&self.context, resource, &valid, known).await?;
        Ok(())
    }

    async fn reconcile(&self, resource: Arc<OidcClient>, attempt: u32) -> Outcome<OidcClient> {
        self.steps(&resource, attempt)
            .await
            .unwrap_or_else(|error| Outcome::next(Next::Failed(error.to_string())))
    }

    async fn remove(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        self.context.store.remove_client(uid).await?;
        audit::gone("client_removed", std::slice::from_ref(uid));
        Ok(())
    }

    async fn known(&self) -> Result<HashSet<ResourceUid>, StoreError> {
        let clients = self.context.store.clients().await?;
        Ok(clients
            .into_iter()
            .filter(|record| record.absent_since.is_none())
            .map(|record| record.client.uid)
            .collect())
    }

    async fn mark_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        self.context.store.mark_clients_absent(uids).await?;
        audit::gone("client_absent", uids);
        Ok(())
    }
}
