//! The imports between the files of one crate, read from its sources.
//!
//! A file imports another one if one of its paths (in a `use`, a type, an expression or the tokens of a macro) leads to
//! an item that the other file defines. A re-export is followed to the file that defines the item, so a parent folder
//! may re-export its children without importing them. Tests of a crate's own aren't read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, UseTree, Visibility};

/// The files of a crate, with the files that each of them imports and the paths that lead there.
pub(crate) type Imports = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// Reads a crate from the file of its root module.
pub(crate) fn read(root: &Path) -> Imports {
    let mut modules = Modules::new();
    load(root, &[], &mut modules);
    let mut imports = Imports::new();
    for (name, module) in &modules {
        let imported = imports.entry(module.path.clone()).or_default();
        for path in &module.paths {
            let target = definition(name, path, &modules, 0).filter(|target| target != &module.path);
            if let Some(target) = target {
                imported.entry(target).or_default().insert(path.join("::"));
            }
        }
    }
    imports
}

/// The groups of files that import each other, directly or through others of the group.
pub(crate) fn cycles(imports: &Imports) -> BTreeSet<BTreeSet<PathBuf>> {
    let reachable: BTreeMap<_, _> = imports.keys().map(|file| (file, reachable(file, imports))).collect();
    let group = |file: &PathBuf| -> BTreeSet<PathBuf> {
        reachable[file]
            .iter()
            .filter(|other| reachable.get(other).is_some_and(|back| back.contains(file)))
            .cloned()
            .collect()
    };
    imports.keys().map(group).filter(|group| !group.is_empty()).collect()
}

/// Lists the imports within a group of files.
pub(crate) fn describe(files: &BTreeSet<PathBuf>, imports: &Imports) -> String {
    let within = |file: &PathBuf| {
        let imported = imports[file].iter().filter(|(target, _)| files.contains(*target));
        let imported = imported.map(|(target, paths)| {
            let paths: Vec<_> = paths.iter().map(String::as_str).collect();
            format!("  {} imports {}: {}", file.display(), target.display(), paths.join(", "))
        });
        imported.collect::<Vec<_>>()
    };
    files.iter().flat_map(within).collect::<Vec<_>>().join("\n")
}

fn reachable(from: &Path, imports: &Imports) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(file) = open.pop() {
        let next = imports.get(&file).into_iter().flat_map(BTreeMap::keys).filter(|next| found.insert((*next).clone()));
        open.extend(next.cloned().collect::<Vec<_>>());
    }
    found
}

/// The segments of a module's name or of a path, without `crate`.
type Segments = Vec<String>;

type Modules = BTreeMap<Segments, Module>;

/// A module that has a file of its own.
struct Module {
    path: PathBuf,
    items: BTreeSet<String>,
    /// The items that `use` brings in, by their name here, with their full path. A glob has the name `*`.
    uses: Vec<(String, Segments)>,
    /// The paths that count as imports: all but public re-exports.
    paths: Vec<Segments>,
}

fn load(path: &Path, name: &[String], modules: &mut Modules) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()));
    let file: File = syn::parse_file(&text).unwrap_or_else(|error| panic!("can't parse {}: {error}", path.display()));
    let mut module = Module { path: path.to_owned(), items: BTreeSet::new(), uses: Vec::new(), paths: Vec::new() };
    for item in file.items.iter().filter(|item| !is_test(item)) {
        module.items.extend(defined_name(item));
        match item {
            Item::Mod(child) if child.content.is_none() => {
                let name: Segments = name.iter().cloned().chain([child.ident.to_string()]).collect();
                load(&file_of(path, &child.ident.to_string(), name.len() == 1), &name, modules);
            }
            Item::Use(import) => {
                let mut found = Vec::new();
                flatten(&import.tree, &mut Vec::new(), &mut found);
                if matches!(import.vis, Visibility::Inherited) {
                    module.paths.extend(found.iter().map(|(_, path)| path.clone()));
                }
                module.uses.extend(found);
            }
            other => Paths(&mut module.paths).visit_item(other),
        }
    }
    modules.insert(name.to_vec(), module);
}

/// The file of the module `child` that is declared in the file `parent`.
fn file_of(parent: &Path, child: &str, parent_is_root: bool) -> PathBuf {
    let is_folder = parent_is_root || parent.ends_with("mod.rs");
    let folder =
        if is_folder { parent.parent().expect("a file is in a folder").to_owned() } else { parent.with_extension("") };
    let flat = folder.join(child).with_extension("rs");
    if flat.exists() { flat } else { folder.join(child).join("mod.rs") }
}

