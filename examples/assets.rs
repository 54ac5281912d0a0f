//! Writes the man pages and completions of the package, from the command line's own definition
//! and the table of configuration keys: `cargo run --example assets -- packaging`.
//!
//! Called by `scripts/assets`; what it writes is part of the sources, so that building the package
//! needs nothing else, and a test fails when it is out of date. Formats nothing itself but the
//! frame of mqttd.toml(5).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

/// The sections of mqttd.toml(5) around its keys.
const BEFORE_KEYS: &str = include_str!("../packaging/man/mqttd.toml.before");
const AFTER_KEYS: &str = include_str!("../packaging/man/mqttd.toml.after");

fn main() -> ExitCode {
    let Some(target) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("use: assets DIRECTORY");
        return ExitCode::from(2);
    };
    match write(&target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("assets: {}: {error}", target.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes everything below `target`.
fn write(target: &Path) -> io::Result<()> {
    let man = target.join("man");
    let completions = target.join("completions");
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    write_pages(&man, mqttd::cli::command())?;
    let keys = format!("{BEFORE_KEYS}{}{AFTER_KEYS}", mqttd::daemon::config::manual());
    fs::write(man.join("mqttd.toml.5"), keys)?;
    for (shell, name) in
        [(Shell::Bash, "mqttd.bash"), (Shell::Zsh, "_mqttd"), (Shell::Fish, "mqttd.fish")]
    {
        let mut script = Vec::new();
        generate(shell, &mut mqttd::cli::command(), "mqttd", &mut script);
        fs::write(completions.join(name), script)?;
    }
    Ok(())
}

/// Writes a page for the command and for each command below it, but not for `help`.
fn write_pages(folder: &Path, command: Command) -> io::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page(folder, &command, true)
}

fn write_page(folder: &Path, command: &Command, is_top: bool) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_page(folder, below, false)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH {} 8 \"\" \"mqttd {}\" \"MQTT broker\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes();
    let shown = if is_top { command.clone() } else { without_general_options(command.clone()) };
    let man = Man::new(shown.clone()).section("8");
    man.render_name_section(&mut text)?;
    text.extend(synopsis(command.clone()).bytes());
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if shown.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let extra = command.get_after_long_help().map(ToString::to_string);
    text.extend(sections(&extra.unwrap_or_default()).bytes());
    if is_top {
        text.extend(error_codes().bytes());
    }
    let more = if is_top {
        ".BR mqttd.toml (5),\n.BR systemctl (1),\n.BR journalctl (1)\n"
    } else {
        ".BR mqttd (8)\nfor the options that every command takes, and the exit status\n"
    };
    text.extend(format!(".fi\n.SH SEE ALSO\n{more}").bytes());
    fs::write(folder.join(format!("{name}.8")), text)
}

/// How it is called, as the help has it: with the values of options.
fn synopsis(mut command: Command) -> String {
    let usage = command.render_usage().to_string();
    let mut text = ".SH SYNOPSIS\n".to_owned();
    for line in usage.trim_start_matches("Usage:").lines().map(str::trim) {
        text.push_str(&format!("{}\n.br\n", line.replace('-', "\\-")));
    }
    text
}

/// The stable codes of errors.
fn error_codes() -> String {
    let mut text = ".fi\n.SH ERROR CODES\nIn the object of\n.BR \\-\\-json ,\n".to_owned();
    text.push_str(".I error.code\nis one of these:\n");
    for (code, meaning) in mqttd::cli::CODES {
        text.push_str(&format!(".TP\n.B {code}\n{meaning}\n"));
    }
    text
}

/// The options that every command takes stand in mqttd(8) alone.
fn without_general_options(mut command: Command) -> Command {
    let general: Vec<_> = command
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .map(|argument| argument.get_id().clone())
        .collect();
    for id in general {
        command = command.mut_arg(id, |argument| argument.hide(true));
    }
    command
}

/// What follows the options in the help, as sections: a line without indent that ends in a colon
/// is a heading, the rest is set as it is.
fn sections(help: &str) -> String {
    let mut text = String::new();
    for line in help.lines() {
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => {
                text.push_str(&format!(".fi\n.SH {}\n.nf\n", heading.to_uppercase()));
            }
            _ if line.is_empty() => {}
            _ => {
                let line = line.strip_prefix("  ").unwrap_or(line);
                let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\*(Aq");
                let guard = if line.starts_with('.') { "\\&" } else { "" };
                text.push_str(&format!("{guard}{line}\n"));
            }
        }
    }
    text
}
