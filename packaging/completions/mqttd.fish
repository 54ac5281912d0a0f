# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mqttd_global_optspecs
    string join \n json quiet home= config= timeout= no-systemd h/help V/version
end

function __fish_mqttd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mqttd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mqttd_using_subcommand
    set -l cmd (__fish_mqttd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mqttd -n "__fish_mqttd_needs_command" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_needs_command" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_needs_command" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_needs_command" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_needs_command" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_needs_command" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_needs_command" -s V -l version -d 'Print version'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "start" -d 'Start the broker in the background'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "stop" -d 'Stop the broker in order'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "restart" -d 'Stop the broker and start it again'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "console" -d 'Open a prompt on the running broker, or boot one with a prompt'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "foreground" -d 'Run the broker in this process'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "ping" -d 'Ask whether the broker answers: pong'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "status" -d 'Show how the broker is doing'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "reload" -d 'Read the configuration again'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "check-config" -d 'Check the configuration and change nothing'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "version" -d 'Show the version of this command and of the running broker'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "pub" -d 'Publish a message as an MQTT client'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "sub" -d 'Subscribe as an MQTT client and print what arrives'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "backup" -d 'Copy all that is kept into a file, while the broker runs'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "restore" -d 'Take a backup back: all of it while the broker is stopped, or parts while it runs'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "export" -d 'Write what is kept as lines of JSON'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "import" -d 'Take lines of an export into the running broker'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "store" -d 'Check or repair the store of a stopped broker'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "about" -d 'Show who and where the daemon is'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "clients" -d 'Clients: who is connected, and whose session waits for them'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "sessions" -d 'Sessions: what is kept for clients, connected or away'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "queue" -d 'List what waits for a client, in the order it gets it'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "subscriptions" -d 'Subscriptions: who wants what'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "topics" -d 'Topics with a retained message'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "listeners" -d 'Listeners: where clients connect'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "stats" -d 'Show counters (since the start) and gauges (now)'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "log" -d 'The log of the running broker'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "publish" -d 'Publish a message in the broker\'s own name, without an MQTT connection'
complete -c mqttd -n "__fish_mqttd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l user -d 'Run as this user (by hand, started by root)' -r -f -a "(__fish_complete_users)"
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l user -d 'Run as this user (by hand, started by root)' -r -f -a "(__fish_complete_users)"
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l user -d 'Run as this user (by hand, started by root)' -r -f -a "(__fish_complete_users)"
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand console" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l user -d 'Run as this user (by hand, started by root)' -r -f -a "(__fish_complete_users)"
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand foreground" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l wait -d 'Wait up to SECS seconds until it answers' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand ping" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l dump -d 'Print the configuration in effect, defaults included'
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l daemon -d 'Print the version of the running broker only; exit code 7 when none is running'
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s h -l host -d 'Host name or address of the broker' -r -f -a "(__fish_print_hostnames)"
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s p -l port -d 'Port of the broker [default: 1883]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s V -l protocol -l mqtt-version -d 'Protocol version' -r -f -a "3.1\t'MQTT 3.1'
3.1.1\t'MQTT 3.1.1'
5\t'MQTT 5.0'"
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s i -l id -d 'Client Identifier [default: the broker assigns one]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s u -l username -d 'User Name; the password comes from --password-file, --ask-password or MQTTD_PASSWORD' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l password-file -d 'File whose first line is the password' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s k -l keep-alive -d 'Keep Alive, seconds; 0: none' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s x -l session-expiry -d 'Seconds that the session outlives the connection (MQTT 5.0) [default: 0; with -c for ever]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l connect-property -d 'Property of the connection (MQTT 5.0, repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l will-topic -d 'Topic of a Will, sent by the broker when this connection breaks' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l will-payload -d 'Payload of the Will' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l will-qos -d 'QoS of the Will' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l will-property -d 'Property of the Will (MQTT 5.0, repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s t -l topic -d 'Topic Name to publish to' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s m -l message -d 'Payload' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s f -l file -d 'Payload: the content of a file' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s q -l qos -d 'Quality of Service' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s D -l property -d 'Property of the message, e.g. content-type=text/plain (MQTT 5.0, repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s U -l user-property -d 'User Property of the message, whatever its name (MQTT 5.0, repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l help -d 'Print help'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l ask-password -d 'Ask for the password on the terminal'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s c -l keep-session -d 'Go on with the session, and keep it: messages wait in the broker while this client is away'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l will-retain -d 'Let the Will be retained'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s s -l stdin -d 'Payload: all of standard input as one message (the default)'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s l -l lines -d 'Payload: each line of standard input as a message of its own'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s n -l empty -d 'Payload: nothing; with --retain this deletes the retained message of the topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -s r -l retain -d 'Let the broker retain the message'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand pub" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s h -l host -d 'Host name or address of the broker' -r -f -a "(__fish_print_hostnames)"
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s p -l port -d 'Port of the broker [default: 1883]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s V -l protocol -l mqtt-version -d 'Protocol version' -r -f -a "3.1\t'MQTT 3.1'
3.1.1\t'MQTT 3.1.1'
5\t'MQTT 5.0'"
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s i -l id -d 'Client Identifier [default: the broker assigns one]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s u -l username -d 'User Name; the password comes from --password-file, --ask-password or MQTTD_PASSWORD' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l password-file -d 'File whose first line is the password' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s k -l keep-alive -d 'Keep Alive, seconds; 0: none' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s x -l session-expiry -d 'Seconds that the session outlives the connection (MQTT 5.0) [default: 0; with -c for ever]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l connect-property -d 'Property of the connection (MQTT 5.0, repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l will-topic -d 'Topic of a Will, sent by the broker when this connection breaks' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l will-payload -d 'Payload of the Will' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l will-qos -d 'QoS of the Will' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l will-property -d 'Property of the Will (MQTT 5.0, repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s t -l topic -d 'Topic Filter to subscribe to (repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s U -l unsubscribe -d 'Topic Filter to unsubscribe from first, of a kept session (repeatable)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s q -l qos -d 'Maximum QoS' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s C -l count -d 'Leave after this many messages' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s W -l wait -d 'Leave after this many seconds without a message; exit code 1 when none or too few came' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l retain-handling -d 'When retained messages are sent (MQTT 5.0)' -r -f -a "always\t'With each subscribing'
new\t'Only if the subscription is new to the session'
never\t'Not at all'"
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l subscription-id -l subscription-identifier -d 'Subscription Identifier, which comes back with each message (MQTT 5.0)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s F -l format -d 'How a message is printed' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l help -d 'Print help'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l ask-password -d 'Ask for the password on the terminal'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s c -l keep-session -d 'Go on with the session, and keep it: messages wait in the broker while this client is away'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l will-retain -d 'Let the Will be retained'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s E -l exit-after-subscribe -d 'Leave once subscribed; with --keep-session the messages wait from now on'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s R -l no-retained -d 'No retained messages'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l retained-only -d 'Retained messages only: leave when no more came for a second, or for --wait'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l retain-as-published -d 'Show the retain flag as the publisher set it (MQTT 5.0)'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l no-local -d 'Not what this client publishes itself (MQTT 5.0)'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s v -l verbose -d 'Print the topic before the payload, and properties of MQTT 5.0 below it'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -s N -l no-newline -d 'Print no newline after a message'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand sub" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l client -d 'Only the session of this client, into the running broker' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l retained -d 'Only the retained messages, into the running broker'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l sessions -d 'Only the sessions, with what waits for them, into the running broker'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l replace -d 'Of parts: take the place of what is there, which is left alone otherwise'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l client -d 'Sessions and messages of this client only' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l from -d 'Read this file, which `mqttd backup` wrote, instead of what the broker keeps' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l retained -d 'Retained messages'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l sessions -d 'Sessions with their subscriptions'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l queues -d 'Messages that wait for sessions'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l replace -d 'Take the place of what is there, which is left alone otherwise'
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -f -a "check" -d 'Read all that is kept and say whether it is sound'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -f -a "repair" -d 'Keep what is sound of a damaged store, and say what is lost'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and not __fish_seen_subcommand_from check repair help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -s y -l yes -d 'Do it without asking'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from repair" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "check" -d 'Read all that is kept and say whether it is sound'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "repair" -d 'Keep what is sound of a damaged store, and say what is lost'
complete -c mqttd -n "__fish_mqttd_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand about" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -f -a "list" -d 'List clients, in the order of their identifiers'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -f -a "show" -d 'Show all that is known of one client'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -f -a "kick" -d 'End a client\'s connection; its session stays, and it may come back'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and not __fish_seen_subcommand_from list show kick help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l filter -d 'Only clients whose identifier, user name or address contains this text' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l limit -d 'At most this many [default: all]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l connected -d 'Only clients that are connected'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from kick" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from help" -f -a "list" -d 'List clients, in the order of their identifiers'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show all that is known of one client'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from help" -f -a "kick" -d 'End a client\'s connection; its session stays, and it may come back'
complete -c mqttd -n "__fish_mqttd_using_subcommand clients; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -f -a "list" -d 'List sessions, in the order of their client identifiers'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -f -a "show" -d 'Show the session of a client'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -f -a "delete" -d 'End a client\'s connection and its session for good, with all that waits for it'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and not __fish_seen_subcommand_from list show delete help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l limit -d 'At most this many [default: all]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l after -d 'Begin behind this client identifier (the last one of the list before)' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l offline -d 'Only sessions whose client is away'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -s y -l yes -d 'Do it without asking'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "list" -d 'List sessions, in the order of their client identifiers'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the session of a client'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "delete" -d 'End a client\'s connection and its session for good, with all that waits for it'
complete -c mqttd -n "__fish_mqttd_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l limit -d 'At most this many [default: all]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l payload -d 'The payloads too'
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand queue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'List subscriptions, of one client or of all'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l filter -d 'Only subscriptions whose topic filter contains this text' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l limit -d 'At most this many [default: all]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from help" -f -a "list" -d 'List subscriptions, of one client or of all'
complete -c mqttd -n "__fish_mqttd_using_subcommand subscriptions; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -f -a "list" -d 'List topics with a retained message, in order'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -f -a "show" -d 'Show the retained message of a topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -f -a "delete" -d 'Delete the retained message of a topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and not __fish_seen_subcommand_from list show delete help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l limit -d 'At most this many [default: all]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from help" -f -a "list" -d 'List topics with a retained message, in order'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the retained message of a topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete the retained message of a topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand topics; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'List listeners with their connections'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from help" -f -a "list" -d 'List listeners with their connections'
complete -c mqttd -n "__fish_mqttd_using_subcommand listeners; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -f -a "level" -d 'Show or change how much is logged, until the next start'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -f -a "tail" -d 'Show what is logged from now on, until Ctrl-C'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and not __fish_seen_subcommand_from level tail help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from level" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "level" -d 'Show or change how much is logged, until the next start'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "tail" -d 'Show what is logged from now on, until Ctrl-C'
complete -c mqttd -n "__fish_mqttd_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l qos -d 'Quality of Service [default: 0]' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l home -d 'Use the instance that lives under DIR instead of the installed one' -r -f -a "(__fish_complete_directories)"
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l config -d 'Read this configuration file instead of /etc/mqttd/mqttd.toml' -r -F
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l timeout -d 'Wait this long at most, in seconds' -r
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l retain -d 'Retain the message'
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l json -d 'Print one JSON object instead of text'
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l quiet -d 'Print errors only'
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -l no-systemd -d 'Never go through systemd, even where it manages mqttd'
complete -c mqttd -n "__fish_mqttd_using_subcommand publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "start" -d 'Start the broker in the background'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "stop" -d 'Stop the broker in order'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "restart" -d 'Stop the broker and start it again'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "console" -d 'Open a prompt on the running broker, or boot one with a prompt'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "foreground" -d 'Run the broker in this process'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "ping" -d 'Ask whether the broker answers: pong'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "status" -d 'Show how the broker is doing'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "reload" -d 'Read the configuration again'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "check-config" -d 'Check the configuration and change nothing'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "version" -d 'Show the version of this command and of the running broker'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "pub" -d 'Publish a message as an MQTT client'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "sub" -d 'Subscribe as an MQTT client and print what arrives'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "backup" -d 'Copy all that is kept into a file, while the broker runs'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "restore" -d 'Take a backup back: all of it while the broker is stopped, or parts while it runs'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "export" -d 'Write what is kept as lines of JSON'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "import" -d 'Take lines of an export into the running broker'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "store" -d 'Check or repair the store of a stopped broker'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "about" -d 'Show who and where the daemon is'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "clients" -d 'Clients: who is connected, and whose session waits for them'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "sessions" -d 'Sessions: what is kept for clients, connected or away'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "queue" -d 'List what waits for a client, in the order it gets it'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "subscriptions" -d 'Subscriptions: who wants what'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "topics" -d 'Topics with a retained message'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "listeners" -d 'Listeners: where clients connect'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "stats" -d 'Show counters (since the start) and gauges (now)'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "log" -d 'The log of the running broker'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "publish" -d 'Publish a message in the broker\'s own name, without an MQTT connection'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and not __fish_seen_subcommand_from start stop restart console foreground ping status reload check-config version pub sub backup restore export import store about clients sessions queue subscriptions topics listeners stats log publish help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "check" -d 'Read all that is kept and say whether it is sound'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "repair" -d 'Keep what is sound of a damaged store, and say what is lost'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from clients" -f -a "list" -d 'List clients, in the order of their identifiers'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from clients" -f -a "show" -d 'Show all that is known of one client'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from clients" -f -a "kick" -d 'End a client\'s connection; its session stays, and it may come back'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "list" -d 'List sessions, in the order of their client identifiers'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "show" -d 'Show the session of a client'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "delete" -d 'End a client\'s connection and its session for good, with all that waits for it'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from subscriptions" -f -a "list" -d 'List subscriptions, of one client or of all'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from topics" -f -a "list" -d 'List topics with a retained message, in order'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from topics" -f -a "show" -d 'Show the retained message of a topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from topics" -f -a "delete" -d 'Delete the retained message of a topic'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from listeners" -f -a "list" -d 'List listeners with their connections'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "level" -d 'Show or change how much is logged, until the next start'
complete -c mqttd -n "__fish_mqttd_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "tail" -d 'Show what is logged from now on, until Ctrl-C'
