//! The configuration as an operator meets it: files in, values or words out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::control::Place;

struct Home {
    dir: TempDir,
    place: Place,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::under(dir.path());
        Self { dir, place }
    }

    fn with(main: &str) -> Self {
        let home = Self::new();
        home.write("mqttd.toml", main);
        home
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn errors(&self) -> Vec<String> {
        let inside = format!("{}/", self.dir.path().display());
        let errors = load(&self.place).unwrap_err();
        errors.iter().map(|e| e.to_string().replace(&inside, "")).collect()
    }
}

fn shipped_path() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/mqttd.toml"))
}

#[test]
fn every_default_fits() {
    for key in keys() {
        let _ = key.default_value();
    }
}

#[test]
fn nothing_and_an_empty_file_equal_the_defaults() {
    let defaults = Loaded::defaults();
    assert_eq!(load(&Home::new().place).unwrap().config, defaults.config);
    assert_eq!(load(&Home::with("").place).unwrap().config, defaults.config);
    assert_eq!(defaults.config.tcp.len(), 2);
    assert_eq!(defaults.config.limits.packet_bytes_max, 16 << 20);
    assert!(defaults.config.limits.memory_bytes_max >= 64 << 20);
}

#[test]
fn each_key_is_put_in_a_place_of_its_own() {
    // Two configurations that differ in one key differ in one place.
    for (index, key) in keys().iter().enumerate() {
        let other = match key.default_value() {
            Value::Number(number) => Value::Number(number ^ 1),
            Value::Bytes(bytes) => Value::Bytes(bytes ^ 1),
            Value::Auto => Value::Bytes(77 << 20),
            Value::Word(word) => {
                let Kind::Word(words) = key.kind else { panic!("a word of another kind") };
                Value::Word(words.iter().find(|other| **other != word).unwrap())
            }
            Value::Addresses(_) => Value::Addresses(vec!["127.0.0.1:1".parse().unwrap()]),
            Value::Filters(_) => Value::Filters(vec!["a/#".to_owned()]),
            Value::Text(_) => Value::Text("other".to_owned()),
        };
        let mut loaded = Loaded::defaults();
        loaded.settings[index].value = other;
        let changed = Loaded::from_settings(loaded.settings, Vec::new(), 0);
        assert_ne!(changed.config, Loaded::defaults().config, "{}", key.path);
    }
}

/// After a change of the table: `MQTTD_UPDATE=1 cargo test shipped`.
#[test]
fn the_shipped_file_is_made_from_the_table() {
    if std::env::var_os("MQTTD_UPDATE").is_some() {
        fs::create_dir_all(shipped_path().parent().unwrap()).unwrap();
        fs::write(shipped_path(), shipped()).unwrap();
    }
    let text = fs::read_to_string(shipped_path()).unwrap();
    assert_eq!(text, shipped(), "run MQTTD_UPDATE=1 cargo test shipped");
}

#[test]
fn p11_the_shipped_file_equals_the_defaults() {
    let home = Home::with(&shipped());
    assert_eq!(load(&home.place).unwrap().settings, Loaded::defaults().settings);
    // With every key uncommented it still does, but for where the values stand.
    let is_setting = |line: &str| line.contains(" = ");
    let uncommented: Vec<_> = shipped()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if is_setting(line) && !line.starts_with("# ") => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let home = Home::with(&uncommented.join("\n"));
    let loaded = load(&home.place).unwrap();
    assert_eq!(loaded.config, Loaded::defaults().config);
    assert!(loaded.settings.iter().all(|setting| setting.origin.is_some()));
}

#[test]
fn p08_every_key_is_documented() {
    for key in keys() {
        assert!(key.doc.len() > 20 && key.doc.ends_with('.'), "{}", key.path);
        assert!(manual().contains(&format!("\\fB{}\\fR", key.name())), "{}", key.path);
        assert!(sections().iter().any(|s| s.path == key.section()), "{}", key.path);
    }
}

