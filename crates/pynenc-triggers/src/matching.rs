//! Whether a value has in it what a pattern asks for.

use serde_json::Value;

/// Objects have each key of the pattern, with a value that has what the pattern has there; all else is equal. A whole
/// number equals the fraction of the same value.
pub(crate) fn has(value: &Value, pattern: &Value) -> bool {
    match (value, pattern) {
        (Value::Object(value), Value::Object(pattern)) => {
            pattern.iter().all(|(key, wanted)| value.get(key).is_some_and(|found| has(found, wanted)))
        }
        (Value::Array(values), Value::Array(patterns)) => {
            values.len() == patterns.len() && values.iter().zip(patterns).all(|(value, pattern)| has(value, pattern))
        }
        (Value::Number(value), Value::Number(pattern)) => value == pattern || value.as_f64() == pattern.as_f64(),
        (value, pattern) => value == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, pattern: &Value, expected: bool) {
        assert_eq!(has(value, pattern), expected, "{value} has {pattern}");
    }

    #[test]
    fn a_pattern_names_what_has_to_be_there() {
        let order =
            json!({"id": 7, "by": {"name": "Ana", "roles": ["admin", {"of": "shop", "since": 2020}]}, "note": null});
        check(&order, &json!({}), true);
        check(&order, &json!({"id": 7}), true);
        check(&order, &json!({"id": 7.0, "by": {"name": "Ana"}}), true);
        check(&order, &json!({"by": {"roles": ["admin", {"of": "shop"}]}}), true);
        check(&order, &json!({"by": {"roles": ["admin"]}}), false);
        check(&order, &json!({"note": null}), true);
        check(&order, &json!({"missing": null}), false);
        check(&order, &json!({"id": "7"}), false);
        check(&json!(3), &json!(3), true);
        check(&json!("x"), &json!({}), false);
    }
}
