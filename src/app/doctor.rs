//! `claviger doctor`, from inside the serving process: what was looked at, what was found, what to do next.

mod fetch;
mod issuer;

use std::time::Duration;

pub use issuer::check as check_issuer;
use jiff::SignedDuration;

use super::administration::RunningParts;
use crate::admin::report::{Check, DoctorReport};
use crate::clock::{Timestamp, later};
use crate::config::StoreLocation;
use crate::controller::diagnosis;
use crate::keyring::listing::{KeyKind, KeyState};

/// For each question to the cluster: a person waits.
const PATIENCE: Duration = Duration::from_secs(15);
/// Apps forgive about this much between their clock and ours.
const CLOCKS_AGREE: SignedDuration = SignedDuration::from_secs(5);
const CLOCKS_DISAGREE: SignedDuration = SignedDuration::from_secs(60);
/// A rotation that is this late does not happen.
const LATE: Duration = Duration::from_hours(2);

const INSTALL: &str = "helm upgrade --install claviger with the chart of this version: it brings policy, roles and resource definitions";

/// Looks at everything, one after another.
pub(super) async fn examine(parts: &RunningParts) -> DoctorReport {
    let mut checks = vec![start(parts)];
    checks.extend(issuer::examine(&parts.issuer, jwks(parts).as_deref()).await);
    checks.push(tls(parts));
    checks.push(proxies(parts));
    match parts.cluster.get() {
        Some(_) => {
            checks.push(bounded("policy", policy(parts)).await);
            checks.push(bounded("rights", rights(parts)).await);
            checks.push(bounded("clock", clock(parts)).await);
        }
        None => checks.push(
            Check::failed("cluster", "no cluster was found yet")
                .next("run claviger in a pod, or set KUBECONFIG to a file that names a cluster"),
        ),
    }
    checks.push(bounded("store", store(parts)).await);
    checks.push(keys(parts));
    DoctorReport { checks }
}

async fn bounded(name: &str, check: impl Future<Output = Check>) -> Check {
    tokio::time::timeout(PATIENCE, check)
        .await
        .unwrap_or_else(|_| Check::failed(name, format!("no answer within {} seconds", PATIENCE.as_secs())))
}

fn start(parts: &RunningParts) -> Check {
    let problems = parts.health.problems().join("; ");
    let log = "read claviger's log: kubectl logs --namespace claviger deployment/claviger";
    if !parts.health.is_started() {
        Check::failed("start", format!("claviger waits: {problems}")).next(log)
    } else if problems.is_empty() {
        Check::ok("start", "every client and user is registered")
    } else {
        Check::warning("start", problems).next(log)
    }
}

fn jwks(parts: &RunningParts) -> Option<bytes::Bytes> {
    parts.rotator.get().map(|rotator| rotator.live().current().jwks())
}

fn tls(parts: &RunningParts) -> Check {
    const NAME: &str = "tls";
    let Some(tls) = parts.tls.get() else {
        return if parts.issuer.is_plain_http() {
            Check::ok(NAME, "none: the issuer is plain http on loopback")
        } else {
            Check::ok(
                NAME,
                "none of claviger's own: a proxy, Ingress or Gateway ends it",
            )
        };
    };
    let until = tls.certificate().not_after();
    let until = until.map_or_else(|| "an unknown time".to_owned(), |until| until.to_string());
    let concerns = tls.concerns(&parts.issuer, parts.clock.now());
    if concerns.is_empty() {
        return Check::ok(
            NAME,
            format!("the certificate fits the issuer and is good until {until}"),
        );
    }
    let told: Vec<String> = concerns.iter().map(ToString::to_string).collect();
    Check::failed(NAME, told.join("; "))
        .next("renew the files of --tls-cert and --tls-key; no restart is needed")
}

fn proxies(parts: &RunningParts) -> Check {
    const NAME: &str = "proxies";
    match parts.trusted_proxies.concern() {
        None => Check::ok(NAME, "no network is trusted to tell the addresses of clients, only proxies"),
        Some(concern) => Check::warning(NAME, concern).next(
            "kubectl get endpointslices --all-namespaces lists the addresses of your Ingress controller or Gateway; \
             name them with --trusted-proxies (trustedProxies in the chart)",
        ),
    }
}

async fn policy(parts: &RunningParts) -> Check {
    const NAME: &str = "policy";
    let Some((client, settings)) = parts.cluster.get() else {
        return Check::failed(NAME, "no cluster");
    };
    match diagnosis::policy_is_in_force(client, settings).await {
        Ok(true) => Check::ok(NAME, "the admission policy pins claviger to its own Secrets"),
        Ok(false) if settings.without_secret_policy => Check::warning(
            NAME,
            "not in force, as --without-secret-policy accepts: claviger could overwrite any Secret whose name it guesses",
        )
        .next(INSTALL),
        Ok(false) => {
            let found = "the ValidatingAdmissionPolicy that pins claviger to its own Secrets is not in force";
            Check::failed(NAME, found).next(INSTALL)
        }
        Err(reason) => Check::failed(NAME, format!("unable to try the policy: {reason}")).next(INSTALL),
    }
}

