//! The stored form of a trigger's conditions and target.

use pynenc_core::packed::{Packed, Unpack, packed_struct, unknown_variant};
use pynenc_core::{Error, Result};
use serde_json::Value;

use crate::schedule::{CronDialect, DayMatch, Misfire};
use crate::spec::{ConditionSpec, ConditionTree, Target, TriggerSpec};

/// The largest number of conditions within each other. Deeper trees are refused, because decoding is recursive.
const MAX_DEPTH: usize = 128;

packed_struct!(TriggerSpec { conditions, shape, target });
packed_struct!(CronDialect { days, quartz });

impl Packed for DayMatch {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(match self {
            Self::Either => 0,
            Self::Both => 1,
        });
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Either),
            1 => Ok(Self::Both),
            found => Err(unknown_variant("DayMatch", found)),
        }
    }
}

impl Packed for Misfire {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Skip => to.push(0),
            Self::One => to.push(1),
            Self::All(window) => {
                to.push(2);
                window.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Skip),
            1 => Ok(Self::One),
            2 => Packed::unpack(from).map(Self::All),
            found => Err(unknown_variant("Misfire", found)),
        }
    }
}

impl Packed for ConditionTree {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Leaf(leaf) => {
                to.push(0);
                leaf.pack(to);
            }
            Self::All { of, within } => {
                to.push(1);
                within.pack(to);
                of.pack(to);
            }
            Self::Any(of) => {
                to.push(2);
                of.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        tree(from, MAX_DEPTH)
    }
}

fn tree(from: &mut Unpack<'_>, depth: usize) -> Result<ConditionTree> {
    let depth = depth.checked_sub(1).ok_or_else(|| Error::corrupt("the conditions are nested too deeply"))?;
    match from.variant()? {
        0 => Packed::unpack(from).map(ConditionTree::Leaf),
        1 => Ok(ConditionTree::All { within: Packed::unpack(from)?, of: trees(from, depth)? }),
        2 => trees(from, depth).map(ConditionTree::Any),
        found => Err(unknown_variant("ConditionTree", found)),
    }
}

fn trees(from: &mut Unpack<'_>, depth: usize) -> Result<Vec<ConditionTree>> {
    let count = u32::unpack(from)?;
    let mut trees = Vec::new();
    for _ in 0..count {
        trees.push(tree(from, depth)?);
    }
    Ok(trees)
}

impl Packed for ConditionSpec {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Cron { expression, timezone, misfire, dialect } => {
                to.push(0);
                expression.pack(to);
                timezone.pack(to);
                misfire.pack(to);
                dialect.pack(to);
            }
            Self::Event { name, key, matching } => {
                to.push(1);
                name.pack(to);
                key.pack(to);
                pack_pattern(matching.as_ref(), to);
            }
            Self::Completion { task, statuses, kinds, arguments, result } => {
                to.push(2);
                task.pack(to);
                statuses.pack(to);
                kinds.pack(to);
                pack_pattern(arguments.as_ref(), to);
                pack_pattern(result.as_ref(), to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        Ok(match from.variant()? {
            0 => Self::Cron {
                expression: Packed::unpack(from)?,
                timezone: Packed::unpack(from)?,
                misfire: Packed::unpack(from)?,
                dialect: Packed::unpack(from)?,
            },
            1 => {
                Self::Event { name: Packed::unpack(from)?, key: Packed::unpack(from)?, matching: unpack_pattern(from)? }
            }
            2 => Self::Completion {
                task: Packed::unpack(from)?,
                statuses: Packed::unpack(from)?,
                kinds: Packed::unpack(from)?,
                arguments: unpack_pattern(from)?,
                result: unpack_pattern(from)?,
            },
            found => return Err(unknown_variant("ConditionSpec", found)),
        })
    }
}

/// Patterns are stored as JSON.
fn pack_pattern(pattern: Option<&Value>, to: &mut Vec<u8>) {
    pattern.map(Value::to_string).pack(to);
}

fn unpack_pattern(from: &mut Unpack<'_>) -> Result<Option<Value>> {
    let text = <Option<String>>::unpack(from)?;
    let pattern = text.map(|text| text.parse()).transpose();
    pattern.map_err(|error| Error::corrupt("a stored pattern isn't JSON").caused_by(error))
}

impl Packed for Target {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Fixed(call) => {
                to.push(0);
                call.pack(to);
            }
            Self::Made(task) => {
                to.push(1);
                task.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Packed::unpack(from).map(Self::Fixed),
            1 => Packed::unpack(from).map(Self::Made),
            found => Err(unknown_variant("Target", found)),
        }
    }
}
