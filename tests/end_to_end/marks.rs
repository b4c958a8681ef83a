//! Values that may be written nowhere, in any form that they could be written in.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A form that what opens something may have on the disk, and nowhere else.
const HASH: &str = "SHA-256";
/// Shorter values would be found by chance.
const SHORTEST: usize = 8;

/// Secret values and what each is.
#[derive(Default, Clone)]
pub(crate) struct Marks(Vec<Mark>);

/// A mark, a form, and the mark in this form.
type Pattern<'a> = (&'a Mark, &'a str, &'a [u8]);

#[derive(Clone)]
struct Mark {
    what: String,
    value: Vec<u8>,
    credential: bool,
}

impl Marks {
    /// Marks a value that says how somebody uses claviger.
    pub(crate) fn add(&mut self, what: impl Into<String>, value: impl AsRef<[u8]>) {
        self.push(what.into(), value.as_ref(), false);
    }

    /// Marks a value that opens something: claviger itself keeps it as a hash at most.
    pub(crate) fn add_credential(&mut self, what: impl Into<String>, value: impl AsRef<[u8]>) {
        self.push(what.into(), value.as_ref(), true);
    }

    /// Marks a token, and of a JWT also the parts that say something.
    pub(crate) fn add_token(&mut self, what: &str, token: &str) {
        self.add_credential(what, token);
        for part in token.split('.').skip(1) {
            self.add_credential(format!("a part of {what}"), part);
        }
    }

    fn push(&mut self, what: String, value: &[u8], credential: bool) {
        assert!(value.len() >= SHORTEST, "{what} is too short to look for");
        self.0.push(Mark {
            what,
            value: value.to_owned(),
            credential,
        });
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Everything that was found in `bytes`.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        self.found(bytes, |_, _| true)
    }

    /// Fails if anything is found.
    pub(crate) fn assert_absent(&self, place: &str, bytes: &[u8]) {
        assert_none(place, &self.found_in(bytes));
    }

    /// Fails if anything is found that opens something, other than as a hash.
    pub(crate) fn assert_at_most_hashed(&self, place: &str, bytes: &[u8]) {
        assert_none(
            place,
            &self.found(bytes, |mark, form| mark.credential && form != HASH),
        );
    }

    /// Looks at every place once, whatever the number of patterns: logs at level trace are long.
    fn found(&self, bytes: &[u8], wanted: impl Fn(&Mark, &str) -> bool) -> Vec<String> {
        let mut patterns: HashMap<&[u8], Vec<Pattern<'_>>> = HashMap::new();
        let all: Vec<_> = self.0.iter().map(|mark| (mark, forms(&mark.value))).collect();
        for (mark, forms) in &all {
            for (form, pattern) in forms.iter().filter(|(form, _)| wanted(mark, form)) {
                let pattern = pattern.as_bytes();
                patterns
                    .entry(&pattern[..SHORTEST])
                    .or_default()
                    .push((mark, form, pattern));
            }
        }
        let mut begins = vec![false; 1 << 16];
        let two = |window: &[u8]| (usize::from(window[0]) << 8) | usize::from(window[1]);
        for start in patterns.keys() {
            begins[two(start)] = true;
        }
        let mut found = BTreeMap::new();
        for (at, window) in bytes.windows(SHORTEST).enumerate() {
            if !begins[two(window)] {
                continue;
            }
            for (mark, form, pattern) in patterns.get(window).into_iter().flatten() {
                if bytes[at..].starts_with(pattern) {
                    let line = bytes[..at]
                        .iter()
                        .rposition(|byte| *byte == b'\n')
                        .map_or(0, |end| end + 1);
                    let excerpt = bytes[line..]
                        .iter()
                        .take(200)
                        .copied()
                        .collect::<Vec<_>>()
                        .escape_ascii()
                        .to_string();
                    found.entry(format!("{} ({form})", mark.what)).or_insert(excerpt);
                }
            }
        }
        found
            .into_iter()
            .map(|(what, excerpt)| format!("{what}: {excerpt}"))
            .collect()
    }
}

fn assert_none(place: &str, found: &[String]) {
    assert!(found.is_empty(), "{place} holds {}", found.join("\nand "));
}

/// The forms in which programs write bytes.
fn forms(value: &[u8]) -> Vec<(&'static str, String)> {
    let mut forms = Vec::new();
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(("as it is", text.to_owned()));
        forms.push(("debug", trim(&format!("{text:?}"))));
        forms.push(("JSON", trim(&serde_json::to_string(text).unwrap())));
    }
    forms.push(("escaped", value.escape_ascii().to_string()));
    forms.push((
        "percent-encoded",
        url::form_urlencoded::byte_serialize(value).collect(),
    ));
    forms.push(("hexadecimal", hex(value)));
    forms.push(("hexadecimal", hex(value).to_uppercase()));
    // The end, since different values begin alike.
    let end = &value[value.len().saturating_sub(24)..];
    let list: Vec<String> = end.iter().map(ToString::to_string).collect();
    forms.push(("list of bytes", list.join(", ")));
    for offset in 0..3 {
        forms.push(("base64", base64(&STANDARD_NO_PAD, value, offset)));
        forms.push(("base64url", base64(&URL_SAFE_NO_PAD, value, offset)));
    }
    let digest = digest(&SHA256, value);
    forms.push((HASH, hex(digest.as_ref())));
    forms.push((HASH, STANDARD_NO_PAD.encode(digest)));
    forms.push((HASH, URL_SAFE_NO_PAD.encode(digest)));
    forms.sort_by(|left, right| left.1.cmp(&right.1));
    forms.dedup_by(|left, right| left.1 == right.1);
    forms
}

/// What is certain of a value's encoding when `offset` bytes stand before it and anything behind.
fn base64(engine: &impl Engine, value: &[u8], offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(value);
    let encoded = engine.encode(&bytes);
    let start = (offset * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    encoded[start..end].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn trim(quoted: &str) -> String {
    quoted[1..quoted.len() - 1].to_owned()
}

/// The search finds what it is for.
#[test]
fn every_form_is_found() {
    let value = "Mark-é+%\"1 \u{1}/?";
    let mut marks = Marks::default();
    marks.add("it", value);
    for written in [
        format!("{value:?}"),
        serde_json::json!({ "x": value }).to_string(),
        format!("{:?}", value.as_bytes()),
        format!("{:?}", bytes::Bytes::from(value)),
        hex(value.as_bytes()),
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("x", value)
            .finish(),
        STANDARD_NO_PAD.encode(format!("{value}behind")),
        STANDARD_NO_PAD.encode(format!("1{value}2")),
        URL_SAFE_NO_PAD.encode(format!("12{value}")),
    ] {
        assert!(
            !marks.found_in(written.as_bytes()).is_empty(),
            "not found in {written}"
        );
    }
    assert!(marks.found_in(b"Mark- something else, TWFyay").is_empty());
}
