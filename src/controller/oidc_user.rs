//! Reconciles `OidcUser`: the driver; each step is a file.

mod apply;
mod build;
mod dereference;
mod password;
mod register;
mod status;
mod validate;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::ControllerContext;
use super::audit;
use super::digest;
use super::fail_point::{FailPoint, reach};
use super::kube_error::describe;
use super::reconciler::{COLLECTION_ATTEMPTS, Look, Next, Outcome, REFUSED_PAUSE, Reconciler};
use super::secret::Expected;
use crate::crd::v1alpha1::OidcUser;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::password::HasherError;
use crate::store::StoreError;
use crate::store::records::{ResourceRef, UserRecord};
use apply::Applied;
use dereference::SecretValue;
use password::Password;
use register::Registered;
use status::Verdicts;
use validate::{PasswordSource, ValidUser};

/// The Secret of a `secretRef` is looked at this often: the account may not watch Secrets.
const SECRET_LOOK: Duration = Duration::from_mins(1);

/// Why a reconcile has to be tried again.
#[derive(Debug, Error)]
enum ReconcileError {
    #[error("failed to read the user from the store: {0}")]
    Dereference(StoreError),
    #[error("failed to read the password's Secret: {0}")]
    ReadSecret(String),
    #[error("failed to hash the password: {0}")]
    Hash(HasherError),
    #[error("failed to register the user in the store: {0}")]
    Register(StoreError),
    #[error("failed to write the password's Secret: {0}")]
    Apply(String),
    #[error("unable to write the password's Secret yet: one of that name belongs to somebody else")]
    Foreign,
    #[error("failed to write the status: {0}")]
    Status(String),
    #[error("failed to note in the store what is done: {0}")]
    Complete(StoreError),
}

/// Reconciles `OidcUser`.
pub(super) struct OidcUsers {
    context: ControllerContext,
}

/// A user that was registered, or the reason why not.
enum Step {
    Registered {
        valid: Box<ValidUser>,
        record: Box<UserRecord>,
        password: Password,
    },
    Refused {
        known: Option<Box<UserRecord>>,
        verdicts: Verdicts,
        next: Next,
    },
}

impl OidcUsers {
    pub(super) fn new(context: ControllerContext) -> Self {
        Self { context }
    }

    /// Everything up to the store.
    async fn registered(&self, resource: &OidcUser) -> Result<Step, ReconcileError> {
        let context = &self.context;
        let known = dereference::record(context, resource)
            .await
            .map_err(ReconcileError::Dereference)?;
        let known = register::disable_at_once(context, resource, known)
            .await
            .map_err(ReconcileError::Register)?;
        let valid = match validate::validate(resource, known.as_ref()) {
            Ok(valid) => valid,
            Err(verdict) => {
                return Ok(Step::Refused {
                    known: known.map(Box::new),
                    verdicts: Verdicts::not_accepted(verdict),
                    next: Next::Change,
                });
            }
        };
        let value = match &valid.password {
            PasswordSource::Secret { name, key } => dereference::secret_value(context, name, key)
                .await
                .map_err(|error| ReconcileError::ReadSecret(describe(&error)))?,
            PasswordSource::None | PasswordSource::Generated { .. } => SecretValue::NotAskedFor,
        };
        let before = known.as_ref().and_then(|record| record.password.clone());
        let status = resource.status.as_ref();
        let told = status.and_then(|status| status.password_version.as_ref());
        let password = password::decide(context, &valid, value, before, told)
            .await
            .map_err(ReconcileError::Hash)?;
        let registered = register::register(context, &valid, &password, known.as_ref())
            .await
            .map_err(ReconcileError::Register)?;
        Ok(match registered {
            Registered::Record(record) => Step::Registered {
                valid: Box::new(valid),
                record,
                password,
            },
            Registered::Refused(verdict, next) => Step::Refused {
                known: known.map(Box::new),
                verdicts: Verdicts::not_accepted(verdict),
                next,
            },
        })
    }

