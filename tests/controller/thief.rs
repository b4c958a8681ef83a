//! The thief: somebody has claviger's token, and with it everything that the shipped roles and the shipped policy let
//! through. They try what they can think of, and must end with nothing read and nothing changed that is not owned by
//! an `OidcClient`.
//!
//! Every attempt is a row with the answer that it must get. Whether something was read is decided by a mark that every
//! foreign Secret carries in its keys and values, whether something was changed by comparing every object of the
//! cluster, byte for byte, before and after.

mod attempts;
mod foreign;
mod other_resources;
mod snapshot;

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use testbed::raw::{Answer, Call};
use testbed::{Cluster, ClusterOptions, helm::Release, installation, poll};

use crate::owned_secret::{secret, secrets};

const PATIENCE: Duration = Duration::from_mins(1);
/// claviger's own namespace.
const HOME: &str = "claviger";
/// A namespace of somebody else, where there is much to steal.
const VAULT: &str = "vault";

/// One thing that the thief tries.
struct Attempt {
    what: String,
    call: Call,
    expected: Expected,
}

/// What the API server must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// 403, for want of a right.
    MissingRight,
    /// 403, by the admission policy.
    Policy,
    /// 422, before admission.
    Invalid,
    /// 409, the object exists, or is another than the one that was meant.
    Conflict,
    /// 404
    NotFound,
    /// 400
    BadRequest,
    /// The roles allow it. What comes of it is looked at in the end.
    Taken,
}

impl Attempt {
    fn new(what: impl Into<String>, call: Call, expected: Expected) -> Self {
        Self {
            what: what.into(),
            call,
            expected,
        }
    }
}

