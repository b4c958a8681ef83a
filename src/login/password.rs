//! Passwords, hashed with Argon2id on threads of their own.
//!
//! A hash takes tens of milliseconds and 19 MiB. So there is one thread and one reused block of memory for each core,
//! and a short queue in front: what finds it full is told so at once, instead of waiting behind everybody else.

mod argon2id;

use std::iter::repeat_n;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::oidc::password::{HasherError, Password, PasswordHash, PasswordHasher, Verification};
use crate::random::{self, Random};

use argon2id::{Memory, Stored};

/// How many hashes wait for a thread: about a second's worth on a few cores.
pub(super) const WAITING: usize = 64;

/// The most threads, however many cores the node has. Whoever sends passwords decides how many run at once, and a
/// container's memory does not grow with the node's cores: 32 threads would take 608 MiB.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// What a thread is asked to do.
enum Work {
    Hash(oneshot::Sender<Result<PasswordHash, HasherError>>),
    Verify(
        Option<PasswordHash>,
        oneshot::Sender<Result<Verification, HasherError>>,
    ),
}

impl Work {
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash(answer) => answer.is_closed(),
            Self::Verify(_, answer) => answer.is_closed(),
        }
    }
}

/// A password and what to do with it.
struct Job {
    password: Password,
    work: Work,
}

/// Argon2id behind a bounded queue.
pub struct Argon2Hasher {
    queue: SyncSender<Job>,
    computations: Arc<AtomicU64>,
    load: Load,
}

/// How much there is to do; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Load {
    waiting: Arc<AtomicU64>,
    running: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Load {
    /// Passwords that wait for a thread.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Hashes that are being computed.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Passwords that found the queue full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Argon2Hasher {
    /// One thread for each core, up to four. Memory is taken at a thread's first hash.
    pub fn new(random: Arc<dyn Random>) -> io::Result<Self> {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self::with_limits(threads_for(cores), WAITING, random)
    }

    /// As [`Argon2Hasher::new`], with so many threads and places in the queue.
    pub fn with_limits(threads: NonZeroUsize, waiting: usize, random: Arc<dyn Random>) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting);
        let jobs = Arc::new(Mutex::new(jobs));
        let computations = Arc::new(AtomicU64::new(0));
        let large = Arc::new(Mutex::new(()));
        let load = Load::default();
        for (number, random) in repeat_n(random, threads.get()).enumerate() {
            let worker = Worker {
                jobs: Arc::clone(&jobs),
                computations: Arc::clone(&computations),
                random,
                memory: Memory::default(),
                large: Arc::clone(&large),
                load: load.clone(),
            };
            thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || worker.run())?;
        }
        Ok(Self {
            queue,
            computations,
            load,
        })
    }

    /// How much there is to do, for whoever watches.
    pub fn load(&self) -> Load {
        self.load.clone()
    }

    /// The count of [`Argon2Hasher::computations`], for whoever watches.
    pub fn counted(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let computations = Arc::clone(&self.computations);
        move || computations.load(Ordering::Relaxed)
    }

    /// How many times Argon2 ran, so that tests can count instead of measuring time.
    pub fn computations(&self) -> u64 {
        self.computations.load(Ordering::Relaxed)
    }

    async fn ask<T>(
        &self,
        password: &Password,
        work: impl FnOnce(oneshot::Sender<Result<T, HasherError>>) -> Work,
    ) -> Result<T, HasherError> {
        let (sender, answer) = oneshot::channel();
        let job = Job {
            password: password.clone(),
            work: work(sender),
        };
        // Before the send: a thread may take it at once.
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(job).map_err(|error| {
            self.load.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => {
                    self.load.refused.fetch_add(1, Ordering::Relaxed);
                    HasherError::QueueFull
                }
                TrySendError::Disconnected(_) => HasherError::Hash("its threads have ended".to_owned()),
            }
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(HasherError::Hash("its thread has ended".to_owned())))
    }
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HasherError> {
        self.ask(password, Work::Hash).await
    }

    async fn verify(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verification, HasherError> {
        self.ask(password, |answer| Work::Verify(hash.cloned(), answer))
            .await
    }
}

fn threads_for(cores: NonZeroUsize) -> NonZeroUsize {
    cores.min(MAX_THREADS)
}

/// Makes one hash here and now, for commands that do nothing else.
pub fn hash_once(password: &Password, random: &dyn Random) -> Result<PasswordHash, HasherError> {
    argon2id::hash(password, random::bytes(random), &mut Memory::default())
}

/// One thread with its memory.
struct Worker {
    jobs: Arc<Mutex<Receiver<Job>>>,
    computations: Arc<AtomicU64>,
    random: Arc<dyn Random>,
    memory: Memory,
    /// Held by whoever computes a hash that needs more memory than today's: one at a time.
    large: Arc<Mutex<()>>,
    load: Load,
}

impl Worker {
    /// Ends when the hasher is gone.
    fn run(mut self) {
        while let Some(Job { password, work }) = self.next() {
            self.load.waiting.fetch_sub(1, Ordering::Relaxed);
            // A browser that hung up must not cost what one that waits could use.
            if work.is_abandoned() {
                continue;
            }
            self.computations.fetch_add(1, Ordering::Relaxed);
            self.load.running.fetch_add(1, Ordering::Relaxed);
            // Sending fails when nobody waits any more, which is no error.
            match work {
                Work::Hash(answer) => {
                    let salt = random::bytes(self.random.as_ref());
                    drop(answer.send(argon2id::hash(&password, salt, &mut self.memory)));
                }
                Work::Verify(hash, answer) => {
                    drop(answer.send(verify(&password, hash.as_ref(), &mut self.memory, &self.large)));
                }
            }
            self.load.running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn next(&self) -> Option<Job> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv()
            .ok()
    }
}

/// One computation, whatever `hash` is: that of a stored hash, or one whose result is thrown away where there is none or
/// one that cannot be used. Otherwise the time of the answer would tell which users exist.
fn verify(
    password: &Password,
    hash: Option<&PasswordHash>,
    memory: &mut Memory,
    large: &Mutex<()>,
) -> Result<Verification, HasherError> {
    let stored = hash.and_then(|hash| match Stored::parse(hash) {
        Ok(stored) => Some(stored),
        Err(reason) => {
            tracing::error!(
                reason,
                "a stored password hash cannot be used, so its user cannot sign in; set the password again"
            );
            None
        }
    });
    let Some(stored) = stored else {
        argon2id::hash(password, [0; argon2id::SALT_LENGTH], memory)?;
        return Ok(Verification {
            matches: false,
            outdated: false,
        });
    };
    let _alone = stored
        .is_large()
        .then(|| large.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Verification {
        matches: stored.matches(password, memory)?,
        outdated: stored.is_outdated(),
    })
}

#[cfg(test)]
mod tests;
