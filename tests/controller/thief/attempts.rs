//! What the thief tries on Secrets.

use serde_json::{Value, json};
use testbed::raw::Call;

use super::foreign::{World, loot};
use super::{Attempt, Expected, HOME, VAULT};
use crate::owned_secret::{keyring, owned_by_client, owned_by_user, secret, secrets};

/// The Secret that names an owner who never existed: it is taken, and collected at once.
pub(super) const ORPHAN: &str = "orphan";

const OWN_TYPE: &str = "servicebinding.io/oidc";
const LABEL: &str = "app.kubernetes.io/managed-by";
const NOBODY: &str = "11111111-1111-1111-1111-111111111111";

pub(super) fn all(world: &World) -> Vec<Attempt> {
    let mut attempts = reading_all();
    for foreign in &world.secrets {
        attempts.extend(reading(foreign));
        attempts.extend(overwriting(world, foreign));
    }
    attempts.extend(making(world));
    attempts.extend(making_elsewhere(world));
    attempts.extend(changing_its_own(world));
    attempts.extend(at_home(world));
    attempts
}

fn reading_all() -> Vec<Attempt> {
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let mut calls = vec![
        Call::get("/api/v1/secrets"),
        Call::get("/api/v1/secrets?watch=1&timeoutSeconds=1"),
        Call::get("/api/v1/watch/secrets?timeoutSeconds=1"),
        Call::get("/api/v1/secrets").header("Accept", table),
        Call::get("/api/v1/secrets").header("Accept", metadata),
        Call::get("/api/v1/secrets?labelSelector=app.kubernetes.io/managed-by%3Dclaviger"),
    ];
    for namespace in [VAULT, HOME, "kube-system"] {
        let list = secrets(namespace);
        calls.extend([
            Call::get(&*list),
            Call::get(format!("{list}?watch=1&timeoutSeconds=1")),
            Call::get(format!("{list}?fieldSelector=metadata.name%3Dopaque")),
            Call::get(format!(
                "/api/v1/watch/namespaces/{namespace}/secrets?timeoutSeconds=1"
            )),
            Call::delete(&*list),
            Call::delete(&*list).dry_run(),
        ]);
    }
    calls
        .into_iter()
        .map(|call| Attempt::new("reads or deletes all", call, Expected::MissingRight))
        .collect()
}

/// Reading, patching and deleting one: a patch and a deletion, even as a question, would answer with the object.
fn reading(foreign: &Value) -> Vec<Attempt> {
    let path = path(foreign);
    let name = foreign["metadata"]["name"].as_str().unwrap();
    let mut calls = vec![
        Call::patch(&*path, "application/merge-patch+json", json!({})),
        Call::patch(&*path, "application/merge-patch+json", json!({})).dry_run(),
        Call::patch(&*path, "application/strategic-merge-patch+json", json!({})).dry_run(),
        Call::patch(
            &*path,
            "application/json-patch+json",
            json!([{ "op": "test", "path": "/type", "value": "Opaque" }]),
        ),
        Call::patch(
            format!("{path}?fieldManager=claviger&force=true"),
            "application/apply-patch+yaml",
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } }),
        )
        .dry_run(),
        Call::delete(&*path),
        Call::delete(&*path).dry_run(),
        Call::get(format!("{path}/status")),
        Call::put(format!("{path}/status"), foreign.clone()),
    ];
    // At home it may read by name, which is looked at on its own.
    if foreign["metadata"]["namespace"] != HOME {
        calls.push(Call::get(&*path));
        calls.push(Call::get(format!("{path}?watch=1&timeoutSeconds=1")));
    }
    calls
        .into_iter()
        .map(|call| Attempt::new(format!("reads {name}"), call, Expected::MissingRight))
        .collect()
}

