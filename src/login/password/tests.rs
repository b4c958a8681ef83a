//! Tests of password hashing.

use std::sync::{Condvar, Mutex};

use super::*;
use crate::random::SystemRandom;

fn hasher(threads: usize, waiting: usize) -> Argon2Hasher {
    Argon2Hasher::with_limits(
        NonZeroUsize::new(threads).unwrap(),
        waiting,
        Arc::new(SystemRandom),
    )
    .unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

const RIGHT: Verification = Verification {
    matches: true,
    outdated: false,
};
const WRONG: Verification = Verification {
    matches: false,
    outdated: false,
};

/// Rule 65: Argon2id with at least 19 MiB, two passes and one lane; the parameters stand in each hash.
#[tokio::test]
async fn rule_65_hashes_are_argon2id_with_todays_parameters() {
    let hasher = hasher(1, 1);
    let text = "correct horse battery staple";
    let hash = hasher.hash(&password(text)).await.unwrap();
    assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_ne!(hash, hasher.hash(&password(text)).await.unwrap(), "salted");
    assert_eq!(hasher.verify(&password(text), Some(&hash)).await.unwrap(), RIGHT);
    for wrong in [
        "",
        "Correct horse battery staple",
        "correct horse battery staple ",
    ] {
        let found = hasher.verify(&password(wrong), Some(&hash)).await.unwrap();
        assert_eq!(found, WRONG, "{wrong:?}");
    }
    // The crate's own verification reads it too.
    argon2::PasswordVerifier::verify_password(&argon2::Argon2::default(), text.as_bytes(), hash.as_phc())
        .unwrap();
}

/// Rule 65: hashes of other parameters verify, and the weaker ones are told to be outdated. They were made by the
/// reference implementation (Debian's `argon2`) for the password `password` and the salt `somesalt` or a longer one.
#[tokio::test]
async fn rule_65_weaker_hashes_are_outdated() {
    let hasher = hasher(1, 1);
    let table = [
        (
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE",
            false,
        ),
        (
            "$argon2id$v=19$m=47104,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$solcKXPqo/k72wW8vlFo7jH75gSNy5Db+HFabH7C44Y",
            false,
        ),
        (
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI",
            false,
        ),
        (
            "$argon2id$v=19$m=19456,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$hVPxhrHEJ4nYUc52JXPmRhAPEOWGpos/e0bgrJvX7ts",
            true,
        ),
        (
            "$argon2id$v=19$m=12288,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$oe5MwnQ36TM8TFs+sMP2hpXaYpFw6K14HCuA9K4JvIc",
            true,
        ),
        (
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E",
            true,
        ),
        (
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$REzoonlkmJMLgf4HLL89yw",
            true,
        ),
        (
            "$argon2i$v=19$m=19456,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$/4isXpt+SDvjjoC1Ful3qO9NMl+YIyIasqJPyeISMEs",
            true,
        ),
        (
            "$argon2d$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$f8gkm257MoQwfrhrC6CGHp8l1JUBBHjt1pQXNTyG5OQ",
            true,
        ),
        (
            "$argon2i$v=16$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$Ed247TR0mvCnE2gcd4bK9jRn8lrf8tYNADsocpgnbZY",
            true,
        ),
        (
            "$argon2i$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$Ed247TR0mvCnE2gcd4bK9jRn8lrf8tYNADsocpgnbZY",
            true,
        ),
    ];
    for (hash, outdated) in table {
        let hash = PasswordHash::from_phc(hash);
        let found = hasher.verify(&password("password"), Some(&hash)).await.unwrap();
        assert_eq!(
            found,
            Verification {
                matches: true,
                outdated
            },
            "{}",
            hash.as_phc()
        );
        assert!(
            !hasher
                .verify(&password("Password"), Some(&hash))
                .await
                .unwrap()
                .matches
        );
    }
}

/// A stored hash that nobody can verify, or that would cost too much, matches nothing and costs what every other does.
#[tokio::test]
async fn unusable_hashes_match_nothing() {
    let hasher = hasher(1, 1);
    let salt_and_output = "c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let table = [
        String::new(),
        "password".to_owned(),
        "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcdef".to_owned(),
        format!("$scrypt$ln=16,r=8,p=1${salt_and_output}"),
        format!("$argon2id$v=20$m=19456,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=131073,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=4294967295,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=17,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=4294967295,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=2,p=17${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=0,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=7,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=2,p=1,x=1${salt_and_output}"),
        "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA".to_owned(),
    ];
    let before = hasher.computations();
    for hash in &table {
        let stored = PasswordHash::from_phc(hash.as_str());
        assert!(Stored::parse(&stored).is_err(), "{hash}");
        let found = hasher.verify(&password("password"), Some(&stored)).await.unwrap();
        assert_eq!(found, WRONG, "{hash}");
    }
    assert_eq!(
        hasher.computations() - before,
        u64::try_from(table.len()).unwrap()
    );
}

