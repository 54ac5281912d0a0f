//! Headers, and the lengths of functions and files, in lines of code.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::source::{Crate, Offence};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// Files that do not begin with `//!`.
pub(crate) fn headers(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let header: Vec<&str> =
            source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let words = header.iter().flat_map(|line| line.split_whitespace().skip(1)).count();
        if header.is_empty() {
            offences.push(Offence::new(source, 1, "does not begin with a //! header"));
        } else if words == 0 {
            offences.push(Offence::new(source, 1, "the //! header says nothing"));
        }
    })
}

/// Functions longer than [`FUNCTION_LINES_MAX`] lines of code.
pub(crate) fn functions(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let mut functions = Functions::default();
        functions.visit_file(source.syntax());
        let code: BTreeSet<usize> = source.code_lines();
        for (name, first, last) in functions.found {
            let lines = code.range(first..=last).count();
            if lines > FUNCTION_LINES_MAX {
                let what = format!("fn `{name}` has {lines} lines of code");
                offences.push(Offence::new(source, first, what));
            }
        }
    })
}

#[derive(Default)]
struct Functions {
    found: Vec<(String, usize, usize)>,
}

impl Functions {
    fn note(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        self.found.push((signature.ident.to_string(), first, body.span().end().line));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.note(&item.sig, body);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

/// Files longer than [`FILE_LINES_MAX`] lines of code.
pub(crate) fn files(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let lines = source.code_lines().len();
        if lines > FILE_LINES_MAX {
            offences.push(Offence::new(source, 1, format!("{lines} lines of code")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Crate {
        Crate::of(&[("src/cli/mod.rs", text)])
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(headers(&source("fn f() {}")).len(), 1);
        assert_eq!(headers(&source("// A comment.\n//! Late.\n")).len(), 1);
        assert_eq!(headers(&source("//!\n")).len(), 1);
        assert!(headers(&source("//! What it is and who calls it.\n")).is_empty());
    }

    #[test]
    fn only_code_counts() {
        let noise = "    // comment\n\n    /* more\n    of it */\n";
        let body = |lines: usize| format!("fn f() {{\n{}{noise}}}\n", "    g();\n".repeat(lines));
        assert!(functions(&source(&body(68))).is_empty());
        assert_eq!(functions(&source(&body(69))).len(), 1);
        let method = format!("struct S;\nimpl S {{\n{}}}\n", body(69));
        assert_eq!(functions(&source(&method)).len(), 1);
    }

    #[test]
    fn tests_and_comments_do_not_lengthen_a_file() {
        let code = |lines: usize| "const X: u8 = 0;\n".repeat(lines);
        let file = format!("//! Header.\n/// Doc.\n{}", code(500));
        let tests = format!("{file}#[cfg(test)]\nmod tests {{\n{}}}\n", code(100));
        assert!(files(&source(&tests)).is_empty());
        assert_eq!(files(&source(&format!("{file}const Y: u8 = 0;\n"))).len(), 1);
    }
}
