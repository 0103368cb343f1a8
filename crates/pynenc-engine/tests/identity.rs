//! Property tests of the identity of arguments: only the order of maps and the serializer make no difference to it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::{Digest, Serializer};
use pynenc_engine::task::{ArgumentIdentity, ArgumentSink};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};

/// A value whose maps are serialized in the order of their entries here.
#[derive(Debug, Clone)]
enum Tree {
    Nothing,
    Truth(bool),
    Whole(i64),
    Large(u64),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Truth(truth) => serializer.serialize_bool(*truth),
            Self::Whole(number) => serializer.serialize_i64(*number),
            Self::Large(number) => serializer.serialize_u64(*number),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(None)?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(None)?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

/// A tree without the order of its maps. Two trees are equal as arguments if these are equal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unordered {
    Nothing,
    Truth(bool),
    Whole(i128),
    Number(u64),
    Text(String),
    List(Vec<Unordered>),
    Map(BTreeMap<String, Unordered>),
}

impl From<&Tree> for Unordered {
    fn from(tree: &Tree) -> Self {
        match tree {
            Tree::Nothing => Self::Nothing,
            Tree::Truth(truth) => Self::Truth(*truth),
            Tree::Whole(number) => Self::Whole((*number).into()),
            Tree::Large(number) => Self::Whole((*number).into()),
            Tree::Number(number) => Self::Number(number.to_bits()),
            Tree::Text(text) => Self::Text(text.clone()),
            Tree::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Tree::Map(entries) => Self::Map(entries.iter().map(|(key, value)| (key.clone(), value.into())).collect()),
        }
    }
}

/// The tree with the entries of every map in reverse.
fn reversed(tree: &Tree) -> Tree {
    match tree {
        Tree::List(items) => Tree::List(items.iter().map(reversed).collect()),
        Tree::Map(entries) => {
            Tree::Map(entries.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect())
        }
        other => other.clone(),
    }
}

/// Short texts of few characters, so that equal texts are likely, and arbitrary texts.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab\"\\\\\\[\\]{}:,]{0,3}", any::<String>(), Just("e\u{301}".to_owned()), Just("\u{e9}".to_owned())]
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Nothing),
        any::<bool>().prop_map(Tree::Truth),
        (-3..3_i64).prop_map(Tree::Whole),
        any::<i64>().prop_map(Tree::Whole),
        any::<u64>().prop_map(Tree::Large),
        (prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO).prop_map(Tree::Number),
        any_text().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            prop::collection::btree_map(any_text(), inner, 0..4).prop_map(|map| Tree::Map(map.into_iter().collect())),
        ]
    })
}

fn identity(tree: &Tree, serializer: &dyn Serializer) -> ArgumentIdentity {
    let mut sink = ArgumentSink::new(serializer, true);
    sink.put("value", tree).expect("every tree has an identity");
    sink.into_parts().1.expect("the sink computes the identity")
}

fn digest(tree: &Tree) -> Digest {
    identity(tree, &JsonSerializer).of_all("task")
}

/// The tree with one changed leaf.
fn altered(tree: &Tree) -> Tree {
    match tree {
        Tree::Nothing => Tree::Text(String::new()),
        Tree::Truth(truth) => Tree::Truth(!truth),
        Tree::Whole(number) => Tree::Whole(number ^ 1),
        Tree::Large(number) => Tree::Large(number ^ 1),
        Tree::Number(number) => Tree::Number(f64::from_bits(number.to_bits() ^ 1)),
        Tree::Text(text) => Tree::Text(format!("{text}\0")),
        Tree::List(items) => match items.split_last() {
            Some((last, rest)) => Tree::List(rest.iter().cloned().chain([altered(last)]).collect()),
            None => Tree::List(vec![Tree::Nothing]),
        },
        Tree::Map(entries) => match entries.split_first() {
            Some(((key, value), rest)) => {
                Tree::Map(std::iter::once((key.clone(), altered(value))).chain(rest.iter().cloned()).collect())
            }
            None => Tree::Map(vec![(String::new(), Tree::Nothing)]),
        },
    }
}

proptest! {
    #[test]
    fn the_order_of_maps_and_the_serializer_make_no_difference(tree in any_tree()) {
        prop_assert_eq!(identity(&tree, &JsonSerializer), identity(&reversed(&tree), &MsgPackSerializer));
    }

    #[test]
    fn digests_are_equal_only_for_equal_values(one in any_tree(), other in any_tree()) {
        prop_assert_eq!(digest(&one) == digest(&other), Unordered::from(&one) == Unordered::from(&other));
    }

    #[test]
    fn any_change_of_a_value_changes_the_digest(tree in any_tree()) {
        prop_assert_ne!(digest(&tree), digest(&altered(&tree)));
        prop_assert_ne!(digest(&tree), digest(&Tree::List(vec![tree.clone()])));
        prop_assert_ne!(digest(&tree), digest(&Tree::Map(vec![(String::new(), tree.clone())])));
    }

    #[test]
    fn boundaries_between_arguments_count(texts in prop::collection::vec("[a\\x00]{0,2}", 4)) {
        let of = |first: &str, second: &str| {
            let mut sink = ArgumentSink::new(&JsonSerializer, true);
            sink.put("a", &first).expect("a text has an identity");
            sink.put("b", &second).expect("a text has an identity");
            sink.into_parts().1.expect("the sink computes the identity").of_all("task")
        };
        prop_assert_eq!(of(&texts[0], &texts[1]) == of(&texts[2], &texts[3]), texts[..2] == texts[2..]);
    }
}

/// JSON writes `null` for NaN and for infinity, so neither may have an identity.
#[test]
fn a_value_without_a_json_form_has_no_identity() {
    for odd in [f64::NAN, f64::INFINITY] {
        let mut sink = ArgumentSink::new(&MsgPackSerializer, true);
        let error = sink.put("value", &Some(odd)).expect_err("`null` would be ambiguous").to_string();
        assert!(error.contains("argument: value") && error.contains("JSON form"), "{error}");
        let mut without_identity = ArgumentSink::new(&MsgPackSerializer, false);
        without_identity.put("value", &Some(odd)).expect("MessagePack encodes every float");
    }
}
