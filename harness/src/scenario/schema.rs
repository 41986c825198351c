//! The JSON Schema of a scenario file, for editors and for our own suggestions.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::model::Scenario;
use super::path::{Path, Step};

/// The schema of the whole file, variants and matrix included. What only crashdrill can check (fields that
/// must fit each other, grammars in strings) is left to it.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Scenario).to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("crashdrill scenario"));
        root.insert(
            "description".to_owned(),
            json!("A machine, its kernels and kdump, to be crashed on purpose."),
        );
        // What the common part leaves out, the variants may add.
        if let Some(Value::Array(required)) = root.remove("required") {
            let rest: Vec<_> = required.into_iter().filter(|key| key != "name").collect();
            root.insert("required".to_owned(), json!(["name"]));
            root.insert(
                "anyOf".to_owned(),
                json!([
                    { "required": ["variants"] },
                    { "required": ["matrix"] },
                    { "required": rest },
                ]),
            );
        }
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            properties.insert("variants".to_owned(), variants());
            properties.insert("matrix".to_owned(), matrix());
        }
    }
    schema
}

/// Of variants, and of values in a matrix.
const NAME: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";

fn variants() -> Value {
    json!({
        "description": "Drills that differ from the rest of the file in a few places: a name, and \
            under it dotted paths with what to put there (machine.cpus: 8, \
            machine.devices[0].msix: 66); null removes a key, and nr_cpus: 2 sets nr_cpus= on the \
            capture kernel's command line.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": NAME },
        "additionalProperties": {
            "type": ["object", "null"],
            "propertyNames": { "pattern": "^[a-z]" }
        }
    })
}

fn matrix() -> Value {
    json!({
        "description": "A drill for every combination of these values: dotted paths as in \
            variants, and under each a list of values (nr_cpus: [1, 2]), or a mapping of names to \
            values where a value is too long to be a part of the drill's name.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": "^[a-z]" },
        "additionalProperties": {
            "anyOf": [
                { "type": "array", "minItems": 1 },
                { "type": "object", "minProperties": 1, "propertyNames": { "pattern": NAME } }
            ]
        }
    })
}

static SCHEMA: LazyLock<Value> = LazyLock::new(json_schema);

/// Name and description of the type that belongs in a place, where it has a name.
pub(super) struct Wanted {
    pub(super) type_name: String,
    /// The first sentence of it.
    pub(super) description: Option<String>,
    /// Of a mapping.
    pub(super) keys: Vec<String>,
}

/// What belongs in a place.
pub(super) fn wanted(path: &Path) -> Option<Wanted> {
    let mut at: &Value = &SCHEMA;
    let mut type_name = "Scenario";
    let mut description = None;
    for step in &path.0 {
        at = match step {
            Step::Key(key) => match at.get("properties").and_then(|keys| keys.get(key)) {
                Some(property) => property,
                None => at
                    .get("additionalProperties")
                    .filter(|value| value.is_object())?,
            },
            Step::Index(_) => at.get("items")?,
        };
        description = at.get("description");
        type_name = "";
        // `Option<T>` is T or null.
        let choices = at.get("anyOf").and_then(Value::as_array);
        if let Some(choice) =
            choices.and_then(|them| them.iter().find(|it| it.get("$ref").is_some()))
        {
            at = choice;
        }
        if let Some(name) = at.get("$ref").and_then(Value::as_str) {
            type_name = name.rsplit('/').next().unwrap_or(name);
            at = SCHEMA.get("$defs")?.get(type_name)?;
            description = at.get("description");
        }
    }
    Some(Wanted {
        type_name: type_name.to_owned(),
        description: description.and_then(Value::as_str).map(first_sentence),
        keys: at
            .get("properties")
            .and_then(Value::as_object)
            .map(|keys| keys.keys().cloned().collect())
            .unwrap_or_default(),
    })
}

fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    text.split_inclusive(". ")
        .next()
        .unwrap_or(&text)
        .trim()
        .to_owned()
}

/// The mappings that know a key, as paths: where a key belongs that stands elsewhere.
pub(super) fn homes(key: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&SCHEMA, "", key, &mut found);
    found
}

/// The types of a scenario do not refer to themselves, so this ends.
fn walk(at: &Value, path: &str, key: &str, found: &mut Vec<String>) {
    let resolved = at
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| SCHEMA.pointer(name.trim_start_matches('#')))
        .unwrap_or(at);
    for choice in resolved
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        walk(choice, path, key, found);
    }
    if let Some(items) = resolved.get("items") {
        walk(items, &format!("{path}[0]"), key, found);
    }
    let Some(keys) = resolved.get("properties").and_then(Value::as_object) else {
        return;
    };
    if keys.contains_key(key) {
        found.push(path.to_owned());
    }
    let dot = if path.is_empty() { "" } else { "." };
    for (name, below) in keys {
        walk(below, &format!("{path}{dot}{name}"), key, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_file() {
        let schema = json_schema();
        assert_eq!(schema["title"], "crashdrill scenario");
        assert!(schema.get("$id").is_none());
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], json!(["name"]));
        let mut keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                "about",
                "boot",
                "capture",
                "crash",
                "crashkernel",
                "expect",
                "fidelity",
                "first-kernel",
                "image",
                "kdump",
                "limits",
                "machine",
                "matrix",
                "name",
                "server",
                "variants"
            ]
        );
        assert_eq!(schema["$defs"]["Machine"]["additionalProperties"], false);
        let kinds = schema["$defs"]["DeviceKind"].to_string();
        for kind in ["virtio-serial", "nvme", "mptsas1068", "pcie-root-port"] {
            assert!(kinds.contains(kind), "{kind}");
        }
    }

    #[test]
    fn what_belongs_where() {
        let type_name = |path: &str| wanted(&path.parse().unwrap()).unwrap().type_name;
        assert_eq!(type_name("machine.memory"), "Bytes");
        assert_eq!(type_name("machine.devices[3].size"), "Bytes");
        assert_eq!(type_name("limits.total"), "Millis");
        assert_eq!(type_name("capture.files[\"/x\"]"), "");
        assert!(wanted(&"nowhere".parse().unwrap()).is_none());
        assert_eq!(homes("cpus"), ["machine"]);
        assert_eq!(homes("KDUMP_COMMANDLINE"), ["kdump.sysconfig"]);
        assert_eq!(homes("msix"), ["machine.devices[0]"]);
    }
}
