//! What the Kubernetes API says about this installation when `doctor` asks: rights, the admission policy, the clock, the
//! people whose subject is not pinned. Everything here only reads or asks; nothing is changed.

use http::Request;
use http::header::DATE;
use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};

use super::ControllerSettings;
use super::kube_error::describe;
use super::startup;
use crate::clock::Timestamp;
use crate::crd::v1alpha1::OidcUser;

/// One thing that an account may or may not do.
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    name: &'static str,
}

const fn right(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right {
        verb,
        group,
        resource,
        subresource: "",
        name: "",
    }
}

const GROUP: &str = "claviger.dev";

/// Needed wherever there are clients.
const AT_CLIENTS: &[Right] = &[
    right("list", GROUP, "oidcclients"),
    right("watch", GROUP, "oidcclients"),
    Right {
        subresource: "status",
        ..right("patch", GROUP, "oidcclients")
    },
    right("create", "", "secrets"),
    right("update", "", "secrets"),
    right("create", "events.k8s.io", "events"),
    right("get", "", "serviceaccounts"),
];
/// Needed in claviger's own namespace.
const AT_HOME: &[Right] = &[
    right("get", "", "secrets"),
    right("create", "", "secrets"),
    right("update", "", "secrets"),
    right("list", GROUP, "oidcusers"),
    right("watch", GROUP, "oidcusers"),
    Right {
        subresource: "status",
        ..right("patch", GROUP, "oidcusers")
    },
];
/// Needed of the cluster.
const OF_CLUSTER: &[Right] = &[Right {
    name: "kube-system",
    ..right("get", "", "namespaces")
}];
/// Never needed anywhere but at home: whoever stole the account could read or break everybody's Secrets.
const TOO_MUCH: &[Right] = &[
    right("get", "", "secrets"),
    right("list", "", "secrets"),
    right("watch", "", "secrets"),
    right("patch", "", "secrets"),
    right("delete", "", "secrets"),
];

/// What the account lacks, and what it has too much of; each as a person would write it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Lacking.
    pub missing: Vec<String>,
    /// Too much.
    pub surplus: Vec<String>,
}

/// Asks about every right that claviger uses, and about those that it must not have.
pub async fn rights(client: &Client, settings: &ControllerSettings) -> Result<Rights, String> {
    let mut rights = Rights::default();
    let everywhere = [String::new()];
    let watched = if settings.watch_namespaces.is_empty() {
        &everywhere[..]
    } else {
        &settings.watch_namespaces
    };
    let at_clients = watched.iter().map(|namespace| (AT_CLIENTS, namespace.as_str()));
    let others = [(AT_HOME, settings.namespace.as_str()), (OF_CLUSTER, "")];
    for (needed, namespace) in at_clients.chain(others) {
        for right in needed {
            if !allows(client, right, namespace).await? {
                rights.missing.push(in_words(right, namespace));
            }
        }
    }
    for right in TOO_MUCH {
        if allows(client, right, "").await? {
            rights.surplus.push(in_words(right, ""));
        }
    }
    Ok(rights)
}

async fn allows(client: &Client, right: &Right, namespace: &str) -> Result<bool, String> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: text(right.verb),
                group: text(right.group),
                resource: text(right.resource),
                subresource: text(right.subresource),
                name: text(right.name),
                namespace: text(namespace),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| describe(&error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn in_words(right: &Right, namespace: &str) -> String {
    let mut words = format!("{} {}", right.verb, right.resource);
    if !right.group.is_empty() {
        words = format!("{words}.{}", right.group);
    }
    if !right.subresource.is_empty() {
        words = format!("{words}/{}", right.subresource);
    }
    if !right.name.is_empty() {
        words = format!("{words} {}", right.name);
    }
    match namespace {
        "" => format!("{words} in the cluster"),
        namespace => format!("{words} in {namespace}"),
    }
}

/// Whether the admission policy holds claviger back, tried as at the start.
pub async fn policy_is_in_force(client: &Client, settings: &ControllerSettings) -> Result<bool, String> {
    startup::policy_denies(client, settings)
        .await
        .map_err(|error| describe(&error))
}

/// By how much the clock of the API server is ahead of ours; `clock` is read right after the answer. The header has whole
/// seconds.
pub async fn clock_difference(
    client: &Client,
    clock: impl Fn() -> Timestamp,
) -> Result<SignedDuration, String> {
    let request = Request::get("/version")
        .body(kube::client::Body::empty())
        .map_err(|error| error.to_string())?;
    let response = client.send(request).await.map_err(|error| describe(&error))?;
    let now = clock();
    let date = response
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .ok_or("its answers have no Date header")?;
    let theirs = rfc2822::parse(date).map_err(|error| format!("its Date header is malformed: {error}"))?;
    Ok(theirs.timestamp().duration_since(now))
}

/// A person whose spec does not pin the subject.
pub struct UnpinnedSubject {
    /// The resource's name.
    pub name: String,
    /// The subject, as apps know it.
    pub subject: String,
}

/// The people whose spec does not pin their subject, by name, and how many others do.
pub async fn unpinned_subjects(
    client: &Client,
    settings: &ControllerSettings,
) -> Result<(Vec<UnpinnedSubject>, usize), String> {
    let api: Api<OidcUser> = Api::namespaced(client.clone(), &settings.namespace);
    let (mut unpinned, mut pinned) = (Vec::new(), 0);
    let mut page = ListParams::default().limit(500);
    loop {
        let list = api.list(&page).await.map_err(|error| describe(&error))?;
        for resource in list.items {
            // Without a status claviger has not taken it up yet; the schema lets nobody pin it before either.
            let subject = resource.status.and_then(|status| status.subject);
            match (resource.spec.subject, subject, resource.metadata.name) {
                (None, Some(subject), Some(name)) => unpinned.push(UnpinnedSubject { name, subject }),
                (Some(_), ..) => pinned += 1,
                _ => {}
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    unpinned.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((unpinned, pinned))
}
