//! Many clients at once, with the real binary and sled: what it costs the API server.

use std::time::Duration;

use claviger::crd::v1alpha1::OidcClient;
use futures::{StreamExt, stream};
use kube::Api;
use kube::api::{ListParams, PostParams};
use testbed::{Installation, InstallationOptions, poll};

use crate::harness::{PATIENCE, SHOP, client};

const CLIENTS: usize = 300;

/// 300 clients applied at once cost two writes each, a quiet minute none, and a restart with all of them ready none.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_clients_cost_two_writes_each() {
    let options = InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"));
    let mut installation = Installation::start(options).await.unwrap();
    let namespace = installation.cluster.temp_namespace("scale").await.unwrap();
    let api: Api<OidcClient> = Api::namespaced(installation.cluster.client().unwrap(), &namespace);

    stream::iter(0..CLIENTS)
        .for_each_concurrent(16, |number| {
            let (api, resource) = (api.clone(), client(&namespace, &format!("app-{number}"), SHOP));
            async move {
                api.create(&PostParams::default(), &resource).await.unwrap();
            }
        })
        .await;
    wait_until_ready(&api, CLIENTS).await;
    let writes = writes(&installation, &namespace);
    let count = |what: &str| writes.iter().filter(|write| *write == what).count();
    assert_eq!(count("create secrets 201"), CLIENTS);
    assert_eq!(count("patch oidcclients/status 200"), CLIENTS);
    assert_eq!(writes.len(), 2 * CLIENTS);

    // Not a wait for anything: the minute in which nothing may happen.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(self::writes(&installation, &namespace).len(), 2 * CLIENTS);

    installation.claviger.restart().await.unwrap();
    // The last in the queue: when it is ready, all others were looked at.
    api.create(&PostParams::default(), &client(&namespace, "last", SHOP))
        .await
        .unwrap();
    wait_until_ready(&api, CLIENTS + 1).await;
    let after = self::writes(&installation, &namespace);
    assert_eq!(
        after[2 * CLIENTS..],
        ["create secrets 201", "patch oidcclients/status 200"]
    );
}

async fn wait_until_ready(api: &Api<OidcClient>, expected: usize) {
    poll::until("all clients to be ready", PATIENCE * 3, async || {
        let list = api.list(&ListParams::default()).await?;
        let ready = list.iter().filter(|resource| is_ready(resource)).count();
        Ok((ready == expected).then_some(()))
    })
    .await
    .unwrap();
}

fn is_ready(resource: &OidcClient) -> bool {
    resource
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What claviger has changed in the namespace, dry runs left out.
fn writes(installation: &Installation, namespace: &str) -> Vec<String> {
    let user = installation.user();
    installation
        .cluster
        .audit_events()
        .unwrap()
        .into_iter()
        .filter(|event| event.user == user && event.namespace == namespace && event.is_write())
        .map(|event| {
            let slash = if event.subresource.is_empty() { "" } else { "/" };
            format!(
                "{} {}{slash}{} {}",
                event.verb, event.resource, event.subresource, event.code
            )
        })
        .collect()
}
