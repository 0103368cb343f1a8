//! The syntax `name(a, b)` of options as text.

/// Parses `name(a, b)` into the name in lower case and the arguments.
pub(super) fn parse(text: &str) -> Option<(String, Vec<&str>)> {
    let (name, rest) = text.trim().split_once('(')?;
    let inside = rest.strip_suffix(')')?.trim();
    let arguments = if inside.is_empty() { Vec::new() } else { inside.split(',').map(str::trim).collect() };
    Some((name.trim().to_ascii_lowercase(), arguments))
}
