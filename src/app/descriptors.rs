//! File descriptors: as many as the system allows, and no more connections than there are descriptors for.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::http::limits::MAX_CONNECTIONS;

/// Connections of the second port: probes and whoever scrapes.
pub(super) const ADMIN_CONNECTIONS: usize = 64;

/// For the store, the second port, the Kubernetes API, keyring and certificates.
const RESERVED: u64 = 192;

/// Below this many connections nothing useful can be served.
const LEAST: usize = 64;

/// Raises the limit as far as it may be raised, and gives how many connections the public port may hold.
pub(super) fn connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let connections = fitting(limit.current);
    if connections < MAX_CONNECTIONS {
        tracing::warn!(
            connections,
            open_files = limit.current,
            "the limit of open files leaves room for fewer connections than usual; raise it (ulimit -n)"
        );
    }
    connections
}

/// `None` is no limit.
fn fitting(open_files: Option<u64>) -> usize {
    let left = open_files.map(|files| files.saturating_sub(RESERVED));
    let left = left.and_then(|left| usize::try_from(left).ok());
    left.unwrap_or(usize::MAX).clamp(LEAST, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_limit_of_open_files() {
        for (open_files, connections) in [
            (None, MAX_CONNECTIONS),
            (Some(1_048_576), MAX_CONNECTIONS),
            (Some(1024), 832),
            (Some(100), LEAST),
        ] {
            assert_eq!(fitting(open_files), connections, "{open_files:?}");
        }
    }
}
