//! Client assertions: verified with the client's own keys, and each counts once (RFC 7523 section 3).

use crate::clock::Timestamp;
use crate::oidc::client_assertion;
use crate::oidc::opaque_token::TokenHash;
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

    fn assertion_rejected(&self, record: &ClientRecord, why: &'static str) -> &'static str {
        self.notices.client_assertion_rejected(record, why);
        why
    }
}
