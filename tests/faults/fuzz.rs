//! Experiment 25: resources drawn from the schema with wrong parts in them, and every redirect URI of the corpus. First with the
//! schema as it is installed; then with one that takes anything, so that what admission refused meets the controller.

mod generate;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use testbed::cluster::audit::AuditEvent;
use testbed::raw::Call;
use testbed::resources::{condition, is_observed};
use testbed::scale::count;
use testbed::seed::Seed;
use testbed::{Kind, poll};

use crate::harness::{HOME, PATIENCE, Served, World, passed};
use generate::Schema;

/// Calls of claviger's for one object over its whole life: two writes, and what is tried again.
const MOST: usize = 6;
/// The API server takes three megabytes and etcd half of that.
const LARGEST: usize = 1_400_000;

#[derive(Deserialize)]
struct Corpus {
    registration: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    uri: String,
    verdict: String,
}

/// One resource that is applied.
struct Trial {
    kind: Kind,
    name: String,
    spec: Value,
    /// What has to come of it, where that is known.
    expected: Option<bool>,
}

impl Trial {
    fn namespace<'a>(&self, apps: &'a str) -> &'a str {
        match self.kind {
            Kind::OidcClient => apps,
            Kind::OidcUser => HOME,
        }
    }

    /// Applies it; tells whether the API server took it, and fails if that went wrong otherwise.
    async fn apply(&self, world: &World, apps: &str) -> bool {
        let (plural, kind) = match self.kind {
            Kind::OidcClient => ("oidcclients", "OidcClient"),
            Kind::OidcUser => ("oidcusers", "OidcUser"),
        };
        let object = json!({
            "apiVersion": "claviger.dev/v1alpha1", "kind": kind,
            "metadata": { "name": self.name }, "spec": self.spec,
        });
        let namespace = self.namespace(apps);
        let path = format!("/apis/claviger.dev/v1alpha1/namespaces/{namespace}/{plural}");
        let answer = Call::post(path, object)
            .send(&world.cluster.client().unwrap())
            .await
            .unwrap();
        assert!(
            answer.status == 201 || (400..500).contains(&answer.status),
            "{}: {answer}",
            self.name
        );
        answer.status == 201
    }

    /// Waits until claviger has said something about it; gives whether it is Ready, or nothing where it cannot be read.
    async fn verdict(&self, served: &Served, apps: &str) -> Option<bool> {
        let namespace = self.namespace(apps);
        let api = served.resources.api(self.kind, namespace);
        let unreadable = format!("\"resource\":\"{namespace}/{}\"", self.name);
        poll::until(&self.name, PATIENCE, async || {
            let object = api.get(&self.name).await?;
            if is_observed(&object)
                && let Some(ready) = condition(&object, "Ready")
            {
                let told = ready["message"].as_str().unwrap_or_default();
                anyhow::ensure!(!told.is_empty() && told.len() <= 4096, "{told}");
                return Ok(Some(Some(ready["status"] == "True")));
            }
            let log = served.claviger.log();
            let said = log
                .lines()
                .any(|line| line.contains(&unreadable) && line.contains("does not fit the schema"));
            Ok(said.then_some(None))
        })
        .await
        .unwrap()
    }
}

fn trials(mut seed: Seed) -> Vec<Trial> {
    let corpus: Corpus = serde_yaml::from_str(include_str!("../fixtures/redirect_uris.yaml")).unwrap();
    let uris: Vec<String> = corpus.registration.iter().map(|row| row.uri.clone()).collect();
    let mut trials: Vec<Trial> = corpus
        .registration
        .into_iter()
        .enumerate()
        .map(|(number, row)| Trial {
            kind: Kind::OidcClient,
            name: format!("uri-{number}"),
            spec: json!({ "redirectUris": [row.uri] }),
            expected: Some(row.verdict == "accepted"),
        })
        .collect();
    let clients = Schema::new(include_str!("../../crds/oidcclients.yaml"), &uris);
    let users = Schema::new(include_str!("../../crds/oidcusers.yaml"), &uris);
    for (kind, schema, prefix, count) in [
        (Kind::OidcClient, clients, "client", count(80, 2_000)),
        (Kind::OidcUser, users, "user", count(20, 300)),
    ] {
        trials.extend((0..count).map(|number| Trial {
            kind,
            name: format!("{prefix}-{number}"),
            spec: schema.draw(&mut seed),
            expected: None,
        }));
    }
    trials
}

