//! Figures that the parts know anyway, as metrics that are read at each scrape.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::back_channel_logout::Backlog;
use crate::clock::Clock;
use crate::config::StoreLocation;
use crate::controller::Health;
use crate::http::tls::Tls;
use crate::keyring::listing::{KeyKind, KeyState};
use crate::keyring::live::LiveKeyring;
use crate::login::password::Argon2Hasher;
use crate::telemetry::metrics::Figure;

#[expect(
    clippy::cast_precision_loss,
    reason = "the format has no other numbers, and none is that large"
)]
const fn number(value: u64) -> f64 {
    value as f64
}

/// The queue in front of the password hashes.
pub(super) fn of_hasher(hasher: &Argon2Hasher) -> Vec<Figure> {
    let (waiting, running, refused) = (hasher.load(), hasher.load(), hasher.load());
    vec![
        Figure::gauge(
            "password_hashing_queue_depth",
            "Passwords that wait for a thread to hash them",
            move || Some(number(waiting.waiting())),
        ),
        Figure::gauge(
            "password_hashes_in_flight",
            "Password hashes that are being computed",
            move || Some(number(running.running())),
        ),
        Figure::counter(
            "password_hashes_refused",
            "Passwords that were not hashed since the queue was full",
            move || refused.refused(),
        ),
        Figure::counter(
            "password_hashes",
            "Password hashes that were begun",
            hasher.counted(),
        ),
    ]
}

/// The apps that have not heard yet that a session ended.
pub(super) fn of_logout_notices(backlog: &Backlog) -> Vec<Figure> {
    let backlog = backlog.clone();
    vec![Figure::gauge(
        "logout_notices_waiting",
        "Ends of sessions that apps are still to be told of, counted every five seconds",
        move || backlog.waiting().map(number),
    )]
}

/// What the store takes of the disk, if it is on one.
pub(super) fn of_store(location: &StoreLocation) -> Vec<Figure> {
    let path = match location {
        StoreLocation::Memory => return Vec::new(),
        StoreLocation::Sled(path) => path.clone(),
    };
    let folder = path.clone();
    vec![
        Figure::gauge(
            "store_size_bytes",
            "What the files of the embedded store take of the disk",
            move || Some(number(size_of(&path))),
        ),
        Figure::gauge(
            "store_free_bytes",
            "What is free on the disk of the embedded store; with less than 64 MiB nothing is written",
            move || {
                let disk = rustix::fs::statvfs(&folder).ok()?;
                Some(number(disk.f_bavail.saturating_mul(disk.f_frsize)))
            },
        ),
    ]
}

/// Files come and go while this looks; those that are gone count nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Readiness, as `/readyz` has it.
pub(super) fn of_health(health: &Health) -> Vec<Figure> {
    let (started, held) = (health.clone(), health.clone());
    vec![
        Figure::gauge(
            "ready",
            "Whether the first complete list of clients and users was registered, as /readyz says it",
            move || Some(number(started.is_started().into())),
        ),
        Figure::gauge(
            "controller_removals_held",
            "Kinds for which a removal of many resources is held, since the list looks wrong",
            move || u32::try_from(held.held()).ok().map(f64::from),
        ),
    ]
}

/// Until when the certificate of the public port is valid; the file may be replaced while claviger runs.
pub(super) fn of_certificate(tls: &Arc<Tls>) -> Vec<Figure> {
    let tls = Arc::clone(tls);
    vec![Figure::gauge(
        "tls_certificate_not_after_timestamp_seconds",
        "Until when the certificate of the public port is valid",
        move || {
            let until = tls.certificate().not_after()?;
            Some(until.as_duration().as_secs_f64())
        },
    )]
}

/// Since when the keys in use are.
pub(super) fn of_keyring(keyring: &LiveKeyring, clock: &Arc<dyn Clock>) -> Vec<Figure> {
    let (keyring, clock) = (keyring.clone(), Arc::clone(clock));
    vec![Figure::gauges(
        "keyring_key_in_use_since_timestamp_seconds",
        "When the key of each kind that is in use was made; for signing keys, since when it signs",
        "kind",
        move || {
            let keys = keyring.current().list(clock.now());
            keys.into_iter()
                .filter(|key| key.state == KeyState::InUse)
                .map(|key| {
                    let kind = match key.kind {
                        KeyKind::Master => "master",
                        KeyKind::Sealing => "sealing",
                        KeyKind::Signing(algorithm) => algorithm.name(),
                    };
                    let since = key.signs_from.unwrap_or(key.created_at);
                    (kind, since.as_duration().as_secs_f64())
                })
                .collect()
        },
    )]
}