async fn rights(parts: &RunningParts) -> Check {
    const NAME: &str = "rights";
    let Some((client, settings)) = parts.cluster.get() else {
        return Check::failed(NAME, "no cluster");
    };
    match diagnosis::rights(client, settings).await {
        Err(reason) => Check::failed(NAME, format!("unable to ask for claviger's rights: {reason}")),
        Ok(rights) if !rights.missing.is_empty() => {
            Check::failed(NAME, format!("missing: {}", rights.missing.join(", "))).next(INSTALL)
        }
        Ok(rights) if !rights.surplus.is_empty() => {
            let found = format!("more than claviger needs: {}", rights.surplus.join(", "));
            Check::warning(NAME, found).next(
                "kubectl get clusterrolebindings,rolebindings --all-namespaces -o wide | grep claviger, and take away what \
                 the chart does not bring",
            )
        }
        Ok(_) => Check::ok(
            NAME,
            "all that claviger needs, and no reading of Secrets outside its namespace",
        ),
    }
}

async fn clock(parts: &RunningParts) -> Check {
    const NAME: &str = "clock";
    let Some((client, _)) = parts.cluster.get() else {
        return Check::failed(NAME, "no cluster");
    };
    let difference = match diagnosis::clock_difference(client, || parts.clock.now()).await {
        Ok(difference) => difference,
        Err(reason) => {
            return Check::failed(
                NAME,
                format!("unable to ask the API server for its time: {reason}"),
            );
        }
    };
    let found = format!(
        "the API server's clock differs by {} seconds",
        difference.as_secs()
    );
    let next = "chronyc tracking, or timedatectl, on the node of claviger's pod and on the control plane";
    if difference.abs() <= CLOCKS_AGREE {
        Check::ok(NAME, found)
    } else if difference.abs() <= CLOCKS_DISAGREE {
        Check::warning(NAME, found).next(next)
    } else {
        Check::failed(NAME, format!("{found}: apps will refuse tokens")).next(next)
    }
}

async fn store(parts: &RunningParts) -> Check {
    const NAME: &str = "store";
    let place = match &parts.store_location {
        StoreLocation::Memory => "memory".to_owned(),
        StoreLocation::Sled(path) => path.display().to_string(),
    };
    match parts.store.prove_writable().await {
        Err(error) => Check::failed(NAME, format!("{place} takes no writes: {error}"))
            .next("look at the volume: kubectl exec --namespace claviger deployment/claviger -- df /var/lib/claviger"),
        Ok(()) if parts.store_location == StoreLocation::Memory => {
            Check::warning(NAME, "in memory: sessions, consents and tokens are forgotten at the end")
                .next("start claviger with --store=sled:PATH")
        }
        Ok(()) => Check::ok(NAME, format!("{place} takes writes")),
    }
}

fn keys(parts: &RunningParts) -> Check {
    const NAME: &str = "keys";
    let Some(rotator) = parts.rotator.get() else {
        return Check::failed(NAME, "the keyring is not open")
            .next("look at --keyring and at the keyring's Secret");
    };
    let now = parts.clock.now();
    let keys = rotator.live().current().list(now);
    let due = |from: Timestamp| later(from, rotator.interval());
    let in_use: Vec<_> = keys.iter().filter(|key| key.state == KeyState::InUse).collect();
    let ages: Vec<String> = in_use
        .iter()
        .map(|key| {
            let (kind, since) = match key.kind {
                KeyKind::Master => ("master key", key.created_at),
                KeyKind::Signing(algorithm) => (algorithm.name(), key.signs_from.unwrap_or(key.created_at)),
                KeyKind::Sealing => ("sealing key", key.created_at),
            };
            format!(
                "{kind} in use for {} days",
                now.duration_since(since).as_hours().max(0) / 24
            )
        })
        .collect();
    let found = format!("{}: {}", rotator.place(), ages.join(", "));
    let overdue = in_use
        .iter()
        .filter(|key| key.kind != KeyKind::Master)
        .any(|key| later(due(key.signs_from.unwrap_or(key.created_at)), LATE) <= now);
    match rotator.last_failure() {
        Some(failure) => Check::failed(NAME, format!("{found}; the last try to rotate failed: {failure}"))
            .next("mend what the failure names; it is tried again every minute"),
        None if overdue => Check::failed(NAME, format!("{found}; a rotation is overdue"))
            .next("read claviger's log, then claviger keys rotate"),
        None => Check::ok(NAME, found).next("claviger keys list"),
    }
}
