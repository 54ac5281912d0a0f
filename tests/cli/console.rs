//! The console as a script; at a terminal it is the same lines with a prompt.

use crate::bench::Home;
use crate::double::double;

#[test]
fn p60_a_script_stops_at_the_first_failing_line_with_its_code() {
    let double = double();
    let ran = double.home.feed("console", "# a comment\n\nping\nmqttd ping\nreload\nping\n");
    let ran = ran.exits(6);
    assert_eq!(ran.out, "pong\npong\n");
    assert!(ran.err.contains("no such key"), "{}", ran.err);
    double.home.feed("console", "nosuch\nping\n").exits(2);
    double.home.feed("console", "clients show 'x\n").exits(2);
    let ran = double.home.feed("console", "ping\nexit\nnosuch\n").ok();
    assert_eq!(ran.out, "pong\n");
    double.home.run("ping").ok();
}

#[test]
fn help_is_there_and_other_instances_are_not() {
    let double = double();
    let ran = double.home.feed("console", "help\nhelp clients kick\n").ok();
    assert!(ran.out.contains("subscriptions") && ran.out.contains("CLIENT_ID"), "{}", ran.out);
    assert!(!ran.out.contains("  start "), "{}", ran.out);
    double.home.feed("console", "ping --home /tmp\n").exits(2);
}

#[test]
fn p60_a_console_boots_a_broker_and_ends_it() {
    let home = Home::new();
    let ran = home.feed("console", "ping\nclients\n").ok();
    assert_eq!(ran.out, "pong\nno clients\n");
    assert!(ran.err.contains("booted by this console"), "{}", ran.err);
    home.run("status").exits(3);
}

#[test]
fn p60_leaving_an_attached_console_stops_nothing() {
    let home = Home::new();
    home.start();
    let pid = home.pid();
    home.feed("console", "status\n").ok();
    assert_eq!(home.pid(), pid);
}
