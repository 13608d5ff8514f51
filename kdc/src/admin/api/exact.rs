//! What the derived schemas leave open, said: what is read strictly is described strictly. A number of 32
//! bits without a sign goes up to 4294967295; an object has the fields that it names and no others; one
//! of several variants is there alone; the keys of an object are texts. Not here: what the types are.

use serde_json::{Map, Value, json};

/// Whose readers must be ready for more fields (RFC 9457 3.2).
const OPEN: &str = "Problem";

/// Makes schemas say all that is so, however deep they lie.
pub(super) fn exact(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(exact),
        Value::Object(fields) => {
            unsigned(fields);
            closed(fields);
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    OPEN => {}
                    "propertyNames" if value["type"] == "integer" => {
                        *value = json!({ "type": "string", "pattern": "^[0-9]{1,10}$" });
                    }
                    _ => exact(value),
                }
            }
        }
        _ => {}
    }
}

fn unsigned(schema: &mut Map<String, Value>) {
    let small = schema.get("format").is_some_and(|format| format == "int32");
    if small && schema.get("minimum").is_some_and(|least| least.as_u64().is_some()) {
        schema.remove("format");
        schema.entry("maximum").or_insert(json!(u32::MAX));
    }
}

fn closed(schema: &mut Map<String, Value>) {
    // The properties of an object may be called so; those of a schema are schemas by name.
    let object = schema.get("type").is_some_and(|kind| kind == "object");
    if object && schema.get("properties").is_some_and(Value::is_object) {
        schema.entry("additionalProperties").or_insert(json!(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_strictly_is_described_so() {
        let mut schema = json!({
            "oneOf": [{ "type": "object", "required": ["from"], "properties": {
                "from": { "type": "integer", "format": "int32", "minimum": 0 },
                "until": { "type": "integer", "format": "int64" },
                "counts": { "type": "object", "propertyNames": { "type": "integer" } },
            } }],
            "Problem": { "type": "object", "properties": {} },
        });
        exact(&mut schema);
        let variant = &schema["oneOf"][0];
        assert_eq!(variant["additionalProperties"], false);
        assert_eq!(
            variant["properties"]["from"],
            json!({ "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 })
        );
        assert_eq!(variant["properties"]["until"]["format"], "int64");
        assert_eq!(variant["properties"]["counts"]["propertyNames"]["type"], "string");
        assert!(schema["Problem"].get("additionalProperties").is_none());
    }
}
