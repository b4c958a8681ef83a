//! Who is told how the work goes. Declared here and implemented by whoever counts.

use std::time::Duration;

/// What a reconcile came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled {
    /// Whatever the resource asks for is done, or its status says why it is refused.
    Done,
    /// It waits for something that another resource holds.
    Waiting,
    /// The API server refused something, and somebody has to do something about that.
    Refused,
    /// It failed and is tried again.
    Failed,
    /// It panicked.
    Panicked,
}

impl Reconciled {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        }
    }
}

/// How much there is to do for one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Resources that wait for a reconcile.
    pub queued: usize,
    /// Reconciles that run.
    pub running: usize,
    /// Resources that are known.
    pub resources: usize,
    /// Resources whose last reconcile failed or was refused something.
    pub failing: usize,
}

/// Is told how the work goes. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// A reconcile ended.
    fn reconciled(&self, kind: &'static str, outcome: Reconciled, took: Duration);
    /// There is this much to do now.
    fn work(&self, kind: &'static str, work: Work);
    /// Whether the watch of a kind works.
    fn watching(&self, kind: &'static str, watching: bool);
    /// What became of a Kubernetes Event: `published`, `suppressed` or `failed`.
    fn event(&self, outcome: &'static str);
}

/// Takes no notice.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn reconciled(&self, _: &'static str, _: Reconciled, _: Duration) {}
    fn work(&self, _: &'static str, _: Work) {}
    fn watching(&self, _: &'static str, _: bool) {}
    fn event(&self, _: &'static str) {}
}
