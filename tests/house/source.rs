//! Reads the crate's sources into what the rules look at: tokens, paths named, lines of tests.
//!
//! Paths are resolved as far as the text allows: `use` statements, aliases, `self`, `super`. The
//! contents of macro calls count like all other code. What is compiled for tests only is known by
//! its `cfg(test)` and left out of [`Source::paths`]; nothing is type-checked.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// One broken rule, at one place.
#[derive(Debug)]
pub(crate) struct Offence {
    file: String,
    line: usize,
    what: String,
}

impl Offence {
    pub(crate) fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self { file: source.file.clone(), line, what: what.into() }
    }

    pub(crate) fn at(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A path that a file names, resolved: `["std", "time", "Instant"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

impl Named {
    pub(crate) fn starts_with(&self, prefix: &[&str]) -> bool {
        self.path.len() >= prefix.len() && self.path.iter().zip(prefix).all(|(a, b)| a == b)
    }

    pub(crate) fn text(&self) -> String {
        self.path.join("::")
    }
}

/// One source file.
pub(crate) struct Source {
    /// Relative to the root of the project, with `/`.
    pub(crate) file: String,
    pub(crate) text: String,
    facts: Arc<Facts>,
    syntax: OnceCell<syn::File>,
    /// Whether the whole file is compiled for tests only.
    only_tests: bool,
}

/// What most rules look at; worked out once a file.
#[derive(Debug)]
struct Facts {
    named: Vec<Named>,
    code_lines: BTreeSet<usize>,
    test_lines: Vec<RangeInclusive<usize>>,
    /// Files that this one declares for tests only, without their ending.
    test_modules: Vec<String>,
}

impl Facts {
    fn of(file: &str, text: &str, syntax: &syn::File) -> Self {
        let mut tests = TestLines::default();
        tests.visit_file(syntax);
        let tokens: TokenStream = text.parse().expect("what syn parsed has tokens");
        let mut code_lines = BTreeSet::new();
        lines_of(tokens.clone(), &mut code_lines);
        Self {
            named: named(file, syntax, tokens),
            code_lines,
            test_lines: tests.ranges,
            test_modules: test_modules(file, syntax),
        }
    }
}

impl Source {
    pub(crate) fn parse(file: &str, text: &str) -> Self {
        let syntax = parse(file, text);
        let facts = Arc::new(Facts::of(file, text, &syntax));
        Self::known(file, text, facts)
    }

    fn known(file: &str, text: &str, facts: Arc<Facts>) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            facts,
            syntax: OnceCell::new(),
            only_tests: !file.starts_with("src/"),
        }
    }

    pub(crate) fn syntax(&self) -> &syn::File {
        self.syntax.get_or_init(|| parse(&self.file, &self.text))
    }

    pub(crate) fn tokens(&self) -> TokenStream {
        self.text.parse().expect("what syn parsed has tokens")
    }

    /// The room the file belongs to: `broker` for `src/broker/mail.rs`, `main` for `src/main.rs`.
    pub(crate) fn room(&self) -> &str {
        let inside = self.file.strip_prefix("src/").unwrap_or(&self.file);
        let first = inside.split('/').next().unwrap_or(inside);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether the file stands on the floors that only compute.
    pub(crate) fn only_computes(&self) -> bool {
        matches!(self.room(), "codec" | "topic" | "session" | "broker")
    }

    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.only_tests || self.facts.test_lines.iter().any(|range| range.contains(&line))
    }

    /// All paths named outside tests.
    pub(crate) fn paths(&self) -> Vec<Named> {
        self.facts.named.iter().filter(|named| !self.is_test(named.line)).cloned().collect()
    }

    /// All paths named, tests included.
    pub(crate) fn paths_everywhere(&self) -> &[Named] {
        &self.facts.named
    }

    /// Lines that hold code: neither blank, nor comment, nor test.
    pub(crate) fn code_lines(&self) -> BTreeSet<usize> {
        self.facts.code_lines.iter().copied().filter(|line| !self.is_test(*line)).collect()
    }
}

fn parse(file: &str, text: &str) -> syn::File {
    syn::parse_file(text).unwrap_or_else(|error| {
        let line = error.span().start().line;
        panic!("{file}:{line}: {error}")
    })
}

/// All paths a file names.
fn named(file: &str, syntax: &syn::File, tokens: TokenStream) -> Vec<Named> {
    let mut imports = Imports::default();
    imports.visit_file(syntax);
    let module = module(file);
    let mut named = BTreeSet::new();
    for found in &imports.named {
        named.insert(Named { line: found.line, path: anchor(&found.path, &module) });
    }
    let mut spoken = Vec::new();
    spoken_paths(tokens, &mut spoken);
    for found in spoken {
        let path = match imports.aliases.get(&found.path[0]) {
            Some(target) => target.iter().chain(&found.path[1..]).cloned().collect(),
            None => found.path,
        };
        named.insert(Named { line: found.line, path: anchor(&path, &module) });
    }
    named.into_iter().collect()
}

/// The module a file is: `["broker", "mail"]`.
fn module(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let mut parts: Vec<String> =
        inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// The files that `#[cfg(test)] mod name;` declares, without their ending.
fn test_modules(file: &str, syntax: &syn::File) -> Vec<String> {
    let folder = match file.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
        _ => file.trim_end_matches(".rs"),
    };
    let declared = syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() => {
            module.attrs.iter().any(is_test_attribute).then(|| format!("{folder}/{}", module.ident))
        }
        _ => None,
    });
    declared.collect()
}

