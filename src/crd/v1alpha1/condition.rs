//! Types and reasons of conditions; the one place that spells them.

/// Sums up the others: the resource does its job.
pub const READY: &str = "Ready";
/// The spec is valid and what it claims is free.
pub const ACCEPTED: &str = "Accepted";
/// The Secret holds what it should.
pub const SECRET_READY: &str = "SecretReady";
/// The person has a password.
pub const PASSWORD_READY: &str = "PasswordReady";
/// kstatus: somebody has to do something; present only while true.
pub const STALLED: &str = "Stalled";

/// kstatus: something is still to come; present only while true.
pub const RECONCILING: &str = "Reconciling";

/// The resource works as it says, in a way that is weaker than it could be; present only while true.
pub const WARNING: &str = "Warning";

/// Values of `reason`.
pub mod reason {
    /// Nobody has looked yet.
    pub const PENDING: &str = "Pending";
    /// The resource does its job.
    pub const READY: &str = "Ready";
    /// The spec is valid.
    pub const ACCEPTED: &str = "Accepted";
    /// The Secret was written.
    pub const SECRET_WRITTEN: &str = "SecretWritten";
    /// `spec.suspend` is set: everything is in place, sign-in is refused.
    pub const SUSPENDED: &str = "Suspended";
    /// `spec.disabled` is set.
    pub const DISABLED: &str = "Disabled";
    /// A field is not valid.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The installation does not allow what the spec asks for.
    pub const NOT_ALLOWED: &str = "NotAllowed";
    /// As many versions of the secret as are accepted at once are valid; the next one has to wait.
    pub const ROTATION_POSTPONED: &str = "RotationPostponed";
    /// `spec.pkce` is `Optional`.
    pub const PKCE_OPTIONAL: &str = "PkceOptional";
    /// A ServiceAccount of `spec.serviceAccounts` does not exist.
    pub const SERVICE_ACCOUNT_MISSING: &str = "ServiceAccountMissing";
    /// The cluster does not say by which keys it signs tokens of ServiceAccounts.
    pub const CLUSTER_KEYS_UNAVAILABLE: &str = "ClusterKeysUnavailable";
    /// Another resource holds the client id.
    pub const CLIENT_ID_CONFLICT: &str = "ClientIdConflict";
    /// Another resource holds one of the resource identifiers.
    pub const RESOURCE_IDENTIFIER_CONFLICT: &str = "ResourceIdentifierConflict";
    /// One of the audiences is an API that does not allow clients of this namespace.
    pub const AUDIENCE_NOT_ALLOWED: &str = "AudienceNotAllowed";
    /// Another resource of the namespace holds the Secret's name, or the name is reserved.
    pub const SECRET_NAME_CONFLICT: &str = "SecretNameConflict";
    /// A Secret of that name belongs to somebody else.
    pub const SECRET_CONFLICT: &str = "SecretConflict";
    /// The API server does not take the Secret.
    pub const SECRET_REFUSED: &str = "SecretRefused";
    /// claviger lacks a right.
    pub const FORBIDDEN: &str = "Forbidden";
    /// The namespace is being deleted.
    pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
    /// The keyring has no key of an algorithm that the spec asks for that may sign yet.
    pub const SIGNING_KEY_NOT_READY: &str = "SigningKeyNotReady";
    /// A secret version was made with a master key that the keyring does not hold.
    pub const MASTER_KEY_MISSING: &str = "MasterKeyMissing";
    /// Another resource holds the username.
    pub const USERNAME_CONFLICT: &str = "UsernameConflict";
    /// Another resource holds the subject, or it belonged to somebody who was deleted.
    pub const SUBJECT_CONFLICT: &str = "SubjectConflict";
    /// The Secret of a `secretRef` does not exist, or lacks the key.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// The password breaks a rule.
    pub const PASSWORD_REFUSED: &str = "PasswordRefused";
    /// There is no password, so nobody can sign in.
    pub const NO_PASSWORD: &str = "NoPassword";
}
