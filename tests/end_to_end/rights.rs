//! Exactly the chart's rights: what claviger asks of the API server in normal work is what it was given, no more and no
//! less; and what happens where they are taken away and given back while it serves.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use testbed::browser::Browser;
use testbed::cluster::audit::AuditEvent;
use testbed::resources::condition;
use testbed::{Installation, InstallationOptions, Kind, Resources, poll, visit};

use crate::harness::PATIENCE;

const HOME: &str = "claviger";
const TEAM: &str = "team-a";
/// On loopback any port will do, so nothing has to listen.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

async fn start() -> Result<(Installation, Resources)> {
    let mut options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    options.memory = true;
    let installation = Installation::start(options).await?;
    let resources = installation.resources()?;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(installation.cluster.client()?);
    let namespace = serde_json::from_value(json!({ "metadata": { "name": TEAM } }))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    Ok((installation, resources))
}

async fn create_app(resources: &Resources, name: &str) -> Result<()> {
    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    resources.create(Kind::OidcClient, TEAM, name, spec).await?;
    Ok(())
}

/// A client that names a ServiceAccount.
async fn create_service(resources: &Resources) -> Result<()> {
    let spec = json!({
        "grantTypes": ["client_credentials"],
        "tokenEndpointAuthMethods": ["private_key_jwt"],
        "serviceAccounts": [{ "name": "service" }],
    });
    resources.create(Kind::OidcClient, TEAM, "service", spec).await?;
    resources
        .wait_until_ready(Kind::OidcClient, TEAM, "service")
        .await?;
    Ok(())
}

fn rights(rules: Option<Vec<PolicyRule>>) -> BTreeSet<String> {
    rules
        .unwrap_or_default()
        .into_iter()
        .flat_map(|rule| {
            let resources = rule.resources.unwrap_or_default();
            rule.verbs.into_iter().flat_map(move |verb| {
                resources
                    .clone()
                    .into_iter()
                    .map(move |resource| format!("{verb} {resource}"))
            })
        })
        .collect()
}

fn right(event: &AuditEvent) -> String {
    let parts: Vec<&str> = [event.resource.as_str(), event.subresource.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    format!("{} {}", event.verb, parts.join("/"))
}

/// A person with a generated password, one with a password in a Secret, an app through a change, one that is refused, a
/// visit, a deletion: no call of claviger's is forbidden, and every right of its roles was used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn normal_work_uses_exactly_the_rights_that_were_granted() -> Result<()> {
    let (installation, resources) = start().await?;
    let generated = json!({ "password": { "generate": true } });
    resources.create(Kind::OidcUser, HOME, "ada", generated).await?;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(installation.cluster.client()?, HOME);
    let own =
        json!({ "metadata": { "name": "grace-own" }, "stringData": { "password": "correct horse battery" } });
    secrets
        .create(&PostParams::default(), &serde_json::from_value(own)?)
        .await?;
    let own = json!({ "password": { "secretRef": { "name": "grace-own", "key": "password" } } });
    resources.create(Kind::OidcUser, HOME, "grace", own).await?;
    for name in ["ada", "grace"] {
        resources.wait_until_ready(Kind::OidcUser, HOME, name).await?;
    }
    create_app(&resources, "shop").await?;
    resources.wait_until_ready(Kind::OidcClient, TEAM, "shop").await?;
    let renamed = json!({ "displayName": "Shop" });
    resources.change(Kind::OidcClient, TEAM, "shop", renamed).await?;
    resources.wait_until_ready(Kind::OidcClient, TEAM, "shop").await?;
    let taken = json!({ "redirectUris": [REDIRECT_URI], "secret": { "name": "shop-oidc" } });
    resources.create(Kind::OidcClient, TEAM, "other", taken).await?;
    resources
        .wait_for(Kind::OidcClient, TEAM, "other", "Accepted", "False")
        .await?;
    create_service(&resources).await?;
    let app = installation.app(TEAM, "shop").await?;
    visit::whole(&app, "ada", &installation.password("ada").await?).await?;
    resources.delete(Kind::OidcClient, TEAM, "shop").await?;

    let client = installation.cluster.client()?;
    let everywhere: Api<ClusterRole> = Api::all(client.clone());
    let at_home: Api<Role> = Api::namespaced(client, HOME);
    let mut granted = rights(everywhere.get("claviger").await?.rules);
    granted.extend(rights(at_home.get("claviger").await?.rules));

    let (requests, used) = poll::until("every right to be used", PATIENCE, async || {
        let mut requests = installation.requests()?;
        // What every account may ask about itself needs no right of ours, and what is asked of no resource is public.
        requests.retain(|event| !event.resource.is_empty() && !event.resource.starts_with("selfsubject"));
        // A watch is written down when it ends.
        let mut used: BTreeSet<String> = requests.iter().map(right).collect();
        used.extend(["watch oidcclients".to_owned(), "watch oidcusers".to_owned()]);
        anyhow::ensure!(granted.is_subset(&used), "granted {granted:?}, used {used:?}");
        Ok(Some((requests, used)))
    })
    .await?;
    assert_eq!(used, granted, "what was used was granted");
    let forbidden: Vec<_> = requests
        .iter()
        // The start tries the admission policy, which must deny exactly that.
        .filter(|event| event.code == 403 && !(event.dry_run && event.resource == "secrets"))
        .collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
    Ok(())
}

