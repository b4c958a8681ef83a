//! Whose tokens authenticate a client: the ServiceAccounts that it names, as they exist, and the keys of the cluster that signs
//! their tokens. Both are read one by one and never listed or watched, and looked at again once a minute: that needs the
//! smallest right, and no copy of every account of the cluster.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::ServiceAccount as Account;
use kube::Api;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::register;
use super::validate::ValidClient;
use crate::clock::{Timestamp, later};
use crate::controller::ControllerContext;
use crate::controller::condition::Verdict;
use crate::controller::kube_error::describe;
use crate::controller::reconciler::Next;
use crate::crd::v1alpha1::condition::reason;
use crate::oidc::client::{Client, ServiceAccount};
use crate::oidc::jwk::Jwk;
use crate::oidc::service_account_token::ClusterIssuer;
use crate::store::StoreError;
use crate::store::records::ClientRecord;

/// Where the cluster says who signs its tokens.
const CONFIGURATION: &str = "/.well-known/openid-configuration";
/// Its keys. The document names a URL for them too, which may be out of reach from here.
const JWKS: &str = "/openid/v1/jwks";

/// Why it is not known whose tokens are good.
#[derive(Debug, Error)]
pub(super) enum LookUpError {
    /// The API server did not answer, or not sensibly.
    #[error("failed to get {what}: {why}")]
    Unanswered {
        /// What was asked for.
        what: String,
        /// Why not.
        why: String,
    },
    /// The API server refuses; somebody has to do something.
    #[error("{}", .0.message)]
    Refused(Verdict),
    /// The store failed.
    #[error("failed to note in the store what was found: {0}")]
    Store(#[source] StoreError),
}

/// When the keys of the cluster were last looked at.
#[derive(Default)]
pub(super) struct ClusterKeys(Mutex<Option<Timestamp>>);

impl ClusterKeys {
    /// `known` with its ServiceAccounts as they are now. Whatever becomes of the spec, the tokens of an account that is gone end.
    pub(super) async fn renew(
        &self,
        context: &ControllerContext,
        known: Option<ClientRecord>,
    ) -> Result<Option<ClientRecord>, LookUpError> {
        let Some(record) = known else { return Ok(None) };
        let mut accounts = record.client.service_accounts.clone();
        let wanted = accounts.iter_mut().collect();
        self.look_up(context, &record.resource.namespace, wanted).await?;
        let client = Client {
            service_accounts: accounts,
            ..record.client.clone()
        };
        register::with_client(context, record, client)
            .await
            .map_err(LookUpError::Store)
    }

    /// Looks for those ServiceAccounts of `valid` that were not there, or not named, before.
    pub(super) async fn complete(
        &self,
        context: &ControllerContext,
        valid: &mut ValidClient,
    ) -> Result<(), LookUpError> {
        let accounts = &mut valid.client.service_accounts;
        let unknown = accounts.iter_mut().filter(|account| account.uid.is_none());
        self.look_up(context, &valid.resource.namespace, unknown.collect())
            .await
    }

    /// Puts into `accounts` the uids of those that exist, and into the store who signs their tokens.
    async fn look_up(
        &self,
        context: &ControllerContext,
        namespace: &str,
        accounts: Vec<&mut ServiceAccount>,
    ) -> Result<(), LookUpError> {
        if accounts.is_empty() {
            return Ok(());
        }
        let api: Api<Account> = Api::namespaced(context.client.clone(), namespace);
        for ServiceAccount { name, uid } in accounts {
            let found = api
                .get_metadata_opt(name)
                .await
                .map_err(|error| unanswered(format!("the ServiceAccount {namespace}/{name}"), &error))?;
            *uid = found
                .map(|account| account.metadata)
                // One that is being deleted is none: something else may hold it for long.
                .filter(|metadata| metadata.deletion_timestamp.is_none())
                .and_then(|metadata| metadata.uid);
        }
        self.refresh(context).await
    }

    async fn refresh(&self, context: &ControllerContext) -> Result<(), LookUpError> {
        let now = context.clock.now();
        let interval = context.settings.service_account_interval;
        if self.looked_at().is_some_and(|at| now < later(at, interval)) {
            return Ok(());
        }
        let issuer = cluster_issuer(&context.client).await?;
        let keys = issuer.jwks.len();
        let is_new = context
            .store
            .note_cluster_issuer(issuer)
            .await
            .map_err(LookUpError::Store)?;
        if is_new {
            tracing::info!(
                keys,
                "the keys by which the cluster signs tokens of ServiceAccounts are others now"
            );
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    fn looked_at(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `next`, but no later than a client with ServiceAccounts is looked at again, whatever else became of it.
pub(super) fn next_look(next: Next, interval: Duration) -> Next {
    match next {
        Next::Change => Next::Again(interval),
        Next::Again(wait) => Next::Again(wait.min(interval)),
        Next::Waiting(wait) => Next::Waiting(wait.min(interval)),
        Next::Later(wait) => Next::Later(wait.min(interval)),
        Next::Failed(why) => Next::Failed(why),
    }
}

async fn cluster_issuer(client: &kube::Client) -> Result<ClusterIssuer, LookUpError> {
    #[derive(Deserialize)]
    struct Configuration {
        issuer: String,
    }
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }
    let Configuration { issuer } = get(client, CONFIGURATION).await?;
    let KeySet { keys } = get(client, JWKS).await?;
    // Of a type that is not verified here, P-384 for instance: another one of the set may be.
    let readable = |key: Value| {
        let key: Jwk = serde_json::from_value(key).ok()?;
        key.check().is_ok().then_some(key)
    };
    let jwks: Vec<Jwk> = keys.into_iter().filter_map(readable).collect();
    if jwks.is_empty() {
        return Err(refused(format!(
            "the cluster publishes no key of RSA, P-256 or Ed25519 at {JWKS}, so tokens of ServiceAccounts cannot be verified"
        )));
    }
    Ok(ClusterIssuer { issuer, jwks })
}

async fn get<T: serde::de::DeserializeOwned>(
    client: &kube::Client,
    path: &'static str,
) -> Result<T, LookUpError> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(|error| LookUpError::Unanswered {
            what: path.to_owned(),
            why: error.to_string(),
        })?;
    client
        .request(request)
        .await
        .map_err(|error| unanswered(path.to_owned(), &error))
}

fn unanswered(what: String, error: &kube::Error) -> LookUpError {
    let why = describe(error);
    match error {
        kube::Error::Api(status) if status.code == 403 => LookUpError::Refused(Verdict::no(
            reason::FORBIDDEN,
            format!("claviger lacks the right to get {what}, which spec.serviceAccounts needs: {why}"),
        )),
        kube::Error::Api(status) if status.code == 404 => refused(format!(
            "the API server has no {what}, so tokens of ServiceAccounts cannot be verified; its --service-account-issuer must be \
             an https URL"
        )),
        _ => LookUpError::Unanswered { what, why },
    }
}

fn refused(message: String) -> LookUpError {
    LookUpError::Refused(Verdict::no(reason::CLUSTER_KEYS_UNAVAILABLE, message))
}