/// Making or replacing one that exists.
fn overwriting(world: &World, foreign: &Value) -> Vec<Attempt> {
    let name = foreign["metadata"]["name"].as_str().unwrap();
    let kind = foreign["type"].as_str().unwrap();
    let path = path(foreign);
    let collection = path.trim_end_matches(name).trim_end_matches('/').to_owned();
    let immutable = foreign["immutable"] == true;
    let in_the_system = foreign["metadata"]["namespace"] == "kube-system";

    let own = world.own_secret(name);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut secret = own.clone();
        change(&mut secret);
        Call::put(&*path, secret)
    };
    let before_admission = if kind == OWN_TYPE && !immutable {
        Expected::Policy
    } else {
        Expected::Invalid
    };
    let its_type_only = if immutable {
        Expected::Invalid
    } else {
        Expected::Policy
    };
    // Not even whether it exists is told there.
    let exists = if in_the_system {
        Expected::Policy
    } else {
        Expected::Conflict
    };
    // What belongs to another client is claviger's as well: it may be written again as it is.
    let same_again = if super::is_owned(foreign) {
        Expected::Taken
    } else {
        Expected::Policy
    };
    let own_type = |secret: &mut Value| secret["type"] = kind.into();
    let mut copy = foreign.clone();
    let mut adopted = foreign.clone();
    adopted["metadata"]["labels"] = own["metadata"]["labels"].clone();
    adopted["metadata"]["ownerReferences"] = own["metadata"]["ownerReferences"].clone();
    let mut rows = vec![
        ("with its own Secret", with(&|_| {}), before_admission),
        ("with its own Secret of that type", with(&own_type), its_type_only),
        (
            "naming the right uid",
            with(&|secret| {
                own_type(secret);
                secret["metadata"]["uid"] = foreign["metadata"]["uid"].clone();
            }),
            its_type_only,
        ),
        (
            "naming the right resourceVersion",
            with(&|secret| {
                own_type(secret);
                secret["metadata"]["resourceVersion"] = foreign["metadata"]["resourceVersion"].clone();
            }),
            its_type_only,
        ),
        (
            "naming a wrong uid",
            with(&|secret| secret["metadata"]["uid"] = NOBODY.into()),
            Expected::Conflict,
        ),
        (
            "emptied",
            with(&|secret| {
                own_type(secret);
                secret["data"] = json!({});
            }),
            its_type_only,
        ),
        // The one thing that can be learnt about the content, by who knows all of it: 422 from an immutable one
        // becomes 403 when everything was guessed.
        (
            "guessing all of it",
            with(&|secret| {
                own_type(secret);
                secret["data"] = loot();
                secret["immutable"] = foreign["immutable"].clone();
            }),
            Expected::Policy,
        ),
        ("with an exact copy", Call::put(&*path, copy.clone()), same_again),
        ("adopting it", Call::put(&*path, adopted), Expected::Policy),
    ];
    copy["metadata"]["finalizers"] = json!(["claviger.dev/hold"]);
    rows.push(("holding it", Call::put(&*path, copy), Expected::Policy));
    rows.push(("making it again", Call::post(collection, own.clone()), exists));
    let rows = rows.into_iter().flat_map(|(what, call, expected)| {
        [(what, call.clone().dry_run(), expected), (what, call, expected)]
    });
    rows.map(|(what, call, expected)| Attempt::new(format!("overwrites {name} {what}"), call, expected))
        .collect()
}

/// A way in which a Secret is not quite as claviger makes them.
type Shape = (&'static str, fn(&mut Value));

const METADATA: &[Shape] = &[
    ("no label", |s| s["metadata"]["labels"] = json!({})),
    ("another label", |s| {
        s["metadata"]["labels"][LABEL] = "Helm".into();
    }),
    ("no labels", |s| s["metadata"]["labels"] = Value::Null),
    ("a finalizer", |s| {
        s["metadata"]["finalizers"] = json!(["claviger.dev/hold"]);
    }),
    ("a label that others act on", |s| {
        s["metadata"]["labels"]["argocd.argoproj.io/secret-type"] = "cluster".into();
    }),
    ("a label that looks like its own", |s| {
        s["metadata"]["labels"]["claviger.dev.example.org/x"] = "x".into();
    }),
    ("an annotation that others act on", |s| {
        s["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": "default" });
    }),
];