#[test]
fn a_later_file_changes_one_key_of_an_earlier_one() {
    let home = Home::with("[limits]\nreceive_maximum = 7\ntopic_levels_max = 8\n");
    home.write("conf.d/20-b.toml", "limits.topic_levels_max = 10\n");
    home.write("conf.d/10-a.toml", "[limits]\ntopic_levels_max = 9\n[log]\nlevel = \"warn\"");
    home.write("conf.d/README", "not a configuration");
    home.write("conf.d/.10-a.toml.swp.toml", "\0");
    let loaded = load(&home.place).unwrap();
    assert_eq!(loaded.config.limits.receive_maximum, 7);
    assert_eq!(loaded.config.limits.topic_levels_max, 10);
    assert_eq!(loaded.config.log.level, LogLevel::Warn);
    assert_eq!(loaded.files.len(), 3);
    let dump = dump(&loaded);
    let line = dump.lines().find(|line| line.starts_with("topic_levels_max = 10")).unwrap();
    assert!(line.ends_with("conf.d/20-b.toml:1:8"), "{line}");
    assert!(dump.contains("inflight_max = 1024"), "{dump}");
    // What is dumped reads back as the same.
    let again = Home::with(&dump);
    assert_eq!(load(&again.place).unwrap().config, loaded.config);
}

#[test]
fn p57_all_errors_in_one_run_with_their_places() {
    let home = Home::with(
        "anonymous = \"nobody\"\n\n[limits]\n  packet_size_max = 1\nreceive_maximum = 0\n\
         inflight_max = 3\n[limitz]\n[listener]\ntcp = 1883\n",
    );
    home.write("conf.d/a.toml", "[log]\nlevel = \"inf\"\n\"öl\" = 1\n");
    assert_eq!(
        home.errors(),
        [
            "mqttd.toml:1:13: anonymous: \"nobody\" is not known; \
             expected one of \"private\", \"never\", \"always\"",
            "mqttd.toml:4:3: limits.packet_size_max: there is no such key; \
             did you mean limits.packet_bytes_max?",
            "mqttd.toml:5:19: limits.receive_maximum: 0 is too small; \
             expected a whole number from 1 to 65535",
            "mqttd.toml:6:1: limits.inflight_max: there is no such key; \
             did you mean session.inflight_max?",
            "mqttd.toml:7:2: limitz: there is no such table; did you mean limits?",
            "mqttd.toml:9:1: listener.tcp: is a table, not integer; \
             write [listener.tcp] and its keys below it",
            "conf.d/a.toml:2:9: log.level: \"inf\" is not known, did you mean \"info\"?; \
             expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
            "conf.d/a.toml:3:1: log.öl: there is no such key; \
             known are level, format, target, file, file_bytes_max, files_max",
        ]
    );
}

#[test]
fn errors_of_syntax_have_a_place() {
    for (text, start) in [
        ("[limits\n", "mqttd.toml:1:8: "),
        ("a = \n", "mqttd.toml:1:5: "),
        ("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", "mqttd.toml:3:1: "),
        ("\u{1b}[31m", "mqttd.toml:1:1: "),
    ] {
        let errors = Home::with(text).errors();
        assert!(errors[0].starts_with(start), "{text:?}: {errors:?}");
        assert!(!errors[0].contains(char::is_control), "{errors:?}");
    }
}

