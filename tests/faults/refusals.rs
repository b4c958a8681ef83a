//! Experiment 13: an API server that is slow, and one that refuses a part of all calls.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use testbed::fault_proxy::{Asked, Exchange, Fault, FaultProxy, Refusal, Treatment};
use testbed::folder::Folder;
use testbed::scale::count;
use testbed::seed::Seed;

use crate::harness::{World, names, passed};

const LATENCY: Duration = Duration::from_secs(5);
/// Of a hundred calls.
const REFUSED: u64 = 30;
/// So many calls for one object may follow each other at once: a Secret is written in up to three rounds of two calls, and
/// then the status.
const BURST: usize = 7;
const RETRY_AFTER: u32 = 2;

/// Both at once, since they wait for most of their time.
#[tokio::test]
async fn experiment_13_a_slow_and_a_refusing_api_server() {
    futures::future::join(slow(), refusing()).await;
}

/// Every call takes five seconds: each client is Ready all the same, with two writes.
async fn slow() {
    let world = World::shared();
    let namespace = world.namespace("slow").await;
    let mut served = world.serve(&[&namespace]).await;
    served.proxy.plan(|_| Treatment {
        delay: LATENCY,
        ..Treatment::default()
    });
    let names = names("app", count(4, 40));
    let began = Instant::now();
    for name in &names {
        served.apply(&namespace, name).await;
    }
    for app in served.apps(&namespace, &names).await {
        assert!(app.authenticates().await.unwrap());
    }
    let writes = world.writes(&namespace).len();
    assert_eq!(writes, 2 * names.len(), "a Secret and a status for each");
    served.check_sound();
    let verdict = format!(
        "{} clients Ready with {writes} writes at 5 s a call, after {:.1?}",
        names.len(),
        began.elapsed()
    );
    passed("13 (latency)", 0, &verdict);
}

/// From its start on, claviger has three of ten calls refused with 500, 409 or 429, some of them after they were carried out:
/// all clients converge, `Retry-After` is kept, and no object is asked for more than once a second but for a short burst.
async fn refusing() {
    let world = World::shared();
    let seed = Seed::or(13).unwrap();
    let namespace = world.namespace("refusing").await;
    let proxy = FaultProxy::start(&world.cluster).await.unwrap();
    proxy.plan(move |asked| refusal(seed, asked).into());
    let mut served = world.launch_by(proxy, Folder::new("faults").unwrap(), &[&namespace], |_| ());
    served.claviger.wait_until_ready().await.unwrap();
    let names = names("app", count(20, 200));
    for name in &names {
        served.apply(&namespace, name).await;
    }
    let apps = served.apps(&namespace, &names).await;
    for app in &apps {
        assert!(
            app.authenticates().await.unwrap(),
            "the Secret holds what the store knows"
        );
    }
    served.proxy.heal();
    let exchanges = served.proxy.exchanges();
    let refused = exchanges
        .iter()
        .filter(|exchange| exchange.fault != Fault::None)
        .count();
    assert!(
        refused * 100 > exchanges.len() * 15,
        "{refused} of {}",
        exchanges.len()
    );
    let kept = retry_after_kept(&exchanges);
    assert!(kept > 0, "nothing was asked again after a Retry-After");
    let densest = names
        .iter()
        .map(|name| excess(&exchanges, name))
        .max()
        .unwrap_or_default();
    assert!(
        densest <= BURST,
        "{densest} calls for one object beyond one a second"
    );
    served.check_sound();
    let verdict = format!(
        "{} clients Ready; {refused} of {} calls refused; Retry-After kept {kept} times; at most {densest} calls for an \
         object beyond one a second",
        names.len(),
        exchanges.len()
    );
    passed("13 (refusals)", seed.0, &verdict);
}

/// Decided by the seed and the call alone, so that the order in which calls arrive does not matter.
fn refusal(seed: Seed, asked: &Asked) -> Fault {
    let draw = seed.of((&asked.method, &asked.path, asked.nth));
    if draw % 100 >= REFUSED {
        return Fault::None;
    }
    let (kind, lost) = (draw / 100 % 3, (draw / 300).is_multiple_of(2));
    let refusal = match (kind, asked.method.as_str()) {
        (0, "POST") if asked.is_write() => (409, "AlreadyExists", None),
        (0, "PUT" | "PATCH") => (409, "Conflict", None),
        (1, _) => (429, "TooManyRequests", Some(RETRY_AFTER)),
        (_, _) if (draw / 600).is_multiple_of(2) => (500, "ServerTimeout", Some(RETRY_AFTER)),
        (_, _) => (500, "InternalError", None),
    };
    let (status, reason, retry_after) = refusal;
    let refusal = Refusal {
        status,
        reason,
        retry_after,
    };
    // Whoever is told to come back later was not served.
    if lost && status == 500 {
        Fault::Lost(refusal)
    } else {
        Fault::Refused(refusal)
    }
}

/// How often the same was asked again after a `Retry-After`; fails where that was too soon.
fn retry_after_kept(exchanges: &[Exchange]) -> usize {
    let mut kept = 0;
    for (index, exchange) in exchanges.iter().enumerate() {
        let (Fault::Refused(refusal) | Fault::Lost(refusal)) = exchange.fault else {
            continue;
        };
        // Writes name their object; two reads of the same path may be about different things.
        let (Some(seconds), true) = (refusal.retry_after, exchange.asked.is_write()) else {
            continue;
        };
        let same = |later: &&Exchange| {
            later.asked.method == exchange.asked.method && later.asked.path == exchange.asked.path
        };
        if let Some(next) = exchanges[index + 1..].iter().find(same) {
            let waited = next.at - exchange.at;
            assert!(
                waited >= Duration::from_secs(seconds.into()),
                "{:?} was asked again after {waited:?}",
                exchange.asked
            );
            kept += 1;
        }
    }
    kept
}

/// The most calls for an object of this name in any time, less one for each second of that time.
fn excess(exchanges: &[Exchange], name: &str) -> usize {
    let (secret, resource) = (
        format!("/secrets/{name}-oidc"),
        format!("/oidcclients/{name}/status"),
    );
    let calls: Vec<Instant> = exchanges
        .iter()
        .filter(|exchange| exchange.asked.path.ends_with(&secret) || exchange.asked.path.ends_with(&resource))
        .map(|exchange| exchange.at)
        .collect();
    let mut most = 0;
    for (first, from) in calls.iter().enumerate() {
        for (last, to) in calls.iter().enumerate().skip(first) {
            let seconds = usize::try_from((*to - *from).as_secs()).unwrap();
            most = most.max((last - first + 1).saturating_sub(seconds));
        }
    }
    most
}

/// The draws are what the verdict says: about three of ten, of every kind.
#[test]
fn the_refusals_are_as_many_as_they_should_be() {
    let mut kinds: HashMap<u16, usize> = HashMap::new();
    for nth in 0..10_000 {
        let asked = Asked {
            method: "PATCH".to_owned(),
            path: "/x".to_owned(),
            query: String::new(),
            nth,
        };
        if let Fault::Refused(refusal) | Fault::Lost(refusal) = refusal(Seed(13), &asked) {
            *kinds.entry(refusal.status).or_default() += 1;
        }
    }
    let all: usize = kinds.values().sum();
    assert!((2_800..3_200).contains(&all), "{kinds:?}");
    assert!(
        [409, 429, 500].iter().all(|status| kinds[status] > 800),
        "{kinds:?}"
    );
}