impl Expected {
    fn is_met_by(self, answer: &Answer) -> bool {
        let message = answer.message();
        let policy = message.contains("ValidatingAdmissionPolicy 'claviger-secrets' with binding");
        match self {
            Self::MissingRight => answer.status == 403 && message.contains(" cannot ") && !policy,
            Self::Policy => answer.status == 403 && policy,
            Self::Invalid => answer.status == 422,
            Self::Conflict => answer.status == 409,
            Self::NotFound => answer.status == 404,
            Self::BadRequest => answer.status == 400,
            Self::Taken => matches!(answer.status, 200 | 201),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thief_gets_nothing() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let release = Release::new(json!({ "issuer": "https://id.example.org", "replicaCount": 0 }));
    let account = installation::install_chart(&cluster, &release).await?;
    let admin = cluster.client()?;
    let thief = cluster.client_for_service_account(HOME, &account).await?;

    let world = foreign::furnish(&admin).await?;
    let mine = Call::post(secrets(VAULT), world.own_secret("shop-oidc"));
    poll::until("the roles and the policy to be in force", PATIENCE, async || {
        let mut unlabelled = world.own_secret("probe");
        unlabelled["metadata"]["labels"] = json!({});
        let probe = Call::post(secrets(VAULT), unlabelled).dry_run();
        let denied = Expected::Policy.is_met_by(&probe.send(&thief).await?);
        let taken = Expected::Taken.is_met_by(&mine.clone().dry_run().send(&thief).await?);
        Ok((denied && taken).then_some(()))
    })
    .await?;
    let made = mine.send(&thief).await?;
    assert_eq!(made.status, 201, "{made}");
    exactly_these_rights(&thief).await?;

    let before = snapshot::when_quiet(&admin).await?;
    let mut attempts = attempts::all(&world);
    attempts.extend(other_resources::all());
    let mut wrong = Vec::new();
    for Attempt { what, call, expected } in &attempts {
        let answer = call.send(&thief).await?;
        if !expected.is_met_by(&answer) {
            wrong.push(format!("{what}: {call}\n  is not {expected:?}: {answer}"));
        }
        if foreign::shows_loot(&answer.text) {
            wrong.push(format!("{what}: {call}\n  shows a foreign Secret: {answer}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} attempts:\n{}",
        wrong.len(),
        attempts.len(),
        wrong.join("\n")
    );

    only_owned_secrets_are_left(&admin, &before).await?;
    what_it_reads_at_home_is_there_only(&thief).await
}

/// The API server's own list of what the account may do in a foreign namespace, and nothing is missing from it here.
async fn exactly_these_rights(thief: &Client) -> Result<()> {
    let review = Call::post(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": { "namespace": VAULT },
        }),
    );
    let answer = review.send(thief).await?;
    let rules = answer.json()["status"]["resourceRules"].clone();
    let mut rules = rules
        .as_array()
        .with_context(|| answer.text.clone())?
        .iter()
        .map(|rule| {
            let names = |key: &str| {
                let mut names = serde_json::from_value::<Vec<String>>(rule[key].clone()).unwrap_or_default();
                names.sort();
                names.join(",")
            };
            format!(
                "{} of {}/{} {}",
                names("verbs"),
                names("apiGroups"),
                names("resources"),
                names("resourceNames")
            )
        })
        // What every authenticated account may ask about itself.
        .filter(|rule| !rule.contains("selfsubject"))
        .collect::<Vec<_>>();
    rules.sort();
    assert_eq!(
        rules,
        [
            "create of events.k8s.io/events ",
            "create,update of /secrets ",
            "get of /namespaces kube-system",
            "get of /serviceaccounts ",
            "list,watch of claviger.dev/oidcclients ",
            "patch of claviger.dev/oidcclients/status ",
        ]
    );
    Ok(())
}

/// Compares the cluster with what it was. A Secret whose owner never existed is gone by itself.
async fn only_owned_secrets_are_left(admin: &Client, before: &snapshot::Snapshot) -> Result<()> {
    let orphan = secret(VAULT, attempts::ORPHAN);
    poll::until(
        "the Secret of a made-up owner to be collected",
        PATIENCE,
        async || Ok((Call::get(&*orphan).send(admin).await?.status == 404).then_some(())),
    )
    .await?;
    let after = snapshot::take(admin).await?;
    let mut changed = Vec::new();
    for (name, object) in before {
        match after.get(name) {
            Some(now) if now == object => {}
            Some(now) if is_owned(now) && is_owned(object) && owner(now) == owner(object) => {}
            Some(now) if name.ends_with("/vault/shop") && only_status_differs(object, now) => {}
            Some(now) => changed.push(format!("{name} was {object}\n  and is {now}")),
            None => changed.push(format!("{name} is gone")),
        }
    }
    for (name, object) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        if !is_owned(object) {
            changed.push(format!("{name} is new: {object}"));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
    Ok(())
}

/// Whether it is a Secret of claviger's own: an app's, whose controller is an `OidcClient`.
fn is_owned(object: &Value) -> bool {
    object["kind"] == "Secret"
        && object["type"] == "servicebinding.io/oidc"
        && object["metadata"]["namespace"] != "kube-system"
        && object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "claviger"
        && owner(object)["controller"] == true
        && owner(object)["kind"] == "OidcClient"
}

fn owner(object: &Value) -> &Value {
    &object["metadata"]["ownerReferences"][0]
}

fn only_status_differs(before: &Value, after: &Value) -> bool {
    let strip = |object: &Value| {
        let mut object = object.clone();
        for changed in ["/status", "/metadata/resourceVersion", "/metadata/managedFields"] {
            if let Some(value) = object.pointer_mut(changed) {
                *value = Value::Null;
            }
        }
        object
    };
    before["kind"] == "OidcClient" && strip(before) == strip(after)
}

/// The one place where the roles let it read: its own namespace, one by one and by name.
async fn what_it_reads_at_home_is_there_only(thief: &Client) -> Result<()> {
    let answer = Call::get(secret(HOME, "smtp")).send(thief).await?;
    assert!(
        answer.status == 200 && foreign::shows_loot(&answer.text),
        "{answer}"
    );
    Ok(())
}
