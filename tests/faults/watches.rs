//! Experiment 14: watches that are cut all the time, and connections that go silent.

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::Kind;
use testbed::fault_proxy::Fault;
use testbed::scale::count;
use testbed::seed::Seed;

use crate::harness::{World, passed};

/// A watch lives so long.
const LIFE: Duration = Duration::from_secs(2);
/// Between two changes.
const PACE: Duration = Duration::from_millis(300);
/// What claviger is told instead of 290 s, so that nobody waits for that.
const WATCH_TIMEOUT: &str = "5s";

/// Both at once, since they wait for most of their time.
#[tokio::test]
async fn experiment_14_watches_that_are_cut_and_connections_that_go_silent() {
    futures::future::join(cut(), silent()).await;
}

/// Every watch ends or is cut after two seconds while clients are made, changed and deleted: no change is missed, and what is
/// missed in a gap comes with the next watch and not with a new list.
async fn cut() {
    let world = World::shared();
    let mut seed = Seed::or(14).unwrap();
    let drawn = seed.0;
    let namespace = world.namespace("cut").await;
    let mut served = world.serve(&[&namespace]).await;
    let faults = seed;
    served.proxy.plan(move |asked| {
        let fault = match (asked.is_watch(), faults.of((&asked.path, asked.nth)) % 2) {
            (false, _) => Fault::None,
            (true, 0) => Fault::EndsAfter(LIFE),
            (true, _) => Fault::CutAfter(LIFE),
        };
        fault.into()
    });
    // The watch that began before the plan has no end of its own.
    served.proxy.close();
    served.proxy.open().await.unwrap();

    let (mut live, mut gone, mut made) = (Vec::new(), Vec::new(), 0);
    let changes = count(60, 600);
    for _ in 0..changes {
        match seed.below(4) {
            0 | 1 => {
                let name = format!("app-{made}");
                made += 1;
                served.apply(&namespace, &name).await;
                live.push(name);
            }
            2 if !live.is_empty() => {
                let name = &live[seed.below(live.len())];
                let spec = json!({ "displayName": format!("Draw {}", seed.draw()) });
                served.change(&namespace, name, spec).await;
            }
            3 if live.len() > 3 => {
                let name = live.swap_remove(seed.below(live.len()));
                // The app that goes has to be known before, or its refusal says nothing.
                let app = served.app(&namespace, &name).await;
                served.delete(&namespace, &name).await;
                gone.push(app);
            }
            _ => {}
        }
        tokio::time::sleep(PACE).await;
    }
    for app in served.apps(&namespace, &live).await {
        assert!(app.authenticates().await.unwrap());
    }
    served.wait_until_refused(&gone).await;
    let (lists, watches) = (served.lists("oidcclients"), watches(&served.proxy.exchanges()));
    assert!(watches > 5, "only {watches} watches");
    // One at the start; a gap of a moment needs none.
    assert!(lists <= 2, "{lists} lists in {watches} watches");
    served.check_sound();
    let verdict = format!(
        "{changes} changes, {} clients live and Ready, {} deleted and refused; {lists} lists in {watches} watches",
        live.len(),
        gone.len()
    );
    passed("14 (cut)", drawn, &verdict);
}

fn watches(exchanges: &[testbed::fault_proxy::Exchange]) -> usize {
    exchanges
        .iter()
        .filter(|exchange| exchange.asked.is_watch() && exchange.asked.path.ends_with("/oidcclients"))
        .count()
}

/// All connections go silent, several times, with a write in flight: whatever changed meanwhile arrives once the watch should
/// have ended, and a write that got no answer is made again.
async fn silent() {
    let world = World::shared();
    let namespace = world.namespace("silent").await;
    let mut served = world
        .launch(&[&namespace], |options| {
            options.arguments.push(format!("--watch-timeout={WATCH_TIMEOUT}"));
        })
        .await;
    served.claviger.wait_until_ready().await.unwrap();
    let rounds = count(2, 10);
    let mut slowest = Duration::ZERO;
    let mut gone = Vec::new();
    for round in 0..rounds {
        let [stays, goes, new] = ["stays", "goes", "new"].map(|name| format!("{name}-{round}"));
        for name in [&stays, &goes] {
            served.apply(&namespace, name).await;
        }
        served.app(&namespace, &stays).await;
        gone.push(served.app(&namespace, &goes).await);
        // One that claviger has seen and is about to write: its calls hang.
        served.apply(&namespace, &format!("flight-{round}")).await;
        served.proxy.silence();
        let began = Instant::now();
        served.apply(&namespace, &new).await;
        let spec = json!({ "displayName": format!("Round {round}") });
        served.change(&namespace, &stays, spec).await;
        served.delete(&namespace, &goes).await;
        served.app(&namespace, &new).await;
        served.app(&namespace, &stays).await;
        served.app(&namespace, &format!("flight-{round}")).await;
        served.wait_until_refused(&gone).await;
        slowest = slowest.max(began.elapsed());
    }
    let resources = served.resources.api(Kind::OidcClient, &namespace);
    let all = resources.list(&kube::api::ListParams::default()).await.unwrap();
    assert_eq!(all.items.len(), 3 * rounds);
    let lists = served.lists("oidcclients");
    assert!(lists <= 1 + rounds, "{lists} lists in {rounds} rounds");
    served.check_sound();
    let verdict = format!(
        "{rounds} times silent with a watch timeout of {WATCH_TIMEOUT}: every change arrived within {slowest:.1?}; {lists} \
         lists"
    );
    passed("14 (silent)", 0, &verdict);
}
