//! Words that mark unfinished work, and paths of the machine a text was written on.
//!
//! Looks at every text of the project, documents and scripts included.

use std::path::{Component, Path};

use crate::source::{Offence, relative, root, walk};

/// Folders and files with texts of ours.
const TEXTS: &[&str] = &[
    "src",
    "tests",
    "benches",
    "scripts",
    "docs",
    "debian",
    "packaging",
    "systemd",
    ".ci",
    "fuzz",
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "Cargo.toml",
    "clippy.toml",
];

/// Roots that mean the same on every machine.
const EVERYBODYS_ROOTS: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var", "builds", "build",
];

/// File name and text of everything in [`TEXTS`]; what is no text is left out.
pub(crate) fn texts() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    for name in TEXTS {
        let path = root.join(name);
        if path.is_file() {
            files.push(path);
        } else {
            walk(&path, &mut files);
        }
    }
    let read = |path: &std::path::PathBuf| {
        Some((relative(&root, path), std::fs::read_to_string(path).ok()?))
    };
    files.iter().filter_map(read).collect()
}

/// Marks of unfinished work and of the machine.
pub(crate) fn words(texts: &[(String, String)]) -> Vec<Offence> {
    let machine = machine_paths(&root());
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut offences = Vec::new();
    for (file, text) in texts {
        for (number, line) in (1..).zip(text.lines()) {
            let words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
            if let Some(mark) = words.into_iter().find(|word| marks.contains(word)) {
                offences.push(Offence::at(file, number, format!("`{mark}` left in the text")));
            }
            if let Some(path) = machine.iter().find(|path| line.contains(path.as_str())) {
                offences.push(Offence::at(file, number, format!("`{path}` is a path of here")));
            }
        }
    }
    offences
}

/// Libraries of Cargo.toml that docs/dependencies.md does not name.
pub(crate) fn unexplained(manifest: &str, explained: &str) -> Vec<Offence> {
    let table: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let mut offences = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(libraries) = table.get(section).and_then(toml::Value::as_table) else { continue };
        for library in libraries.keys() {
            if !explained.contains(&format!("`{library}`")) {
                let line = manifest.lines().position(|line| line.starts_with(library.as_str()));
                let what = format!("`{library}` has no line in docs/dependencies.md");
                offences.push(Offence::at("Cargo.toml", line.map_or(1, |line| line + 1), what));
            }
        }
    }
    offences
}

/// What a path of this machine begins with: the project's folder, the one around it, and the first
/// folder below `/` when no other machine has it; the tools' folders of whoever builds.
fn machine_paths(root: &Path) -> Vec<String> {
    let mut paths = vec![
        concat!(".cargo/", "registry/").to_owned(),
        concat!(".rustup/", "toolchains/").to_owned(),
    ];
    let parts: Vec<String> = root
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if parts.len() >= 2 {
        paths.push(format!("/{}", parts.join("/")));
    }
    if parts.len() >= 3 {
        paths.push(format!("/{}/", parts[..parts.len() - 1].join("/")));
    }
    if let Some(first) = parts.first().filter(|first| !EVERYBODYS_ROOTS.contains(&first.as_str())) {
        paths.push(format!("/{first}/"));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        words(&[("docs/x.md".to_owned(), text.to_owned())]).len()
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(found(concat!("// TO", "DO: later")), 1);
        assert_eq!(found(concat!("FIX", "ME")), 1);
        assert_eq!(found(concat!("mktemp /tmp/mqttd.XX", "XXXX")), 0);
        assert_eq!(found("a method"), 0);
    }

    #[test]
    fn a_path_of_the_machine_is_found() {
        let here = root().join("src/lib.rs");
        assert_eq!(found(&format!("see {}", here.display())), 1);
        assert_eq!(found(concat!("~/.cargo/", "registry/src/x")), 1);
        assert_eq!(found("/etc/mqttd/mqttd.toml"), 0);
    }

    #[test]
    fn a_library_without_a_reason_is_found() {
        let manifest = "[dependencies]\nbytes = \"1\"\n[dev-dependencies]\nsyn = \"2\"\n";
        assert_eq!(unexplained(manifest, "| `bytes` | why | what |").len(), 1);
        assert!(unexplained(manifest, "`bytes` and `syn`").is_empty());
    }

    #[test]
    fn only_what_is_peculiar_to_a_machine_counts() {
        let paths = machine_paths(Path::new("/home/ada/mqttd"));
        assert!(paths.contains(&"/home/ada/".to_owned()));
        assert!(!paths.contains(&"/home/".to_owned()));
        assert!(machine_paths(Path::new("/depot/ada/mqttd")).contains(&"/depot/".to_owned()));
        assert!(!machine_paths(Path::new("/tmp/mqttd")).contains(&"/tmp/".to_owned()));
    }
}