#[test]
fn p56_files_that_are_no_configuration_are_refused_in_words() {
    let home = Home::with("");
    home.write("conf.d/large.toml", vec![b'#'; (1 << 20) + 1]);
    home.write("conf.d/latin.toml", b"# ok\n# \xe4\n");
    fs::create_dir(home.dir.path().join("conf.d/dir.toml")).unwrap();
    let fifo = home.dir.path().join("conf.d/pipe.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    home.write("conf.d/zero.toml", [0; 100]);
    let errors = home.errors();
    assert_eq!(errors[0], "conf.d/dir.toml: is a directory, not a file");
    assert_eq!(errors[1], "conf.d/large.toml: is larger than 1024 KiB; is it a configuration?");
    assert_eq!(errors[2], "conf.d/latin.toml:2:1: is not text in UTF-8; save it as UTF-8");
    assert_eq!(errors[3], "conf.d/pipe.toml: is a device, pipe or socket, not a file");
    assert!(errors[4].starts_with("conf.d/zero.toml:1:1: "), "{errors:?}");
}

#[test]
fn a_missing_file_is_an_error_unless_it_may_be_missing() {
    let mut home = Home::new();
    home.place.config_optional = false;
    let errors = home.errors();
    assert!(errors[0].starts_with("mqttd.toml: there is no such file"), "{errors:?}");
}

#[test]
fn p62_an_unreadable_file_names_its_owner() {
    if nix::unistd::geteuid().is_root() {
        return; // root reads everything; the life cycle tests cover it as another user
    }
    let home = Home::with("");
    let path = home.dir.path().join("mqttd.toml");
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let errors = home.errors();
    assert!(errors[0].contains("permission denied (owner "), "{errors:?}");
}

#[test]
fn addresses_that_exclude_each_other_are_an_error() {
    let text = "[listener.tcp]\naddress = [\"0.0.0.0:1883\", \"127.0.0.1:1883\"]";
    let errors = Home::with(text).errors();
    assert_eq!(
        errors,
        ["mqttd.toml:2:1: listener.tcp.address: 0.0.0.0:1883 and 127.0.0.1:1883 cannot both be \
          listened on; the one covers the other"]
    );
    let text = "[listener.tcp]\naddress = [\"127.0.0.1:0\", \"127.0.0.2:0\", \"[::]:0\"]";
    assert!(load(&Home::with(text).place).is_ok());
}

#[test]
fn topics_have_the_class_of_their_list() {
    let text = "[store]\ndurability = \"memory\"\ndisk_topics = [\"alarm/#\", \"log/fatal\"]\n\
                os_topics = [\"log/#\"]\n";
    let classes = load(&Home::with(text).place).unwrap().config.store.classes();
    for (topic, class) in [
        ("alarm/fire", Class::Disk),
        ("log/fatal", Class::Disk),
        ("log/debug", Class::Os),
        ("temperature", Class::Memory),
    ] {
        assert_eq!(classes.class(topic), class, "{topic}");
    }
    assert_eq!(Loaded::defaults().config.store.classes(), broker::Durability::default());
    let text = "[store]\nos_topics = [\"a\"]\nmemory_topics = [\"b\", \"a\"]\n";
    assert_eq!(
        Home::with(text).errors(),
        [
            "mqttd.toml:3:1: store.memory_topics: \"a\" is in store.os_topics too; a topic filter has \
          one class"
        ]
    );
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let home = Home::with(
        "[limits]\nmemory_bytes_max = \"16MiB\"\npacket_bytes_max = \"32MiB\"\n\
         connections_max = 4000000000\n[log]\nfile = \"/nowhere/x\"\n\
         [server]\nuser = \"nobody-at-all\"\n",
    );
    let loaded = load(&home.place).unwrap();
    let warnings = warnings(&loaded, &home.place).join("\n");
    for part in [
        "limits.packet_bytes_max: a packet of this size cannot come in",
        "limits.connections_max: the limit of open files allows",
        "there is no directory /nowhere",
        "there is no user \"nobody-at-all\"",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert!(super::warnings(&Loaded::defaults(), &home.place).is_empty());
}

#[test]
fn p33_a_reload_takes_what_can_change_and_names_the_rest() {
    let old = load(&Home::with("").place).unwrap();
    let text = "anonymous = \"never\"\n[server]\nshards = 3\n[log]\nlevel = \"warn\"\n";
    let new = load(&Home::with(text).place).unwrap();
    let changes = diff(&old, &new);
    assert_eq!(changes.applied, ["anonymous", "log.level"]);
    assert_eq!(changes.needs_restart, ["server.shards"]);
    let now = old.reloaded(new.clone());
    assert_eq!(now.config.anonymous, Anonymous::Never);
    assert_eq!(now.config.shards, 0);
    // The next reload still says what waits for a restart.
    let changes = diff(&now, &new);
    assert_eq!((changes.applied.len(), changes.needs_restart.len()), (0, 1));
}
