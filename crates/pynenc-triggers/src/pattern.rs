//! Patterns: JSON values that other JSON values are matched against.

use serde_json::Value;

/// Whether a value matches a pattern.
///
/// An object matches if it has each key of the pattern, with a value that matches. An array matches if it has the same
/// length and its items match. Other values match if they are equal; `7` equals `7.0`.
pub(crate) fn matches(value: &Value, pattern: &Value) -> bool {
    match (value, pattern) {
        (Value::Object(value), Value::Object(pattern)) => {
            pattern.iter().all(|(key, wanted)| value.get(key).is_some_and(|found| matches(found, wanted)))
        }
        (Value::Array(values), Value::Array(patterns)) => {
            values.len() == patterns.len()
                && values.iter().zip(patterns).all(|(value, pattern)| matches(value, pattern))
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
        assert_eq!(matches(value, pattern), expected, "{value} matches {pattern}");
    }

    #[test]
    fn an_object_matches_if_each_key_of_the_pattern_does() {
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
