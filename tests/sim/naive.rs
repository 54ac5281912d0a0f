//! Matching of Topic Names as section 4.7 of the standard tells it, level by level.

/// Whether a Topic Name matches a Topic Filter (without `$share/…/`).
pub(crate) fn matches(filter: &str, name: &str) -> bool {
    // `[MQTT-4.7.2-1]`
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    levels_match(&filter, &name)
}

fn levels_match(filter: &[&str], name: &[&str]) -> bool {
    match (filter.first(), name.first()) {
        (None, None) | (Some(&"#"), _) => true,
        (Some(&"+"), Some(_)) => levels_match(&filter[1..], &name[1..]),
        (Some(wanted), Some(level)) => wanted == level && levels_match(&filter[1..], &name[1..]),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// The share name, if there is one, and the filter proper.
pub(crate) fn share(text: &str) -> (Option<&str>, &str) {
    let shared = text.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    shared.map_or((None, text), |(name, filter)| (Some(name), filter))
}

#[test]
fn the_examples_of_the_standard() {
    for (filter, name, expected) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/#", "sport", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS/x", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/", true),
    ] {
        assert_eq!(matches(filter, name), expected, "{filter} {name}");
    }
}
