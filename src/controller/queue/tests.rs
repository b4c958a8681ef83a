use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn resource(uid: &str, generation: i64, version: &str) -> Arc<ConfigMap> {
    Arc::new(ConfigMap {
        metadata: ObjectMeta {
            namespace: Some("team-a".to_owned()),
            name: Some("shop".to_owned()),
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    })
}

fn key() -> ResourceRef {
    ResourceRef {
        namespace: "team-a".to_owned(),
        name: "shop".to_owned(),
    }
}

fn uid(text: &str) -> ResourceUid {
    ResourceUid::new(text)
}

#[test]
fn a_change_of_the_status_alone_makes_no_work() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    assert!(queue.next().is_some());
    queue.finish(&key(), Vec::new(), &Next::Change, Instant::now());
    queue.apply(resource("a", 1, "2"));
    assert!(queue.next().is_none());
    queue.apply(resource("a", 2, "3"));
    assert!(queue.next().is_some());
}

#[test]
fn a_resource_is_never_worked_on_twice_at_once() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    let first = queue.next().unwrap();
    queue.apply(resource("a", 2, "2"));
    queue.apply(resource("a", 3, "3"));
    assert!(queue.next().is_none(), "it runs");
    queue.finish(&first.key, Vec::new(), &Next::Change, Instant::now());
    let second = queue.next().unwrap();
    assert_eq!(second.resource.unwrap().metadata.generation, Some(3));
    queue.finish(&second.key, Vec::new(), &Next::Change, Instant::now());
    assert!(queue.next().is_none());
}

#[test]
fn a_deleted_resource_is_removed_before_its_successor_is_looked_at() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    let running = queue.next().unwrap();
    queue.delete(key(), Some(uid("a")));
    queue.apply(resource("b", 1, "2"));
    queue.finish(&running.key, Vec::new(), &Next::Change, Instant::now());
    let job = queue.next().unwrap();
    assert_eq!(job.removed, [uid("a")]);
    assert_eq!(job.resource.unwrap().metadata.uid.as_deref(), Some("b"));
}

#[test]
fn a_successor_without_news_of_the_deletion_removes_the_old_one_too() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    let job = queue.next().unwrap();
    queue.finish(&job.key, Vec::new(), &Next::Change, Instant::now());
    queue.apply(resource("b", 1, "2"));
    assert_eq!(queue.next().unwrap().removed, [uid("a")]);
}

#[test]
fn what_could_not_be_removed_is_tried_again() {
    let mut queue = Queue::<ConfigMap>::new();
    queue.delete(key(), Some(uid("a")));
    let job = queue.next().unwrap();
    let now = Instant::now();
    queue.finish(&job.key, job.removed, &Next::Failed("store".to_owned()), now);
    assert_eq!(queue.next_due(), Some(now + FIRST_DELAY));
    queue.take_due(now + FIRST_DELAY);
    let job = queue.next().unwrap();
    assert_eq!(job.removed, [uid("a")]);
    queue.finish(&job.key, Vec::new(), &Next::Change, now);
    assert_eq!(queue.slots.len(), 0, "nothing is kept of it");
}

/// A client that was deleted while the store was away is refused soon after the store is back.
#[test]
fn what_could_not_be_removed_never_waits_long() {
    let mut queue = Queue::<ConfigMap>::new();
    queue.delete(key(), Some(uid("a")));
    let mut now = Instant::now();
    for _ in 0..10 {
        let job = queue.next().unwrap();
        queue.finish(&job.key, job.removed, &Next::Failed("store".to_owned()), now);
        let due = queue.next_due().unwrap();
        assert!(due <= now + LONGEST_REMOVAL_DELAY, "{:?}", due - now);
        now = due;
        queue.take_due(now);
    }
}

#[test]
fn failures_wait_longer_each_time_and_a_change_does_not_wait() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    let mut delays = Vec::new();
    for _ in 0..12 {
        let job = queue.next().unwrap();
        let now = Instant::now();
        queue.finish(&job.key, Vec::new(), &Next::Failed(String::new()), now);
        let due = queue.next_due().unwrap();
        delays.push(due - now);
        queue.take_due(due);
    }
    assert_eq!(delays[0], FIRST_DELAY);
    assert_eq!(delays[1], FIRST_DELAY * GROWTH);
    assert_eq!(delays[11], LONGEST_DELAY);

    let job = queue.next().unwrap();
    queue.finish(&job.key, Vec::new(), &Next::Failed(String::new()), Instant::now());
    queue.apply(resource("a", 2, "2"));
    assert_eq!(queue.next().unwrap().look.attempt, 0);
    assert_eq!(queue.next_due(), None);
}

/// A resource that cannot be reconciled takes nobody's time: at most five tries in any minute.
#[test]
fn what_always_fails_is_tried_five_times_a_minute_at_most() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    let mut now = Instant::now();
    let mut tries = Vec::new();
    for _ in 0..20 {
        let job = queue.next().unwrap();
        tries.push(now);
        queue.finish(&job.key, Vec::new(), &Next::Failed(String::new()), now);
        now = queue.next_due().unwrap();
        queue.take_due(now);
    }
    for six in tries.windows(6) {
        assert!(six[5] - six[0] >= Duration::from_mins(1), "{:?}", six[5] - six[0]);
    }
}

#[test]
fn whoever_waits_for_another_resource_is_woken() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    let job = queue.next().unwrap();
    queue.finish(
        &job.key,
        Vec::new(),
        &Next::Waiting(Duration::from_secs(30)),
        Instant::now(),
    );
    assert!(queue.next().is_none());
    queue.wake_waiting();
    assert!(queue.next().is_some());
    assert_eq!(queue.next_due(), None);
}

#[test]
fn an_annotation_that_asks_for_something_makes_work_and_another_does_not() {
    let annotated = |key: &str, value: &str, version: &str| {
        let mut resource = ConfigMap::clone(&resource("a", 1, version));
        resource.metadata.annotations = Some([(key.to_owned(), value.to_owned())].into());
        Arc::new(resource)
    };
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    assert!(queue.next().is_some());
    queue.finish(&key(), Vec::new(), &Next::Change, Instant::now());
    queue.apply(annotated("example.org/owner", "me", "2"));
    assert!(queue.next().is_none());
    for (number, asks) in [ROTATE, ROTATE_NOW, HEAL].into_iter().enumerate() {
        for value in ["x", "y"] {
            queue.apply(annotated(asks, value, &format!("{number}{value}")));
            assert!(queue.next().is_some(), "{asks}={value}");
            queue.finish(&key(), Vec::new(), &Next::Change, Instant::now());
        }
    }
}

#[test]
fn what_failed_to_heal_heals_the_next_time() {
    let mut queue = Queue::new();
    queue.apply(resource("a", 1, "1"));
    assert!(!queue.next().unwrap().look.heals);
    queue.finish(&key(), Vec::new(), &Next::Change, Instant::now());
    queue.push_heal(key());
    let job = queue.next().unwrap();
    assert!(job.look.heals);
    queue.heal_again(&job.key);
    let start = Instant::now();
    queue.finish(&key(), Vec::new(), &Next::Failed("x".to_owned()), start);
    queue.take_due(start + LONGEST_DELAY);
    assert!(queue.next().unwrap().look.heals);
    queue.finish(&key(), Vec::new(), &Next::Change, start);
    queue.push(key());
    assert!(!queue.next().unwrap().look.heals);
}