const OWNERS: &[Shape] = &[
    ("no owner", |s| s["metadata"]["ownerReferences"] = json!([])),
    ("no owners", |s| s["metadata"]["ownerReferences"] = Value::Null),
    ("two owners", |s| {
        let mut second = owner(s).clone();
        second["uid"] = NOBODY.into();
        second["controller"] = false.into();
        s["metadata"]["ownerReferences"]
            .as_array_mut()
            .unwrap()
            .push(second);
    }),
    ("an owner without control", |s| {
        owner(s)["controller"] = false.into();
    }),
    ("an owner of unknown control", |s| {
        owner(s)["controller"] = Value::Null;
    }),
    ("an OidcUser as owner", |s| owner(s)["kind"] = "OidcUser".into()),
    ("a Deployment as owner", |s| {
        owner(s)["kind"] = "Deployment".into();
    }),
    ("an owner of another group", |s| {
        owner(s)["apiVersion"] = "claviger.dev.example.org/v1".into();
    }),
    ("an owner of the group of apps", |s| {
        owner(s)["apiVersion"] = "apps/v1".into();
    }),
    ("an owner that it blocks", |s| {
        owner(s)["blockOwnerDeletion"] = true.into();
    }),
];

fn owner(secret: &mut Value) -> &mut Value {
    &mut secret["metadata"]["ownerReferences"][0]
}

/// Making one that is not quite as claviger makes them.
fn making(world: &World) -> Vec<Attempt> {
    let types = [
        "Opaque",
        "kubernetes.io/dockercfg",
        "kubernetes.io/tls",
        "helm.sh/release.v1",
        "claviger.dev/keyring",
        "example.org/any",
    ];
    let mut attempts = Vec::new();
    for (what, change) in METADATA.iter().chain(OWNERS) {
        let mut secret = world.own_secret("made");
        change(&mut secret);
        attempts.extend(both(
            what,
            &Call::post(secrets(VAULT), secret.clone()),
            Expected::Policy,
        ));
        // The same without a name of its own.
        secret["metadata"].as_object_mut().unwrap().remove("name");
        secret["metadata"]["generateName"] = "made-".into();
        attempts.extend(both(what, &Call::post(secrets(VAULT), secret), Expected::Policy));
    }
    for kind in types {
        let mut secret = world.own_secret("made");
        secret["type"] = kind.into();
        secret["data"] = json!({ ".dockercfg": "e30=", "tls.crt": "", "tls.key": "" });
        attempts.extend(both(kind, &Call::post(secrets(VAULT), secret), Expected::Policy));
    }
    attempts
}

/// Kinds of Secrets that give power, and places where no app is.
fn making_elsewhere(world: &World) -> Vec<Attempt> {
    let mut token = world.own_secret("made");
    token["type"] = "kubernetes.io/service-account-token".into();
    token["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": "default" });
    let bootstrap = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "bootstrap-token-abcdef", "labels": { LABEL: "claviger" } },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef",
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": "system:bootstrappers:x",
        },
    });
    let mut dressed = world.own_secret("bootstrap-token-abcdef");
    dressed["stringData"] = bootstrap["stringData"].clone();
    let mut attempts = Vec::new();
    for (what, namespace, secret) in [
        ("a ServiceAccount's token", VAULT, token.clone()),
        ("a ServiceAccount's token", "kube-system", token.clone()),
        ("a ServiceAccount's token", HOME, token),
        ("a bootstrap token", "kube-system", bootstrap.clone()),
        ("a bootstrap token", VAULT, bootstrap),
        ("a bootstrap token in claviger's dress", "kube-system", dressed),
        ("its own", "kube-system", world.own_secret("made")),
        ("its own", "kube-public", world.own_secret("made")),
        ("its own", "kube-node-lease", world.own_secret("made")),
        ("a keyring", VAULT, keyring("claviger-keyring")),
        ("a password", VAULT, owned_by_user("made", "alice", &world.alice)),
    ] {
        attempts.extend(both(
            what,
            &Call::post(secrets(namespace), secret),
            Expected::Policy,
        ));
    }
    let mut misplaced = world.own_secret("made");
    misplaced["metadata"]["namespace"] = "kube-system".into();
    let list = json!({ "apiVersion": "v1", "kind": "SecretList", "items": [world.own_secret("made")] });
    attempts.extend(both(
        "for another place",
        &Call::post(secrets(VAULT), misplaced),
        Expected::BadRequest,
    ));
    attempts.extend(both(
        "a list",
        &Call::post(secrets(VAULT), list),
        Expected::BadRequest,
    ));
    let orphan = owned_by_client(ORPHAN, "nobody", NOBODY);
    attempts.push(Attempt::new(
        "makes one of a made-up owner",
        Call::post(secrets(VAULT), orphan),
        Expected::Taken,
    ));
    let absent = Call::put(secret(VAULT, "absent"), world.own_secret("absent"));
    attempts.extend(both("by replacing nothing", &absent, Expected::NotFound));
    attempts
}