/// The binding of the roles is removed and given back: within a minute the log and the metrics say what is missing, people
/// and apps notice nothing, and everything heals without a restart. Where only the right to write Secrets, or
/// to read ServiceAccounts, is missing, the condition names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_taken_away_is_named_and_heals_by_itself() -> Result<()> {
    let (mut installation, resources) = start().await?;
    let generated = json!({ "password": { "generate": true } });
    resources.create(Kind::OidcUser, HOME, "ada", generated).await?;
    resources.wait_until_ready(Kind::OidcUser, HOME, "ada").await?;
    create_app(&resources, "shop").await?;
    resources.wait_until_ready(Kind::OidcClient, TEAM, "shop").await?;
    let app = installation.app(TEAM, "shop").await?;
    let password = installation.password("ada").await?;
    let process = installation.claviger.process().id();

    let bindings: Api<ClusterRoleBinding> = Api::all(installation.cluster.client()?);
    let mut binding = bindings.get("claviger").await?;
    bindings.delete("claviger", &DeleteParams::default()).await?;
    create_app(&resources, "unbound").await?;
    poll::until("the log to name the missing right", PATIENCE, async || {
        let log = installation.claviger.log();
        let told = log.lines().any(|line| {
            line.contains("failed to reconcile")
                && line.contains("team-a/unbound")
                && line.contains("forbidden")
        });
        Ok(told.then_some(()))
    })
    .await?;
    let metrics = metrics(&installation).await?;
    let failing = "claviger_controller_resources_failing{kind=\"OidcClient\"} 1\n";
    anyhow::ensure!(metrics.contains(failing), "{metrics}");
    visit::sign_in(&app, &Browser::new()?, "ada", &password).await?;

    binding.metadata.resource_version = None;
    binding.metadata.uid = None;
    bindings.create(&PostParams::default(), &binding).await?;
    resources
        .wait_until_ready(Kind::OidcClient, TEAM, "unbound")
        .await?;

    create_service(&resources).await?;

    // Everything but Secrets and ServiceAccounts: the status can say so.
    let api: Api<ClusterRole> = Api::all(installation.cluster.client()?);
    let whole = api.get("claviger").await?;
    let is_taken = |rule: &PolicyRule| {
        let resources = rule.resources.iter().flatten();
        resources
            .into_iter()
            .any(|name| name == "secrets" || name == "serviceaccounts")
    };
    let rules = whole.rules.clone().context("the role has no rules")?;
    let without: Vec<_> = rules.iter().filter(|rule| !is_taken(rule)).collect();
    assert_eq!(without.len(), rules.len() - 2);
    let set = async |rules: serde_json::Value| {
        let patch = Patch::Merge(json!({ "rules": rules }));
        api.patch("claviger", &PatchParams::default(), &patch).await
    };
    set(json!(without)).await?;
    create_app(&resources, "refused").await?;
    let refused = resources
        .wait_for(Kind::OidcClient, TEAM, "refused", "SecretReady", "False")
        .await?;
    let told = condition(&refused, "SecretReady").context("no condition")?;
    assert_eq!(told["reason"], "Forbidden");
    let message = told["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("lacks the right to write the Secret refused-oidc"),
        "{message}"
    );
    let unseen = resources
        .wait_for(Kind::OidcClient, TEAM, "service", "Accepted", "False")
        .await?;
    let told = condition(&unseen, "Accepted").context("no condition")?;
    assert_eq!(told["reason"], "Forbidden");
    let message = told["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("lacks the right to get the ServiceAccount team-a/service"),
        "{message}"
    );
    visit::sign_in(&app, &Browser::new()?, "ada", &password).await?;
    set(json!(rules)).await?;
    resources
        .wait_until_ready(Kind::OidcClient, TEAM, "refused")
        .await?;
    resources
        .wait_until_ready(Kind::OidcClient, TEAM, "service")
        .await?;
    assert_eq!(installation.claviger.process().id(), process, "without a restart");
    Ok(())
}

async fn metrics(installation: &Installation) -> Result<String> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = installation.claviger.admin_url("/metrics");
    Ok(http.get(url).send().await?.text().await?)
}
