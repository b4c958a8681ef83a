//! A store that is damaged or lost: begun anew only when asked for, and rebuilt from the resources so that apps notice
//! nothing but that people sign in again.

use std::fs;
use std::path::Path;

use claviger::clock::{Clock as _, SystemClock};
use claviger::keyring::Keyring;
use claviger::keyring::directory::DirectoryStorage;
use claviger::random::SystemRandom;
use serde_json::json;
use testbed::browser::{Arrival, Browser};
use testbed::relying_party::RelyingParty;

use crate::harness::{HOME, REDIRECT_URI, SCOPE, Served, StoreKind, World, refused, tokens};
use crate::launch::Start;

fn cut_in_half(store: &Path) {
    let database = fs::OpenOptions::new()
        .write(true)
        .open(store.join("sled/db"))
        .unwrap();
    let length = database.metadata().unwrap().len();
    database.set_len(length / 2).unwrap();
}

fn asides(store: &Path) -> Vec<String> {
    fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("damaged-"))
        .collect()
}

/// With `--recover-store` a damaged store is moved aside and rebuilt: the apps' Secrets are as they were and
/// authenticate, people sign in again, and what was granted before is over. The log says what was lost and where the rest
/// is. A store that is whole is left as it is.
#[tokio::test]
async fn a_damaged_store_is_recovered_when_asked_for() {
    let world = World::shared();
    let mut served = world.serve(StoreKind::Sled).await;
    let mut apps = Vec::new();
    for number in 0..3 {
        apps.push(served.app(&format!("shop-{number}"), json!({})).await);
    }
    let mut secrets = Vec::new();
    for number in 0..3 {
        secrets.push(
            world
                .secret(&served.namespace, &format!("shop-{number}-oidc"))
                .await,
        );
    }
    let browser = Browser::new().unwrap();
    let before = tokens(&apps[0], &browser).await;
    assert!(served.claviger.stop().success());
    let store = served.folder.join("store");
    cut_in_half(&store);

    let kubeconfig = world.kubeconfig();
    let without = Start::new().sled(&store).kubeconfig(kubeconfig);
    without
        .refused_with(&[
            "it is damaged (",
            "restore a backup, or start with --recover-store",
        ])
        .await;
    assert!(asides(&store).is_empty());

    served
        .claviger
        .options()
        .arguments
        .push("--recover-store".to_owned());
    served.claviger.restart().await.unwrap();
    let aside = asides(&store);
    assert_eq!(aside.len(), 1, "{aside:?}");
    let log = served.claviger.log();
    for part in ["the store was damaged and is begun anew", &aside[0]] {
        assert!(log.contains(part), "no `{part}` in {log}");
    }
    assert!(store.join(&aside[0]).join("sled/db").exists());
    for (number, app) in apps.iter().enumerate() {
        assert!(app.authenticates().await.unwrap(), "shop-{number}");
        let secret = world
            .secret(&served.namespace, &format!("shop-{number}-oidc"))
            .await;
        assert_eq!(secret, secrets[number]);
    }
    let old = before.refresh_token.as_deref().unwrap();
    assert_eq!(refused(apps[0].refresh(old).await.unwrap()), "invalid_grant");
    asks_for_sign_in(&apps[0], &browser).await;
    let after = tokens(&apps[0], &browser).await;

    // Nothing is wrong with this one.
    served.claviger.restart().await.unwrap();
    assert_eq!(asides(&store), aside);
    let refresh_token = after.refresh_token.as_deref().unwrap();
    apps[0].refresh(refresh_token).await.unwrap().unwrap();
}

async fn asks_for_sign_in(app: &RelyingParty, browser: &Browser) {
    let request = app.authorization_request(SCOPE, &[("prompt", "none")]).unwrap();
    let answer = browser.get(&request.url).await.unwrap();
    let Arrival::Callback(callback) = browser.follow(answer, REDIRECT_URI).await.unwrap() else {
        panic!("prompt=none showed a page");
    };
    let login_required = ("error".into(), "login_required".into());
    assert!(
        callback.query_pairs().any(|pair| pair == login_required),
        "{callback}"
    );
}

/// With the store gone, only the resources tell which keyring it belonged to. A keyring that made none of their secrets is
/// refused, and nothing is noted of it, so that the right one is still right. Nor is a new one made for a store that was
/// damaged, which had one.
#[tokio::test]
async fn a_lost_store_takes_no_other_keyring() {
    let world = World::shared();
    let mut served = world.serve(StoreKind::Sled).await;
    let app = served.app("shop", json!({})).await;
    assert!(served.claviger.stop().success());
    let store = served.folder.join("store");
    fs::remove_dir_all(&store).unwrap();

    let other = other_keyring(world, &served).await;
    let why = [
        "the resources tell of client secrets that were derived from the master key",
        "every client secret would change; give claviger the keyring that belongs to this cluster",
    ];
    let start = || {
        Start::new()
            .sled(&store)
            .flag("watch-namespaces", &served.namespace)
            .kubeconfig(world.kubeconfig())
    };
    start().keyring_folder(&other).refused_with(&why).await;
    served.claviger.restart().await.unwrap();
    assert!(app.authenticates().await.unwrap());

    assert!(served.claviger.stop().success());
    cut_in_half(&store);
    let nowhere = served.folder.join("nowhere");
    Start::new()
        .sled(&store)
        .switch("recover-store")
        .keyring_folder(&nowhere)
        .kubeconfig(world.kubeconfig())
        .refused_with(&["which a store or the status of a resource already refers to"])
        .await;
    assert!(!nowhere.exists());
}

/// A keyring that is not this cluster's. No claviger on the shared cluster would make it: people of other tests, whose
/// status tells of the keyring, are there.
async fn other_keyring(world: &World, served: &Served) -> std::path::PathBuf {
    let folder = served.folder.join("other-keyring");
    let storage = DirectoryStorage::new(&folder);
    Keyring::load_or_create(&storage, true, SystemClock.now(), &SystemRandom)
        .await
        .unwrap();
    assert_ne!(
        fs::read_to_string(folder.join("keyring.json")).unwrap(),
        world.secret(HOME, "claviger-keyring").await["keyring.json"]
    );
    folder
}
