//! What the audit log is called. Whoever tells of an event names it, whichever half of claviger that is, and `telemetry`
//! counts what comes under it.

/// The log target of audit events.
pub const TARGET: &str = "claviger::audit";
