//! The function library: the scripts of the hot path, for servers that keep functions.
//!
//! A script creates all of its inner functions anew in each run. The server creates those of a library once.

use std::sync::LazyLock;

use super::assembly::{Statement, push_inlined, shared_by_functions, statements, with_shared};
use super::table::{ALL, RunsAs, Script, hash_of};

/// The functions, as a server loads them.
pub(crate) struct Library {
    pub(crate) code: String,
    names: Vec<String>,
}

/// The library of this version. Its name and the names of its functions contain a hash of the code, so programs of
/// several versions can share a server.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
        let hash = hash_of(&library_code(""))[..12].to_owned();
        let names = functions().map(|script| format!("{}_{hash}", script.name)).collect();
        Library { code: library_code(&hash), names }
    });
    &LIBRARY
}

/// The name of a script's function, if the script has one.
pub(crate) fn function_name(script: &Script) -> Option<&'static str> {
    let index = functions().position(|function| function.name == script.name)?;
    Some(&library().names[index])
}

fn functions() -> impl Iterator<Item = &'static Script> {
    ALL.iter().copied().filter(|script| script.runs_as != RunsAs::Script)
}

fn library_code(hash: &str) -> String {
    let shared = shared_by_functions();
    let own = functions().flat_map(|script| statements(script.source)).collect::<Vec<_>>();
    let mut code = format!("#!lua name=pynenc_{hash}\n");
    for statement in with_shared(&shared, &own).iter().filter(|statement| shared.contains(statement)) {
        match state_of_a_run(statement) {
            Some((names, _)) => code.extend(["local ", names, "\n"]),
            None => push_inlined(statement, &mut code),
        }
    }
    for script in functions() {
        let flags = if script.runs_as == RunsAs::FunctionWithMemory { "" } else { "'allow-oom'" };
        let start = [
            "redis.register_function{function_name = '",
            script.name,
            "_",
            hash,
            "', callback = function(KEYS, ARGV)\n",
        ];
        code.extend(start);
        push_callback(&shared, &statements(script.source), &mut code);
        code.extend(["end, flags = {", flags, "}}\n"]);
    }
    code
}

/// Appends a function's statements. The state that they share with others begins anew in each run.
fn push_callback(shared: &[Statement<'static>], own: &[Statement<'static>], code: &mut String) {
    for statement in with_shared(shared, own) {
        if !shared.contains(&statement) {
            push_inlined(&statement, code);
        } else if let Some((names, value)) = state_of_a_run(&statement) {
            push_inlined(&[&format!("{names} = {value}")], code);
        }
    }
}

/// The names and the value of a shared variable that holds the state of one run: everything but functions, literals and
/// caches.
fn state_of_a_run<'a>(statement: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let declared = statement[0].strip_prefix("local ").filter(|rest| !rest.starts_with("function "))?;
    let Some((names, value)) = declared.split_once(" = ") else { return Some((declared, "nil")) };
    if value.contains("cache()") {
        return None;
    }
    let is_created = value.contains(['{', '('])
        || ["redis.", "struct.", "string.", "KEYS"].iter().any(|prefix| value.contains(prefix));
    is_created.then_some((names, value))
}

#[cfg(test)]
mod tests {
    use super::super::assembly::declared;
    use super::*;

    /// Lua allows a function 60 upvalues, and a chunk 200 locals.
    #[test]
    fn functions_stay_within_the_limits_of_lua() {
        let code = &library().code;
        let shared = code.split("redis.register_function").next().unwrap();
        let locals = shared.lines().filter(|line| line.starts_with("local ")).flat_map(declared).count();
        assert!(locals < 200, "{locals} locals");
        for script in functions() {
            assert!(code.contains(&format!("'{}'", function_name(script).unwrap())));
        }
    }
}