    async fn steps(&self, resource: &OidcUser, look: Look) -> Result<Outcome<OidcUser>, ReconcileError> {
        let context = &self.context;
        let (valid, record, password) = match self.registered(resource).await? {
            Step::Registered {
                valid,
                record,
                password,
            } => (valid, record, password),
            Step::Refused {
                known,
                verdicts,
                next,
            } => {
                return self
                    .write_status(resource, known.as_deref(), &verdicts, next)
                    .await;
            }
        };
        let looks_again = matches!(valid.password, PasswordSource::Secret { .. });
        let mut next = if looks_again {
            Next::Again(SECRET_LOOK)
        } else {
            Next::Change
        };
        let done = build::digest(&valid, &record, &password);
        let was_done = done.is_some() && record.done == done;
        if was_done && !look.heals {
            return Ok(Outcome::next(next));
        }
        reach(FailPoint::AfterRegister);
        let expected = match record.done {
            Some(_) => Expected::Present,
            None => Expected::Absent,
        };
        let applied = apply::apply(context, &valid, &password, expected)
            .await
            .map_err(|error| ReconcileError::Apply(describe(&error)))?;
        reach(FailPoint::AfterSecret);
        let mut complete = true;
        match &applied {
            Applied::Nothing | Applied::Secret(_) => {}
            Applied::Foreign(_) if look.attempt < COLLECTION_ATTEMPTS => return Err(ReconcileError::Foreign),
            Applied::Foreign(_) | Applied::Refused(_) => {
                complete = false;
                next = Next::Later(REFUSED_PAUSE);
            }
        }
        if was_done && !complete {
            // What was done no longer holds; the next look must not take it for done.
            let undone = context.store.complete_user(&valid.user.uid, digest::undone());
            undone.await.map_err(ReconcileError::Complete)?;
        }
        let verdicts = Verdicts::applied(&valid, &password, applied);
        let outcome = self
            .write_status(resource, Some(&record), &verdicts, next)
            .await?;
        reach(FailPoint::AfterStatus);
        if complete
            && !was_done
            && let Some(done) = done
        {
            context
                .store
                .complete_user(&valid.user.uid, done)
                .await
                .map_err(ReconcileError::Complete)?;
            reach(FailPoint::AfterComplete);
        }
        Ok(outcome)
    }

    async fn write_status(
        &self,
        resource: &OidcUser,
        record: Option<&UserRecord>,
        verdicts: &Verdicts,
        next: Next,
    ) -> Result<Outcome<OidcUser>, ReconcileError> {
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
}

#[async_trait]
impl Reconciler for OidcUsers {
    type Resource = OidcUser;
    const KIND: &'static str = "OidcUser";

    fn claims(&self, resource: &OidcUser) -> Vec<String> {
        validate::validate(resource, None)
            .map(|valid| {
                vec![
                    format!("username {}", valid.user.username),
                    format!("subject {}", valid.user.subject),
                ]
            })
            .unwrap_or_default()
    }

    fn held_before(&self, resource: &OidcUser) -> bool {
        let Some(status) = &resource.status else {
            return false;
        };
        validate::validate(resource, None).is_ok_and(|valid| {
            status.username.as_deref() == Some(valid.user.username.as_str())
                && status.subject.as_deref() == Some(valid.user.subject.as_str())
        })
    }

    async fn register(&self, resource: &OidcUser) -> Result<(), StoreError> {
        match self.registered(resource).await {
            Err(ReconcileError::Dereference(error) | ReconcileError::Register(error)) => Err(error),
            // The password comes with the reconcile that follows; until then the person cannot sign in.
            Err(error) => {
                tracing::warn!(user = resource.metadata.name, %error, "a user is not registered with the first list");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn owns_secret(&self, resource: &OidcUser) -> bool {
        resource
            .spec
            .password
            .as_ref()
            .is_some_and(|password| password.generate == Some(true))
    }

    async fn reconcile(&self, resource: Arc<OidcUser>, look: Look) -> Outcome<OidcUser> {
        self.steps(&resource, look)
            .await
            .unwrap_or_else(|error| Outcome::next(Next::Failed(error.to_string())))
    }

    async fn remove(&self, uid: &ResourceUid) -> Result<(), StoreError> {
        self.context.store.remove_user(uid).await?;
        audit::gone("user_removed", std::slice::from_ref(uid));
        Ok(())
    }

    async fn known(&self) -> Result<HashMap<ResourceUid, ResourceRef>, StoreError> {
        let users = self.context.store.users().await?;
        Ok(users
            .into_iter()
            .filter(|record| record.absent_since.is_none())
            .map(|record| (record.user.uid, record.resource))
            .collect())
    }

    async fn mark_absent(&self, uids: &[ResourceUid]) -> Result<(), StoreError> {
        self.context.store.mark_users_absent(uids).await?;
        audit::gone("user_absent", uids);
        Ok(())
    }
}
