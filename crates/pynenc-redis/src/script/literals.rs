//! The literals that stand for names in scripts.

use pynenc_core::Status;
use pynenc_core::record::Priority;

use crate::codec::LARGEST_MILLIS;
use crate::codes::{reason_code, status_code};
use crate::keys::Key;
use crate::layout::{HEADER, LAYOUT, OWN};

/// The lease of a runner that claims before its first heartbeat, in milliseconds.
const FIRST_LEASE: u64 = 15_000;
/// The longest outcome that a completion message carries, in bytes.
const PUSHED_OUTCOME: usize = 4096;
/// How many leases long a retired runner is remembered, so that its next call is refused.
const REMEMBERED_LEASES: u64 = 10;

/// The number of invocations after which the listing goes on in another chunk.
const CHUNK: usize = 512;

/// The literal for a name in a namespace.
pub(super) fn literal(namespace: &str, name: &str) -> Option<String> {
    match namespace {
        "K" => Key::ALL.iter().find(|(key, _)| *key == name).map(|(_, text)| format!("P..'{text}'")),
        "S" => name.parse().ok().map(|status| status_code(status).to_string()),
        "R" => name.parse().ok().map(|reason| reason_code(reason).to_string()),
        "F" => place_in(&HEADER, name).map(|(first, _)| first.to_string()),
        "L" => place_in(&HEADER, name).map(|(_, last)| last.to_string()),
        "B" => place_in(&OWN, name).map(|(first, _)| first.to_string()),
        _ => table(name),
    }
}

/// The places of the first and the last byte of a field, counted from one.
fn place_in(fields: &[(&str, usize)], name: &str) -> Option<(usize, usize)> {
    let index = fields.iter().position(|(field, _)| *field == name)?;
    let before = total_length(&fields[..index]);
    Some((before + 1, before + fields[index].1))
}

fn total_length(fields: &[(&str, usize)]) -> usize {
    fields.iter().map(|(_, length)| length).sum()
}

fn table(name: &str) -> Option<String> {
    match name {
        "layout" => Some(LAYOUT.to_string()),
        "header" => Some(total_length(&HEADER).to_string()),
        "own" => Some(total_length(&OWN).to_string()),
        "chunk" => Some(CHUNK.to_string()),
        "latest" => Some(LARGEST_MILLIS.to_string()),
        "claimable" => Some(set_of(Status::is_claimable)),
        "owned" => Some(set_of(Status::is_owned)),
        "final" => Some(set_of(Status::is_final)),
        "raised" => Some(Priority::default().raised(1).level().to_string()),
        "pushed_outcome" => Some(PUSHED_OUTCOME.to_string()),
        "first_lease" => Some(FIRST_LEASE.to_string()),
        "remembered_leases" => Some(REMEMBERED_LEASES.to_string()),
        _ => None,
    }
}

/// A digit for every status: whether it is in a set.
fn set_of(contains: impl Fn(Status) -> bool) -> String {
    let digits: String = Status::ALL.iter().map(|status| if contains(*status) { '1' } else { '0' }).collect();
    format!("'{digits}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_header_has_its_first_and_its_last_byte() {
        let places = ["F", "L"].map(|namespace| literal(namespace, "version").unwrap());
        assert_eq!(places, ["4", "7"]);
        assert_eq!(["header", "own"].map(|name| literal("T", name).unwrap()), ["52", "32"]);
        assert_eq!(literal("B", "registered_at").unwrap(), "23");
        let [(first, _), (_, last)] = ["status", "owner"].map(|name| place_in(&HEADER, name).unwrap());
        assert_eq!(last - first + 1, crate::layout::STATE, "the fields from the status to the owner");
        assert_eq!(literal("F", "unknown"), None);
    }
}
