//! How the controller stands, for `/readyz` and for whoever asks why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the controller stands. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    started: bool,
    registered: BTreeSet<&'static str>,
    unreachable: BTreeMap<&'static str, String>,
    notes: BTreeMap<&'static str, String>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first complete list of both kinds is registered, and the API server answers.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.started && state.unreachable.is_empty()
    }

    /// The first complete list of both kinds was registered since the start, whatever happened later: sign-in works from
    /// the store from then on, with or without the API server.
    pub fn is_started(&self) -> bool {
        self.state().started
    }

    /// What is waited for, in a word each; nothing of what another server has said.
    pub fn waiting(&self) -> Vec<&'static str> {
        let state = self.state();
        let mut waiting: Vec<_> = state.unreachable.keys().copied().collect();
        if !state.started {
            waiting.push("first list of clients and users");
        }
        waiting
    }

    /// For how many kinds a removal of many resources is held.
    pub fn held(&self) -> usize {
        self.state().notes.len()
    }

    /// What is wrong, one sentence each; empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let state = self.state();
        let mut problems: Vec<String> = state
            .unreachable
            .iter()
            .chain(&state.notes)
            .map(|(what, problem)| format!("{what}: {problem}"))
            .collect();
        if !state.started && problems.is_empty() {
            problems.push("the first list of resources is not registered yet".to_owned());
        }
        problems
    }

    pub(super) fn kind_registered(&self, kind: &'static str) {
        self.state().registered.insert(kind);
    }

    pub(super) fn registered(&self) -> usize {
        self.state().registered.len()
    }

    /// The first complete list of every kind is registered.
    pub fn set_started(&self) {
        self.state().started = true;
    }

    /// Something is waited for, since it cannot be reached.
    pub fn set_unreachable(&self, what: &'static str, problem: String) {
        self.state().unreachable.insert(what, problem);
    }

    /// It was reached.
    pub fn set_reachable(&self, what: &'static str) {
        self.state().unreachable.remove(what);
    }

    pub(super) fn note(&self, what: &'static str, problem: String) {
        self.state().notes.insert(what, problem);
    }

    pub(super) fn clear_note(&self, what: &'static str) {
        self.state().notes.remove(what);
    }
}
