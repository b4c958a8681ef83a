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

/// Who an assertion must be signed by.
enum Signer {
    /// The cluster.
    Cluster(ClusterIssuer),
    /// The client.
    Client,
    /// Nobody whose keys are known, and why.
    Nobody(&'static str),
}

impl Provider {
    /// Why `assertion` does not authenticate the client of `record`. One that does is spent.
    pub(super) async fn spend_assertion(
        &self,
        record: &ClientRecord,
        assertion: &str,
    ) -> Result<Option<&'static str>, Failure> {
        let now = self.clock.now();
        let client = &record.client;
        if !client.admitted_service_accounts().is_empty() {
            match self.signer(record, assertion).await? {
                Signer::Cluster(cluster) => {
                    let accepted = Accepted {
                        cluster: &cluster,
                        namespace: &record.resource.namespace,
                        accounts: client.admitted_service_accounts(),
                        issuer: &self.issuer,
                    };
                    let verified = service_account_token::verify(assertion, accepted, now.as_second());
                    return Ok(verified.err().map(|why| self.assertion_rejected(record, why.0)));
                }
                Signer::Nobody(why) => return Ok(Some(self.assertion_rejected(record, why))),
                Signer::Client => {}
            }
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

    /// Whose keys must verify an assertion of a client that names ServiceAccounts.
    async fn signer(&self, record: &ClientRecord, assertion: &str) -> Result<Signer, Fault> {
        let cluster = self
            .store
            .cluster_issuer()
            .await
            .map_err(Fault::store("look up the cluster's keys"))?;
        let claimed = match Claimed::read(assertion) {
            Ok(claimed) => claimed,
            Err(why) => return Ok(Signer::Nobody(why.0)),
        };
        Ok(match cluster {
            Some(cluster) if claimed.iss.as_ref() == Some(&cluster.issuer) => Signer::Cluster(cluster),
            _ if !record.client.jwks.is_empty() => Signer::Client,
            Some(_) => Signer::Nobody(
                "its iss is not the cluster, which alone signs for this client: it has spec.serviceAccounts and no spec.jwks",
            ),
            None => Signer::Nobody(
                "claviger does not know the cluster's keys yet: the status of the OidcClient, or claviger's log, says why",
            ),
        })
    }

    fn assertion_rejected(&self, record: &ClientRecord, why: &'static str) -> &'static str {
        self.notices.client_assertion_rejected(record, why);
        why
    }
}