/// Turning its own Secret into something else.
fn changing_its_own(world: &World) -> Vec<Attempt> {
    let name = "shop-oidc";
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut secret = world.own_secret(name);
        change(&mut secret);
        Call::put(self::secret(VAULT, name), secret)
    };
    let rows = [
        (
            "to nobody",
            changed(&|s| s["metadata"]["ownerReferences"] = json!([])),
            Expected::Policy,
        ),
        (
            "to another owner",
            changed(&|s| owner(s)["uid"] = NOBODY.into()),
            Expected::Policy,
        ),
        (
            "to a user",
            changed(&|s| owner(s)["kind"] = "OidcUser".into()),
            Expected::Policy,
        ),
        (
            "out of its label",
            changed(&|s| s["metadata"]["labels"] = json!({})),
            Expected::Policy,
        ),
        (
            "into a blocker",
            changed(&|s| s["metadata"]["finalizers"] = json!(["a/b"])),
            Expected::Policy,
        ),
        (
            "into another type",
            changed(&|s| s["type"] = "Opaque".into()),
            Expected::Invalid,
        ),
        (
            "in its data",
            changed(&|s| s["data"] = json!({ "client-id": "eA==" })),
            Expected::Taken,
        ),
    ];
    let mut attempts = rows
        .into_iter()
        .map(|(what, call, expected)| Attempt::new(format!("turns its own {what}"), call, expected))
        .collect::<Vec<_>>();
    for call in [Call::get(secret(VAULT, name)), Call::delete(secret(VAULT, name))] {
        attempts.push(Attempt::new("its own", call, Expected::MissingRight));
    }
    attempts
}

/// Names and shapes that are for home, used otherwise.
fn at_home(world: &World) -> Vec<Attempt> {
    let mut other_kind = world.own_secret("claviger-keyring");
    let mut attempts = both(
        "an app's Secret under the keyring's name",
        &Call::post(secrets(HOME), other_kind.clone()),
        Expected::Policy,
    );
    other_kind["type"] = "claviger.dev/keyring".into();
    attempts.extend(both(
        "a keyring with an owner",
        &Call::post(secrets(HOME), other_kind),
        Expected::Policy,
    ));
    let other_name = Call::post(secrets(HOME), keyring("other"));
    attempts.extend(both("a keyring of another name", &other_name, Expected::Policy));
    let mut password = owned_by_user("made", "shop", &world.shop);
    password["metadata"]["ownerReferences"][0]["kind"] = "OidcClient".into();
    attempts.extend(both(
        "a password of a client",
        &Call::post(secrets(HOME), password),
        Expected::Policy,
    ));
    let mut unowned = owned_by_user("made", "alice", &world.alice);
    unowned["metadata"]["ownerReferences"] = json!([]);
    attempts.extend(both(
        "a password of nobody",
        &Call::post(secrets(HOME), unowned),
        Expected::Policy,
    ));
    for name in ["smtp", "typed-password"] {
        for secret in [keyring(name), owned_by_user(name, "alice", &world.alice)] {
            attempts.extend(both(
                "over somebody's Secret at home",
                &Call::put(self::secret(HOME, name), secret),
                Expected::Invalid,
            ));
        }
    }
    attempts
}

/// An attempt and the same as a question.
fn both(what: &str, call: &Call, expected: Expected) -> Vec<Attempt> {
    [call.clone().dry_run(), call.clone()]
        .into_iter()
        .map(|call| Attempt::new(format!("makes {what}"), call, expected))
        .collect()
}

fn path(foreign: &Value) -> String {
    let text = |key: &str| foreign["metadata"][key].as_str().unwrap();
    secret(text("namespace"), text("name"))
}