fn is_test(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Mod(item) => item.content.as_ref().map(|_| &item.ident)?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn flatten(tree: &UseTree, before: &mut Segments, found: &mut Vec<(String, Segments)>) {
    let mut add = |name: String, last: String| {
        let path = before.iter().cloned().chain((last != "self").then_some(last)).collect();
        found.push((name, path));
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) => add(name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(name) => add(name.rename.to_string(), name.ident.to_string()),
        UseTree::Glob(_) => add("*".to_owned(), "*".to_owned()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
    }
}

/// Collects the paths of an item that begin at the crate, at a parent or at a child module.
struct Paths<'a>(&'a mut Vec<Segments>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        push(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), self.0);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        collect_from_tokens(call.tokens.clone(), self.0);
    }
}

fn collect_from_tokens(tokens: TokenStream, paths: &mut Vec<Segments>) {
    let mut path = Segments::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            TokenTree::Ident(word) => {
                if colons != 2 {
                    push(std::mem::take(&mut path), paths);
                }
                path.push(word.to_string());
                colons = 0;
            }
            TokenTree::Group(group) => {
                push(std::mem::take(&mut path), paths);
                collect_from_tokens(group.stream(), paths);
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => push(std::mem::take(&mut path), paths),
        }
    }
    push(path, paths);
}

/// Adds a path that isn't a bare name: a bare name is the business of the `use` that brought it in.
fn push(path: Segments, paths: &mut Vec<Segments>) {
    if path.len() > 1 {
        paths.push(path);
    }
}

/// The file that defines what `path` leads to, seen from the module `from`.
fn definition(from: &[String], path: &[String], modules: &Modules, depth: usize) -> Option<PathBuf> {
    if depth > 16 {
        return None; // A glob of two modules that re-export each other.
    }
    let (mut module, mut rest) = start(from, path, modules)?;
    while let Some((first, behind)) = rest.split_first() {
        let child: Segments = module.iter().cloned().chain([first.clone()]).collect();
        if !modules.contains_key(&child) {
            break;
        }
        (module, rest) = (child, behind);
    }
    let here = &modules[&module];
    let Some(name) = rest.first() else { return Some(here.path.clone()) };
    if here.items.contains(name) || name == "*" {
        return Some(here.path.clone());
    }
    let named = here.uses.iter().filter(|(alias, _)| alias == name);
    let globs = here.uses.iter().filter(|(alias, _)| alias == "*");
    let named = named.map(|(_, path)| path.clone());
    let globs = globs.map(|(_, path)| path[..path.len() - 1].iter().cloned().chain([name.clone()]).collect());
    named.chain(globs).find_map(|path: Segments| definition(&module, &path, modules, depth + 1))
}

/// The module where a path starts, and the segments behind it; nothing for a path into another crate.
fn start<'p>(from: &[String], path: &'p [String], modules: &Modules) -> Option<(Segments, &'p [String])> {
    let (first, behind) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((Segments::new(), behind)),
        "self" => Some((from.to_vec(), behind)),
        "super" => {
            let mut module = from.to_vec();
            let mut rest = path;
            while rest.first().is_some_and(|segment| segment == "super") {
                module.pop()?;
                rest = &rest[1..];
            }
            Some((module, rest))
        }
        _ => {
            let child: Segments = from.iter().cloned().chain([first.clone()]).collect();
            modules.contains_key(&child).then_some((child, behind))
        }
    }
}

/// Reads a crate of these files, and gives the names of the files that import each other.
#[cfg(test)]
fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(file, text).expect("a file can be written");
    }
    let name = |file: &PathBuf| file.strip_prefix(folder.path()).expect("it is read there").display().to_string();
    let cycles = cycles(&read(&folder.path().join("lib.rs")));
    cycles.iter().map(|files| files.iter().map(name).collect()).collect()
}

#[test]
fn a_cycle_is_found_through_types_expressions_macros_and_re_exports() {
    let library = ("lib.rs", "mod a; mod b;");
    let back = ("b.rs", "use crate::a::A; pub struct B(A);");
    for imports in
        ["pub struct A(crate::b::B);", "pub struct A; fn f() { crate::b::B::new() }", "pub struct A; m!(crate::b::B);"]
    {
        assert_eq!(cycles_of(&[library, ("a.rs", imports), back]), [["a.rs", "b.rs"]], "{imports}");
    }
    let folder = [
        ("lib.rs", "mod f;"),
        ("f/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("f/a.rs", "use super::B; pub struct A(B);"),
        ("f/b.rs", "use crate::f::A; pub struct B(A);"),
    ];
    assert_eq!(cycles_of(&folder), [["f/a.rs", "f/b.rs"]]);
}

#[test]
fn a_re_export_a_test_and_a_name_of_another_crate_are_no_imports() {
    let files = [
        ("lib.rs", "mod f; pub use f::A;"),
        ("f/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use b::B;"),
        ("f/a.rs", "use super::B; use f::C; pub struct A(B);"),
        ("f/b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::A; }"),
    ];
    assert_eq!(cycles_of(&files), Vec::<Vec<String>>::new());
}
