//! Experiment 22, and what comes before: the custom resource definitions are not there yet, or are deleted under a running
//! claviger.

use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use testbed::relying_party::RelyingParty;
use testbed::{Kind, poll};

use crate::harness::{HOME, PATIENCE, Served, World, names, passed};

const CLIENTS: usize = 12;
const DEFINITIONS: [&str; 2] = ["oidcclients.claviger.dev", "oidcusers.claviger.dev"];

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.cluster.client().unwrap())
}

/// Deletes definitions, and with them every resource, and waits until they are gone.
async fn delete(world: &World, names: &[&str]) {
    let api = definitions(world);
    for name in names {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    for name in names {
        poll::until("a definition to be gone", PATIENCE, async || {
            Ok(api.get_opt(name).await?.is_none().then_some(()))
        })
        .await
        .unwrap();
    }
}

/// Applies what `claviger crd` prints, as the log says, and waits until resources can be made.
async fn install(world: &World) {
    let printed = Command::new(env!("CARGO_BIN_EXE_claviger"))
        .arg("crd")
        .output()
        .unwrap();
    assert!(printed.status.success());
    let api = definitions(world);
    for document in serde_yaml::Deserializer::from_slice(&printed.stdout) {
        let definition: CustomResourceDefinition = serde::Deserialize::deserialize(document).unwrap();
        let name = definition.metadata.name.clone().unwrap();
        api.patch(
            &name,
            &PatchParams::apply("test").force(),
            &Patch::Apply(&definition),
        )
        .await
        .unwrap();
    }
    for (kind, namespace) in [(Kind::OidcClient, "default"), (Kind::OidcUser, HOME)] {
        poll::until("the definitions to be served", PATIENCE, async || {
            let list = world.resources().api(kind, namespace);
            Ok(Some(list.list(&ListParams::default()).await?))
        })
        .await
        .unwrap();
    }
}

async fn readyz(served: &Served) -> (u16, String) {
    let answer = reqwest::get(served.claviger.admin_url("/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// claviger with every namespace of a cluster of its own, before there are definitions.
async fn too_early(world: &World) -> Served {
    delete(world, &DEFINITIONS).await;
    let mut served = world
        .launch(&[], |options| {
            options.store = format!("sled:{}", options.log.with_file_name("store").display());
        })
        .await;
    let said = "claviger crd | kubectl apply --server-side -f -";
    served.wait_for_log(said).await;
    // It waits and asks meanwhile.
    let asked = || {
        let exchanges = served.proxy.exchanges();
        exchanges
            .iter()
            .filter(|exchange| exchange.status == Some(404))
            .count()
    };
    let more = asked() + 3;
    poll::until("it to ask again", PATIENCE, async || {
        Ok((asked() >= more).then_some(()))
    })
    .await
    .unwrap();
    let (status, text) = readyz(&served).await;
    assert!(
        status == 503 && text.contains("Kubernetes API"),
        "{status} {text}"
    );
    assert_eq!(served.claviger.log().matches(said).count(), 1, "said once");
    install(world).await;
    served.claviger.wait_until_ready().await.unwrap();
    passed(
        "22 (definitions missing at the start)",
        0,
        "waited for, /readyz 503, said once; ready without a restart when they came",
    );
    served
}

async fn apply_all(served: &Served, namespaces: [&str; 2], names: &[String]) -> Vec<RelyingParty> {
    let mut apps = Vec::new();
    for namespace in namespaces {
        for name in names {
            served.apply(namespace, name).await;
        }
        apps.extend(served.apps(namespace, names).await);
    }
    apps
}

async fn delete_all(served: &Served, namespace: &str) {
    let api = served.resources.api(Kind::OidcClient, namespace);
    api.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
}

async fn assert_known(apps: &[RelyingParty]) {
    for app in apps {
        assert!(app.authenticates().await.unwrap());
    }
}

/// Deletions that are told while the definition is there are believed within one namespace, however many they are, and with
/// them the single one in another namespace. All that there are, at once and from several, are held until the resources are
/// there again.
async fn deletions_without_the_definition(served: &Served, [one, other]: [&str; 2], names: &[String]) {
    let apps = apply_all(served, [one, other], names).await;
    let (gone, kept) = apps.split_at(names.len() + 1);
    // So that all of it is told at once, however slow this machine is.
    served.proxy.close();
    delete_all(served, one).await;
    let delete = served.resources.delete(Kind::OidcClient, other, &names[0]);
    delete.await.unwrap();
    served.proxy.open().await.unwrap();
    served.wait_until_refused(gone).await;
    assert_known(kept).await;
    assert!(!served.claviger.log().contains("removal held"));

    served.apply(other, &names[0]).await;
    served.apps(other, &names[..1]).await;
    for name in names {
        served.apply(one, name).await;
    }
    let again = served.apps(one, names).await;
    served.proxy.close();
    delete_all(served, one).await;
    delete_all(served, other).await;
    served.proxy.open().await.unwrap();
    served.wait_for_log("--accept-removals=24").await;
    assert_known(&again).await;
    assert_known(kept).await;
    let anew = apply_all(served, [one, other], names).await;
    served.wait_for_log("no removal is held any more").await;
    assert_known(&anew).await;
    served.wait_until_refused(&again).await;
    served.wait_until_refused(kept).await;
    let verdict = format!(
        "{} refused, all of one namespace and one of another; {} of two at once held, then replaced by \
         those that were applied again",
        gone.len(),
        anew.len()
    );
    passed("22 (deletions without the definition)", 0, &verdict);
    // For what comes next.
    delete_all(served, other).await;
    served.wait_until_refused(&anew[names.len()..]).await;
}

/// claviger is started before the definitions are there and says so once; they come, and it works. They are deleted with every
/// resource in them: nobody is signed out, and it is announced that removals are held. They come again, empty: still held.
/// Every client that is applied again takes its own place, without a restart; and what is not is accepted by a flag.
#[tokio::test]
async fn experiment_22_definitions_that_come_late_and_go() {
    let world = World::new().await.unwrap();
    let mut served = too_early(&world).await;
    let process = served.claviger.process().id();
    let (one, other) = (world.namespace("one").await, world.namespace("other").await);
    let names = names("app", CLIENTS);
    deletions_without_the_definition(&served, [&one, &other], &names).await;

    let apps = served.apps(&one, &names).await;
    let removed = served.claviger.log().matches("client_removed").count();
    delete(&world, &DEFINITIONS[..1]).await;
    let held = served
        .wait_for_log("custom resource definition was deleted")
        .await;
    assert!(
        held.contains("removal held") && held.contains("--accept-removals=12"),
        "{held}"
    );
    assert_known(&apps).await;
    install(&world).await;
    for name in &names[..CLIENTS / 2] {
        served.apply(&one, name).await;
    }
    let again = served.apps(&one, &names[..CLIENTS / 2]).await;
    assert_known(&again).await;
    served.wait_until_refused(&apps[..CLIENTS / 2]).await;
    assert_known(&apps[CLIENTS / 2..]).await;
    let log = served.claviger.log();
    assert_eq!(log.matches("client_removed").count(), removed + CLIENTS / 2);
    assert!(!log.contains("client_absent"));
    served.check_sound();
    assert_eq!(served.claviger.process().id(), process, "without a restart");
    assert_eq!(readyz(&served).await.0, 200);

    // The others are not meant to come back.
    let options = served.claviger.options();
    options.arguments.push("--accept-removals=6".to_owned());
    served.claviger.restart().await.unwrap();
    served.wait_until_refused(&apps[CLIENTS / 2..]).await;
    assert_known(&again).await;
    served.check_sound();
    let verdict = format!(
        "{CLIENTS} clients kept when their definition was deleted, and announced; {} applied again took their places without a \
         restart; the others were refused when accepted",
        again.len()
    );
    passed("22", 0, &verdict);
}
