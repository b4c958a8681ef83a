//! Specs drawn from a schema: most parts fit it, some do not.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use testbed::seed::Seed;

/// Optional fields that an object has on average, however many there are: with more of them, hardly any would fit.
const PRESENT: usize = 2;
/// Of a hundred values, another of any kind.
const WRONG: usize = 2;
/// Of a hundred texts.
const ODD: usize = 12;

const ODD_TEXTS: &[&str] = &[
    "",
    " ",
    "a\nb",
    "a\0b",
    "\u{202e}gnp.exe",
    "\u{2066}\u{200b}\u{feff}",
    "e\u{301}\u{301}\u{301}\u{301}",
    "ÄÖÜß€漢字🦀",
    "🏳️‍🌈🏳️‍🌈",
    "<script>alert(1)</script>",
    "'; DROP TABLE clients; --",
    "${jndi:ldap://x}",
    "{{ .Values }}",
    "../../../etc/passwd",
    "NaN",
    "-1",
    "0x10",
    "1e400",
];
const PLAIN_TEXTS: &[&str] = &[
    "shop",
    "wiki",
    "mail-1",
    "team",
    "staff",
    "openid",
    "https://app.example.org/callback",
];
const TIMES: &[&str] = &[
    "5m",
    "1h",
    "30d",
    "90s",
    "0s",
    "-1h",
    "1.5h",
    "1h30m",
    "99999999999999999999d",
    "soon",
];

/// The schema of a spec.
pub(super) struct Schema {
    spec: Value,
    uris: Vec<String>,
}

impl Schema {
    /// Of a definition as YAML.
    pub(super) fn new(definition: &str, uris: &[String]) -> Self {
        let mut definition: Value =
            Deserialize::deserialize(serde_yaml::Deserializer::from_str(definition)).unwrap();
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        Self {
            spec: schema["properties"]["spec"].take(),
            uris: uris.to_vec(),
        }
    }

    /// The next spec.
    pub(super) fn draw(&self, seed: &mut Seed) -> Value {
        match seed.below(60) {
            0 => deep(50 + seed.below(400)),
            1 => json!({ "redirectUris": ["https://app.example.org/"], "displayName": "x".repeat(1 << 20) }),
            2 => json!({ "redirectUris": vec!["https://app.example.org/"; 5_000] }),
            _ => self.value(&self.spec, "spec", seed),
        }
    }

    fn value(&self, schema: &Value, name: &str, seed: &mut Seed) -> Value {
        if seed.percent(WRONG) {
            return wrong(seed);
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, seed),
            Some("array") => {
                let count = if seed.percent(WRONG) { 300 } else { seed.below(4) };
                (0..count)
                    .map(|_| self.value(&schema["items"], name, seed))
                    .collect()
            }
            Some("string") => self.text(schema, name, seed),
            Some("boolean") => json!(seed.below(2) == 0),
            Some("integer" | "number") => {
                json!([0_i64, 1, 7, -1, 3_600, i64::MAX, i64::MIN][seed.below(7)])
            }
            _ => wrong(seed),
        }
    }

    fn object(&self, schema: &Value, seed: &mut Seed) -> Value {
        let mut object = Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let fields = schema["properties"].as_object();
        let count = fields.map_or(0, Map::len).max(1);
        for (name, inner) in fields.into_iter().flatten() {
            let wanted = required.contains(&json!(name)) || name == "redirectUris";
            if wanted || seed.below(count) < PRESENT {
                object.insert(name.clone(), self.value(inner, name, seed));
            }
        }
        let more = &schema["additionalProperties"];
        if more.is_object() {
            for _ in 0..seed.below(3) {
                object.insert(seed.one(PLAIN_TEXTS).to_owned(), self.value(more, "", seed));
            }
        }
        if seed.percent(WRONG) {
            object.insert(seed.one(ODD_TEXTS).to_owned(), wrong(seed));
        }
        Value::Object(object)
    }

    fn text(&self, schema: &Value, name: &str, seed: &mut Seed) -> Value {
        if seed.percent(ODD) {
            let text = seed.one(ODD_TEXTS).repeat(1 + seed.below(3) * seed.below(200));
            return json!(text);
        }
        if let Some(one) = schema["enum"].as_array() {
            return one[seed.below(one.len())].clone();
        }
        let lower = name.to_lowercase();
        if lower.contains("uri") || lower.contains("origin") {
            return if seed.percent(ODD) {
                json!(self.uris[seed.below(self.uris.len())])
            } else {
                json!(format!("https://app-{}.example.org", seed.below(1_000)))
            };
        }
        if ["lifetime", "age", "interval", "overlap"]
            .iter()
            .any(|part| lower.contains(part))
        {
            return json!(seed.one(TIMES));
        }
        if lower.contains("email") {
            return json!(format!("person-{}@example.org", seed.below(1_000)));
        }
        json!(seed.one(PLAIN_TEXTS))
    }
}

/// Something that fits nowhere.
fn wrong(seed: &mut Seed) -> Value {
    match seed.below(9) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-0.5),
        3 => json!(u64::MAX),
        4 => json!([]),
        5 => json!({}),
        6 => json!([[[["x"]]]]),
        7 => deep(20 + seed.below(60)),
        _ => json!(seed.one(ODD_TEXTS)),
    }
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!("bottom"), |inner, level| {
        if level % 2 == 0 {
            json!({ "deep": inner })
        } else {
            json!([inner])
        }
    })
}

/// How deeply a value is nested.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}
