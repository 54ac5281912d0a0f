//! Iteration over hash maps on the floors that only compute.
//!
//! Nothing is type-checked: a name counts as a hash map when a field, parameter or variable of that
//! name is declared as one (through wrappers such as `Option`, `Mutex` or a type alias of the room
//! too), first in the same file, then in the same room. A name that means a hash map and something
//! else in one file is taken for the hash map: rename one of the two.

use std::collections::{BTreeMap, BTreeSet};

use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::source::{Crate, Offence, Source};

const HASHED: &[&str] = &["HashMap", "HashSet", "hash_map", "hash_set"];
const WRAPPERS: &[&str] =
    &["Arc", "Box", "Cell", "Mutex", "Option", "Rc", "Ref", "RefCell", "RefMut", "RwLock"];
const LISTS: &[&str] = &["Vec", "VecDeque", "SmallVec"];
const WALKS: &[&str] = &[
    "iter",
    "iter_mut",
    "into_iter",
    "keys",
    "into_keys",
    "values",
    "values_mut",
    "into_values",
    "drain",
    "retain",
    "extract_if",
    "difference",
    "intersection",
    "union",
];
/// Calls that give the same thing again.
const PASSES: &[&str] = &[
    "as_mut",
    "as_ref",
    "borrow",
    "borrow_mut",
    "clone",
    "expect",
    "get_mut",
    "lock",
    "read",
    "unwrap",
    "write",
];

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Other,
    ListOfHashed,
    Hashed,
}

/// Walks over hash maps on the floors 0 to 2.
pub(crate) fn offences(house: &Crate) -> Vec<Offence> {
    let rooms = ["codec", "topic", "session", "broker"];
    let mut offences = Vec::new();
    for room in rooms {
        let files: Vec<&Source> = house.files.iter().filter(|file| file.room() == room).collect();
        let aliases = aliases(&files);
        let known: Vec<BTreeMap<String, Shape>> =
            files.iter().map(|file| names(file, &aliases)).collect();
        for (source, own) in files.iter().zip(&known) {
            let mut walks = Walks { own, room: &known, found: Vec::new() };
            walks.visit_file(source.syntax());
            for (line, what) in walks.found {
                if !source.is_test(line) {
                    offences.push(Offence::new(source, line, what));
                }
            }
        }
    }
    offences
}

/// Type aliases of a room that stand for a hash map; twice, for aliases of aliases.
fn aliases(files: &[&Source]) -> BTreeSet<String> {
    struct Found(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Found {
        fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
            if shape(&item.ty, &self.0) == Shape::Hashed {
                self.0.insert(item.ident.to_string());
            }
        }
    }
    let mut found = Found(BTreeSet::new());
    for _ in 0..2 {
        files.iter().for_each(|file| found.visit_file(file.syntax()));
    }
    found.0
}

fn shape(ty: &syn::Type, aliases: &BTreeSet<String>) -> Shape {
    match ty {
        syn::Type::Reference(inner) => shape(&inner.elem, aliases),
        syn::Type::Paren(inner) => shape(&inner.elem, aliases),
        syn::Type::Array(inner) => list(shape(&inner.elem, aliases)),
        syn::Type::Slice(inner) => list(shape(&inner.elem, aliases)),
        syn::Type::Path(path) => {
            let Some(last) = path.path.segments.last() else {
                return Shape::Other;
            };
            let name = last.ident.to_string();
            let module = path.path.segments.iter().any(|s| s.ident == "hash_map");
            if aliases.contains(&name) || (HASHED.contains(&name.as_str()) && !module) {
                return Shape::Hashed;
            }
            let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return Shape::Other;
            };
            let inner = arguments.args.iter().find_map(|argument| match argument {
                syn::GenericArgument::Type(ty) => Some(shape(ty, aliases)),
                _ => None,
            });
            match inner {
                Some(inner) if WRAPPERS.contains(&name.as_str()) => inner,
                Some(inner) if LISTS.contains(&name.as_str()) => list(inner),
                _ => Shape::Other,
            }
        }
        _ => Shape::Other,
    }
}

fn list(of: Shape) -> Shape {
    if of == Shape::Hashed { Shape::ListOfHashed } else { Shape::Other }
}

/// The shape of every field, parameter and variable a file declares.
fn names(source: &Source, aliases: &BTreeSet<String>) -> BTreeMap<String, Shape> {
    let mut names = Names { aliases, found: BTreeMap::new() };
    names.visit_file(source.syntax());
    names.found
}

struct Names<'a> {
    aliases: &'a BTreeSet<String>,
    found: BTreeMap<String, Shape>,
}

impl Names<'_> {
    fn note(&mut self, name: String, shape: Shape) {
        let known = self.found.entry(name).or_insert(shape);
        *known = shape.max(*known);
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(ident) = &field.ident {
            self.note(ident.to_string(), shape(&field.ty, self.aliases));
        }
    }

    fn visit_pat_type(&mut self, pattern: &'ast syn::PatType) {
        if let syn::Pat::Ident(ident) = &*pattern.pat {
            self.note(ident.ident.to_string(), shape(&pattern.ty, self.aliases));
        }
        syn::visit::visit_pat_type(self, pattern);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(ident), Some(init)) = (&local.pat, &local.init) {
            let made = match &*init.expr {
                syn::Expr::Call(call) => match &*call.func {
                    syn::Expr::Path(path) => maker(path, self.aliases),
                    _ => Shape::Other,
                },
                _ => Shape::Other,
            };
            self.note(ident.ident.to_string(), made);
        }
        syn::visit::visit_local(self, local);
    }
}