/// Replaces a leading `self`, `super` or the crate's own name by an absolute path.
fn anchor(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = path;
    match rest.first().map(String::as_str) {
        Some("mqttd") => {
            return std::iter::once("crate".to_owned()).chain(path[1..].to_vec()).collect();
        }
        Some("self") if path.len() > 1 => rest = &rest[1..],
        Some("super") => {}
        _ => return path.to_vec(),
    }
    while rest.first().is_some_and(|part| part == "super") {
        base.pop();
        rest = &rest[1..];
    }
    std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect()
}

/// What `use` statements bring in: the paths, and the names they get here.
#[derive(Default)]
struct Imports {
    named: Vec<Named>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl Imports {
    fn take(&mut self, tree: &syn::UseTree, prefix: &[String]) {
        let with = |ident: &syn::Ident| {
            let mut path = prefix.to_vec();
            if ident != "self" || prefix.is_empty() {
                path.push(ident.to_string());
            }
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.take(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => {
                let path = with(&name.ident);
                let alias = path.last().cloned().unwrap_or_default();
                self.note(name.ident.span(), path, alias);
            }
            syn::UseTree::Rename(rename) => {
                let path = with(&rename.ident);
                self.note(rename.ident.span(), path, rename.rename.to_string());
            }
            syn::UseTree::Glob(glob) => {
                let mut path = prefix.to_vec();
                path.push("*".to_owned());
                self.named.push(Named { line: glob.span().start().line, path });
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.take(item, prefix));
            }
        }
    }

    fn note(&mut self, span: Span, path: Vec<String>, alias: String) {
        self.named.push(Named { line: span.start().line, path: path.clone() });
        if path.len() > 1 {
            self.aliases.insert(alias, path);
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take(&item.tree, &[]);
    }
}

/// Collects `a::b::c` from tokens, inside macro calls too; `use` statements are [`Imports`]'s.
fn spoken_paths(tokens: TokenStream, out: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                spoken_paths(group.stream(), out);
                at += 1;
            }
            TokenTree::Ident(ident) if ident == "use" && !is_punct(tokens.get(at + 1), '<') => {
                while at < tokens.len() && !is_punct(tokens.get(at), ';') {
                    at += 1;
                }
            }
            TokenTree::Ident(ident) => {
                let line = ident.span().start().line;
                let mut path = vec![ident.to_string()];
                at += 1;
                while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
                    let Some(TokenTree::Ident(next)) = tokens.get(at + 2) else {
                        break;
                    };
                    path.push(next.to_string());
                    at += 3;
                }
                out.push(Named { line, path });
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

pub(crate) fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// The lines tokens stand on; doc comments are comments.
fn lines_of(tokens: TokenStream, out: &mut BTreeSet<usize>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let group = usize::from(is_punct(tokens.get(at + 1), '!')) + at + 1;
        if is_punct(tokens.get(at), '#') && tokens.get(group).is_some_and(is_doc_comment) {
            at = group + 1;
            continue;
        }
        match &tokens[at] {
            TokenTree::Group(group) => {
                if group.delimiter() != Delimiter::None {
                    out.insert(group.span_open().start().line);
                    out.insert(group.span_close().end().line);
                }
                lines_of(group.stream(), out);
            }
            other => out.extend(other.span().start().line..=other.span().end().line),
        }
        at += 1;
    }
}

fn is_doc_comment(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else {
        return false;
    };
    let first = group.stream().into_iter().next();
    matches!(first, Some(TokenTree::Ident(ident)) if ident == "doc")
}

/// Lines of items that are compiled for tests only.
#[derive(Default)]
struct TestLines {
    ranges: Vec<RangeInclusive<usize>>,
}

impl TestLines {
    fn note(&mut self, attributes: &[syn::Attribute], span: Span) -> bool {
        let test = attributes.iter().any(is_test_attribute);
        if test {
            let start = attributes.iter().map(|a| a.span().start().line).min();
            let start = start.unwrap_or(usize::MAX).min(span.start().line);
            self.ranges.push(start..=span.end().line);
        }
        test
    }
}

fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for TestLines {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !self.note(attributes_of(item), item.span()) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item.span());
    }
}

