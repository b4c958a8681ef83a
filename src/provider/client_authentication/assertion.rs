//! Client assertions (RFC 7523 section 3): verified with the client's own keys, and each counts once; or the token of a
//! ServiceAccount that the client names, verified with the cluster's keys.

use crate::clock::Timestamp;
use crate::oidc::client_assertion::{self, Claimed};
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::service_account_token::{self, Accepted, ClusterIssuer};
use crate::provider::Provider;
use crate::provider::answer::Failure;
use crate::provider::fault::Fault;
use crate::store::SpendJti;
use crate::store::records::{ClientRecord, MAX_SPENT_JTIS};

impl Provider {
    /// Why `assertion` does not authenticate the client of `record`. One that does is spent.
    pub(super) async fn spend_assertion(
        &self,
        record: &ClientRecord,
        assertion: &str,
    ) -> Result<Option<&'static str>, Failure> {
        let now = self.clock.now();
        let client = &record.client;
        if let Some(cluster) = self.signed_by_cluster(record, assertion).await? {
            let accepted = Accepted {
                cluster: &cluster,
                namespace: &record.resource.namespace,
                accounts: &client.service_accounts,
                issuer: &self.issuer,
            };
            let verified = service_account_token::verify(assertion, accepted, now.as_second());
            return Ok(verified.err().map(|why| self.assertion_rejected(record, why.0)));
        }
        let valid = match client_assertion::verify(assertion, client, &self.issuer, now.as_second()) {
            Ok(valid) => valid,
            Err(why) => return Ok(Some(self.assertion_rejected(record, why.0))),
        };
        let jti = TokenHash::of(
            [
                b"client_assertion",
                client.uid.as_str().as_bytes(),
                valid.jti.as_bytes(),
            ]
            .join(&0)
            .as_slice(),
        );
        let forget_at = Timestamp::from_second(valid.forget_at).unwrap_or(Timestamp::MAX);
        let spent = self
            .store
            .spend_jti(&client.uid, &jti, forget_at, MAX_SPENT_JTIS)
            .await
            .map_err(Fault::store("spend a client assertion"))?;
        match spent {
            SpendJti::Fresh => Ok(None),
            SpendJti::Replayed => Ok(Some(
                self.assertion_rejected(record, "its jti was presented before"),
            )),
            SpendJti::Full(until) => Err(Failure::Limited(
                until.duration_since(now).try_into().unwrap_or_default(),
            )),
        }
    }

    /// The cluster, if the client has ServiceAccounts and `assertion` says to be the cluster's.
    async fn signed_by_cluster(
        &self,
        record: &ClientRecord,
        assertion: &str,
    ) -> Result<Option<ClusterIssuer>, Fault> {
        if record.client.service_accounts.is_empty() {
            return Ok(None);
        }
        let cluster = self
            .store
            .cluster_issuer()
            .await
            .map_err(Fault::store("look up the cluster's keys"))?;
        let claimed = Claimed::by(assertion).iss;
        Ok(cluster.filter(|cluster| claimed.as_ref() == Some(&cluster.issuer)))
    }

    fn assertion_rejected(&self, record: &ClientRecord, why: &'static str) -> &'static str {
        self.notices.client_assertion_rejected(record, why);
        why
    }
}
