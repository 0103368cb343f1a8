//! Collections over bytes behave like those in memory, within a step and over many.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;
use pynenc_core::Result;

use super::access::Bytes;
use crate::native::Native;
use crate::storage::{Cell, Collection, Groups, Map, Set, Storage};
use crate::stores::transaction::{KeyRange, Order, Transaction};
use crate::table::Table;

type Name = Box<str>;

#[derive(Default)]
struct Rows(BTreeMap<(Table, Vec<u8>), Vec<u8>>);

impl Transaction for Rows {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(&(table, key.to_vec())).cloned())
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert((table, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.0.remove(&(table, key.to_vec()));
        Ok(())
    }

    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let is_behind_start = |key: &[u8]| match range.start {
            Bound::Included(start) => key >= start,
            Bound::Excluded(start) => key > start,
            Bound::Unbounded => true,
        };
        let is_before_end = |key: &[u8]| match range.end {
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
            Bound::Unbounded => true,
        };
        let rows = self.0.iter().filter(|((of, key), _)| *of == table && is_behind_start(key) && is_before_end(key));
        let rows = rows.map(|((_, key), value)| (key.clone(), value.clone()));
        Ok(match range.order {
            Order::Ascending => rows.take(limit).collect(),
            Order::Descending => rows.rev().take(limit).collect(),
        })
    }

    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()> {
        for (key, _) in self.range(table, range, usize::MAX)? {
            self.delete(table, &key)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Act {
    Insert(Name, u32),
    Remove(Name, u32),
    RemoveGroup(Name),
    PopFirst(Name, usize),
    Change(Name),
    Clear,
    Read(Name, Bound<u32>),
    /// Writes the changes, and begins another step.
    Commit,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = || prop::sample::select(vec!["", "a", "a\0", "ab", "b"]).prop_map(Name::from);
    let bound =
        prop_oneof![Just(Bound::Unbounded), (0..40u32).prop_map(Bound::Included), (0..40u32).prop_map(Bound::Excluded)];
    let act = prop_oneof![
        30 => (name(), 0..40u32).prop_map(|(name, key)| Act::Insert(name, key)),
        10 => (name(), 0..40u32).prop_map(|(name, key)| Act::Remove(name, key)),
        2 => name().prop_map(Act::RemoveGroup),
        4 => (name(), 0..30usize).prop_map(|(name, most)| Act::PopFirst(name, most)),
        4 => name().prop_map(Act::Change),
        1 => Just(Act::Clear),
        8 => (name(), bound).prop_map(|(name, bound)| Act::Read(name, bound)),
        4 => Just(Act::Commit),
    ];
    prop::collection::vec(act, 0..150)
}

/// One collection of each kind.
#[derive(Debug)]
struct All<S: Storage> {
    cell: S::Cell<u64>,
    map: S::Map<(Name, u32), String>,
    set: S::Set<(u32, Name)>,
    groups: S::Groups<Name, u32>,
    counted: S::Counted<Name, u32>,
}

impl<S: Storage> All<S> {
    fn open(storage: &S) -> Self {
        Self {
            cell: storage.cell("cell"),
            map: storage.map(Table::Entry),
            set: storage.set(Table::Queued),
            groups: storage.groups(Table::Owned),
            counted: storage.counted((Table::HintReady, Table::ReadyCount)),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.cell.flush()?;
        self.map.flush()?;
        self.set.flush()?;
        self.groups.flush()?;
        self.counted.flush()
    }

    fn clear(&mut self) -> Result<()> {
        self.cell.clear()?;
        self.map.clear()?;
        self.set.clear()?;
        self.groups.clear()?;
        self.counted.clear()
    }

    /// Performs an act, and shows what it has found.
    fn perform(&mut self, act: &Act) -> Result<String> {
        let mut popped = Vec::new();
        match act {
            Act::Insert(name, key) => {
                *self.cell.get_mut()? += 1;
                self.map.insert((name.clone(), *key), format!("{name} {key}"))?;
                self.set.insert((*key, name.clone()))?;
                self.groups.insert(name, *key)?;
                if !self.counted.contains(name, key)? {
                    self.counted.insert(name, *key)?;
                }
            }
            Act::Remove(name, key) => {
                popped.extend(self.map.remove(&(name.clone(), *key))?.map(|_| *key));
                self.set.remove(&(*key, name.clone()))?;
                self.groups.remove(name, key)?;
                if self.counted.contains(name, key)? {
                    self.counted.remove(name, key)?;
                }
            }
            Act::RemoveGroup(name) => {
                popped = self.groups.remove_group(name)?;
                assert_eq!(popped, self.counted.remove_group(name)?);
                for key in &popped {
                    self.map.delete((name.clone(), *key))?;
                    self.set.remove(&(*key, name.clone()))?;
                }
            }
            Act::PopFirst(name, most) => {
                let mut others = Vec::new();
                self.groups.pop_first(name, *most, &mut popped)?;
                self.counted.pop_first(name, *most, &mut others)?;
                assert_eq!(popped, others);
            }
            Act::Change(name) => {
                if let Some(value) = self.map.get_mut(&(name.clone(), 7))? {
                    value.push('!');
                }
                self.map.get_or_insert_with(&(name.clone(), 8), || "new".to_owned())?.push('?');
            }
            Act::Clear => self.clear()?,
            Act::Read(..) | Act::Commit => {}
        }
        Ok(format!("{popped:?}"))
    }

    /// Shows everything that a read from a bound finds.
    fn read(&mut self, name: &Name, bound: Bound<u32>) -> Result<String> {
        let ascending = self.groups.ascending(name, bound).collect::<Result<Vec<_>>>()?;
        let descending = self.groups.descending(name).collect::<Result<Vec<_>>>()?;
        let counts = (self.groups.count(name)?, self.groups.count_up_to(name, 100)?, self.groups.first(name)?);
        let counted = self.counted.ascending(name, Bound::Unbounded).collect::<Result<Vec<_>>>()?;
        assert_eq!(counted.len() as u64, self.counted.count(name)?);
        assert_eq!((self.counted.first(name)?, self.counted.count(name)?), (counts.2, counts.0));
        let few = self.groups.count_up_to(name, 2)? > 2;
        let pair = bound.map(|key| (key, name.clone()));
        let set = self.set.ascending(pair.clone()).collect::<Result<Vec<_>>>()?;
        let back = self.set.descending(pair).collect::<Result<Vec<_>>>()?;
        let contains = (self.set.contains(&(7, name.clone()))?, self.groups.contains(name, &7)?);
        let keys = self.map.keys()?;
        let values = keys.iter().map(|key| Ok(self.map.get(key)?.cloned())).collect::<Result<Vec<_>>>()?;
        let cell = self.cell.get()?;
        Ok(format!(
            "{ascending:?} {descending:?} {counts:?} {few} {set:?} {back:?} {contains:?} {keys:?} {values:?} {cell}"
        ))
    }
}

/// Performs acts over bytes up to the next commit. Returns the rest of the acts.
fn step<'a>(rows: &mut Rows, memory: &mut All<Native>, acts: &'a [Act]) -> Result<&'a [Act]> {
    let transaction: RefCell<&mut dyn Transaction> = RefCell::new(rows);
    let mut bytes = All::open(&Bytes::new(&transaction));
    for (index, act) in acts.iter().enumerate() {
        match act {
            Act::Commit => {
                bytes.flush()?;
                return Ok(&acts[index + 1..]);
            }
            Act::Read(name, bound) => assert_eq!(bytes.read(name, *bound)?, memory.read(name, *bound)?),
            act => assert_eq!(bytes.perform(act)?, memory.perform(act)?, "{act:?}"),
        }
    }
    bytes.flush()?;
    Ok(&[])
}

proptest! {
    #[test]
    fn they_agree_with_collections_in_memory(acts in acts()) {
        let (mut rows, mut memory) = (Rows::default(), All::open(&Native));
        let mut rest = &acts[..];
        while !rest.is_empty() {
            rest = step(&mut rows, &mut memory, rest).expect("nothing fails");
        }
        for name in ["", "a", "a\0", "ab", "b"] {
            let read = [Act::Read(name.into(), Bound::Unbounded)];
            step(&mut rows, &mut memory, &read).expect("nothing fails");
        }
    }
}
