//! Names that say nothing, and versions that became modules.

use syn::visit::Visit;

use crate::source::{Crate, Offence};

const VAGUE: &[&str] = &[
    "context", "ctx", "manager", "mgr", "handler", "helper", "helpers", "util", "utils", "utility",
    "common", "misc",
];

/// Names defined here that hold a vague word, and functions that begin with `get_`.
pub(crate) fn vague(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        for name in source.file.trim_end_matches(".rs").split('/') {
            if let Some(word) = vague_word(name) {
                offences.push(Offence::new(source, 1, format!("file or folder named `{word}`")));
            }
        }
        let mut definitions = Definitions::default();
        definitions.visit_file(source.syntax());
        for (name, line) in definitions.found {
            if source.is_test(line) {
                continue;
            }
            if let Some(word) = vague_word(&name) {
                let what = format!("`{name}` is named with the word `{word}`");
                offences.push(Offence::new(source, line, what));
            }
        }
        for (name, line) in definitions.functions {
            if name.starts_with("get_") && !source.is_test(line) {
                let what = format!("fn `{name}`: a getter is named after what it gives");
                offences.push(Offence::new(source, line, what));
            }
        }
    })
}

fn vague_word(name: &str) -> Option<String> {
    words(name).into_iter().find(|word| VAGUE.contains(&word.as_str()))
}

/// `SessionManager` and `session_manager` are both `session`, `manager`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        let current = words.last_mut().expect("never empty");
        if letter == '_' || letter == '-' {
            words.push(String::new());
        } else if letter.is_uppercase() && current.chars().last().is_some_and(char::is_lowercase) {
            words.push(letter.to_lowercase().collect());
        } else {
            current.extend(letter.to_lowercase());
        }
    }
    words
}

/// Names a file defines; those that a foreign trait dictates are not its own.
#[derive(Default)]
struct Definitions {
    found: Vec<(String, usize)>,
    functions: Vec<(String, usize)>,
}

impl Definitions {
    fn note(&mut self, ident: &syn::Ident) {
        self.found.push((ident.to_string(), ident.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.note(&item.ident);
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.note(&item.ident);
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.note(&item.ident);
        syn::visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.note(&item.ident);
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.note(&item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.note(&item.ident);
        syn::visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.note(&item.ident);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.note(&variant.ident);
        syn::visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        field.ident.iter().for_each(|ident| self.note(ident));
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.note(&pattern.ident);
        syn::visit::visit_pat_ident(self, pattern);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_none() {
            syn::visit::visit_item_impl(self, item);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.note(&signature.ident);
        let line = signature.ident.span().start().line;
        self.functions.push((signature.ident.to_string(), line));
        syn::visit::visit_signature(self, signature);
    }
}

/// Modules named after a protocol version.
pub(crate) fn versions(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        for name in source.file.trim_end_matches(".rs").split('/') {
            if words(name).iter().any(|word| is_version(word)) {
                offences.push(Offence::new(source, 1, format!("file or folder `{name}`")));
            }
        }
        let mut modules = Modules::default();
        modules.visit_file(source.syntax());
        for (name, line) in modules.found {
            let version = words(&name).iter().any(|word| is_version(word));
            if version && !source.is_test(line) {
                offences.push(Offence::new(source, line, format!("module `{name}`")));
            }
        }
    })
}

fn is_version(word: &str) -> bool {
    let digits = word.strip_prefix("mqttv").or_else(|| word.strip_prefix("mqtt"));
    let digits = digits.or_else(|| word.strip_prefix('v'));
    digits.is_some_and(|rest| rest.starts_with(['3', '4', '5']))
}

#[derive(Default)]
struct Modules {
    found: Vec<(String, usize)>,
}

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.found.push((item.ident.to_string(), item.ident.span().start().line));
        syn::visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vague_names_are_found_wherever_they_are_defined() {
        for text in [
            "struct SessionManager;",
            "mod util {}",
            "fn misc() {}",
            "enum E { EventHandler }",
            "struct S { context: u8 }",
            "fn f(ctx: u8) {}",
            "fn f() { let helper = 1; }",
            "fn get_name() {}",
            "impl S { fn get_name(&self) {} }",
        ] {
            assert_eq!(vague(&Crate::of(&[("src/cli/mod.rs", text)])).len(), 1, "{text}");
        }
        assert_eq!(vague(&Crate::of(&[("src/broker/common.rs", "")])).len(), 1);
    }

    #[test]
    fn other_peoples_names_and_longer_words_are_free() {
        let text = "impl Helper for S { fn get_line(&self) {} } struct Commons; fn budget_ms() {} \
                    fn f(x: &fmt::Context) {}";
        assert!(vague(&Crate::of(&[("src/broker/commons.rs", text)])).is_empty());
    }

    #[test]
    fn a_version_is_no_module() {
        for (file, text) in [
            ("src/codec/v5.rs", ""),
            ("src/codec/connect_v3.rs", ""),
            ("src/codec/mqtt5/mod.rs", ""),
            ("src/codec/mod.rs", "mod v311 {}"),
        ] {
            assert_eq!(versions(&Crate::of(&[(file, text)])).len(), 1, "{file} {text}");
        }
        assert!(versions(&Crate::of(&[("src/codec/version.rs", "enum V { V5 }")])).is_empty());
    }
}
