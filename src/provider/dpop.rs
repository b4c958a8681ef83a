//! DPoP (RFC 9449): which proofs of a key are good, and that each counts once.
//!
//! Whether a proof is fresh is decided by its `iat`, or by a nonce of ours. A nonce holds the second in which it was made,
//! sealed, so that every replica knows it and nothing is stored. It is asked for only where `iat` does not do: of an app
//! whose clock is wrong, or whose nonce is over. Apps that use nonces get the next one with every answer.
//!
//! A proof is remembered in the store, which all replicas share, for as long as it could be presented again. It is counted
//! among those of its key: keys are many, so an app on everybody's devices has no common number that one of them uses up.

use super::Provider;
use super::answer::{Failure, refused};
use super::audit;
use super::fault::Fault;
use crate::clock::Timestamp;
use crate::oidc::client::Client;
use crate::oidc::dpop_proof::{self, Proof, ProofHeader, Target, claimed_nonce, nonce_good_until};
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::oidc::thumbprint::Thumbprint;
use crate::store::SpendJti;
use crate::store::records::MAX_SPENT_JTIS;

/// Separates nonces from everything else that is sealed.
const NONCE_PURPOSE: &str = "dpop_nonce";

/// A proof that is good and fresh; whether it was presented before is known when it is spent.
pub(super) struct Proven {
    proof: Proof,
    endpoint: &'static str,
    forget_at: i64,
}

/// The request that a proof is shown with.
pub(super) struct Shown<'a> {
    pub(super) method: &'a str,
    pub(super) endpoint: &'static str,
    pub(super) access_token: Option<&'a str>,
}

impl Shown<'static> {
    /// A request of a client in its own name.
    pub(super) const fn posted_to(endpoint: &'static str) -> Self {
        Self {
            method: "POST",
            endpoint,
            access_token: None,
        }
    }
}

impl Proven {
    /// The key.
    pub(super) fn jkt(&self) -> &Thumbprint {
        &self.proof.jkt
    }
}

impl Provider {
    /// A nonce for the next proof: for an answer that asks for one, or to a request that had one.
    pub fn next_dpop_nonce(
        &self,
        header: ProofHeader<'_>,
        failure: Option<&Failure>,
    ) -> Result<Option<String>, Fault> {
        let is_asked_for = failure
            .and_then(Failure::refusal)
            .is_some_and(|refusal| refusal.error.code == ErrorCode::UseDpopNonce);
        if !is_asked_for && claimed_nonce(header).is_none() {
            return Ok(None);
        }
        self.seal(NONCE_PURPOSE, &self.clock.now().as_second()).map(Some)
    }

    /// The proof in the header of a request of `client`, if there is one. Nothing is spent.
    pub(super) fn verify_proof(
        &self,
        client: &Client,
        header: ProofHeader<'_>,
        shown: &Shown<'_>,
    ) -> Result<Option<Proven>, Failure> {
        let proof = match header {
            ProofHeader::Absent => return Ok(None),
            ProofHeader::Repeated => return Err(invalid("it came more than once")),
            // What is no text is no proof either.
            ProofHeader::One(proof) => std::str::from_utf8(proof).unwrap_or_default(),
        };
        let now = self.clock.now().as_second();
        let target = Target {
            method: shown.method,
            url: &self.issuer.endpoint(shown.endpoint),
            access_token: shown.access_token,
        };
        let proof = dpop_proof::verify(proof, &target, now).map_err(|why| invalid(why.0))?;
        if !client.signature_algorithms().contains(&proof.algorithm) {
            return Err(invalid("its alg is none of those that this client may use"));
        }
        let forget_at = match &proof.nonce {
            None => proof.recent_until(now),
            Some(nonce) => self
                .open::<i64>(NONCE_PURPOSE, nonce)
                .and_then(|made_at| nonce_good_until(made_at, now)),
        };
        match forget_at {
            Some(forget_at) => Ok(Some(Proven {
                proof,
                endpoint: shown.endpoint,
                forget_at,
            })),
            None => Err(refused(
                ErrorCode::UseDpopNonce,
                "the DPoP proof is not known to be fresh; make another with the nonce in the header DPoP-Nonce",
            )),
        }
    }

    /// Spends a proof that `client` presented; one that was presented before is refused.
    pub(super) async fn spend_proof(&self, client: &Client, proven: &Proven) -> Result<(), Failure> {
        let now = self.clock.now();
        let jkt = proven.jkt().as_str();
        // Requests to one endpoint do not use up what another takes.
        let signer = ResourceUid::new(format!("dpop {} {jkt}", proven.endpoint));
        let jti = TokenHash::of(
            [b"dpop_proof", jkt.as_bytes(), proven.proof.jti.as_bytes()]
                .join(&0)
                .as_slice(),
        );
        let forget_at = Timestamp::from_second(proven.forget_at).unwrap_or(Timestamp::MAX);
        let spent = self
            .store
            .spend_jti(&signer, &jti, forget_at, MAX_SPENT_JTIS)
            .await
            .map_err(Fault::store("spend a DPoP proof"))?;
        match spent {
            SpendJti::Fresh => Ok(()),
            SpendJti::Replayed => {
                audit::record(&audit::Event {
                    name: "dpop_proof_replayed",
                    client_id: Some(&client.client_id),
                    ..audit::Event::default()
                });
                Err(invalid("its jti was presented before"))
            }
            SpendJti::Full(until) => Err(Failure::Limited(
                until.duration_since(now).try_into().unwrap_or_default(),
            )),
        }
    }
}

fn invalid(why: &'static str) -> Failure {
    refused(
        ErrorCode::InvalidDpopProof,
        format!("the DPoP proof is not accepted: {why}"),
    )
}
