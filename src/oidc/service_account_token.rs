//! Tokens of Kubernetes ServiceAccounts as client assertions (RFC 7523 section 3): a pod authenticates with what the kubelet
//! puts into a file of its own, and there is nothing to keep secret.
//!
//! The cluster signs such a token, and the controller says with which keys. It is not a client's own assertion:
//! - `iss` is the cluster's issuer, and `sub` and the claim `kubernetes.io` name the ServiceAccount, so `client_id` says which
//!   client is meant;
//! - `aud` is the issuer alone, so that nobody else who is given the token can use it here;
//! - it may come again: the app sends what stands in its file, and the kubelet renews that at four fifths of its life. That
//!   is an hour at most;
//! - the ServiceAccount is one that the client names, by name and uid: one that was deleted and made again is another.

use serde::{Deserialize, Serialize};

use super::client::ServiceAccount;
use super::issuer::Issuer;
use super::jwk::{Jwk, SignatureAlgorithm};
use super::jws::{self, Rejected};

/// Kubernetes names no type; a later one might name this.
const TYPES: [&str; 1] = ["JWT"];
/// The longest life, in seconds; what a pod is given unless it asks for something else.
const MAX_LIFETIME: i64 = 60 * 60;

/// Who signs the tokens of ServiceAccounts: the Kubernetes API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIssuer {
    /// `iss` of its tokens.
    pub issuer: String,
    /// Its public keys.
    pub jwks: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    uid: String,
}

/// Whose token is accepted.
#[derive(Clone, Copy)]
pub struct Accepted<'a> {
    /// Who must have signed it.
    pub cluster: &'a ClusterIssuer,
    /// The namespace of the client.
    pub namespace: &'a str,
    /// The ServiceAccounts there that the client names.
    pub accounts: &'a [ServiceAccount],
    /// For whom it must be.
    pub issuer: &'a Issuer,
}

/// How the API server calls a ServiceAccount, before its namespace and its name.
const SUBJECT: &str = "system:serviceaccount:";

/// Whether `sub` is the name of a ServiceAccount.
pub fn is_subject(sub: &str) -> bool {
    sub.starts_with(SUBJECT)
}

/// Checks everything about a token. `now` is in seconds.
pub fn verify(token: &str, accepted: Accepted<'_>, now: i64) -> Result<(), Rejected> {
    let claims: Claims = jws::verify_by(token, &accepted.cluster.jwks, &SignatureAlgorithm::ALL, &TYPES)?;
    if claims.iss != accepted.cluster.issuer {
        return Err(Rejected("its iss is not the cluster"));
    }
    if claims.aud != [accepted.issuer.as_str()] {
        return Err(Rejected(
            "its aud is not the issuer alone: set the audience of the projected token",
        ));
    }
    check_times(&claims, now)?;
    check_account(&claims, accepted)
}

fn check_times(claims: &Claims, now: i64) -> Result<(), Rejected> {
    if claims.exp <= now {
        return Err(Rejected("it has expired: read the file again"));
    }
    let begin = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if jws::is_ahead(begin, now) {
        return Err(Rejected("its nbf or iat is in the future"));
    }
    if claims.exp.saturating_sub(claims.iat) > MAX_LIFETIME {
        return Err(Rejected(
            "it lives for longer than an hour: set the expirationSeconds of the projected token to 3600 or less",
        ));
    }
    Ok(())
}

fn check_account(claims: &Claims, accepted: Accepted<'_>) -> Result<(), Rejected> {
    let Kubernetes {
        namespace,
        serviceaccount: Named { name, uid },
    } = &claims.kubernetes;
    if claims.sub != format!("{SUBJECT}{namespace}:{name}") {
        return Err(Rejected("its sub is not the ServiceAccount that it names"));
    }
    if namespace != accepted.namespace {
        return Err(Rejected("its ServiceAccount is of another namespace"));
    }
    let named = accepted.accounts.iter().find(|account| account.name == *name);
    match named {
        None => Err(Rejected("its ServiceAccount is none of spec.serviceAccounts")),
        Some(ServiceAccount { uid: Some(known), .. }) if known == uid => Ok(()),
        Some(_) => Err(Rejected(
            "its ServiceAccount does not exist any more, or is too new to be known here; claviger looks once a minute",
        )),
    }
}
