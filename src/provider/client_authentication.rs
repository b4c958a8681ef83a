//! Client authentication, wherever a client asks in its own name (RFC 6749 section 2.3, RFC 7523 section 3).
//!
//! Whatever is wrong (no such client, a method that it did not register, a wrong secret, a bad assertion, a suspended
//! client, one whose resource is gone) the answer is the same `invalid_client`: nothing tells a stranger which clients exist.
//! A suspended client gets it even with the right secret; the log says why, and the owner of a client is told what is wrong
//! with its assertions.

mod assertion;

use crate::clock::Timestamp;
use crate::oidc::client_credentials::{ClientCredentials, CredentialsError, Proof};
use crate::oidc::error::ErrorCode;
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::parameters::Parameters;
use crate::store::records::{ClientRecord, MAX_SECRET_VERSIONS, SecretVersion};

use super::Provider;
use super::answer::{Failure, refused, refused_because};
use super::audit;
use super::client_request::Admission;
use super::fault::Fault;

/// How many comparisons every check of a secret costs: as many versions as can be live at once. A client with fewer, and
/// one that does not exist, cost the same.
const COMPARISONS: usize = MAX_SECRET_VERSIONS;

impl Provider {
    /// The client behind a request.
    pub(super) async fn authenticate_client(
        &self,
        authorization: Option<&[u8]>,
        form: &Parameters,
        admission: &dyn Admission,
    ) -> Result<ClientRecord, Failure> {
        let credentials = match ClientCredentials::parse(authorization, form) {
            Ok(credentials) => credentials,
            Err(error) => {
                admission.stranger().map_err(Failure::Limited)?;
                return Err(match error {
                    CredentialsError::Missing
                    | CredentialsError::MalformedHeader
                    | CredentialsError::UnknownAssertionType => invalid_client(error.to_string()),
                    _ => refused(ErrorCode::InvalidRequest, error.to_string()),
                });
            }
        };
        let record = self
            .store
            .client(&credentials.client_id)
            .await
            .map_err(Fault::store("look up a client"))?;
        match (self.objection(record.as_ref(), &credentials).await?, record) {
            (None, Some(record)) => Ok(record),
            (reason, record) => {
                // Before it is written down: a flood of failures must not fill the log.
                admission.stranger().map_err(Failure::Limited)?;
                audit::record(&audit::Event {
                    name: "client_authentication_failed",
                    // Never what was sent in place of an id: it may be anything, a secret included.
                    client_id: record.as_ref().map(|record| &record.client.client_id),
                    ..audit::Event::default()
                });
                Err(invalid_client(reason.unwrap_or(NO_SUCH_CLIENT)))
            }
        }
    }

    /// Why `credentials` do not authenticate `record`. An assertion is looked at once everything else is known to be right,
    /// since it counts once.
    async fn objection(
        &self,
        record: Option<&ClientRecord>,
        credentials: &ClientCredentials,
    ) -> Result<Option<&'static str>, Failure> {
        let objection = check(record, credentials, self.clock.now());
        match (record, &credentials.proof) {
            (Some(record), Proof::ClientAssertion(assertion)) if objection.is_none() => {
                self.spend_assertion(record, assertion).await
            }
            _ => Ok(objection),
        }
    }
}

const NO_SUCH_CLIENT: &str = "no such client";

fn invalid_client(reason: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    refused_because(ErrorCode::InvalidClient, "client authentication failed", reason)
}

/// Why `credentials` do not authenticate `record`, an assertion apart. The secret is compared before anything else is
/// decided.
fn check(
    record: Option<&ClientRecord>,
    credentials: &ClientCredentials,
    now: Timestamp,
) -> Option<&'static str> {
    let versions = record.map_or(&[][..], |record| record.secret_versions.as_slice());
    let secret = match &credentials.proof {
        Proof::ClientSecret(secret) => Some(compare(&TokenHash::of(secret.as_bytes()), versions, now)),
        Proof::Nothing | Proof::ClientAssertion(_) => None,
    };
    let Some(record) = record else {
        return Some(NO_SUCH_CLIENT);
    };
    if !record.client.may_authenticate_by(credentials.method) {
        return Some("the client did not register this authentication method");
    }
    if secret.is_some_and(|comparison| !comparison.matches) {
        return Some("the secret is wrong or retired");
    }
    if record.client.suspended {
        return Some("the client is suspended");
    }
    if record.absent_since.is_some() {
        return Some("the client's resource is gone");
    }
    None
}

/// The outcome of a comparison with all versions.
struct Comparison {
    matches: bool,
    /// How many hashes were compared; what the test counts.
    count: usize,
}

/// Compares with the newest [`COMPARISONS`] versions, filled up with a hash that matches nothing.
fn compare(presented: &TokenHash, versions: &[SecretVersion], now: Timestamp) -> Comparison {
    let dummy = TokenHash::from_bytes([0; 32]);
    let mut newest = versions.iter().rev();
    let mut comparison = Comparison {
        matches: false,
        count: 0,
    };
    for _ in 0..COMPARISONS {
        let version = newest.next();
        let equal = presented.matches(version.map_or(&dummy, |version| &version.hash));
        let live =
            version.is_some_and(|version| version.retires_at.is_none_or(|retires_at| now < retires_at));
        comparison.matches |= equal & live;
        comparison.count += 1;
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, secret: &str, retires_at: Option<i64>) -> SecretVersion {
        SecretVersion {
            id: id.into(),
            master_key_id: "master".into(),
            created_at: Timestamp::UNIX_EPOCH,
            retires_at: retires_at.map(|second| Timestamp::from_second(second).unwrap()),
            hash: TokenHash::of(secret.as_bytes()),
        }
    }

    /// An unknown client, a wrong secret and a right one cost the same number of comparisons (rule 30).
    #[test]
    fn rule_30_every_check_costs_the_same_number_of_comparisons() {
        let now = Timestamp::from_second(100).unwrap();
        let right = TokenHash::of(b"right");
        let table = [
            (vec![], false),
            (vec![version("1", "wrong", None)], false),
            (vec![version("1", "right", None)], true),
            (
                vec![version("1", "right", Some(101)), version("2", "new", None)],
                true,
            ),
            (
                vec![version("1", "right", Some(100)), version("2", "new", None)],
                false,
            ),
            (
                vec![version("1", "old", Some(101)), version("2", "right", None)],
                true,
            ),
        ];
        for (versions, matches) in table {
            let comparison = compare(&right, &versions, now);
            assert_eq!(comparison.matches, matches);
            assert_eq!(comparison.count, COMPARISONS);
        }
    }

    #[test]
    fn no_secret_matches_the_dummy() {
        let all_zero = TokenHash::from_bytes([0; 32]);
        assert!(!compare(&all_zero, &[], Timestamp::UNIX_EPOCH).matches);
    }
}