/// Rule 67: an unknown user costs the same hash as a known one, counted.
#[tokio::test]
async fn rule_67_an_unknown_user_costs_one_hash() {
    let hasher = hasher(1, 1);
    let hash = hasher.hash(&password("correct horse")).await.unwrap();
    let mut counts = Vec::new();
    for (text, hash) in [
        ("correct horse", Some(&hash)),
        ("wrong", Some(&hash)),
        ("wrong", None),
        ("", None),
    ] {
        let before = hasher.computations();
        let found = hasher.verify(&password(text), hash).await.unwrap();
        assert_eq!(found.matches, text == "correct horse");
        counts.push(hasher.computations() - before);
    }
    assert_eq!(counts, [1, 1, 1, 1]);
}

/// Rule 66: there is an upper bound before anything is hashed.
#[test]
fn rule_66_long_input_is_never_hashed() {
    assert!(Password::new("a".repeat(Password::MAX_BYTES)).is_some());
    assert!(Password::new("a".repeat(Password::MAX_BYTES + 1)).is_none());
}

/// Randomness that a test holds back, so that a thread stays busy for as long as the test wants.
#[derive(Default)]
struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Random for Gate {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
    }
}

impl Gate {
    fn wait_until_reached(&self) {
        let mut state = self.state.lock().unwrap();
        while state.0 == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// Rule 65: the queue is bounded; what finds it full is told so at once, and what waits is served. Nobody hashes for a
/// caller that went away.
#[tokio::test(flavor = "multi_thread")]
async fn rule_65_a_full_queue_answers_at_once() {
    let gate = Arc::new(Gate::default());
    let random: Arc<dyn Random> = Arc::<Gate>::clone(&gate);
    let hasher = Arc::new(Argon2Hasher::with_limits(NonZeroUsize::MIN, 2, random).unwrap());
    let ask = || {
        let hasher = Arc::clone(&hasher);
        async move { hasher.hash(&password("correct horse")).await }
    };
    let busy = tokio::spawn(ask());
    gate.wait_until_reached();
    // The thread is held; two find a place, in whatever order, and every further one is refused.
    let mut waiting = Box::pin(ask());
    let mut abandoned = Box::pin(ask());
    assert!(futures::poll!(&mut waiting).is_pending());
    assert!(futures::poll!(&mut abandoned).is_pending());
    for _ in 0..3 {
        assert!(matches!(ask().await, Err(HasherError::QueueFull)));
    }
    assert_eq!(hasher.computations(), 1, "refused without hashing");
    drop(abandoned);
    gate.open();
    busy.await.unwrap().unwrap();
    waiting.await.unwrap();
    // Served after the abandoned one was passed over.
    ask().await.unwrap();
    assert_eq!(hasher.computations(), 3);
}

#[test]
fn one_hash_can_be_made_without_threads() {
    let hash = hash_once(&password("correct horse"), &SystemRandom).unwrap();
    let stored = Stored::parse(&hash).unwrap();
    assert!(!stored.is_outdated());
    assert!(
        stored
            .matches(&password("correct horse"), &mut Memory::default())
            .unwrap()
    );
}

/// Rule 65: the memory that parallel sign-ins take is bounded, however many cores the node has.
#[test]
fn rule_65_many_cores_make_few_threads() {
    for (cores, threads) in [(1, 1), (2, 2), (4, 4), (5, 4), (128, 4)] {
        let cores = NonZeroUsize::new(cores).unwrap();
        assert_eq!(threads_for(cores).get(), threads, "{cores} cores");
    }
}
