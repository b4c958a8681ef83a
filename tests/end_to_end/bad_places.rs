//! Stores and keyrings that claviger must not begin with.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use claviger::clock::SystemClock;
use claviger::oidc::identifier::ResourceUid;
use claviger::store::Store;
use claviger::store::records::ClusterIdentity;
use claviger::store::sled::{SledSettings, SledStore};
use futures::future::join_all;
use serde_json::json;
use testbed::folder::Folder;

use crate::harness::{HOME, StoreKind, World};
use crate::launch::Start;

/// A keyring that cannot be read or understood: where it is, what is wrong with it, and never what stands in it.
#[tokio::test]
async fn an_unreadable_or_malformed_keyring_is_refused() {
    let world = World::shared();
    let document = &world.secret(HOME, "claviger-keyring").await["keyring.json"];
    let damaged = document.replacen("\"key\":\"", "\"key\":\"marked!", 1);
    let folder = Folder::new("keyrings").unwrap();
    let mut starts = Vec::new();
    for (name, content, what) in [
        ("empty", "", "it is truncated"),
        ("garbage", "marked garbage", "it is not JSON"),
        ("half", &document[..document.len() / 2], "it is truncated"),
        ("array", "[1]", "a field is missing or has a wrong value"),
        ("damaged", &damaged, "a field is missing or has a wrong value"),
        (
            "future",
            &document.replacen("\"version\":1", "\"version\":2", 1),
            "it has version 2, this claviger knows version 1; run the claviger that wrote it",
        ),
    ] {
        let path = folder.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("keyring.json"), content).unwrap();
        let place = format!("unable to use the keyring file {}/keyring.json", path.display());
        starts.push((
            Start::new().keyring_folder(&path),
            place,
            what,
            "restore it from a backup",
        ));
    }
    let to_do = "check that the directory belongs to claviger and is writable";
    let file = folder.write("file", "marked").unwrap();
    let place = format!(
        "unable to use the keyring at file {}/keyring.json",
        file.display()
    );
    starts.push((
        Start::new().keyring_folder(&file),
        place,
        "Not a directory",
        to_do,
    ));
    let nested = folder.join("nested");
    fs::create_dir_all(nested.join("keyring.json")).unwrap();
    let place = format!(
        "unable to use the keyring at file {}/keyring.json",
        nested.display()
    );
    starts.push((
        Start::new().keyring_folder(&nested),
        place,
        "Is a directory",
        to_do,
    ));

    for (name, type_, key, content, what, to_do) in [
        (
            "keyring-of-another-type",
            "Opaque",
            "keyring.json",
            document.as_str(),
            "it has the type `Opaque` instead of `claviger.dev/keyring`",
            "choose another name for the keyring",
        ),
        (
            "keyring-without-a-key",
            "claviger.dev/keyring",
            "keys",
            document,
            "it has no key `keyring.json`",
            "restore it from a backup",
        ),
        (
            "keyring-of-garbage",
            "claviger.dev/keyring",
            "keyring.json",
            "marked garbage",
            "it is not JSON",
            "restore it from a backup",
        ),
    ] {
        world.create_secret(name, type_, &[(key, content)]).await;
        let start = Start::new().flag("keyring", format!("secret:{name}"));
        starts.push((start, format!("Secret {HOME}/{name}"), what, to_do));
    }
    join_all(starts.into_iter().map(async |(start, place, what, to_do)| {
        let line = start.kubeconfig(world.kubeconfig()).refused().await;
        for part in [place.as_str(), what, to_do] {
            assert!(line.contains(part), "no `{part}` in `{line}`");
        }
        assert!(!line.contains("marked"), "{line}");
    }))
    .await;
}

/// A new keyring would change every client's secret: none is made where a store or a status tells of one.
#[tokio::test]
async fn a_keyring_that_is_missing_is_not_made_anew() {
    let world = World::shared();
    let mut served = world.serve(StoreKind::Sled).await;
    served.register("shop", json!({})).await;
    let store = served.folder.join("store");
    assert!(served.claviger.stop().success());
    let nowhere = served.folder.join("nowhere");
    let why = "which a store or the status of a resource already refers to: restore it from a backup";
    let by_store = Start::new()
        .sled(&store)
        .keyring_folder(&nowhere)
        .kubeconfig(world.kubeconfig());
    let by_status = Start::new()
        .flag("keyring", "secret:keyring-that-is-nowhere")
        .flag("watch-namespaces", &served.namespace)
        .kubeconfig(world.kubeconfig());
    by_store
        .refused_with(&["unable to find the keyring file", "nowhere/keyring.json", why])
        .await;
    by_status
        .refused_with(&[
            "unable to find the keyring Secret claviger/keyring-that-is-nowhere",
            why,
        ])
        .await;
    assert!(!nowhere.exists());
}

