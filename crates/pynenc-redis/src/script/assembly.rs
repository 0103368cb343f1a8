//! Assembles a script: the shared statements that it uses, then its own, with names replaced by literals.

use rustc_hash::FxHashSet;

use super::literals::literal;

#[cfg(feature = "test-clock")]
const CLOCK: &str = include_str!("../../scripts/lib/test_clock.lua");
#[cfg(not(feature = "test-clock"))]
const CLOCK: &str = include_str!("../../scripts/lib/clock.lua");

/// How a script gets permission to write while the server has no free memory.
const FULL_MEMORY_SCRIPT: &str = include_str!("../../scripts/lib/full_memory.lua");
/// The same for a function, whose flags give the permission.
const FULL_MEMORY_FUNCTION: &str = include_str!("../../scripts/lib/full_memory_function.lua");

/// The shared files. Each stands behind the files that it uses.
const SHARED: [&str; 19] = [
    include_str!("../../scripts/lib/prelude.lua"),
    CLOCK,
    include_str!("../../scripts/lib/entry.lua"),
    include_str!("../../scripts/lib/indexes.lua"),
    include_str!("../../scripts/lib/queue.lua"),
    include_str!("../../scripts/lib/outbox.lua"),
    include_str!("../../scripts/lib/completion.lua"),
    include_str!("../../scripts/lib/change.lua"),
    include_str!("../../scripts/lib/slots.lua"),
    include_str!("../../scripts/lib/deadlock.lua"),
    include_str!("../../scripts/lib/claim.lua"),
    include_str!("../../scripts/lib/submit.lua"),
    include_str!("../../scripts/lib/transition.lua"),
    include_str!("../../scripts/lib/pop.lua"),
    include_str!("../../scripts/lib/watch.lua"),
    include_str!("../../scripts/lib/retire.lua"),
    include_str!("../../scripts/lib/journal.lua"),
    include_str!("../../scripts/lib/listing.lua"),
    include_str!("../../scripts/lib/content.lua"),
];

/// The lines of one top-level statement.
pub(super) type Statement<'a> = Vec<&'a str>;

/// The code of a script that the server runs by `EVALSHA`.
pub(super) fn script_code(source: &str) -> String {
    let mut code = String::new();
    for statement in with_shared(&shared(FULL_MEMORY_SCRIPT), &statements(source)) {
        push_inlined(&statement, &mut code);
    }
    code
}

/// The shared statements of the function library.
pub(super) fn shared_by_functions() -> Vec<Statement<'static>> {
    shared(FULL_MEMORY_FUNCTION)
}

fn shared(full_memory: &'static str) -> Vec<Statement<'static>> {
    let [prelude, rest @ ..] = SHARED;
    [prelude, full_memory].into_iter().chain(rest).flat_map(statements).collect()
}

/// The top-level statements of a file, without comments and empty lines.
pub(super) fn statements(source: &str) -> Vec<Statement<'_>> {
    let mut statements: Vec<Statement<'_>> = Vec::new();
    for line in source.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with("--")) {
        let continues = line.starts_with([' ', ')', '}']) || ["end", "else", "elseif"].contains(&first_word(line));
        match statements.last_mut() {
            Some(statement) if continues => statement.push(line),
            _ => statements.push(vec![line]),
        }
    }
    statements
}

/// The shared statements that a script uses, directly or through others, and then the script's own. An unused function
/// would be created in each run.
pub(super) fn with_shared<'a>(shared: &[Statement<'a>], own: &[Statement<'a>]) -> Vec<Statement<'a>> {
    let mut used: FxHashSet<&str> = own.iter().flatten().flat_map(|line| words(line)).collect();
    // The literal of every key uses the prefix.
    used.insert("P");
    let mut kept = Vec::new();
    for statement in shared.iter().rev() {
        if declared(statement[0]).any(|name| used.contains(name)) {
            used.extend(statement.iter().flat_map(|line| words(line)));
            kept.push(statement.clone());
        }
    }
    kept.reverse();
    kept.extend_from_slice(own);
    kept
}

/// The names that a shared statement declares.
pub(super) fn declared(line: &str) -> impl Iterator<Item = &str> {
    let line = line.strip_prefix("local ").expect("a shared file has declarations only");
    let names = line.strip_prefix("function ").map_or_else(|| line.split('=').next(), |rest| rest.split('(').next());
    words(names.unwrap_or_default())
}

/// The words of a line, without the name behind a dot.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let is_boundary = |c: char| !is_word(c) && c != '.';
    let chains = line.split(is_boundary).flat_map(|chain| chain.split("..")).map(|chain| chain.split('.').next());
    chains.flatten().filter(|word| !word.is_empty())
}

fn first_word(line: &str) -> &str {
    words(line).next().unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Appends lines, with literals in the place of names.
pub(super) fn push_inlined(lines: &[&str], code: &mut String) {
    for line in lines {
        inline(line, code);
        code.push('\n');
    }
}

fn inline(source: &str, code: &mut String) {
    let mut rest = source;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        let behind = &rest[word.len()..];
        if word.is_empty() {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            before = c;
            continue;
        }
        let name = behind
            .strip_prefix('.')
            .filter(|_| before != '.' && matches!(word, "K" | "S" | "R" | "F" | "L" | "B" | "T"));
        let Some(name) = name else {
            code.push_str(word);
            (rest, before) = (behind, 'w');
            continue;
        };
        let name = &name[..name.find(|c| !is_word(c)).unwrap_or(name.len())];
        code.push_str(&literal(word, name).expect("a test assembles every script, so every name has a literal"));
        (rest, before) = (&behind[1 + name.len()..], 'w');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_literals() {
        let mut code = String::new();
        inline("call('GET', K.entry .. id) == S.registered, x.F.at, sub(raw, F.due, L.due), T.header", &mut code);
        assert_eq!(code, "call('GET', P..'o:i' .. id) == 1, x.F.at, sub(raw, 28, 33), 52");
    }

    #[test]
    fn names_behind_a_dot_are_no_use_of_a_shared_name() {
        let line = "local reply = K.fresh..id .. take(a.count, T.final)";
        assert_eq!(words(line).collect::<Vec<_>>(), ["local", "reply", "K", "id", "take", "a", "T"]);
    }

    /// A local with the name of a shared one would pull that one into the script.
    #[test]
    fn no_local_has_the_name_of_a_shared_one() {
        let shared = shared(FULL_MEMORY_SCRIPT);
        let names: FxHashSet<_> = shared.iter().flat_map(|statement| declared(statement[0])).collect();
        let inner = shared.iter().flat_map(|statement| &statement[1..]).copied();
        let own = super::super::table::ALL.iter().flat_map(|script| script.source.lines());
        for line in inner.chain(own).map(str::trim_start).filter(|line| line.starts_with("local ")) {
            let taken: Vec<_> = declared(line).filter(|name| names.contains(name)).collect();
            assert!(taken.is_empty(), "{taken:?} in {line}");
        }
    }

    #[test]
    fn an_unused_function_is_left_out() {
        let shared = statements(
            "local P = KEYS[1]\nlocal function deep()\n  return P\nend\nlocal function near()\n  return deep()\nend\n\
             local function other()\n  return near()\nend",
        );
        let code = |source| with_shared(&shared, &statements(source)).concat().join("\n");
        assert_eq!(
            code("-- a comment\nreturn near()"),
            "local P = KEYS[1]\nlocal function deep()\n  return P\nend\nlocal function near()\n  return deep()\nend\n\
             return near()"
        );
        assert_eq!(code("return 1"), "local P = KEYS[1]\nreturn 1");
    }
}
