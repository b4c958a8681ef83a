//! Three hundred apps at once: that each of them works, and what all of them cost the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use testbed::cluster::audit::AuditEvent;
use testbed::relying_party::{Registration, RelyingParty};
use testbed::{Installation, InstallationOptions, Kind, poll, resources};
use tokio::time::Instant;

const APPS: usize = 300;
const NAMESPACES: usize = 6;
/// Requests at once, of those who create resources and of the apps alike.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_mins(5);
const QUIET: Duration = Duration::from_mins(1);
/// On loopback any port will do, so nothing has to listen.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// Namespace and name of an `OidcClient`.
type Name = (String, String);

/// Applied at once, all of them become Ready; each costs the API server one Secret and one status and nothing else,
/// nothing is refused, and each Secret authenticates. Then nothing is written at all: not in a minute of work for the
/// apps, and not by a restart. Whoever is deleted is refused. All the while claviger uses no right that it is not given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_clients_cost_two_writes_each_and_nothing_after() -> Result<()> {
    let mut options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    // The sweep that heals Secrets would write all the time.
    options.arguments.push("--heal-interval=0s".to_owned());
    let mut installation = Installation::start(options).await?;
    let before = installation.requests()?.len();
    let names = create_all(&installation).await?;
    wait_until_all_are_ready(&installation).await?;
    each_cost_two_writes(&installation, before, &names).await?;

    let before = installation.requests()?.len();
    let since = Instant::now();
    let apps = apps(&installation, &names).await?;
    all_authenticate(&apps).await?;
    tokio::time::sleep_until(since + QUIET).await;
    let writes = writes(&installation, before)?;
    assert!(writes.is_empty(), "in a quiet minute: {writes:#?}");

    a_restart_writes_nothing(&mut installation, &names[0].0).await?;
    all_authenticate(&apps).await?;
    a_deleted_one_is_refused(&installation, &names[1], &apps[&names[1]]).await?;
    only_given_rights_were_used(&installation).await
}

