//! How records become bytes: versioned JSON documents, sessions in a compact versioned form because there are many.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::oidc::authentication::{Authentication, AuthenticationMethod};
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::TokenHash;
use crate::store::records::SessionRecord;

/// The version of what is written. A change that older code would misread takes the next number.
const VERSION: u8 = 1;

/// A record that can be kept. The key is given because what it says need not be said again in the value.
pub(in crate::store) trait Document: Sized {
    /// The bytes.
    fn encode(&self) -> Result<Vec<u8>, String>;

    /// Reads them.
    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, String>;
}

#[derive(Serialize)]
struct Writing<'record, T> {
    v: u8,
    record: &'record T,
}

#[derive(Deserialize)]
struct Reading<T> {
    v: u64,
    record: T,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

fn unknown_version(version: u64) -> String {
    format!("it has version {version}, this claviger reads version {VERSION}; was it written by a newer one?")
}

impl<T: Serialize + DeserializeOwned> Document for T {
    fn encode(&self) -> Result<Vec<u8>, String> {
        let document = Writing {
            v: VERSION,
            record: self,
        };
        serde_json::to_vec(&document).map_err(|error| error.to_string())
    }

    fn decode(_: &[u8], bytes: &[u8]) -> Result<Self, String> {
        match serde_json::from_slice(bytes) {
            Ok(Reading { v, record }) if v == u64::from(VERSION) => Ok(record),
            Ok(Reading::<Self> { v, .. }) => Err(unknown_version(v)),
            // Another version may have another shape.
            Err(error) => match serde_json::from_slice(bytes) {
                Ok(Version { v }) if v != u64::from(VERSION) => Err(unknown_version(v)),
                _ => Err(position(&error)),
            },
        }
    }
}

/// Where a document is malformed. The error's own text may quote values, which may be hashes or personal data.
fn position(error: &serde_json::Error) -> String {
    format!(
        "malformed {:?} at line {} column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}

/// A session in its compact form: about 85 bytes, where JSON takes 300.
pub(in crate::store) struct CompactSession(pub(in crate::store) SessionRecord);

impl Document for CompactSession {
    // Version, three instants, idle time, methods, user.
    fn encode(&self) -> Result<Vec<u8>, String> {
        let session = &self.0;
        let mut bytes = vec![VERSION];
        for at in [
            session.authentication.at,
            session.last_used_at,
            session.expires_at,
        ] {
            bytes.extend(at.as_second().to_be_bytes());
            bytes.extend(at.subsec_nanosecond().to_be_bytes());
        }
        bytes.extend(session.idle_seconds.to_be_bytes());
        let methods = &session.authentication.methods;
        bytes.push(u8::try_from(methods.len()).unwrap_or(u8::MAX));
        bytes.extend(
            methods
                .iter()
                .take(usize::from(u8::MAX))
                .map(|method| match method {
                    AuthenticationMethod::Password => 1,
                }),
        );
        bytes.extend(session.user_uid.as_str().as_bytes());
        Ok(bytes)
    }

    // The hash is the end of the key.
    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, String> {
        const SHORT: &str = "it is too short";
        let hash = key.last_chunk::<32>().ok_or("its key is too short")?;
        let (version, rest) = bytes.split_first().ok_or(SHORT)?;
        if *version != VERSION {
            return Err(unknown_version(u64::from(*version)));
        }
        let (at, rest) = instant(rest).ok_or(SHORT)?;
        let (last_used_at, rest) = instant(rest).ok_or(SHORT)?;
        let (expires_at, rest) = instant(rest).ok_or(SHORT)?;
        let (idle_seconds, rest) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
        let (count, rest) = rest.split_first().ok_or(SHORT)?;
        let (methods, user) = rest.split_at_checked(usize::from(*count)).ok_or(SHORT)?;
        let methods = methods
            .iter()
            .map(|method| match method {
                1 => Ok(AuthenticationMethod::Password),
                other => Err(format!("it names an unknown authentication method {other}")),
            })
            .collect::<Result<_, _>>()?;
        let user = std::str::from_utf8(user).map_err(|_| "its user is not UTF-8")?;
        Ok(Self(SessionRecord {
            hash: TokenHash::from_bytes(*hash),
            user_uid: ResourceUid::new(user),
            authentication: Authentication { at, methods },
            last_used_at,
            idle_seconds: u64::from_be_bytes(*idle_seconds),
            expires_at,
        }))
    }
}

fn instant(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (seconds, rest) = bytes.split_first_chunk::<8>()?;
    let (nanoseconds, rest) = rest.split_first_chunk::<4>()?;
    let at = Timestamp::new(i64::from_be_bytes(*seconds), i32::from_be_bytes(*nanoseconds)).ok()?;
    Some((at, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: [u8; 32] = [7; 32];

    fn session(at: Timestamp, idle_seconds: u64, user: &str, methods: usize) -> SessionRecord {
        SessionRecord {
            hash: TokenHash::from_bytes(HASH),
            user_uid: ResourceUid::new(user),
            authentication: Authentication {
                at,
                methods: vec![AuthenticationMethod::Password; methods],
            },
            last_used_at: at,
            idle_seconds,
            expires_at: Timestamp::MAX,
        }
    }

    proptest! {
        /// A session is read as it was written, to the nanosecond.
        #[test]
        fn a_session_survives_its_compact_form(
            nanoseconds in i64::MIN..i64::MAX,
            idle_seconds in any::<u64>(),
            user in ".{0,40}",
            methods in 0..3_usize,
        ) {
            let at = Timestamp::from_nanosecond(nanoseconds.into()).unwrap();
            let session = session(at, idle_seconds, &user, methods);
            let bytes = CompactSession(session.clone()).encode().unwrap();
            prop_assert_eq!(CompactSession::decode(&HASH, &bytes).unwrap().0, session);
        }

        /// Whatever the bytes are, reading them ends in a session or a reason.
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            drop(CompactSession::decode(&HASH, &bytes));
            drop(<String as Document>::decode(&HASH, &bytes));
        }
    }

    /// The bytes are a contract with the stores that people have.
    #[test]
    fn a_session_of_the_first_version_is_still_read() {
        let mut bytes = vec![1];
        for _ in 0..3 {
            bytes.extend([0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 7]);
        }
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 9, 2, 1, 1]);
        bytes.extend(b"uid");
        let at = Timestamp::new(5, 7).unwrap();
        let expected = SessionRecord {
            expires_at: at,
            ..session(at, 9, "uid", 2)
        };
        assert_eq!(CompactSession::decode(&HASH, &bytes).unwrap().0, expected);
        assert_eq!(CompactSession(expected).encode().unwrap(), bytes);
    }

    /// A session with a uid of Kubernetes takes less than a hundred bytes, so that a million of them stay in memory.
    #[test]
    fn a_session_is_small() {
        let session = session(
            Timestamp::UNIX_EPOCH,
            28_800,
            "0d8e3c4e-7b1f-4a57-9c3a-6f5d2b1e8a90",
            1,
        );
        assert!(CompactSession(session).encode().unwrap().len() < 100);
    }

    /// What a newer version wrote is an error that says so, never a misread record; so is a malformed document, whose
    /// contents the error does not show.
    #[test]
    fn an_unknown_version_is_an_error() {
        let newer = String::decode(&HASH, br#"{"v":2,"record":{"new":"shape"}}"#).unwrap_err();
        assert!(newer.contains("version 2"), "{newer}");
        let mut bytes = CompactSession(session(Timestamp::UNIX_EPOCH, 1, "u", 1))
            .encode()
            .unwrap();
        bytes[0] = 2;
        let newer = CompactSession::decode(&HASH, &bytes).err().unwrap();
        assert!(newer.contains("version 2"), "{newer}");
        let malformed = String::decode(&HASH, br#"{"v":1,"record":{"secret":1}}"#).unwrap_err();
        assert!(!malformed.contains("secret"), "{malformed}");
    }
}