/// `HashMap::with_hasher` makes a hash map.
fn maker(path: &syn::ExprPath, aliases: &BTreeSet<String>) -> Shape {
    let hashed = path.path.segments.iter().rev().nth(1).is_some_and(|segment| {
        let name = segment.ident.to_string();
        matches!(name.as_str(), "HashMap" | "HashSet") || aliases.contains(&name)
    });
    if hashed { Shape::Hashed } else { Shape::Other }
}

struct Walks<'a> {
    own: &'a BTreeMap<String, Shape>,
    room: &'a [BTreeMap<String, Shape>],
    found: Vec<(usize, String)>,
}

impl Walks<'_> {
    fn known(&self, name: &str) -> Shape {
        let room = || self.room.iter().filter_map(|file| file.get(name)).max();
        self.own.get(name).or_else(room).copied().unwrap_or(Shape::Other)
    }

    /// The shape of an expression, and the name it was known by.
    fn shape(&self, expression: &syn::Expr) -> (Shape, String) {
        match expression {
            syn::Expr::Path(path) => {
                let name = path.path.get_ident().map(ToString::to_string).unwrap_or_default();
                (self.known(&name), name)
            }
            syn::Expr::Field(field) => match &field.member {
                syn::Member::Named(name) => (self.known(&name.to_string()), name.to_string()),
                syn::Member::Unnamed(_) => (Shape::Other, String::new()),
            },
            syn::Expr::Index(index) => match self.shape(&index.expr) {
                (Shape::ListOfHashed, name) => (Shape::Hashed, name),
                (_, name) => (Shape::Other, name),
            },
            syn::Expr::Reference(inner) => self.shape(&inner.expr),
            syn::Expr::Paren(inner) => self.shape(&inner.expr),
            syn::Expr::Try(inner) => self.shape(&inner.expr),
            syn::Expr::Unary(inner) => self.shape(&inner.expr),
            syn::Expr::MethodCall(call) if PASSES.iter().any(|name| call.method == name) => {
                self.shape(&call.receiver)
            }
            syn::Expr::Call(call) if call.args.len() <= 2 => {
                let taken = call.args.iter().map(|argument| self.shape(argument)).next();
                match (&*call.func, taken) {
                    (syn::Expr::Path(path), Some(taken)) if is_take(path) => taken,
                    _ => (Shape::Other, String::new()),
                }
            }
            _ => (Shape::Other, String::new()),
        }
    }
}

/// `mem::take(&mut self.map)` is the map.
fn is_take(path: &syn::ExprPath) -> bool {
    path.path.segments.last().is_some_and(|last| last.ident == "take" || last.ident == "replace")
}

impl<'ast> Visit<'ast> for Walks<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if WALKS.iter().any(|name| call.method == name) {
            let (shape, name) = self.shape(&call.receiver);
            if shape == Shape::Hashed {
                let line = call.method.span().start().line;
                let what = format!("`.{}()` over the hash map `{name}`", call.method);
                self.found.push((line, what));
            }
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_for_loop(&mut self, expression: &'ast syn::ExprForLoop) {
        let (shape, name) = self.shape(&expression.expr);
        if shape == Shape::Hashed {
            let line = expression.expr.span().start().line;
            self.found.push((line, format!("`for` over the hash map `{name}`")));
        }
        syn::visit::visit_expr_for_loop(self, expression);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        offences(&Crate::of(&[("src/broker/mail.rs", text)])).len()
    }

    #[test]
    fn walks_over_fields_parameters_and_variables_are_found() {
        let map = "struct S { map: HashMap<u8, u8>, list: Vec<u8> } ";
        for text in [
            "impl S { fn f(&self) { self.map.iter(); } }",
            "impl S { fn f(&self) { for x in &self.map {} } }",
            "impl S { fn f(&mut self) { self.map.retain(|_, _| true); } }",
            "impl S { fn f(&mut self) { for x in mem::take(&mut self.map) {} } }",
            "fn f(s: &S) { s.map.keys(); }",
            "fn f(seen: &HashSet<u8>) { seen.iter(); }",
            "fn f() { let seen = HashSet::with_hasher(x); for one in seen {} }",
            "fn f() { let seen: HashSet<u8> = x(); seen.into_iter(); }",
            "type Map = HashMap<u8, u8>; fn f(m: &mut Map) { m.drain(); }",
            "struct T { locked: RwLock<HashMap<u8, u8>> } impl T { fn f(&self) { \
             self.locked.read().expect(\"x\").values(); } }",
            "struct T { many: Vec<HashMap<u8, u8>> } impl T { fn f(&self) { \
             self.many[0].values(); } }",
        ] {
            assert_eq!(count(&format!("{map}{text}")), 1, "{text}");
        }
    }

    #[test]
    fn a_map_declared_in_another_file_of_the_room_is_known() {
        let map = ("src/broker/mod.rs", "struct S { map: HashMap<u8, u8> }");
        let walk = ("src/broker/mail.rs", "fn f(s: &S) { s.map.iter(); }");
        let elsewhere = ("src/server/mod.rs", "fn f(s: &S) { s.map.iter(); }");
        assert_eq!(offences(&Crate::of(&[map, walk, elsewhere])).len(), 1);
    }

    #[test]
    fn look_ups_lists_ordered_maps_and_tests_are_free() {
        for text in [
            "fn f(map: &HashMap<u8, u8>) { map.get(&1); map.len(); }",
            "fn f(map: &BTreeMap<u8, u8>) { map.iter(); }",
            "fn f(list: &[u8]) { list.iter(); for x in list {} }",
            "struct T { many: Vec<HashMap<u8, u8>> } fn f(t: &T) { t.many.iter(); }",
            "#[cfg(test)] mod tests { fn f(map: &HashMap<u8, u8>) { map.iter(); } }",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