async fn create_all(installation: &Installation) -> Result<Vec<Name>> {
    let mut namespaces = Vec::new();
    for _ in 0..NAMESPACES {
        namespaces.push(installation.cluster.temp_namespace("team").await?);
    }
    let names: Vec<Name> = (0..APPS)
        .map(|number| {
            let namespace = namespaces[number % NAMESPACES].clone();
            (namespace, format!("app-{number}"))
        })
        .collect();
    let resources = installation.resources()?;
    stream::iter(names.clone())
        .map(|(namespace, name)| {
            let resources = resources.clone();
            async move {
                let spec = json!({ "redirectUris": [REDIRECT_URI] });
                resources
                    .create(Kind::OidcClient, &namespace, &name, spec)
                    .await
                    .map(drop)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(names)
}

async fn wait_until_all_are_ready(installation: &Installation) -> Result<()> {
    let all = installation.resources()?.everywhere(Kind::OidcClient);
    poll::until("all OidcClients to be Ready", PATIENCE, async || {
        let list = all.list(&ListParams::default()).await?;
        let waiting: Vec<_> = list
            .iter()
            .filter(|object| {
                resources::condition(object, "Ready").is_none_or(|ready| ready["status"] != "True")
            })
            .filter_map(|object| object.metadata.name.as_deref())
            .collect();
        anyhow::ensure!(waiting.is_empty(), "not Ready: {waiting:?}");
        anyhow::ensure!(list.items.len() == APPS, "{} are there", list.items.len());
        Ok(Some(()))
    })
    .await
}

/// What claviger has written since, dry runs and Events left out.
fn writes(installation: &Installation, since: usize) -> Result<Vec<AuditEvent>> {
    let mut events = installation.requests()?.split_off(since);
    events.retain(|event| event.is_write() && event.resource != "events");
    Ok(events)
}

async fn each_cost_two_writes(installation: &Installation, since: usize, names: &[Name]) -> Result<()> {
    // The answer goes out a moment before the log has it.
    poll::until("the audit log to be complete", PATIENCE, async || {
        Ok((writes(installation, since)?.len() >= 2 * APPS).then_some(()))
    })
    .await?;
    let mut by_name: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for event in writes(installation, since)? {
        let name = event.name.strip_suffix("-oidc").unwrap_or(&event.name).to_owned();
        by_name
            .entry((event.namespace.clone(), name))
            .or_default()
            .push(in_words(&event));
    }
    for name in names {
        let mut written = by_name.remove(name).unwrap_or_default();
        written.sort();
        assert_eq!(
            written,
            ["create secrets 201", "patch oidcclients/status 200"],
            "{name:?}"
        );
    }
    assert!(by_name.is_empty(), "writes to something else: {by_name:#?}");
    let refused: Vec<String> = installation
        .requests()?
        .split_off(since)
        .iter()
        .filter(|event| event.code == 401 || event.code == 403)
        .map(in_words)
        .collect();
    assert!(refused.is_empty(), "refused: {refused:?}");
    Ok(())
}

fn in_words(event: &AuditEvent) -> String {
    format!("{} {} {}", event.verb, plural(event), event.code)
}

/// The resource as in a role.
fn plural(event: &AuditEvent) -> String {
    if event.subresource.is_empty() {
        event.resource.clone()
    } else {
        format!("{}/{}", event.resource, event.subresource)
    }
}

/// All apps, each configured by its own Secret.
async fn apps(installation: &Installation, names: &[Name]) -> Result<BTreeMap<Name, RelyingParty>> {
    let secrets: Api<Secret> = Api::all(installation.cluster.client()?);
    let of_type = ListParams::default().fields("type=servicebinding.io/oidc");
    let mut by_name = BTreeMap::new();
    for secret in secrets.list(&of_type).await? {
        let meta = &secret.metadata;
        let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
        let key = (namespace.unwrap_or_default(), name.unwrap_or_default());
        by_name.insert(key, resources::entries(secret)?);
    }
    assert_eq!(by_name.len(), names.len(), "one Secret each");
    stream::iter(names.to_vec())
        .map(|(namespace, name)| {
            let entries = by_name.get(&(namespace.clone(), format!("{name}-oidc"))).cloned();
            async move {
                let entries = entries.with_context(|| format!("{namespace}/{name} has no Secret"))?;
                let registration = Registration {
                    issuer: entries["OIDC_ISSUER"].clone(),
                    client_id: entries["OIDC_CLIENT_ID"].clone(),
                    client_secret: Some(entries["OIDC_CLIENT_SECRET"].clone()),
                    redirect_uri: entries["OIDC_REDIRECT_URI"].clone(),
                };
                Ok(((namespace, name), RelyingParty::discover(registration).await?))
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn all_authenticate(apps: &BTreeMap<Name, RelyingParty>) -> Result<()> {
    let answers: Vec<(Name, bool)> = stream::iter(apps.clone())
        .map(|(name, app)| async move { Ok((name, app.authenticates().await?)) })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await
        .map_err(|error: anyhow::Error| error)?;
    assert_eq!(answers.len(), APPS);
    for (name, authenticates) in answers {
        assert!(authenticates, "{name:?}");
    }
    // The same request with another client's secret shows that the answer above means something.
    let mut pairs = apps.values().take(2);
    let (first, second) = (pairs.next().context("no app")?, pairs.next().context("one app")?);
    let mixed = RelyingParty::discover(Registration {
        client_secret: second.registration().client_secret.clone(),
        ..first.registration().clone()
    })
    .await?;
    assert!(!mixed.authenticates().await?);
    Ok(())
}

/// The first list after a restart brings all of them; one more at the end shows that all were looked at.
async fn a_restart_writes_nothing(installation: &mut Installation, namespace: &str) -> Result<()> {
    installation.claviger.stop();
    let before = installation.requests()?.len();
    installation.claviger.restart().await?;
    let resources = installation.resources()?;
    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    resources
        .create(Kind::OidcClient, namespace, "one-more", spec)
        .await?;
    resources
        .wait_until_ready(Kind::OidcClient, namespace, "one-more")
        .await?;
    let (ours, theirs): (Vec<_>, Vec<_>) = writes(installation, before)?
        .into_iter()
        .partition(|event| event.name.starts_with("one-more"));
    assert!(theirs.is_empty(), "after a restart: {theirs:#?}");
    assert!(!ours.is_empty(), "the log holds what was written");
    resources.delete(Kind::OidcClient, namespace, "one-more").await
}

async fn a_deleted_one_is_refused(
    installation: &Installation,
    (namespace, name): &Name,
    app: &RelyingParty,
) -> Result<()> {
    installation
        .resources()?
        .delete(Kind::OidcClient, namespace, name)
        .await?;
    poll::until("a deleted client to be refused", PATIENCE, async || {
        Ok((!app.authenticates().await?).then_some(()))
    })
    .await
}

/// Every request of claviger's account, from its first start on, is one that a rule of the chart's roles grants.
async fn only_given_rights_were_used(installation: &Installation) -> Result<()> {
    let client = installation.cluster.client()?;
    let home = installation.release.namespace.as_str();
    let cluster_role: Api<ClusterRole> = Api::all(client.clone());
    let role: Api<Role> = Api::namespaced(client, home);
    let everywhere = cluster_role.get("claviger").await?.rules.unwrap_or_default();
    let at_home = role.get("claviger").await?.rules.unwrap_or_default();
    let used: BTreeSet<(String, String, bool)> = installation
        .requests()?
        .iter()
        // Discovery is about no resource; Kubernetes grants it to every account.
        .filter(|event| !event.resource.is_empty())
        .map(|event| (event.verb.clone(), plural(event), event.namespace == home))
        .collect();
    assert!(
        used.len() >= 6,
        "the log shows the work of a whole life: {used:?}"
    );
    for (verb, resource, is_at_home) in used {
        let given = grants(&everywhere, &verb, &resource) || is_at_home && grants(&at_home, &verb, &resource);
        assert!(given, "no rule grants {verb} {resource}, at home: {is_at_home}");
    }
    Ok(())
}

fn grants(rules: &[PolicyRule], verb: &str, resource: &str) -> bool {
    rules.iter().any(|rule| {
        rule.verbs.iter().any(|granted| granted == verb)
            && rule.resources.iter().flatten().any(|granted| granted == resource)
    })
}