/// Everything is refused at admission or told in a condition (or, where it cannot even be read, in the log); the corpus as it
/// says; nothing panics, nobody is worked on again and again, and who is registered beside all this works.
#[tokio::test]
async fn experiment_25_resources_that_are_wrong() {
    let world = World::new().await.unwrap();
    let seed = Seed::or(25).unwrap();
    let apps = world.namespace("fuzz").await;
    let mut served = world.serve(&[&apps]).await;
    served.apply(&apps, "good").await;
    let good = served.app(&apps, "good").await;

    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for trial in trials(seed) {
        if trial.apply(&world, &apps).await {
            taken.push(trial);
        } else {
            assert_ne!(trial.expected, Some(true), "{}: {}", trial.name, trial.spec);
            refused.push(trial);
        }
    }
    let drawn = |trials: &[Trial]| trials.iter().filter(|trial| trial.expected.is_none()).count();
    let (drawn_taken, drawn_refused) = (drawn(&taken), drawn(&refused));
    assert!(
        drawn_taken > 10 && drawn_refused > 10,
        "{drawn_taken} taken, {drawn_refused} refused"
    );
    let mut ready = 0;
    for trial in &taken {
        let verdict = trial.verdict(&served, &apps).await.unwrap_or_default();
        assert_eq!(
            verdict,
            trial.expected.unwrap_or(verdict),
            "{}: {}",
            trial.name,
            trial.spec
        );
        ready += usize::from(verdict);
    }

    take_the_rules_away(&world, &served, &apps).await;
    let (mut told, mut unreadable) = (0, 0);
    let mut again = Vec::new();
    for trial in refused {
        // What etcd does not hold, and what JSON readers do not follow, is not what this is about.
        let (size, depth) = (trial.spec.to_string().len(), generate::depth(&trial.spec));
        if size < LARGEST && depth < 100 && trial.apply(&world, &apps).await {
            again.push(trial);
        }
    }
    for trial in &again {
        match trial.verdict(&served, &apps).await {
            Some(verdict) => {
                told += 1;
                assert!(
                    !verdict || trial.expected.is_none(),
                    "{}: {}",
                    trial.name,
                    trial.spec
                );
            }
            None => unreadable += 1,
        }
    }
    assert!(good.authenticates().await.unwrap());
    nobody_is_busy(&world, &apps, taken.len() + again.len());
    served.check_sound();
    let verdict = format!(
        "{} taken by the schema ({ready} of them Ready, the others told why), {drawn_refused} drawn ones refused; without the \
         schema {} of the refused applied again: {told} told in a condition, {unreadable} in the log; no panic, at most {MOST} \
         calls for any",
        taken.len(),
        again.len()
    );
    passed("25", seed.0, &verdict);
}

fn nobody_is_busy(world: &World, apps: &str, objects: usize) {
    let mut calls: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut all = 0;
    for namespace in [apps, HOME] {
        for event in world.requests(namespace).into_iter().filter(AuditEvent::is_write) {
            *calls.entry((event.verb, event.resource, event.name)).or_default() += 1;
            all += 1;
        }
    }
    let busy: Vec<_> = calls.iter().filter(|(_, count)| **count > MOST).collect();
    assert!(busy.is_empty(), "{busy:?}");
    assert!(all <= MOST * objects, "{all} calls for {objects} objects");
}

/// Makes the API server take any spec at all, and waits until it does.
async fn take_the_rules_away(world: &World, served: &Served, apps: &str) {
    let anything =
        json!({ "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true });
    for (definition, kind, namespace) in [
        ("oidcclients.claviger.dev", Kind::OidcClient, apps),
        ("oidcusers.claviger.dev", Kind::OidcUser, HOME),
    ] {
        let schema = "/spec/versions/0/schema/openAPIV3Schema";
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}");
        let mut change = json!([
            { "op": "replace", "path": format!("{schema}/properties/spec"), "value": anything },
            { "op": "remove", "path": format!("{schema}/required") },
        ]);
        if kind == Kind::OidcUser {
            let rules = json!({ "op": "remove", "path": format!("{schema}/x-kubernetes-validations") });
            change.as_array_mut().unwrap().push(rules);
        }
        let call = Call::patch(path, "application/json-patch+json", change);
        let answer = call.send(&world.cluster.client().unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{answer}");
        poll::until("the API server to take anything", PATIENCE, async || {
            let spec = json!({ "redirectUris": 7, "groups": 7 });
            served.resources.create(kind, namespace, "probe", spec).await?;
            Ok(Some(()))
        })
        .await
        .unwrap();
        served.resources.delete(kind, namespace, "probe").await.unwrap();
    }
}
