//! What can be typed in the console: the command's verbs that make sense at a prompt, and a few of
//! its own. Help comes from the same texts.

use clap::{Args, Command};

use crate::cli::args::Globals;

/// Verbs of the command that are the console's too; the nouns are all.
const LEFT_OUT: [&str; 3] = ["start", "console", "foreground"];

/// Where `exit` stands in the list.
const LAST: usize = 1000;

/// The console's commands.
pub(super) fn tree() -> Command {
    let whole = crate::cli::command();
    let verbs =
        whole.get_subcommands().filter(|verb| !LEFT_OUT.contains(&verb.get_name())).cloned();
    let own = [Command::new("exit")
        .visible_alias("quit")
        .display_order(LAST)
        .about("Leave the console (as Ctrl-D does)")];
    let log = |log: Command| {
        log.subcommand(Command::new("off").about("Stop showing the log above the prompt"))
            .subcommand(Command::new("on").about("Show the log above the prompt again"))
    };
    let bare = Command::new("mqttd")
        .no_binary_name(true)
        .disable_version_flag(true)
        .disable_help_flag(true)
        .subcommand_required(true)
        .help_template("{subcommands}\n\nhelp COMMAND says more; a leading `mqttd` is not needed.")
        .subcommands(verbs)
        .subcommands(own)
        .mut_subcommand("log", log);
    // The options of the command line stand for the whole console; here they are not advertised.
    Globals::augment_args(bare).mut_args(|arg| arg.hide(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        for line in [
            &["ping"][..],
            &["clients"],
            &["clients", "list", "--limit", "3"],
            &["log", "off"],
            &["log", "level", "debug"],
            &["quit"],
            &["sub", "-t", "#", "--count", "1"],
            &["status", "--json"],
        ] {
            let parsed = tree().try_get_matches_from(line);
            assert!(parsed.is_ok(), "{line:?}: {:?}", parsed.err());
        }
        assert!(tree().try_get_matches_from(["start"]).is_err());
        assert!(tree().try_get_matches_from([""; 0]).is_err());
    }

    #[test]
    fn the_tree_is_sound() {
        tree().debug_assert();
    }
}