/// A folder that another process uses, that is not a store, or that cannot be one.
#[tokio::test]
async fn a_store_that_is_not_ours_to_use_is_refused() {
    let served = World::shared().serve(StoreKind::Sled).await;
    let store = served.folder.join("store");
    let place = format!(
        "unable to open the store `{}`: another process uses it",
        store.display()
    );
    Start::new()
        .sled(&store)
        .refused_with(&[&place, "stop that one, or give this one a folder of its own"])
        .await;

    let folder = Folder::new("stores").unwrap();
    let photos = folder.join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("cat.jpg"), "miaow").unwrap();
    Start::new()
        .sled(&photos)
        .refused_with(&[
            "holds `cat.jpg` and is not a store of claviger",
            "give an empty folder",
        ])
        .await;
    assert_eq!(fs::read_dir(&photos).unwrap().count(), 1);

    let to_do = "it must be a folder on a writable disk that belongs to the user claviger runs as";
    let file = folder.write("file", "miaow").unwrap();
    for path in [file.as_path(), &file.join("store"), Path::new("/proc/store")] {
        let place = format!("unable to open the store `{}`", path.display());
        Start::new().sled(path).refused_with(&[&place, to_do]).await;
    }
    // The one in use has not noticed.
    let discovery = served.claviger.url("/.well-known/openid-configuration");
    assert!(reqwest::get(discovery).await.unwrap().status().is_success());
}

/// What is done to a store.
type Damage<'a> = &'a dyn Fn(&Path);

/// A store that lost anything is not taken for a new one.
#[tokio::test]
async fn a_damaged_store_is_refused() {
    let mut served = World::shared().serve(StoreKind::Sled).await;
    for number in 0..3 {
        served.register(&format!("shop-{number}"), json!({})).await;
    }
    assert!(served.claviger.stop().success());
    let store = served.folder.join("store");
    let database = "sled/db";
    let length = fs::metadata(store.join(database)).unwrap().len();
    let cut = |path: &Path, length: u64| {
        fs::OpenOptions::new()
            .write(true)
            .open(path.join(database))
            .unwrap()
            .set_len(length)
            .unwrap();
    };
    let damages: [(&str, Damage<'_>); 8] = [
        ("missing", &|path| fs::remove_file(path.join(database)).unwrap()),
        ("all-missing", &|path| {
            fs::remove_dir_all(path.join("sled")).unwrap();
        }),
        ("empty", &|path| cut(path, 0)),
        ("half", &|path| cut(path, length / 2)),
        ("garbage", &|path| {
            fs::write(path.join(database), b"miaow".repeat(100_000)).unwrap();
        }),
        ("zeros", &|path| {
            cut(path, 0);
            cut(path, length);
        }),
        ("state", &|path| {
            fs::write(path.join("store.json"), "miaow").unwrap();
        }),
        ("future", &|path| {
            fs::write(path.join("store.json"), r#"{"v":2,"sequence":1}"#).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let copy = served.folder.join(name);
        copy_folder(&store, &copy);
        damage(&copy);
        let place = format!("unable to open the store `{}`: ", copy.display());
        let rest: &[&str] = match name {
            "future" => &[
                "it has version 2 and this claviger reads version 1",
                "use the claviger that wrote it",
            ],
            _ => &[
                "it is damaged (",
                "restore a backup, or start with --recover-store",
            ],
        };
        let line = Start::new().sled(&copy).refused().await;
        for part in rest.iter().copied().chain([place.as_str()]) {
            assert!(line.contains(part), "{name}: no `{part}` in `{line}`");
        }
    }
}

/// A store of other people and apps, or whose secrets another keyring has made.
#[tokio::test]
async fn a_store_of_another_cluster_or_keyring_is_refused() {
    let world = World::shared();
    let folder = Folder::new("foreign").unwrap();
    let of_cluster = folder.join("cluster");
    let identity = ClusterIdentity {
        uid: ResourceUid::new("uid-of-another"),
        watched_namespaces: Vec::new(),
    };
    let store = open(&of_cluster);
    assert_eq!(store.bind_cluster(&identity).await.unwrap(), None);
    store.close().await.unwrap();
    drop(store);
    let of_keyring = folder.join("keyring");
    let store = open(&of_keyring);
    store.bind_keyring("id-of-another").await.unwrap();
    store.close().await.unwrap();
    drop(store);

    Start::new()
        .sled(&of_cluster)
        .kubeconfig(world.kubeconfig())
        .refused_with(&[
            "the store belongs to the cluster uid-of-another with all namespaces, but this is the cluster ",
            " with the namespaces default; give claviger the store of this cluster, or an empty one",
        ])
        .await;
    Start::new()
        .sled(&of_keyring)
        .kubeconfig(world.kubeconfig())
        .refused_with(&[
            "the store was made with the keyring `id-of-another`, but the keyring at hand is `",
            "give claviger the store and the keyring that belong together (--store, --keyring)",
        ])
        .await;
}

fn open(path: &Path) -> SledStore {
    SledStore::open(SledSettings::at(path), Arc::new(SystemClock), Box::new(|_| ())).unwrap()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &copy);
        } else {
            fs::copy(entry.path(), copy).unwrap();
        }
    }
}
