"""scripts/conformance on small trees of sources: what it finds, and what it refuses.

Run by scripts/test, or by hand: python3 -B -m unittest discover -s tests/conformance
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from unittest import mock

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/conformance"


def load():
    loader = importlib.machinery.SourceFileLoader("conformance", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance", loader))
    sys.modules["conformance"] = module
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


conformance = load()

ROWS = "MQTT-1.1.1-1\tserver\tThe server does it."
CODE = {"src/lib.rs": "/// `[MQTT-1.1.1-1]`\nfn does() {}\n"}
TESTS = {"tests/protocol/main.rs": "/// `[MQTT-1.1.1-1]`\n#[test]\nfn it_does() {}\n"}
PASSED = "     Running tests/protocol/main.rs (target/x)\ntest it_does ... ok\n"


class Tree(unittest.TestCase):
    def tree(self, files, rows=ROWS, **tables):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        root = Path(held.name)
        header = "id\tparty\tstatement\twhy\n"
        tables = {"mqtt-5.0": rows, **tables}
        files = files | {
            f"tests/conformance/{name}.tsv": text if text.startswith("id\t") else header + text + "\n"
            for name, text in tables.items()
        }
        (root / "docs").mkdir()
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(textwrap.dedent(text))
        return root

    def run_on(self, root, *arguments):
        """Exit code and output."""
        out = io.StringIO()
        with mock.patch.object(sys, "argv", ["conformance", "--root", str(root), *arguments]):
            with contextlib.redirect_stdout(out):
                code = conformance.main()
        return code, out.getvalue()

    def refuses(self, expected, files, *arguments, **tables):
        root = self.tree(files, **tables)
        code, said = self.run_on(root, *arguments)
        self.assertEqual(code, 1, said)
        self.assertIn(expected, said)

    def test_a_statement_with_place_and_test_is_proven(self):
        root = self.tree(CODE | TESTS)
        self.assertEqual(self.run_on(root)[0], 0)
        page = (root / "docs/conformance.md").read_text()
        self.assertIn("[lib](../src/lib.rs) `does`", page)
        self.assertIn("[it_does](../tests/protocol/main.rs)", page)
        self.assertIn("| MQTT 5.0 | 1 | 1 | 1 | 0 | 0 |", page)
        self.assertEqual(self.run_on(root, "--check")[0], 0)

    def test_a_stale_page_is_refused(self):
        root = self.tree(CODE | TESTS)
        self.run_on(root)
        (root / "src/lib.rs").write_text("/// `[MQTT-1.1.1-1]`\nfn elsewhere() {}\n")
        code, said = self.run_on(root, "--check")
        self.assertEqual(code, 1)
        self.assertIn("docs/conformance.md:", said)

    def test_an_unknown_tag_is_refused_with_its_line(self):
        code = {"src/a.rs": "\n// [MQTT-9.9.9-9]\nfn a() {}\n"}
        self.refuses("src/a.rs:2: [MQTT-9.9.9-9] is in none", CODE | TESTS | code)

    def test_a_lost_test_is_refused(self):
        self.refuses("mqtt-5.0.tsv:2: MQTT-1.1.1-1 binds the server and has neither a test", CODE)

    def test_a_lost_place_is_refused(self):
        self.refuses("MQTT-1.1.1-1 binds the server and has no place", TESTS)

    def test_a_reason_beside_a_test_is_refused(self):
        self.refuses("has a reason why no test proves it", CODE | TESTS, rows=ROWS + "\tBecause.")

    def test_a_reason_stands_for_test_and_place(self):
        root = self.tree({}, rows=ROWS + "\tBecause.")
        self.assertEqual(self.run_on(root)[0], 0)

    def test_what_binds_the_client_alone_needs_neither(self):
        root = self.tree({}, rows="MQTT-1.1.1-1\tclient\tThe client does it.")
        self.assertEqual(self.run_on(root)[0], 0)

    def test_a_table_is_read_strictly(self):
        self.refuses("party 'nobody'", {}, rows="MQTT-1.1.1-1\tnobody\tIt is so.")
        self.refuses("stands twice", CODE | TESTS, rows=f"{ROWS}\n{ROWS}")
        self.refuses("is no number of this table", {}, rows="MQTT3-1.1.1-1\tclient\tIt is so.")

    def test_a_tag_in_test_code_over_no_test_is_refused(self):
        tests = {"tests/a.rs": "/// `[MQTT-1.1.1-1]`\nfn steps() {}\n"}
        self.refuses("tests/a.rs:1: [MQTT-1.1.1-1] stands over no test", CODE | TESTS | tests)

    def test_each_test_must_have_passed(self):
        root = self.tree(CODE | TESTS)
        log = root / "log"
        for text, expected in [
            (PASSED, 0),
            (PASSED.replace("ok", "FAILED"), 1),
            (PASSED.replace("ok", "ignored"), 1),
            (PASSED.replace("protocol/main", "other/main"), 1),
            ("", 1),
        ]:
            log.write_text(text)
            self.assertEqual(self.run_on(root, "--results", str(log))[0], expected, text)

    def test_an_older_statement_shares_the_place_but_not_the_test(self):
        header = "id\tparty\tstatement\twhy\tsame_as\n"
        row = "MQTT3-1.1.1-2\tserver\tThe server does it.\t\tMQTT-1.1.1-1\n"
        self.refuses(
            "MQTT3-1.1.1-2 binds the server and has neither a test",
            CODE | TESTS,
            **{"mqtt-3.1.1": header + row},
        )
        both = {"tests/b.rs": "/// `[MQTT3-1.1.1-2]`\n#[test]\nfn it_does() {}\n"}
        root = self.tree(CODE | TESTS | both, **{"mqtt-3.1.1": header + row})
        self.assertEqual(self.run_on(root)[0], 0)
        self.assertEqual((root / "docs/conformance.md").read_text().count("../src/lib.rs"), 2)

    def test_a_python_test_counts(self):
        tests = {"tests/a.py": 'def proves():\n    """Says it [MQTT-1.1.1-1]."""\n'}
        root = self.tree(CODE | tests)
        self.assertEqual(self.run_on(root)[0], 0)
        self.assertIn("[proves](../tests/a.py)", (root / "docs/conformance.md").read_text())


class Owners(unittest.TestCase):
    """To which item a comment belongs."""

    def owners(self, text):
        source = conformance.Rust(textwrap.dedent(text))
        return [(tag, item.name) for tag, _, item in source.tags()]

    def test_a_doc_comment_is_of_what_follows(self):
        text = """
            impl<'a, T: Into<Vec<u8>>> From<T> for wire::Reader<'a> {
                /// [MQTT-1.1.1-1]
                #[inline]
                pub(super) fn varint(&self) -> [u8; 2] { "// }"; '}'; b'{'; r#"}"#; [0, 1] }
                /// [MQTT-1.1.1-2]
                const fn next() {}
            }
        """
        expected = [("MQTT-1.1.1-1", "Reader::varint"), ("MQTT-1.1.1-2", "Reader::next")]
        self.assertEqual(self.owners(text), expected)

    def test_a_comment_in_a_function_is_of_the_function(self):
        text = """
            use a::{b, c};
            const A: u32 = { 3; 4 };
            fn outer<const N: usize>() where (): Sized {
                // [MQTT-1.1.1-1]
                let x = |y: u8| { y };
            }
            // [MQTT-1.1.1-2]
            static TABLE: &[u8] = &[
                1, // [MQTT-1.1.1-3]
            ];
        """
        expected = [("MQTT-1.1.1-1", "outer"), ("MQTT-1.1.1-2", "TABLE"), ("MQTT-1.1.1-3", "TABLE")]
        self.assertEqual(self.owners(text), expected)

    def test_variants_and_fields_have_their_own(self):
        text = """
            pub enum Error {
                /// [MQTT-1.1.1-1]
                #[error("a {bytes}, b")]
                TooLarge { bytes: u32, limit: u32 },
                /// [MQTT-1.1.1-2]
                Other(Map<u8, u8>),
            }
            struct State {
                /// [MQTT-1.1.1-3]
                pub(crate) map: Map<u8, Vec<(u8, u8)>>,
            }
        """
        names = ["Error::TooLarge", "Error::Other", "State::map"]
        self.assertEqual([name for _, name in self.owners(text)], names)

    def test_a_text_is_no_comment(self):
        self.assertEqual(self.owners('fn a() { let x = "// [MQTT-1.1.1-1]"; }'), [])

    def test_the_head_of_a_file_is_of_the_file(self):
        self.assertEqual(self.owners("//! [MQTT-1.1.1-1]\nfn a() {}\n"), [("MQTT-1.1.1-1", "")])


class Tested(unittest.TestCase):
    """What is a test, and which."""

    def found(self, text):
        source = conformance.Rust(textwrap.dedent(text))
        owners = [(item, item.tested) for _, _, item in source.tags()]
        return [
            [test.name for test in ([item] if item.test else source.naming(item))] if tested else None
            for item, tested in owners
        ]

    def test_a_module_for_tests_is_not_the_program(self):
        text = """
            /// [MQTT-1.1.1-1]
            fn does() {}
            #[cfg(test)]
            mod tests {
                /// [MQTT-1.1.1-1]
                #[test]
                fn it_does() {}
                proptest! {
                    #![proptest_config(x)]
                    /// [MQTT-1.1.1-1]
                    #[test]
                    fn it_always_does(x in 0..3) {}
                }
            }
        """
        self.assertEqual(self.found(text), [None, ["tests::it_does"], ["tests::it_always_does"]])

    def test_a_table_counts_for_the_tests_that_name_it(self):
        text = """
            #[cfg(test)]
            mod tests {
                const CASES: &[u8] = &[
                    1, // [MQTT-1.1.1-1]
                ];
                #[test]
                fn all() { CASES.iter(); }
                #[test]
                fn none() {}
            }
        """
        self.assertEqual(self.found(text), [["tests::all"]])

    def test_files_of_tests_beside_the_program(self):
        with tempfile.TemporaryDirectory() as held:
            root = Path(held)
            (root / "src/codec/tests").mkdir(parents=True)
            (root / "src/codec/mod.rs").write_text("mod wire;\n#[cfg(test)]\nmod tests;\n")
            (root / "src/codec/wire.rs").write_text("/// [MQTT-1.1.1-1]\nfn a() {}\n")
            (root / "src/codec/tests/mod.rs").write_text("mod more;\n")
            (root / "src/codec/tests/more.rs").write_text("/// [MQTT-1.1.1-1]\n#[test]\nfn a() {}\n")
            sources = conformance.rust_sources(root)
        owners = {file: [item.tested for *_, item in source.tags()] for file, source in sources.items()}
        self.assertEqual(owners["src/codec/wire.rs"], [False])
        self.assertEqual(owners["src/codec/tests/more.rs"], [True])

    def test_tests_are_named_as_cargo_names_them(self):
        for file, expected in {
            "src/lib.rs": ("lib", ""),
            "src/main.rs": ("main", ""),
            "src/codec/mod.rs": ("lib", "codec"),
            "src/codec/tests.rs": ("lib", "codec::tests"),
            "tests/house.rs": ("house", ""),
            "tests/house/size.rs": ("house", "size"),
            "tests/protocol/main.rs": ("protocol", ""),
            "tests/protocol/kit/mod.rs": ("protocol", "kit"),
        }.items():
            self.assertEqual(conformance.module_of(file), expected, file)


if __name__ == "__main__":
    unittest.main()