/// The files of the project.
pub(crate) struct Crate {
    pub(crate) files: Vec<Source>,
}

impl Crate {
    /// `src/`.
    pub(crate) fn sources() -> Self {
        Self::under(&["src"])
    }

    /// All Rust of the project.
    pub(crate) fn everything() -> Self {
        Self::under(&["src", "tests", "benches"])
    }

    /// A crate made of snippets, for the proofs of the rules.
    pub(crate) fn of(snippets: &[(&str, &str)]) -> Self {
        let files = snippets.iter().map(|(file, text)| Source::parse(file, text)).collect();
        Self { files }.with_test_modules()
    }

    fn under(folders: &[&str]) -> Self {
        static PROJECT: OnceLock<Vec<(String, String, Arc<Facts>)>> = OnceLock::new();
        let project = PROJECT.get_or_init(read_project);
        let wanted = project
            .iter()
            .filter(|(file, ..)| folders.iter().any(|folder| Path::new(file).starts_with(folder)));
        let known = |(file, text, facts): &(String, String, Arc<Facts>)| {
            Source::known(file, text, Arc::clone(facts))
        };
        let files: Vec<Source> = wanted.map(known).collect();
        assert!(!files.is_empty(), "no sources under {}", root().display());
        Self { files }.with_test_modules()
    }

    /// Marks the files that are compiled for tests only.
    fn with_test_modules(mut self) -> Self {
        let declared: Vec<String> =
            self.files.iter().flat_map(|source| source.facts.test_modules.clone()).collect();
        for source in &mut self.files {
            source.only_tests |= declared.iter().any(|module| {
                source.file == format!("{module}.rs")
                    || source.file.starts_with(&format!("{module}/"))
            });
        }
        self
    }

    /// Offences of every file outside tests, one rule at a time.
    pub(crate) fn each(&self, mut rule: impl FnMut(&Source, &mut Vec<Offence>)) -> Vec<Offence> {
        let mut offences = Vec::new();
        for source in &self.files {
            rule(source, &mut offences);
        }
        offences
    }
}

/// Reads all Rust of the project.
fn read_project() -> Vec<(String, String, Arc<Facts>)> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        walk(&root.join(folder), &mut found);
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.sort();
    let read = |path: &PathBuf| {
        let file = relative(&root, path);
        let text = fs::read_to_string(path).expect("a source file is text");
        let facts = Facts::of(&file, &text, &parse(&file, &text));
        (file, text, Arc::new(facts))
    };
    found.iter().map(read).collect()
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder; none when it is absent.
pub(crate) fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("the kind of a directory entry");
        if kind.is_dir() {
            walk(&path, out);
        } else if kind.is_file() {
            out.push(path);
        }
    }
}

pub(crate) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
