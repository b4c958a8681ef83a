//! Versions of a client secret.

use std::time::Duration;

use claviger::clock::{Timestamp, later};
use claviger::store::RotateClientSecret;
use claviger::store::records::{
    ClientRecord, Digest, MAX_SECRET_VERSIONS, ObservedRotation, SecretRotation, SecretVersion,
};

use crate::bench::{Bench, CLIENT, uid};
use crate::fixtures;

fn rotation(bench: &Bench, current: &str, next: &str) -> SecretRotation {
    SecretRotation {
        current: current.to_owned(),
        next: SecretVersion {
            id: next.to_owned(),
            master_key_id: "m1".to_owned(),
            created_at: bench.now(),
            retires_at: None,
            hash: fixtures::hash(next),
        },
        observed: ObservedRotation {
            rotate: Some(format!("asked for {next}")),
            rotate_now: None,
        },
        ends_others: false,
    }
}

async fn rotate(bench: &Bench, rotation: SecretRotation) -> Result<ClientRecord, &'static str> {
    match bench
        .store
        .rotate_client_secret(&uid(CLIENT), rotation)
        .await
        .unwrap()
    {
        RotateClientSecret::Rotated(record) => Ok(*record),
        RotateClientSecret::Full => Err("full"),
        RotateClientSecret::Changed => Err("changed"),
    }
}

async fn stored(bench: &Bench) -> ClientRecord {
    bench.store.client_by_uid(&uid(CLIENT)).await.unwrap().unwrap()
}

fn versions(record: &ClientRecord) -> Vec<(&str, Option<Timestamp>)> {
    record
        .secret_versions
        .iter()
        .map(|version| (version.id.as_str(), version.retires_at))
        .collect()
}

/// A new version stands beside the old one until it is said when that ends; then the old one goes. What else is known of
/// the client stays.
pub(crate) async fn a_rotation_leaves_both_versions_until_the_old_one_ends(bench: &Bench) {
    let client = uid(CLIENT);
    bench.register().await;
    bench
        .store
        .complete_client(&uid(CLIENT), Digest("done".to_owned()))
        .await
        .unwrap();
    let before = stored(bench).await;
    let record = rotate(bench, rotation(bench, "1", "2")).await.unwrap();
    assert_eq!(versions(&record), [("1", None), ("2", None)]);
    assert_eq!(record.observed_rotation.rotate.as_deref(), Some("asked for 2"));
    assert_eq!((&record.client, &record.done), (&before.client, &before.done));
    assert_eq!(stored(bench).await, record);

    let end = later(bench.now(), Duration::from_hours(1));
    let retire = bench.store.retire_client_secrets(&client, "2", end);
    let record = retire.await.unwrap().unwrap();
    assert_eq!(versions(&record), [("1", Some(end)), ("2", None)]);
    let moved = later(end, Duration::from_hours(1));
    let again = bench.store.retire_client_secrets(&client, "2", moved);
    assert_eq!(
        again.await.unwrap().unwrap(),
        record,
        "an end that was told stays"
    );

    bench.advance(Duration::from_secs(3_599));
    let forget = bench.store.forget_retired_client_secrets(&client);
    assert_eq!(forget.await.unwrap(), Some(record));
    bench.advance(Duration::from_secs(1));
    let forget = bench.store.forget_retired_client_secrets(&client);
    let record = forget.await.unwrap().unwrap();
    assert_eq!(versions(&record), [("2", None)]);
    assert_eq!(stored(bench).await, record);
    // Registering again, as after every restart, brings no old version back.
    bench.register().await;
    assert_eq!(stored(bench).await, record);
}

/// Whoever does not know the newest version changes nothing; of many at once one rotates.
pub(crate) async fn a_rotation_is_a_compare_and_set(bench: &Bench) {
    let client = uid(CLIENT);
    assert_eq!(
        rotate(bench, rotation(bench, "1", "2")).await.unwrap_err(),
        "changed"
    );
    let now = bench.now();
    let nobody = bench.store.retire_client_secrets(&client, "1", now);
    assert_eq!(nobody.await.unwrap(), None);
    let nobody = bench.store.forget_retired_client_secrets(&client);
    assert_eq!(nobody.await.unwrap(), None);

    bench.register().await;
    let tries = (0..16).map(|number| {
        let (store, rotation) = (
            bench.store.clone(),
            rotation(bench, "1", &format!("try-{number}")),
        );
        tokio::spawn(async move { store.rotate_client_secret(&uid(CLIENT), rotation).await.unwrap() })
    });
    let mut won = 0;
    for attempt in tries.collect::<Vec<_>>() {
        won += usize::from(matches!(attempt.await.unwrap(), RotateClientSecret::Rotated(_)));
    }
    assert_eq!(won, 1);
    let record = stored(bench).await;
    assert_eq!(record.secret_versions.len(), 2);
    let stale = bench.store.retire_client_secrets(&client, "1", now);
    assert_eq!(stale.await.unwrap(), None);
    assert_eq!(stored(bench).await, record);
}

/// No more versions are kept than are compared, except that a leak ends all others at once.
pub(crate) async fn as_many_versions_as_are_compared(bench: &Bench) {
    bench.register().await;
    for number in 2..=MAX_SECRET_VERSIONS {
        let (current, next) = ((number - 1).to_string(), number.to_string());
        rotate(bench, rotation(bench, &current, &next)).await.unwrap();
    }
    let full = stored(bench).await;
    let newest = MAX_SECRET_VERSIONS.to_string();
    assert_eq!(
        rotate(bench, rotation(bench, &newest, "more")).await.unwrap_err(),
        "full"
    );
    assert_eq!(stored(bench).await, full);

    let end_now = SecretRotation {
        ends_others: true,
        ..rotation(bench, &newest, "only")
    };
    let record = rotate(bench, end_now).await.unwrap();
    assert_eq!(versions(&record), [("only", None)]);

    // A version whose time is over makes room.
    for (current, next) in [("only", "a"), ("a", "b"), ("b", "c")] {
        rotate(bench, rotation(bench, current, next)).await.unwrap();
    }
    let now = bench.now();
    bench
        .store
        .retire_client_secrets(&uid(CLIENT), "c", now)
        .await
        .unwrap();
    let record = rotate(bench, rotation(bench, "c", "d")).await.unwrap();
    assert_eq!(versions(&record), [("c", None), ("d", None)]);
}
